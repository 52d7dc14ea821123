"""The crop store: face crops as one memory-mapped array with the manifest rows that they came from."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from filelock import FileLock

from fretal_bench import files, records
from fretal_bench.datasets.manifest import DATE, check_manifest
from fretal_bench.datasets.store import verified
from fretal_bench.datasets.store.files import check_hashes, check_sizes, npy_header, open_crops
from fretal_bench.datasets.store.index import check_rows, read_index, write_index
from fretal_bench.datasets.store.info import (
    CROPS,
    DATA,
    FORMAT,
    INDEX,
    INFO,
    About,
    StoreInfo,
    checksum_of,
    read_info,
)
from fretal_bench.errors import BenchError


class StoreExistsError(BenchError):
    """The folder that was to be written is there already; another process may have just made it."""


class CropStore:
    """Face crops and their manifest rows, read from a finished folder.

    Attributes:
        path: The folder.
        crops: uint8 [N, H, W, 3], RGB, a read-only memory map.
        index: The manifest's columns, one row a crop; row i describes ``crops[i]``. ``date`` where dates are known.
        info: The content of ``store.json``: name, size, count, detector, margin, failures, checksum, made_by,
            details.
    """

    def __init__(self, path: Path, crops: np.ndarray, index: pd.DataFrame, info: StoreInfo) -> None:
        self.path = path
        self.crops = crops
        self.index = index
        self.info = info

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: bool = True) -> CropStore:
        """Open a finished store, and check that its rows keep the manifest's rules.

        Args:
            path: The folder that ``CropStoreWriter`` made.
            verify: Compare the sha256 of both files with ``store.json``, which reads them whole; without it only their
                sizes are compared. What was verified before and is unchanged since is not read, nor its rows looked
                at, again (``store.verified``); delete ``.verified.json`` in the folder to have that done.

        Raises:
            BenchError: The folder is missing, is no store, is of another format, has been damaged, or holds rows that
                no manifest may have; one line with the file, what was expected and found, and what to do.
        """
        folder = Path(path)
        info = read_info(folder)
        check_sizes(folder, info)
        state = verified.current(folder, info.checksum)
        known = verified.is_verified(folder, state)
        if verify and not known:
            check_hashes(folder, info)
        crops = open_crops(folder, info)
        index = read_index(folder / INDEX, info.count)
        if not known:
            check_rows(index, folder / INDEX)
            if verify:
                verified.remember(folder, state)
        return cls(folder, crops, index, info)

    @property
    def name(self) -> str:
        """The store's name."""
        return self.info.name

    @property
    def size(self) -> int:
        """Height and width of a crop, pixels."""
        return self.info.size

    @property
    def checksum(self) -> str:
        """Sha256 over both files, hexadecimal: the same exactly if crops and rows are."""
        return self.info.checksum

    def __len__(self) -> int:
        return self.info.count

    def __repr__(self) -> str:
        return f"CropStore({self.name!r}, {len(self)} crops of {self.size} px, {str(self.path)!r})"

    def __reduce__(self) -> tuple[Callable[..., CropStore], tuple[Path, bool]]:
        # A worker process opens the files itself; pickling the memory map would copy every crop.
        return CropStore.open, (self.path, False)


class CropStoreWriter:
    """Write a crop store; nothing is at ``path`` until ``finish``, then all of it at once.

    Use it as a context: entering waits for any other process that is writing the same store, leaving without
    ``finish`` (an exception) removes what was written. The same crops and rows give the same bytes.

        with CropStoreWriter(path, size=96, name="mine") as writer:
            writer.add(crops, rows)
            store = writer.finish()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: int,
        name: str,
        detector: str = "",
        margin: float = 1.3,
        made_by: str = "fretal-bench",
    ) -> None:
        """Describe the store to be written; nothing is touched before the context is entered.

        Args:
            path: The folder to make; its parents are made too.
            size: Height and width of a crop, pixels.
            name: The store's name.
            detector: What found the faces.
            margin: Side of the crop over the longer side of the face box.
            made_by: The program that wrote it.

        Raises:
            BenchError: One of these is not what a store may have, e.g. a name that is a path.
        """
        self.path = Path(path).absolute()
        about = {"name": name, "size": size, "detector": detector, "margin": margin, "made_by": made_by}
        self._about = asdict(records.read(About, about, str(self.path)))
        self._size = size
        self._rows: list[pd.DataFrame] = []
        self._failures: list[dict[str, Any]] = []
        self._count = 0
        self._draft: files.Draft | None = None
        self._file: BinaryIO | None = None
        self._lock = FileLock(str(self.path.with_name(f".{self.path.name}.lock")))

    def __enter__(self) -> CropStoreWriter:
        with self._refusals():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            try:
                if self.path.exists():
                    raise StoreExistsError(
                        f"{self.path} exists already; delete it to make it again, or write to another folder"
                    )
                self._draft = files.Draft(self.path)
                self._file = (self._draft.path / CROPS).open("w+b")
                self._file.write(npy_header(0, self._size))
            except BaseException:
                self._close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def add(self, crops: np.ndarray, rows: pd.DataFrame) -> None:
        """Append crops and their manifest rows.

        Args:
            crops: uint8 [n, size, size, 3], RGB.
            rows: n rows with the manifest's columns, in the order of the crops.

        Raises:
            BenchError: Shape, type or a row is wrong; nothing of this call is then written.
            RunError: The disk is full.
        """
        shape = (len(rows), self._size, self._size, 3)
        if crops.dtype != np.uint8 or crops.shape != shape:
            raise BenchError(
                f"crops must be uint8 {shape}, one for each row, not {crops.dtype} {crops.shape}"
            )
        checked = check_manifest(rows, people=False)
        with self._refusals():
            self._open_file().write(np.ascontiguousarray(crops).tobytes())
        self._rows.append(checked)
        self._count += len(checked)

    def fail(self, path: str, frame: int, reason: str) -> None:
        """Count a frame that gives no crop; it is listed in ``store.json`` with its reason.

        Args:
            path: As in the manifest.
            frame: Frame number, -1 for the whole video.
            reason: A few words, e.g. ``"no face found"``.
        """
        self._failures.append({"path": path, "frame": int(frame), "reason": reason})

    def finish(self, details: dict[str, Any] | None = None) -> CropStore:
        """Complete the store and put it in its place in one step.

        Args:
            details: Anything more to keep in ``store.json``; plain data only.

        Returns:
            The store, opened.

        Raises:
            BenchError: Nothing was added, or a person or video is in two splits.
            RunError: The disk is full.
        """
        file = self._open_file()
        assert self._draft is not None
        folder = self._draft.path
        if not self._count:
            raise BenchError(
                f"{self.path}: no crops to store ({len(self._failures)} frames failed); check the data set"
            )
        rows = pd.concat(self._rows, ignore_index=True)
        # Some of what was added may have had dates.
        index = check_manifest(rows.fillna({DATE: ""}) if DATE in rows.columns else rows)
        with self._refusals():
            file.seek(0)
            file.write(npy_header(self._count, self._size))
            file.close()
            with (folder / INDEX).open("wb") as out:
                write_index(index, out)
            (folder / INFO).write_bytes(self._info(folder, details or {}))
            self._draft.finish()
        return CropStore.open(self.path, verify=False)

    def _info(self, folder: Path, details: dict[str, Any]) -> bytes:
        """The content of ``store.json``, of the files in ``folder``."""
        entries = {
            name: {"bytes": (folder / name).stat().st_size, "sha256": files.sha256(folder / name)}
            for name in DATA
        }
        info = {
            "format": FORMAT,
            **self._about,
            "count": self._count,
            "failures": self._failures,
            "checksum": checksum_of({name: str(entry["sha256"]) for name, entry in entries.items()}),
            "files": entries,
            "details": details,
        }
        # As strictly as it will be read.
        records.read(StoreInfo, info, str(self.path))
        return (json.dumps(info, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def _refusals(self) -> contextlib.AbstractContextManager[None]:
        return files.refusals(
            self.path,
            remedy="give this user the right to write there, or choose another folder (FRETAL_BENCH_CACHE for the "
            "built-in data)",
        )

    def _open_file(self) -> BinaryIO:
        if self._file is None or self._file.closed:
            raise RuntimeError("CropStoreWriter is used outside its `with` block, or after finish()")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._draft is not None:
            self._draft.discard()
        self._lock.release()


def open_or_build(path: Path, write: Callable[[CropStoreWriter], None], **about: Any) -> CropStore:
    """Open a store, making it first if it is not there; of two processes one makes it, the other waits.

    Args:
        path: The store's folder.
        write: Adds everything and calls ``finish``.
        **about: The arguments of ``CropStoreWriter`` besides the path.

    Raises:
        BenchError: As ``CropStore.open`` and ``CropStoreWriter`` do.
    """
    if not path.exists():
        try:
            with CropStoreWriter(path, **about) as writer:
                write(writer)
        except StoreExistsError:
            pass  # Another process finished it while this one waited.
    return CropStore.open(path)
