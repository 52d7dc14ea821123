"""Check of a data set on disk: what it holds, what it lacks and what is wrong with it, as plain data."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fretal_bench.datasets.check.checksums import Checksums, compare_or_write, read_checksums
from fretal_bench.datasets.check.classes import missing_classes
from fretal_bench.datasets.check.facts import Facts, file_facts
from fretal_bench.datasets.check.faults import copied_videos, stray_files, unreadable_files
from fretal_bench.datasets.check.shortcuts import ShortcutSearch, find_shortcuts
from fretal_bench.datasets.importers import Finding, Import, Importer, Match, ReadOptions, importer, recognise
from fretal_bench.datasets.importers.findings import ordered_findings
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import SPLITS
from fretal_bench.datasets.progress import ProgressCallback

_COMPRESSION_CHOICE: Final = ("c23", "c40", "raw")


@dataclass(frozen=True)
class Count:
    """How much of one method at one compression is there.

    Attributes:
        dataset: Manifest data set.
        method: Manifest method.
        compression: Manifest compression.
        splits: Videos (or sequences, or images) of each split.
        left_out: Files that did not get into the manifest.
    """

    dataset: str
    method: str
    compression: str
    splits: dict[str, int]
    left_out: int


@dataclass(frozen=True)
class Expectation:
    """An official count and the number that is there; "" means all together."""

    dataset: str
    method: str
    compression: str
    split: str
    found: int
    official: int
    source: str


@dataclass(frozen=True)
class DatasetCheck:
    """All that ``check`` learned.

    Attributes:
        root: The folder.
        family: Name of the importer.
        title: The family's name in print.
        why: What it was recognised by.
        unit: What is counted: videos, sequences or images.
        split_source: Where the splits come from.
        counts: What is there.
        expectations: Official counts, where they are known, and what is there.
        findings: What is wrong or worth knowing, errors first.
        left_out: Kind of finding -> number of files left out for it.
        shortcuts: Facts of the files that tell real from fake.
        checksums: What ``hash`` did, or None.
        command: The command to type next; "" if nothing can be prepared.
    """

    root: str
    family: str
    title: str
    why: tuple[str, ...]
    unit: str
    split_source: str
    counts: tuple[Count, ...]
    expectations: tuple[Expectation, ...]
    findings: tuple[Finding, ...]
    left_out: dict[str, int]
    shortcuts: ShortcutSearch
    checksums: Checksums | None
    command: str

    @property
    def errors(self) -> int:
        """Number of findings that lose data or cannot be trusted."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {**asdict(self), "shortcuts": self.shortcuts.to_dict(), "errors": self.errors}


def check(
    root: Path,
    as_name: str | None = None,
    hash: bool = False,
    *,
    hash_file: Path | None = None,
    options: ReadOptions | None = None,
    progress: ProgressCallback | None = None,
) -> DatasetCheck:
    """Look a data set over: recognise it, read it, open every file's container, compare the counts and the classes.

    Args:
        root: Its folder, or its list file.
        as_name: The importer to use; None recognises the layout.
        hash: Whether to hash every file, and to compare with the checksums of an earlier time.
        hash_file: Where those are; by default ``<folder>.sha256`` in the current folder, never inside the data set.
        options: How it would be read.
        progress: Told how many files were opened, and of how many.

    Raises:
        BenchError: Nothing is there, the layout is unknown, or a named file is wrong.
    """
    family, match = (importer(as_name), None) if as_name is not None else recognise(root)
    options = options or ReadOptions()
    read = family.read(root, options)
    tree = Tree(read.root)
    files = [entry.path for entry in tree.descend(follow=False)]
    checksum_file = hash_file or Path.cwd() / f"{read.root.name}.sha256"
    known = read_checksums(checksum_file) if hash else None
    clips: dict[str, Facts] = {}
    findings = [
        *read.findings,
        *missing_classes(read),
        *unreadable_files(read, clips, progress),
        *copied_videos(read),
        *stray_files(read, family, files),
        *tree.findings.values(),
    ]
    search = find_shortcuts(read.frame, lambda path: clips.get(path) or file_facts(read.root / path))
    findings += _shortcut_findings(search)
    checksums = None
    if hash:
        checksums = compare_or_write(read.root, files, checksum_file, known)
        findings += _checksum_findings(checksums)
    return DatasetCheck(
        root=str(root),
        family=family.name,
        title=family.title,
        why=_why(match, as_name),
        unit=family.unit,
        split_source=read.split_source,
        counts=tuple(_counts(read, family)),
        expectations=tuple(_expectations(read, family)),
        findings=ordered_findings(findings),
        left_out=dict(sorted(Counter(left.kind for left in read.left_out).items())),
        shortcuts=search,
        checksums=checksums,
        command=_command(root, as_name, family, read, options),
    )


def _why(match: Match | None, as_name: str | None) -> tuple[str, ...]:
    return match.found if match is not None else (f"--as {as_name}",)


def _counts(read: Import, family: Importer) -> Iterator[Count]:
    units = _units(read.frame, family)
    left = Counter((out.dataset, out.method, out.compression) for out in read.left_out)
    counted = Counter(
        zip(*(units[column] for column in ("dataset", "method", "compression", "split")), strict=True)
    )
    for dataset, method, compression in sorted({key[:3] for key in counted} | set(left)):
        key = (dataset, method, compression)
        yield Count(*key, {split: counted[(*key, split)] for split in SPLITS}, left[key])


def _units(frame: pd.DataFrame, family: Importer) -> pd.DataFrame:
    """One row for each thing that is counted."""
    if family.unit == "images":
        return frame
    return frame.drop_duplicates(["dataset", "method", "compression", "video"])


def _expectations(read: Import, family: Importer) -> Iterator[Expectation]:
    units = _units(read.frame, family)
    levels = sorted(
        {*units["compression"], *(left.compression for left in read.left_out if left.compression)}
    )
    for official in family.official:
        for compression in levels if official.each else [official.compression]:
            chosen = units
            filters = {"dataset": official.dataset, "method": official.method, "compression": compression}
            for column, value in filters.items():
                chosen = chosen if value is None else chosen[chosen[column] == value]
            if official.split is not None:
                chosen = chosen[chosen["split"].isin(official.split.split("+"))]
            yield Expectation(
                dataset=official.dataset or "",
                method=official.method or "",
                compression=compression or "",
                split=official.split or "",
                found=len(chosen),
                official=official.count,
                source=official.source,
            )


def _shortcut_findings(search: ShortcutSearch) -> Iterator[Finding]:
    domains = dict.fromkeys(shortcut.domain for shortcut in search.shortcuts)
    if domains:
        facts = ", ".join(dict.fromkeys(shortcut.fact for shortcut in search.shortcuts))
        many = f"{len(domains):,} domains" if len(domains) > 1 else "1 domain"
        words = f"real and fake of {many} can be told apart without looking at a picture, by {facts}"
        action = "make both classes alike: the same size, format and quality"
        yield Finding("", "shortcut", "warning", words, action)


def _checksum_findings(checksums: Checksums) -> Iterator[Finding]:
    for path in checksums.changed:
        yield Finding(path, "checksum", "error", f"not what {checksums.file} says", "download it again")
    for path in checksums.missing:
        yield Finding(path, "checksum", "error", f"in {checksums.file}, and not there", "download it again")
    for path in checksums.added:
        yield Finding(path, "checksum", "info", f"not in {checksums.file}")


def _command(root: Path, as_name: str | None, family: Importer, read: Import, options: ReadOptions) -> str:
    if read.frame["label"].nunique() < 2:
        return ""
    words = ["bench", "data", "prepare", str(root)]
    if as_name is not None:
        words += ["--as", as_name]
    name = family.name
    compressions = set(read.frame["compression"].unique()) - {"none"}
    if compressions:
        chosen = next(
            level for level in (*_COMPRESSION_CHOICE, *sorted(compressions)) if level in compressions
        )
        words += ["--compression", chosen]
        name = f"{name}-{chosen}"
    if family.cropped:
        words += ["--detector", "none"]
    if options.splits != "official":
        words += ["--splits", options.splits]
    if options.split_path is not None:
        words += ["--split-path", str(options.split_path)]
    if options.seed:
        words += ["--seed", str(options.seed)]
    if options.archive_limits != 1:
        words += ["--archive-limits", f"{options.archive_limits:g}"]
    for option, pairs in (("--column", options.columns), ("--label", options.labels)):
        words += [word for key, value in pairs.items() for word in (option, f"{key}={value}")]
    return shlex.join([*words, "--out", f"stores/{name}"])
