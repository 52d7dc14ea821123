"""Checksums of a data set's files: written once as ``sha256sum`` does, compared ever after."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench.errors import BenchError

_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Checksums:
    """What a run of ``--hash`` did.

    Attributes:
        file: The file of checksums; ``sha256sum --check`` reads it too, run in the data set's folder.
        written: True if it was made now; then there was nothing to compare with.
        files: Number of files hashed.
        changed: Files whose content is another than written.
        missing: Files that are written and not there.
        added: Files that are there and not written.
    """

    file: str
    written: bool
    files: int
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def compare_or_write(root: Path, paths: Iterable[str], file: Path) -> Checksums:
    """Hash files and compare them with the checksums in ``file``; write that file if it isn't there.

    Args:
        root: The data set's folder.
        paths: The files, relative to it.
        file: The file of checksums; never overwritten. It is not hashed itself if it lies in the folder.

    Raises:
        BenchError: ``file`` isn't a file of checksums, or cannot be written.
    """
    own = file.resolve()
    sums = {path: hash_file(root / path) for path in sorted(paths) if (root / path) != own}
    if file.exists():
        written = _read(file)
        return Checksums(
            file=str(file),
            written=False,
            files=len(sums),
            changed=tuple(path for path in sums if path in written and written[path] != sums[path]),
            missing=tuple(sorted(written.keys() - sums.keys())),
            added=tuple(path for path in sums if path not in written),
        )
    _write(file, sums)
    return Checksums(str(file), True, len(sums))


def _read(file: Path) -> dict[str, str]:
    written: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{file}: expected checksums, found {error}; name another file") from error
    for number, line in enumerate(lines, 1):
        digest, _, path = line.partition("  ")
        if len(digest) != 64 or not path:
            raise BenchError(
                f"{file} line {number}: expected a sha256, two spaces and a path; name another file"
            )
        written[path] = digest
    return written


def _write(file: Path, sums: Mapping[str, str]) -> None:
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(
            "".join(f"{digest}  {path}\n" for path, digest in sums.items()), encoding="utf-8"
        )
        os.replace(unfinished, file)
    except OSError as error:
        raise BenchError(f"{file}: cannot be written ({error.strerror}); name another place") from error
