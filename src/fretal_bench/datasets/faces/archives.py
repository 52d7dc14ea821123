"""Taking wanted members out of tar archives, in one pass over each, to files that are gone afterwards."""

from __future__ import annotations

import contextlib
import lzma
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Final

from fretal_bench.datasets.faces.parts import writing

MEMBER: Final = "::"


def unpack(root: Path, paths: Collection[str], folder: Path) -> dict[str, Path]:
    """Write the members that these paths name to numbered files.

    Only the content of plain files is taken: no name, link or right of the archive reaches the disk.

    Args:
        root: The data set's root.
        paths: ``archive::member`` paths of the manifest; others are passed over.
        folder: Where to write.

    Returns:
        Path -> file, for the members that could be read; an archive that is cut short gives what stands before the cut.

    Raises:
        RunError: The disk is full.
    """
    wanted: dict[str, dict[str, str]] = {}
    for path in paths:
        archive, is_member, name = path.partition(MEMBER)
        if is_member:
            wanted.setdefault(archive, {})[name] = path
    files: dict[str, Path] = {}
    for archive, names in wanted.items():
        with contextlib.suppress(tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError):
            _unpack_one(root / archive, names, folder, files)
    return files


def _unpack_one(archive: Path, names: dict[str, str], folder: Path, files: dict[str, Path]) -> None:
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            path = names.get(member.name.removeprefix("./"))
            content = opened.extractfile(member) if path is not None and member.isreg() else None
            if path is None or content is None:
                continue
            data = content.read()
            file = folder / str(len(files))
            with writing(folder):
                file.write_bytes(data)
            files[path] = file
