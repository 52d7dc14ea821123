"""Listing tar archives without unpacking them; members that would leave their folder are refused."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from pathlib import Path

from fretal_bench.datasets.importers.walk import is_plain, leaves_root


class DamagedArchive(Exception):
    """The archive is cut short or is no archive."""


def list_members(path: Path) -> tuple[list[str], dict[str, str]]:
    """List the plain files in a tar archive (gzip or plain), in the order of their names.

    Args:
        path: The archive.

    Returns:
        The names, without a leading ``./``; and what was refused with its reason: links, devices, absolute paths, ``..``,
        and names that come twice.

    Raises:
        DamagedArchive: It cannot be read to its end.
    """
    names: set[str] = set()
    refused: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isdir() or name.rpartition("/")[2].startswith("."):
                    continue
                if leaves_root(name):
                    refused[member.name] = "its path leads out of the archive's folder"
                elif not member.isreg():
                    refused[member.name] = "it is a link or a device, not a plain file"
                elif not is_plain(name):
                    refused[member.name] = "its name is no UTF-8, or holds a backslash or a control character"
                elif name in names:
                    refused[member.name] = "it comes twice"
                else:
                    names.add(name)
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DamagedArchive(str(error) or type(error).__name__) from error
    return sorted(names), refused
