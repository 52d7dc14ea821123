"""Files and folders written whole or not at all, and the system's refusals as one line that says what to do."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from fretal_bench.errors import BenchError, RunError, first_line

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED: Final = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ENOENT,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
)
_KEPT: Final = "what is finished is kept"
_ELSEWHERE: Final = "give another place"
_LARGEST: Final = 256 * 2**20
"""Bytes of a file that is read whole into memory: descriptions, lists and settings, never pictures or scores."""
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_NAME_BYTES: Final = 200
"""Bytes of a file's name; file systems allow 255, of which the temporary name needs some."""


@contextlib.contextmanager
def refusals(
    path: str | os.PathLike[str], *, remedy: str = _ELSEWHERE, kept: str = _KEPT, doing: str = "written"
) -> Iterator[None]:
    """Turn what the system refuses inside the block into one line; the only table of system errors in the suite.

    Args:
        path: What is written or read, or the folder that it is in.
        remedy: What to do where the place is wrong.
        kept: What of the work survives where the disk is full.
        doing: ``written`` or ``read``.

    Raises:
        RunError: There is no space or quota left (exit code 1: work was begun), or the device failed.
        BenchError: There is no permission, the file system is read-only, the name is too long, or a file stands where
            a folder should or the other way round (exit code 2: the call is wrong).
    """
    try:
        yield
    except OSError as error:
        # A library may raise an OSError without a number, with several lines.
        reason = error.strerror or first_line(error)
        if error.errno in _FULL:
            raise RunError(
                f"{path}: no space left ({reason}); free some and run the same command again, {kept}"
            ) from error
        if error.errno in _REFUSED:
            raise BenchError(f"{path}: cannot be {doing} ({reason}); {remedy}") from error
        raise RunError(f"{path}: cannot be {doing} ({reason}); check the disk, {kept}") from error
    except ValueError as error:
        # Python's own refusal of a path that the system is never asked for.
        if "null" not in str(error) or "\0" not in os.fspath(path):
            raise
        raise BenchError(
            f"{os.fspath(path)!r}: cannot be {doing} (it holds a NUL character); {remedy}"
        ) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, remedy: str = _ELSEWHERE) -> Iterator[BinaryIO]:
    """Give a binary file that takes the place of ``path`` at the block's end, whole, or leaves it as it was.

    Missing folders above it are made. The bytes are on the disk before the name is.

    Raises:
        RunError, BenchError: See ``refusals``.
    """
    final = Path(path)
    with refusals(final, remedy=remedy):
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=f".{final.name}.part-", dir=final.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(part, 0o644)
            move(Path(part), final)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def write(path: str | os.PathLike[str], content: str | bytes, *, remedy: str = _ELSEWHERE) -> None:
    """Write a file, whole or not at all; text as UTF-8.

    Raises:
        RunError, BenchError: See ``refusals``.
    """
    with replacing(path, remedy=remedy) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


class Draft:
    """A folder in the making: written in at ``path``, seen by nobody until ``finish`` gives it its final name.

    For writers that live longer than one block; ``folder`` is the same as a context. The caller holds whatever keeps
    others from writing the final folder: what a killed process left half-written next to it is removed. System errors
    are not translated here: call within ``refusals``.

    Attributes:
        path: Where to write.
    """

    def __init__(self, final: str | os.PathLike[str]) -> None:
        """Open the draft of a folder that is not there yet, or is empty; missing folders above it are made."""
        self._final = Path(final)
        self._final.parent.mkdir(parents=True, exist_ok=True)
        for stale in self._final.parent.glob(f".{glob.escape(self._final.name)}.part-*"):
            shutil.rmtree(stale, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=f".{self._final.name}.part-", dir=self._final.parent))
        self.path.chmod(0o755)

    def finish(self) -> None:
        """Bring every file to the disk and give the folder its final name."""
        for path in self.path.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        move(self.path, self._final)

    def discard(self) -> None:
        """Remove the draft; nothing happens once it is finished."""
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def folder(final: str | os.PathLike[str], *, remedy: str = _ELSEWHERE) -> Iterator[Path]:
    """Give a folder to write in that becomes ``final`` at the block's end, whole, or not at all: see ``Draft``.

    Raises:
        RunError, BenchError: See ``refusals``.
    """
    with refusals(final, remedy=remedy):
        draft = Draft(final)
        try:
            yield draft.path
            draft.finish()
        except BaseException:
            draft.discard()
            raise


def move(part: Path, final: Path) -> None:
    """Give a finished file or folder its final name, in one step; both are on one file system."""
    os.replace(part, final)


def check_place(path: str | os.PathLike[str], option: str) -> None:
    """Find out now, not after hours of work, whether a file or folder can be made at ``path``: one is, and removed.

    Args:
        path: The file or folder that is to be written.
        option: What to change where it cannot be, e.g. ``--out``.

    Raises:
        BenchError: It cannot; the message says why.
    """
    place = Path(path).absolute().parent
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        reason = f"{place} is no folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} is read-only"
    elif len(os.fsencode(Path(path).name)) > _NAME_BYTES:
        reason = "its name is too long"
    else:
        # Some places (/proc, a device's folder, a full quota) say yes and take nothing.
        with refusals(path, remedy=f"give another {option}", kept="nothing was begun"):
            handle, trial = tempfile.mkstemp(prefix=".bench-trial-", dir=place)
            os.close(handle)
            os.unlink(trial)
        return
    raise BenchError(f"{path}: cannot be written ({reason}); give another {option}")


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` with a leading ``~`` or ``~name`` replaced by that user's home folder.

    Raises:
        BenchError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        raise BenchError(f"{os.fspath(path)}: {user} is no user's home folder; write the path out") from error


def check_regular(path: str | os.PathLike[str], what: str, remedy: str = "check the path") -> os.stat_result:
    """Find out, before it is opened, whether ``path`` is a regular file: a pipe or a device may never end.

    Args:
        path: The file.
        what: What it is, e.g. ``recipe file``.
        remedy: What to do where it is none.

    Returns:
        Its size and times.

    Raises:
        BenchError: There is no such file, it can't be reached, or it is a folder, a pipe, a device or a socket.
    """
    where = f"{what} {os.fspath(path)}"
    with refusals(where, remedy=remedy, doing="read"):
        status = os.stat(path)
    return _regular(status, where, remedy)


def _regular(status: os.stat_result, where: str, remedy: str) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise BenchError(f"{where}: expected a file, found {_kind(status.st_mode)}; {remedy}")
    return status


def kind_of(path: str | os.PathLike[str]) -> str:
    """Say what is at ``path``, links followed, without opening it: a file, a folder, a pipe, a device, a socket."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return "nothing that can be reached"
    return "a file" if stat.S_ISREG(mode) else _kind(mode)


def _kind(mode: int) -> str:
    return next((words for holds, words in _KINDS if holds(mode)), "something else")


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], what: str, remedy: str = "check the path") -> Iterator[BinaryIO]:
    """Open a regular file for reading, to be read in pieces.

    Args:
        path: The file.
        what: What it is, e.g. ``recipe file``.
        remedy: What to do where it cannot be read.

    Raises:
        BenchError: It cannot be read or is no regular file.
    """
    where = f"{what} {os.fspath(path)}"
    with refusals(where, remedy=remedy, doing="read"):
        # Not blocking: opening a pipe would otherwise wait for somebody to write to it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _regular(os.fstat(handle), where, remedy)
        except BaseException:
            # Python opens no folder as a file, so nothing else closes it.
            os.close(handle)
            raise
        with os.fdopen(handle, "rb") as file:
            yield file


def read_bytes(
    path: str | os.PathLike[str], what: str, remedy: str = "check the path", largest: int = _LARGEST
) -> bytes:
    """Read a regular file whole.

    Args:
        path: The file.
        what: What it is, e.g. ``recipe file``.
        remedy: What to do where it cannot be read.
        largest: Bytes that it may have.

    Raises:
        BenchError: It cannot be read, is no regular file, or is larger.
    """
    with opened(path, what, remedy) as file:
        size = os.fstat(file.fileno()).st_size
        # A read reserves as much memory as it asks for: first what is there, then what has come since.
        content = file.read(size + 1) if size <= largest else b""
        if len(content) > size:
            content += file.read(largest - size)
    if max(size, len(content)) > largest:
        raise BenchError(
            f"{what} {os.fspath(path)}: expected at most {largest:,} bytes, found {size:,}; {remedy}"
        )
    return content


def read_text(
    path: str | os.PathLike[str], what: str, remedy: str = "check the path", largest: int = _LARGEST
) -> str:
    """Read a text file: UTF-8, with or without a byte order mark; every line end becomes a newline.

    Args:
        path: The file.
        what: What it is, e.g. ``recipe file``.
        remedy: What to do where it cannot be read.
        largest: Bytes that it may have.

    Raises:
        BenchError: It cannot be read, is no regular file, is larger, or is not UTF-8.
    """
    try:
        text = read_bytes(path, what, remedy, largest).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{what} {os.fspath(path)}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
