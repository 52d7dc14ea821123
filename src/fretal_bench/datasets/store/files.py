"""The three files of a crop store: how each is read, written and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fretal_bench import files
from fretal_bench.datasets.manifest import COLUMNS
from fretal_bench.errors import BenchError, first_line

if TYPE_CHECKING:
    import pandas as pd

FORMAT: Final = 1
CROPS: Final = "crops.npy"
INDEX: Final = "index.parquet"
INFO: Final = "store.json"
DATA: Final = (INDEX, CROPS)
"""The files whose content is the store's; ``store.json`` describes them."""
_KEYS: Final = {"format": int, "name": str, "size": int, "count": int, "checksum": str, "files": dict}
_READABLE: Final = "give this user the right to read it"
# One fixed header length, so that the count can be filled in after the crops are written.
_HEADER_BYTES: Final = 128


def npy_header(count: int, size: int) -> bytes:
    """Make the NumPy header of a uint8 [count, size, size, 3] array; 128 bytes for every count."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {size}, {size}, 3), }}"
    body = text.ljust(_HEADER_BYTES - 11).encode("ascii") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def write_index(index: pd.DataFrame, out: BinaryIO) -> None:
    """Write manifest rows as Parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # An explicit schema without pandas' metadata: the bytes then depend on the rows alone.
    types = {"str": pa.string(), "int8": pa.int8(), "int32": pa.int32()}
    schema = pa.schema([pa.field(name, types[kind], nullable=False) for name, kind in COLUMNS.items()])
    columns = [pa.array(index[name].tolist(), schema.field(name).type) for name in COLUMNS]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), out, compression="zstd", version="2.6")


def read_index(path: Path) -> pd.DataFrame:
    """Read manifest rows, with the manifest's types."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, use_threads=False)
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype({name: kind for name, kind in COLUMNS.items() if name in frame.columns})


def read_info(folder: Path) -> dict[str, Any]:
    """Read ``store.json``; BenchError if it is missing, damaged or of another format."""
    path = folder / INFO
    if not folder.is_dir():
        raise BenchError(
            f"no crop store at {folder}; make it first (`bench data prepare`), or correct the path"
        )
    try:
        with files.refusals(path, remedy=_READABLE, doing="read"):
            info = json.loads(_bytes_of(path))
    except ValueError as error:
        raise damaged(path, "readable JSON", first_line(error)) from error
    if not isinstance(info, dict) or not info.keys() >= _KEYS.keys():
        raise damaged(path, f"the keys {', '.join(sorted(_KEYS))}", "others")
    for key, kind in _KEYS.items():
        if not isinstance(info[key], kind):
            raise damaged(path, f"a value of type {kind.__name__} for {key!r}", repr(info[key])[:80])
    if info["format"] != FORMAT:
        raise BenchError(
            f"{path}: expected store format {FORMAT}, found {info['format']!r}; "
            "delete the folder and make the store again with this version"
        )
    return info


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BenchError(
            f"{path.parent} is not a crop store: it has no {path.name}; give the store's own folder"
        ) from error


def check_sizes(folder: Path, info: Mapping[str, Any]) -> None:
    """Compare the entries of ``store.json`` with each other and with both files' sizes; BenchError if they differ."""
    listed = info["files"]
    for name in DATA:
        if not isinstance(listed.get(name), dict) or not listed[name].keys() >= {"bytes", "sha256"}:
            raise damaged(folder / INFO, f"bytes and sha256 of {name}", "none")
    if info["checksum"] != checksum_of({name: listed[name]["sha256"] for name in DATA}):
        raise damaged(folder / INFO, "its checksum to match the files it lists", "another one")
    for name in DATA:
        path = folder / name
        with files.refusals(path, remedy=_READABLE, doing="read"):
            size = path.stat().st_size if path.exists() else None
        if size is None:
            raise damaged(path, "the file", "none")
        if size != listed[name]["bytes"]:
            raise damaged(path, f"{listed[name]['bytes']} bytes", f"{size}")


def check_hashes(folder: Path, info: Mapping[str, Any]) -> None:
    """Read both files whole and compare their sha256 with ``store.json``; BenchError if one differs."""
    for name in DATA:
        path, expected = folder / name, info["files"][name]["sha256"]
        with files.refusals(path, remedy=_READABLE, doing="read"):
            digest = files.sha256(path)
        if digest != expected:
            raise damaged(path, f"sha256 {expected[:12]}", digest[:12])


def damaged(path: Path, expected: str, actual: str) -> BenchError:
    """Build the error for a store that is not as it was written."""
    return BenchError(
        f"{path}: damaged crop store: expected {expected}, found {actual}; "
        "delete the store's folder and run again"
    )


def checksum_of(digests: Mapping[str, str]) -> str:
    """Hash the hashes of both files (file name -> sha256) into the store's checksum."""
    lines = "".join(f"{name} {digests[name]}\n" for name in DATA)
    return hashlib.sha256(lines.encode()).hexdigest()
