"""``index.parquet``: manifest rows written to Parquet, read back with the manifest's types, and counted by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fretal_bench import files
from fretal_bench.datasets.manifest import DATE, TEXT_COLUMNS, check_manifest, column_types
from fretal_bench.datasets.store.info import REMEDY, damaged
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Contents = Mapping[tuple[str, str, str], int]
"""Number of crops by data set, method and compression."""
_COUNTED: Final = ("dataset", "method", "compression")
_TEXTS: Final = (*TEXT_COLUMNS, DATE)
_ROW_BYTES: Final = 1024
"""Bytes of text that a row may have, on average: a few bytes of a file may stand for texts that fill the memory."""
_SPARE_BYTES: Final = 1 << 20


def write_index(index: pd.DataFrame, out: BinaryIO) -> None:
    """Write manifest rows as Parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # An explicit schema without pandas' metadata: the bytes then depend on the rows alone.
    schema = _schema(dated=DATE in index.columns)
    columns = [pa.array(index[name].tolist(), schema.field(name).type) for name in schema.names]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), out, compression="zstd", version="2.6")


def read_index(path: Path, count: int) -> pd.DataFrame:
    """Read manifest rows, with the manifest's columns and types; whether they keep its rules is not looked at.

    Args:
        path: The file.
        count: Number of rows that it must have.

    Raises:
        BenchError: It is no Parquet file as ``write_index`` makes them, or has other columns, types or another number
            of rows, or texts that no data set has.
    """
    import pandas as pd

    table = _read(path, count)
    with _parquet(path):
        _check_lengths(table, path)
        columns = {name: _plain(table.column(name)) for name in table.column_names}
        return pd.DataFrame(columns).astype(column_types(dated=DATE in columns))


def check_rows(index: pd.DataFrame, path: Path) -> None:
    """Check that rows read from ``path`` keep the manifest's rules.

    Raises:
        BenchError: One does not; the message names it and the column.
    """
    try:
        check_manifest(index)
    except BenchError as error:
        raise BenchError(f"{path}: damaged crop store: {error}; {REMEDY}") from error


def count_rows(path: Path, count: int) -> Contents:
    """Count the rows by data set, method and compression; arguments and errors as ``read_index``.

    Three columns, their texts as numbers, and nothing that imports pandas: that would take longer than all the rest.
    """
    import numpy as np

    table = _read(path, count, _COUNTED)
    with _parquet(path):
        table = table.combine_chunks().unify_dictionaries()
        columns = [table.column(name).chunk(0) for name in _COUNTED]
        # Through the buffer, since pyarrow's own conversion imports pandas.
        codes = [np.frombuffer(c.indices.buffers()[1], np.int32, len(c), 4 * c.offset) for c in columns]
        names = [column.dictionary.to_pylist() for column in columns]
        shape = tuple(map(len, names))
        kinds, counts = np.unique(np.ravel_multi_index(codes, shape), return_counts=True)
    places = zip(*(part.tolist() for part in np.unravel_index(kinds, shape)), counts.tolist(), strict=True)
    return dict(sorted(((names[0][d], names[1][m], names[2][c]), n) for d, m, c, n in places))


def _schema(*, dated: bool) -> pa.Schema:
    import pyarrow as pa

    types = {"str": pa.string(), "int8": pa.int8(), "int32": pa.int32()}
    columns = column_types(dated=dated).items()
    return pa.schema([pa.field(name, types[kind], nullable=False) for name, kind in columns])


def _read(path: Path, count: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read columns, all if None, texts as numbers of a dictionary, after a look at what the file says that it holds."""
    import pyarrow.parquet as pq

    files.check_regular(path, "crop store", REMEDY)
    with _parquet(path):
        file = pq.ParquetFile(path)
        schema, metadata = file.schema_arrow.remove_metadata(), file.metadata
        size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    expected = _schema(dated=schema.names[-1:] == [DATE])
    if not schema.equals(expected):
        raise damaged(path, "the manifest's columns and types", _difference(expected, schema))
    if metadata.num_rows != count:
        raise damaged(path, f"{count:,} rows", f"{metadata.num_rows:,}")
    if size > _SPARE_BYTES + _ROW_BYTES * count:
        raise damaged(path, f"at most {_ROW_BYTES:,} bytes a row", f"{size // count:,}")
    with _parquet(path):
        columns = schema.names if columns is None else columns
        texts = [name for name in columns if name in _TEXTS]
        table = pq.ParquetFile(path, read_dictionary=texts).read(columns=columns, use_threads=False)
        # Texts that are no UTF-8, and numbers that point outside of the dictionary.
        table.validate(full=True)
    if any(column.null_count for column in table.columns):
        raise damaged(path, "a value in every row", "none in some")
    return table


@contextmanager
def _parquet(path: Path) -> Iterator[None]:
    """Turn whatever the library raises over a damaged file into one line, none of its own words."""
    import pyarrow as pa

    try:
        yield
    except (OSError, ValueError, LookupError, OverflowError, TypeError, pa.ArrowException) as error:
        raise damaged(path, "Parquet as the suite writes it", "what cannot be read so") from error


def _difference(expected_columns: pa.Schema, schema: pa.Schema) -> str:
    """The first column that is another one, or of another type."""
    for expected, there in zip(expected_columns, schema, strict=False):
        if expected.name != there.name:
            return f"column {there.name!r} in the place of {expected.name!r}"
        if not expected.equals(there):
            optional = " that may be missing" if there.nullable else ""
            return f"{there.name!r} of type {there.type}{optional}"
    return f"{len(schema)} columns"


def _check_lengths(table: pa.Table, path: Path) -> None:
    import numpy as np
    import pyarrow.compute as pc

    total = 0
    for name in (column for column in table.column_names if column in _TEXTS):
        for chunk in table.column(name).chunks:
            lengths = pc.binary_length(chunk.dictionary).to_numpy(zero_copy_only=False).astype(np.int64)
            total += int(lengths[chunk.indices.to_numpy()].sum())
    if total > _SPARE_BYTES + _ROW_BYTES * len(table):
        raise damaged(path, f"at most {_ROW_BYTES:,} bytes of text a row", f"{total // len(table):,}")


def _plain(column: Any) -> Any:
    """A column as pandas holds it; texts were read as numbers of a dictionary."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string())
    return column.to_pandas()
