"""Tar archives of a data set: paths of their members, safe listings, and wanted members taken out in one pass."""

from __future__ import annotations

import contextlib
import lzma
import tarfile
import zlib
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.importers.walk import is_plain, leaves_root

_SEPARATOR: Final = "::"
_DAMAGE: Final = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)


class DamagedArchive(Exception):
    """The archive is cut short or is no archive."""


class Refusal(Enum):
    """Why a member is not read: the kind of finding, and words."""

    OUTSIDE = ("outside", "its path leads out of the archive's folder")
    LINK = ("link", "it is a link or a device, not a plain file")
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


def list_members(path: Path) -> tuple[list[str], dict[str, Refusal]]:
    """List the plain files in a tar archive (gzip or plain), in the order of their names.

    Args:
        path: The archive.

    Returns:
        The names, without a leading ``./``; and what was refused, with the reason.

    Raises:
        DamagedArchive: It cannot be read to its end.
    """
    names: set[str] = set()
    refused: dict[str, Refusal] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isdir() or name.rpartition("/")[2].startswith("."):
                    continue
                if leaves_root(name):
                    refused[member.name] = Refusal.OUTSIDE
                elif not member.isreg():
                    refused[member.name] = Refusal.LINK
                elif not is_plain(name):
                    refused[member.name] = Refusal.NAME
                elif name in names:
                    refused[member.name] = Refusal.TWICE
                else:
                    names.add(name)
    except _DAMAGE as error:
        raise DamagedArchive(str(error) or type(error).__name__) from error
    return sorted(names), refused


def unpack(root: Path, paths: Collection[str], folder: Path) -> dict[str, Path]:
    """Write the members that these paths name to numbered files.

    Only the content of plain files is taken: no name, link or right of the archive reaches the disk.

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
        with contextlib.suppress(*_DAMAGE):
            _unpack_archive(root / archive, names, folder, unpacked)
    return unpacked


def _unpack_archive(archive: Path, names: dict[str, str], folder: Path, unpacked: dict[str, Path]) -> None:
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            path = names.get(member.name.removeprefix("./"))
            content = opened.extractfile(member) if path is not None and member.isreg() else None
            if path is None or content is None:
                continue
            data = content.read()
            file = folder / str(len(unpacked))
            with files.refusals(folder):
                file.write_bytes(data)
            unpacked[path] = file
