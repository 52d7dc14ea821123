"""The crop store: face crops as one memory-mapped array beside the manifest rows they came from."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from filelock import FileLock

from fretal_bench.datasets.manifest import COLUMNS, check_manifest
from fretal_bench.datasets.store.files import (
    CROPS,
    FORMAT,
    INDEX,
    INFO,
    check_file,
    checksum_of,
    damaged,
    first_line,
    flush,
    npy_header,
    read_index,
    read_info,
    sha256_of,
    write_index,
)
from fretal_bench.errors import BenchError, RunError


class StoreExistsError(BenchError):
    """The folder that was to be written is there already; another process may have just made it."""


class CropStore:
    """Face crops and their manifest rows, read from a finished folder.

    Attributes:
        path: The folder.
        crops: uint8 [N, H, W, 3], RGB, a read-only memory map.
        index: The manifest's columns, one row a crop; row i describes ``crops[i]``.
        info: What ``store.json`` says: name, size, count, detector, margin, failures, checksum, made_by,
            details.
    """

    def __init__(self, path: Path, crops: np.ndarray, index: pd.DataFrame, info: dict[str, Any]) -> None:
        self.path = path
        self.crops = crops
        self.index = index
        self.info = info

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: bool = True) -> CropStore:
        """Open a finished store.

        Args:
            path: The folder that ``CropStoreWriter`` made.
            verify: Read both files once and compare their sha256 with ``store.json``; without it only their
                sizes are compared.

        Raises:
            BenchError: If the folder is missing, is no store, is of another format, or has been damaged; one
                line with the file, what was expected and found, and what to do.
        """
        folder = Path(path)
        info = read_info(folder)
        for name in (INDEX, CROPS):
            check_file(folder, name, info["files"][name], verify)
        if info["checksum"] != checksum_of({name: info["files"][name]["sha256"] for name in (INDEX, CROPS)}):
            raise damaged(folder / INFO, "its checksum to match the files it lists", "another one")
        try:
            crops = np.load(folder / CROPS, mmap_mode="r", allow_pickle=False)
            index = read_index(folder / INDEX)
        except (ValueError, OSError) as error:
            raise damaged(folder, "readable files", first_line(error)) from error
        size, count = info["size"], info["count"]
        if crops.dtype != np.uint8 or crops.shape != (count, size, size, 3):
            raise damaged(folder / CROPS, f"uint8 {(count, size, size, 3)}", f"{crops.dtype} {crops.shape}")
        if len(index) != count or list(index.columns) != list(COLUMNS):
            raise damaged(folder / INDEX, f"{count} rows of the manifest's columns", f"{len(index)} rows")
        return cls(folder, crops, index, info)

    @property
    def name(self) -> str:
        """The store's name."""
        return str(self.info["name"])

    @property
    def size(self) -> int:
        """Height and width of a crop, pixels."""
        return int(self.info["size"])

    @property
    def checksum(self) -> str:
        """Sha256 over both files, hexadecimal: the same exactly if crops and rows are."""
        return str(self.info["checksum"])

    def __len__(self) -> int:
        return int(self.info["count"])

    def __repr__(self) -> str:
        return f"CropStore({self.name!r}, {len(self)} crops of {self.size} px, {str(self.path)!r})"

    def __reduce__(self) -> tuple[Callable[..., CropStore], tuple[Path, bool]]:
        # A worker process opens the files itself; pickling the memory map would copy every crop.
        return CropStore.open, (self.path, False)


class CropStoreWriter:
    """Write a crop store; nothing stands at ``path`` until ``finish``, then all of it at once.

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
        """
        self.path = Path(path).absolute()
        self._about = {"name": name, "size": size, "detector": detector, "margin": margin, "made_by": made_by}
        self._size = size
        self._rows: list[pd.DataFrame] = []
        self._failures: list[dict[str, Any]] = []
        self._count = 0
        self._folder: Path | None = None
        self._file: BinaryIO | None = None
        self._lock = FileLock(str(self.path.with_name(f".{self.path.name}.lock")))

    def __enter__(self) -> CropStoreWriter:
        with _writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            try:
                if self.path.exists():
                    raise StoreExistsError(
                        f"{self.path} exists already; delete it to make it anew, or write to another folder"
                    )
                # Whoever left one of these was killed: the lock is ours, so nobody writes there now.
                for stale in self.path.parent.glob(f".{self.path.name}.part-*"):
                    shutil.rmtree(stale, ignore_errors=True)
                prefix = f".{self.path.name}.part-"
                self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.path.parent))
                self._folder.chmod(0o755)
                self._file = (self._folder / CROPS).open("w+b")
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
            BenchError: If shape, type or a row is not as said; nothing of this call is then written.
            RunError: If the disk is full.
        """
        shape = (len(rows), self._size, self._size, 3)
        if crops.dtype != np.uint8 or crops.shape != shape:
            raise BenchError(
                f"crops must be uint8 {shape}, one for each row, not {crops.dtype} {crops.shape}"
            )
        checked = check_manifest(rows, people=False)
        with _writing(self.path):
            self._open_file().write(np.ascontiguousarray(crops).tobytes())
        self._rows.append(checked)
        self._count += len(checked)

    def fail(self, path: str, frame: int, reason: str) -> None:
        """Count a frame that gives no crop; it stands in ``store.json`` with its reason.

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
            BenchError: If nothing was added, or a person or video stands in two splits.
            RunError: If the disk is full.
        """
        file, folder = self._open_file(), self._folder
        assert folder is not None
        if not self._count:
            raise BenchError(
                f"{self.path}: no crops to store ({len(self._failures)} frames failed); check the data set"
            )
        index = check_manifest(pd.concat(self._rows, ignore_index=True))
        with _writing(self.path):
            file.seek(0)
            file.write(npy_header(self._count, self._size))
            flush(file)
            file.close()
            with (folder / INDEX).open("wb") as out:
                write_index(index, out)
                flush(out)
            files = {
                name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
                for name in (INDEX, CROPS)
            }
            info = {
                "format": FORMAT,
                **self._about,
                "count": self._count,
                "failures": self._failures,
                "checksum": checksum_of({name: str(entry["sha256"]) for name, entry in files.items()}),
                "files": files,
                "details": details or {},
            }
            with (folder / INFO).open("wb") as out:
                out.write((json.dumps(info, indent=2, ensure_ascii=False) + "\n").encode())
                flush(out)
            os.replace(folder, self.path)
        self._folder = None
        return CropStore.open(self.path, verify=False)

    def _open_file(self) -> BinaryIO:
        if self._file is None or self._file.closed:
            raise RuntimeError("CropStoreWriter is used outside its `with` block, or after finish()")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
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


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about writing to ``path`` into one line that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"{path}: cannot write the crop store ({reason}); free some space and run again"
            ) from error
        raise BenchError(
            f"{path}: cannot write the crop store ({reason}); give this user the right to write there, "
            "or choose another folder (FRETAL_BENCH_CACHE for the built-in data)"
        ) from error
