"""The two data files of a crop store: sizes and hashes as ``store.json`` says, and the crops as a memory map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fretal_bench import files
from fretal_bench.datasets.store.info import CROPS, DATA, REMEDY, StoreInfo, damaged

if TYPE_CHECKING:
    import numpy as np

_READABLE: Final = "give this user the right to read it, or " + REMEDY
# One fixed header length, so that the count can be filled in after the crops are written.
_HEADER_BYTES: Final = 128


def npy_header(count: int, size: int) -> bytes:
    """Make the NumPy header of a uint8 [count, size, size, 3] array; 128 bytes for every count."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {size}, {size}, 3), }}"
    body = text.ljust(_HEADER_BYTES - 11).encode("ascii") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def check_sizes(folder: Path, info: StoreInfo) -> None:
    """Compare the sizes of both files with ``store.json``, and that of the crops with their number.

    Raises:
        BenchError: One differs, is missing, or is no regular file.
    """
    for name in DATA:
        path = folder / name
        if not os.path.lexists(path):
            raise damaged(path, "the file", "none")
        size = files.check_regular(path, "crop store", _READABLE).st_size
        if size != info.files[name].bytes:
            raise damaged(path, f"{info.files[name].bytes:,} bytes", f"{size:,}")
    whole = _HEADER_BYTES + info.count * info.size**2 * 3
    if info.files[CROPS].bytes != whole:
        raise damaged(
            folder / CROPS,
            f"{whole:,} bytes for {info.count:,} crops of {info.size} px",
            f"{info.files[CROPS].bytes:,}",
        )


def check_hashes(folder: Path, info: StoreInfo) -> None:
    """Read both files whole and compare their sha256 with ``store.json``; BenchError if one differs."""
    for name in DATA:
        path, expected = folder / name, info.files[name].sha256
        with files.refusals(path, remedy=_READABLE, doing="read"):
            digest = files.sha256(path)
        if digest != expected:
            raise damaged(path, f"sha256 {expected[:12]}", digest[:12])


def open_crops(folder: Path, info: StoreInfo) -> np.ndarray:
    """Map the crops into memory, read-only: uint8 [N, H, W, 3]; ``check_sizes`` has seen the file.

    Raises:
        BenchError: The header is not the one that such crops are written with, or the file cannot be read.
    """
    import numpy as np

    path = folder / CROPS
    expected = npy_header(info.count, info.size)
    with files.refusals(path, remedy=_READABLE, doing="read"):
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if header != expected:
            # NumPy's own reader would take other layouts of the same bytes: other pictures.
            raise damaged(path, f"the header of {info.count:,} crops of {info.size} px", "another")
        shape = (info.count, info.size, info.size, 3)
        return np.memmap(path, np.uint8, "r", _HEADER_BYTES, shape)
