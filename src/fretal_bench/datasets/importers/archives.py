"""Archives of a data set: paths of their members, bounded listings of tar files, wanted members taken out in one pass."""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final, cast

from fretal_bench import files
from fretal_bench.datasets.importers.parquet_files import DamagedParquet, group_of, is_row, unpack_rows
from fretal_bench.datasets.importers.walk import is_plain, leaves_root
from fretal_bench.errors import BenchError

_SEPARATOR: Final = "::"
_DAMAGE: Final = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError, RecursionError)
_GZIP: Final = b"\x1f\x8b"
_HEADERS: Final = 2**20
"""Bytes that the headers before one member may have, long names and sparse maps among them."""
_BLOCK: Final = 2**20
_SMALL: Final = 64 * 2**20
"""Bytes up to which an archive may unpack to any multiple of its own size."""


class DamagedArchive(Exception):
    """The archive is cut short or is no archive."""


class LargeArchive(Exception):
    """The archive holds or declares more than its limits allow."""


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold.

    Attributes:
        member: Bytes of one member: an image, never a video.
        together: Bytes of all members together.
        members: Their number.
        ratio: Bytes of all members together over those of the archive itself; crops are compressed already.
    """

    member: int = 256 * 2**20
    together: int = 64 * 2**30
    members: int = 1_000_000
    ratio: int = 100

    def times(self, factor: float) -> ArchiveLimits:
        """Limits so many times as wide."""
        return ArchiveLimits(
            *(int(limit * factor) for limit in (self.member, self.together, self.members, self.ratio))
        )


class Refusal(Enum):
    """Why a member is not read: the kind of finding, and words."""

    OUTSIDE = ("outside", "its path leads out of the archive's folder")
    LINK = ("link", "it is a link or a device, not a plain file")
    SPARSE = ("link", "it is a sparse file, which declares more than it holds")
    NAME = ("name", "its name is no UTF-8, or holds a backslash or a control character")
    TWICE = ("duplicate", "it comes twice")

    def __init__(self, kind: str, words: str) -> None:
        self.kind = kind
        self.words = words


def member_path(archive: str, member: str) -> str:
    """The manifest's path of a member: ``archive::member``."""
    return f"{archive}{_SEPARATOR}{member}"


def is_member(path: str) -> bool:
    """Whether a manifest's path names a member of an archive."""
    return _SEPARATOR in path


def archive_of(path: str) -> str:
    """The file that a manifest's path leads to: the archive of a member, else the path itself."""
    return path.partition(_SEPARATOR)[0]


def bundle_of(path: str) -> str:
    """What a member is read together with: its archive, or its row group of a Parquet file; "" for a plain file."""
    return group_of(path) if is_row(path) else archive_of(path) if is_member(path) else ""


def list_members(path: Path, limits: ArchiveLimits | None = None) -> tuple[list[str], dict[str, Refusal]]:
    """List the plain files in a tar archive (gzip or plain), in the order of their names.

    Args:
        path: The archive.
        limits: What it may hold; the defaults of ``ArchiveLimits`` if None.

    Returns:
        The names, without a leading ``./``; and what was refused, with the reason.

    Raises:
        DamagedArchive: It cannot be read to its end.
        LargeArchive: It holds or declares more than the limits allow; of its content nothing was read.
    """
    limits = limits or ArchiveLimits()
    names: set[str] = set()
    refused: dict[str, Refusal] = {}
    with _opened(path) as archive:
        for member in archive.members(limits):
            name = _plain_name(member)
            if member.isdir() or name.rpartition("/")[2].startswith("."):
                continue
            refusal = _refusal(member, name, names)
            if refusal is not None:
                refused[member.name] = refusal
            else:
                names.add(name)
    return sorted(names), refused


def unpack(root: Path, paths: Collection[str], folder: Path) -> dict[str, Path]:
    """Write the members that these paths name to numbered files.

    Only the content of plain files is taken: no name, link or right of the archive reaches the disk. Of a name that
    comes twice the first is taken, as in ``list_members``.

    Args:
        root: The data set's root.
        paths: ``archive::member`` paths of the manifest; others are passed over.
        folder: Where to write.

    Returns:
        Path -> file, for the members that could be read; an archive that is cut short gives the members before the cut.

    Raises:
        RunError: There is no space left.
    """
    by_archive: dict[str, dict[str, str]] = {}
    for path in paths:
        if is_member(path):
            archive = archive_of(path)
            by_archive.setdefault(archive, {})[path.removeprefix(member_path(archive, ""))] = path
    unpacked: dict[str, Path] = {}
    for archive, names in by_archive.items():
        with contextlib.suppress(DamagedArchive, LargeArchive, DamagedParquet):
            if is_row(member_path(archive, "")):
                unpack_rows(root, names.values(), folder, unpacked)
            else:
                _unpack_archive(root / archive, names, folder, unpacked)
    return unpacked


def _unpack_archive(archive: Path, names: dict[str, str], folder: Path, unpacked: dict[str, Path]) -> None:
    seen: set[str] = set()
    with _opened(archive) as opened:
        # What it may hold was looked at when it was listed.
        for member in opened.members(None):
            name = _plain_name(member)
            path = names.get(name)
            if path is None or _refusal(member, name, seen) is not None:
                continue
            seen.add(name)
            file = folder / str(len(unpacked))
            with files.refusals(folder), file.open("wb") as content:
                for block in opened.blocks(member):
                    content.write(block)
            unpacked[path] = file


def _plain_name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def _refusal(member: tarfile.TarInfo, name: str, taken: set[str]) -> Refusal | None:
    if leaves_root(name):
        return Refusal.OUTSIDE
    if member.issparse():
        return Refusal.SPARSE
    if not member.isreg():
        return Refusal.LINK
    if not is_plain(name):
        return Refusal.NAME
    return Refusal.TWICE if name in taken else None


class _Bounded:
    """A stream of which no more than ``allowed`` bytes are read until more are allowed; passing over is free."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.allowed = _HEADERS

    def read(self, size: int) -> bytes:
        if size > self.allowed:
            raise LargeArchive(f"headers of more than {_HEADERS:,} bytes before one member")
        self.allowed -= size
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()


class _Archive:
    """An open archive: its members one after the other, and the content of the one that came last."""

    def __init__(self, file: BinaryIO) -> None:
        self._size = os.fstat(file.fileno()).st_size
        is_packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        self._bounded = _Bounded(cast("BinaryIO", gzip.GzipFile(fileobj=file)) if is_packed else file)
        with _damage():
            self._tar = tarfile.TarFile(fileobj=cast("BinaryIO", self._bounded))

    def members(self, limits: ArchiveLimits | None) -> Iterator[tarfile.TarInfo]:
        """Every member; raises ``LargeArchive`` before the first that goes beyond the limits."""
        together = number = 0
        while True:
            self._bounded.allowed = _HEADERS
            with _damage():
                member = self._tar.next()
            if member is None:
                return
            # Else it keeps them all.
            self._tar.members = []  # type: ignore[attr-defined]  # not in the stubs
            number += 1
            together += tarfile.BLOCKSIZE + (0 if member.issparse() else member.size)
            if limits is not None:
                _check(limits, self._size, number, together, member)
            yield member

    def blocks(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of the last member, in blocks."""
        with _damage():
            content = self._tar.extractfile(member)
        while content is not None:
            self._bounded.allowed = 2 * _BLOCK
            with _damage():
                block = content.read(_BLOCK)
            if not block:
                return
            yield block


def _check(limits: ArchiveLimits, size: int, number: int, together: int, member: tarfile.TarInfo) -> None:
    if not member.issparse() and member.size > limits.member:
        words = f"a member of {member.size:,} bytes, where {limits.member:,} are allowed"
    elif number > limits.members:
        words = f"more than {limits.members:,} members"
    elif together > limits.together:
        words = f"members of more than {limits.together:,} bytes together"
    elif together > _SMALL and together > limits.ratio * size:
        words = f"members of more than {limits.ratio} times its own {size:,} bytes together"
    else:
        return
    raise LargeArchive(words)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Archive]:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(files.opened(path, "archive"))
        except BenchError as error:
            raise DamagedArchive(str(error)) from error
        yield _Archive(file)


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DamagedArchive("cut short, damaged, or no tar archive (gzip or plain)") from error
