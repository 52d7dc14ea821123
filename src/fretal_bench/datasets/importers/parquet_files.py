"""Parquet files with pictures in them: paths of their rows, and the pictures of wanted rows, read batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fretal_bench import files

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIX: Final = ".parquet"
BYTES: Final = "bytes"
"""Field of a column of pictures (Hugging Face's ``Image``: bytes and path) that holds the encoded file."""
_BATCH: Final = 16
"""Pictures held at once."""
_BUFFER: Final = 1 << 20
"""Bytes read at once of a column, whose chunk in a row group may have hundreds of megabytes."""


class DamagedParquet(Exception):
    """The file is cut short, damaged or no Parquet file."""


def row_path(file: str, column: str, group: int, row: int) -> str:
    """What a row's picture is called below ``file::``: column, row group, and row in it; names sort as rows do."""
    return f"{file}::{column}/{group:05}/{row:07}"


def is_row(path: str) -> bool:
    """Whether a manifest's path names a picture in a Parquet file."""
    return path.partition("::")[0].lower().endswith(SUFFIX) and "::" in path


def group_of(path: str) -> str:
    """File, column and row group of a row's picture: what is read together."""
    return path.rpartition("/")[0]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file, of which no column is read yet.

    Raises:
        DamagedParquet: Whatever Arrow says of it, here or while it is read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        first = str(error).partition("\n")[0][:120]
        raise DamagedParquet(first or type(error).__name__) from error


def unpack_rows(root: Path, paths: Collection[str], folder: Path, unpacked: dict[str, Path]) -> None:
    """Write the pictures that these paths name to numbered files, as they are; nothing of them is looked at.

    Args:
        root: The data set's root.
        paths: Of rows of one Parquet file.
        folder: Where to write.
        unpacked: Path -> file, filled in; a row without a picture is not in it.

    Raises:
        DamagedParquet: The file cannot be read to the end of these rows.
        RunError: There is no space left.
    """
    groups: dict[tuple[str, int], dict[int, str]] = {}
    for path in paths:
        column, group, row = path.partition("::")[2].rsplit("/", 2)
        groups.setdefault((column, int(group)), {})[int(row)] = path
    with opened(root / next(iter(paths)).partition("::")[0]) as file:
        for (column, number), rows in sorted(groups.items()):
            for place, content in _pictures(file, column, number, rows):
                target = folder / str(len(unpacked))
                with files.refusals(folder):
                    target.write_bytes(content)
                unpacked[rows[place]] = target


def _pictures(
    file: pq.ParquetFile, column: str, group: int, rows: Collection[int]
) -> Iterator[tuple[int, bytes]]:
    """The pictures of some rows of a group that have one."""
    start, last = 0, max(rows)
    leaf = f"{column}.{BYTES}" if is_struct(file.schema_arrow.field(column).type) else column
    for batch in file.iter_batches(_BATCH, row_groups=[group], columns=[leaf], use_threads=False):
        values: Any = batch.column(0)
        for place in range(len(batch)):
            if start + place in rows:
                content = values[place].as_py()
                content = content.get(BYTES) if isinstance(content, dict) else content
                if isinstance(content, bytes):
                    yield start + place, content
        start += len(batch)
        if start > last:
            return


def is_struct(kind: pa.DataType) -> bool:
    """Whether a column holds pictures as Hugging Face's ``Image`` does: bytes and path."""
    import pyarrow as pa

    return pa.types.is_struct(kind) and kind.get_field_index(BYTES) >= 0 and _is_bytes(kind.field(BYTES).type)


def holds_pictures(kind: pa.DataType) -> bool:
    """Whether a column may hold encoded pictures: such a struct, or bytes."""
    return is_struct(kind) or _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
