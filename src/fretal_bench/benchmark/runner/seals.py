"""A done cell, a source model or a finished step, read only as far as its files have the checksums that it was given."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, Final

from fretal_bench import files, parsing
from fretal_bench.benchmark.runner.documents import (
    AGAIN,
    CellFile,
    ChecksumsFile,
    EnvironmentFile,
    MadeWith,
    PhasesFile,
    build,
    parse,
    read_bytes,
)
from fretal_bench.errors import BenchError

CHECKSUMS: Final = "checksums.json"
"""The file that says of every other file of its folder what its SHA-256 is."""
_LARGEST: Final = 8 * 2**30
"""Bytes of a table of scores."""


def seal(part: Path) -> None:
    """Write down the checksums of the files of a folder in the making, its last file."""
    checksums = {path.name: files.sha256(path) for path in sorted(part.iterdir()) if path.is_file()}
    (part / CHECKSUMS).write_text(parsing.to_json({"files": checksums}), "utf-8")


class Sealed:
    """A finished folder, whose files are read only if they are those that it was finished with.

    Args:
        path: The folder.
        remedy: What to do if it is damaged.

    Attributes:
        checksums: By file; None for a folder that a version without checksums wrote.

    Raises:
        BenchError: Its checksums cannot be read.
    """

    def __init__(self, path: Path, remedy: str = AGAIN) -> None:
        self.path, self.remedy = path, remedy
        self.checksums: dict[str, str] | None = None
        place = path / CHECKSUMS
        if place.exists() or place.is_symlink():
            values = parse(read_bytes(place, "checksums", remedy), str(place), remedy)
            self.checksums = dict(build(ChecksumsFile, values, str(place), remedy).files)

    def has(self, name: str) -> bool:
        """Whether the folder was finished with such a file, or has it."""
        return name in self.checksums if self.checksums is not None else (self.path / name).exists()

    def read(self, name: str, what: str) -> bytes:
        """Read a file whole.

        Raises:
            BenchError: It cannot be read, or is not what the folder was finished with.
        """
        content = files.read_bytes(self.path / name, what, self.remedy, _LARGEST)
        self._compare(name, hashlib.sha256(content).hexdigest())
        return content

    def read_json(self, name: str, what: str) -> Any:
        """Read and parse a JSON file; errors as ``read``, and if it is no JSON."""
        return parse(self.read(name, what), str(self.path / name), self.remedy)

    def check(self, name: str) -> None:
        """Compare a file with its checksum without keeping it in memory; errors as ``read``."""
        path = self.path / name
        files.check_regular(path, "file", self.remedy)
        with files.refusals(path, remedy=self.remedy, doing="read"):
            checksum = files.sha256(path)
        self._compare(name, checksum)

    def _compare(self, name: str, checksum: str) -> None:
        if self.checksums is None:
            return
        expected = self.checksums.get(name)
        if expected is None:
            raise BenchError(
                f"{self.path / CHECKSUMS}: key 'files.{name}': expected a SHA-256, found nothing; {self.remedy}"
            )
        if checksum != expected:
            raise BenchError(
                f"{self.path / name}: not the file that was written: expected sha256 {expected[:12]}... "
                f"({CHECKSUMS}), found {checksum[:12]}...; {self.remedy}"
            )


def checked(path: Path, name: str) -> Path:
    """Return the place of a file of a finished step or source model.

    Raises:
        BenchError: It is missing, or is not what the step was finished with.
    """
    Sealed(path).check(name)
    return path / name


def read_about(sealed: Sealed) -> CellFile:
    """Read ``cell.json`` of a done cell.

    Raises:
        BenchError: It is missing, damaged, or not what the cell was finished with.
    """
    values = sealed.read_json("cell.json", "cell")
    return build(CellFile, values, str(sealed.path / "cell.json"), sealed.remedy)


def read_phases(sealed: Sealed) -> list[dict[str, Any]]:
    """Read ``phases.json`` of a finished step or source model, as it is written.

    Raises:
        BenchError: It is missing, damaged, or not what the step was finished with.
    """
    values: list[dict[str, Any]] = sealed.read_json("phases.json", "phases")
    build(PhasesFile, {"phases": values}, str(sealed.path / "phases.json"), sealed.remedy)
    return values


def read_environment(sealed: Sealed, seed: int | None = None, steps: int | None = None) -> dict[str, Any]:
    """Read ``environment.json`` of a done cell, as it is written.

    Args:
        sealed: The cell.
        seed: Its seed; None if that is not known.
        steps: Domains of its stream; None if that is not known.

    Raises:
        BenchError: It is missing, damaged, or of a cell of another seed or stream.
    """
    where = str(sealed.path / "environment.json")
    values: dict[str, Any] = sealed.read_json("environment.json", "environment")
    made_with = build(EnvironmentFile, values, where, sealed.remedy)
    if seed is not None and made_with.seed not in (None, seed):
        raise BenchError(f"{where}: key 'seed': expected {seed}, found {made_with.seed}; {sealed.remedy}")
    last = max((phase.step for phase in made_with.phases), default=-1)
    if steps is not None and last >= steps:
        raise BenchError(
            f"{where}: key 'phases': expected steps -1 to {steps - 1}, found {last}; {sealed.remedy}"
        )
    return values


def read_makers(sealed: Sealed) -> dict[str, Any]:
    """Read the versions and the machine in ``environment.json`` of a done cell, and not its phases, which are dozens.

    Raises:
        BenchError: It is missing, damaged, or not what the cell was finished with.
    """
    values = sealed.read_json("environment.json", "environment")
    keys = {field.name for field in dataclasses.fields(MadeWith)}
    makers = (
        {key: value for key, value in values.items() if key in keys} if isinstance(values, dict) else values
    )
    build(MadeWith, makers, str(sealed.path / "environment.json"), sealed.remedy)
    return dict(makers)
