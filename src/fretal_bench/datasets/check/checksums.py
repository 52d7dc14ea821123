"""Checksums of a data set's files: written once as ``sha256sum`` writes them, compared from then on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fretal_bench import files
from fretal_bench.errors import BenchError


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


def read_checksums(file: Path) -> dict[str, str] | None:
    """Read a file of checksums, before any file is hashed.

    Returns:
        SHA-256 by path; None if the file isn't there yet and can be written.

    Raises:
        BenchError: It isn't a file of checksums, or cannot be written.
    """
    if file.exists():
        return _read(file)
    files.check_place(file, "--hash-file")
    return None


def compare_or_write(root: Path, paths: Iterable[str], file: Path, known: dict[str, str] | None) -> Checksums:
    """Hash files and compare them with known checksums; write those to ``file`` if there are none.

    Args:
        root: The data set's folder.
        paths: The files, relative to it.
        file: The file of checksums; never overwritten. It is not hashed itself if it is in the folder.
        known: What ``read_checksums`` gave.

    Raises:
        BenchError: ``file`` cannot be written.
        RunError: There is no space left for it.
    """
    checksum_file = file.resolve()
    sums = {path: files.sha256(root / path) for path in sorted(paths) if (root / path) != checksum_file}
    if known is not None:
        return Checksums(
            file=str(file),
            written=False,
            files=len(sums),
            changed=tuple(path for path in sums if path in known and known[path] != sums[path]),
            missing=tuple(sorted(known.keys() - sums.keys())),
            added=tuple(path for path in sums if path not in known),
        )
    text = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
    files.write(file, text, remedy="name another place with --hash-file")
    return Checksums(str(file), True, len(sums))


def _read(file: Path) -> dict[str, str]:
    written: dict[str, str] = {}
    lines = files.read_text(file, "checksum file", "name another with --hash-file").splitlines()
    for number, line in enumerate(lines, 1):
        digest, _, path = line.partition("  ")
        if len(digest) != 64 or not path:
            raise BenchError(
                f"{file} line {number}: expected a sha256, two spaces and a path; name another with --hash-file"
            )
        written[path] = digest
    return written
