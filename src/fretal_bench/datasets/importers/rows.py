"""Rows of a manifest in the making: splits by identity, people in two splits, duplicates, what is lost and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fretal_bench.datasets.importers.family import Finding, Import, LeftOut, Severity
from fretal_bench.datasets.importers.identity_split import IdentitySplit, split_by_identity
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.walk import Tree, is_plain
from fretal_bench.datasets.manifest import COLUMNS, REAL, SPLITS, check_manifest
from fretal_bench.errors import BenchError

# A person in two splits stays in the test: that is what gets reported.
_PRIORITY = {"test": 0, "val": 1, "train": 2, "": 3}


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row to be: the manifest's columns, and the real video a fake was made from (its id; "" if unknown)."""

    path: str
    dataset: str
    method: str
    compression: str
    label: int
    video: str
    source: str
    target: str
    split: str = ""
    frame: int = -1
    original: str = ""

    @property
    def key(self) -> str:
        """The video's key."""
        return f"{self.dataset}/{self.method}/{self.compression}/{self.video}"

    @property
    def people(self) -> tuple[str, ...]:
        """Who is in it, by data set and name; the recording itself where nobody is known."""
        known = sorted({person for person in (self.target, self.source) if person})
        return tuple(f"{self.dataset}/{person}" for person in known) or (
            f"{self.dataset}/{self.method}/{self.video}",
        )

    @property
    def recording(self) -> str:
        """The video without its compression."""
        return f"{self.dataset}/{self.method}/{self.video}"


class Rows:
    """What an importer found so far.

    Attributes:
        tree: The folder it reads.
        rows: Rows to be.
        findings: What a person should know.
        left_out: Files that will not be in the manifest.
        claimed: Side files that were read.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.rows: list[ManifestRow] = []
        self.findings: list[Finding] = []
        self.left_out: list[LeftOut] = []
        self.claimed: set[str] = set()
        self._told: set[tuple[str, str]] = set()

    def add(self, row: ManifestRow) -> None:
        """Take a row; one with a name that no table can hold is left out."""
        if is_plain(f"{row.dataset}{row.method}{row.video}{row.source}{row.target}"):
            self.rows.append(row)
        else:
            self._lose(
                row,
                "name",
                "a list names it or its people with characters that cannot be written",
                "correct the list",
            )

    def note(self, file: str, kind: str, severity: Severity, words: str, action: str = "") -> None:
        """Take a finding."""
        self.findings.append(Finding(_printable(file), kind, severity, _printable(words), action))

    def leave_out(
        self,
        file: str,
        kind: str,
        words: str,
        action: str,
        *,
        dataset: str = "",
        method: str = "",
        compression: str = "",
        severity: Severity = "error",
    ) -> None:
        """Count a file that will not be in the manifest, with the reason."""
        self.note(file, kind, severity, words, action)
        self.left_out.append(LeftOut(file, dataset, method, compression, kind))

    def finish(
        self,
        family: str,
        options: ReadOptions,
        split_source: str,
        *,
        official: bool = True,
        has_val: bool = True,
    ) -> Import:
        """Settle the splits and build the manifest.

        Args:
            family: Name of the importer.
            options: How to split.
            split_source: Where the rows' own splits come from.
            official: Whether the rows carry splits; without, or where ``options`` ask for it, they are split by identity.
            has_val: Whether they carry a validation split; without, a part of train becomes one, by identity.
        """
        self._drop_duplicates()
        identity_split: IdentitySplit | None = None
        if not official or options.splits == "identity":
            identity_split, split_source = self._split(self.rows, options, options.fractions)
        else:
            self._separate()
            if not has_val and options.val_fraction > 0 and not any(row.split == "val" for row in self.rows):
                shares = {"train": 1 - options.val_fraction, "val": options.val_fraction}
                train = [row for row in self.rows if row.split == "train"]
                identity_split, how = self._split(train, options, shares)
                split_source = f"{split_source}; validation: {options.val_fraction:.0%} of train, {how}"
        self._separate()
        return self._build(family, split_source, identity_split)

    def _drop_duplicates(self) -> None:
        """Leave out second copies of a video or frame, and files that are listed as two different things."""
        listed: dict[tuple[str, int], dict[str, ManifestRow]] = {}
        labels: dict[str, set[int]] = {}
        for row in self.rows:
            file = self.tree.real_path(row.path)
            labels.setdefault(file, set()).add(row.label)
            by_key = listed.setdefault((file, row.frame), {})
            first = by_key.setdefault(row.key, row)
            if _PRIORITY[row.split] < _PRIORITY[first.split]:
                by_key[row.key] = row
            if row.split != first.split:
                words = f"listed in {first.split} and in {row.split}; it was taken once, for the test if it is in it"
                self._tell(row, "crossing", words, "correct the lists", "warning")
        kept: dict[tuple[str, int], ManifestRow] = {}
        for (file, _), readings in listed.items():
            for key, row in readings.items():
                first = kept.get((key, row.frame), row)
                if len(labels[file]) > 1:
                    self._lose(
                        row,
                        "label",
                        "the same file is listed as real and as fake",
                        "correct the lists or links",
                    )
                elif len(readings) > 1:
                    self._lose(
                        row,
                        "duplicate",
                        f"listed as {' and as '.join(sorted(readings))}",
                        "correct the lists",
                    )
                elif first is not row:
                    words = f"the same {'video' if row.frame < 0 else 'frame'} of {key} as {first.path}"
                    self._lose(row, "duplicate", words, "keep one of the two")
                else:
                    kept[key, row.frame] = row
        self.rows = list(kept.values())

    def _split(
        self, rows: list[ManifestRow], options: ReadOptions, shares: Mapping[str, float]
    ) -> tuple[IdentitySplit | None, str]:
        """Give these rows splits by identity; those of people in different splits are left out."""
        people = {row.recording: row.people for row in sorted(rows, key=lambda row: row.recording)}
        if not people:
            return None, "nothing to split"
        if options.split_path is not None and options.split_path.is_file():
            identity_split = IdentitySplit.load(options.split_path)
            strange = sorted(set(identity_split.assignment.values()) - set(shares))
            if strange:
                raise BenchError(
                    f"{options.split_path}: expected a split into {', '.join(shares)}, found {', '.join(strange)}; "
                    "give the file that was written for this data set and these options"
                )
            how = f"by identity, as written in {options.split_path.name}"
        else:
            identity_split = split_by_identity(list(people.values()), shares, options.seed)
            how = f"by identity, seed {options.seed}"
        chosen = {recording: identity_split.split_of(who) for recording, who in people.items()}
        settled: list[ManifestRow] = []
        for row in rows:
            split = chosen[row.recording]
            if split is None:
                unknown = [person for person in row.people if person not in identity_split.assignment]
                words = (
                    f"nobody assigned {unknown[0]}"
                    if unknown
                    else f"{' and '.join(row.people)} are in different splits"
                )
                self._lose(row, "crossing", words, "nothing: no face may be in two splits", "info")
            else:
                settled.append(replace(row, split=split))
        row_ids = {id(row) for row in rows}
        self.rows = [row for row in self.rows if id(row) not in row_ids] + settled
        if identity_split.cut:
            words = "everybody is linked with everybody by some fake, so people were dealt out one by one"
            self.note(
                "", "crossing", "info", f"{words}; fakes of two people in different splits were left out"
            )
        return identity_split, how

    def _separate(self) -> None:
        """Leave out what would put a person or a recording into a second split; test goes before val before train."""
        home: dict[str, str] = {}
        where: dict[str, str] = {}
        kept: list[ManifestRow] = []
        for split in sorted({row.split for row in self.rows}, key=lambda split: _PRIORITY[split]):
            of_split = [row for row in self.rows if row.split == split]
            staying = []
            for row in of_split:
                away = [who for who in (*row.people, row.recording) if home.get(who, split) != split]
                if away:
                    words = f"{away[0]} is in {split} here, and in {home[away[0]]} at {where[away[0]]}"
                    self._lose(
                        row,
                        "crossing",
                        words,
                        "try a split that keeps people apart: --splits identity",
                        "warning",
                    )
                else:
                    staying.append(row)
            for row in staying:
                for who in (*row.people, row.recording):
                    home.setdefault(who, split)
                    where.setdefault(who, row.path)
            kept += staying
        self.rows = kept

    def _lose(
        self, row: ManifestRow, kind: str, words: str, action: str, severity: Severity = "error"
    ) -> None:
        """Leave a row out; all frames of a video share one finding."""
        self.left_out.append(LeftOut(row.path, row.dataset, row.method, row.compression, kind))
        self._tell(row, kind, words, action, severity)

    def _tell(self, row: ManifestRow, kind: str, words: str, action: str, severity: Severity) -> None:
        if (kind, row.key) not in self._told:
            self._told.add((kind, row.key))
            self.note(row.path, kind, severity, words, action)

    def _build(self, family: str, split_source: str, identity_split: IdentitySplit | None) -> Import:
        import pandas as pd

        order = sorted(
            self.rows, key=lambda r: (r.dataset, r.label, r.method, r.compression, r.video, r.frame, r.path)
        )
        frame = pd.DataFrame({column: [getattr(row, column) for row in order] for column in COLUMNS})
        if not order:
            self.note("", "missing", "error", "no file could be used", "see the other findings")
        reals = {(row.dataset, row.compression, row.video): row.key for row in order if row.label == REAL}
        pairs = ((row.key, (row.dataset, row.compression, row.original)) for row in order if row.original)
        empty = [split for split in SPLITS if order and not any(row.split == split for row in order)]
        if empty:
            self.note("", "split", "warning", f"nothing in {' and '.join(empty)}", "choose another split")
        return Import(
            family=family,
            root=self.tree.root,
            frame=check_manifest(frame),
            findings=ordered_findings([*self.tree.findings.values(), *self.findings]),
            left_out=tuple(self.left_out),
            split_source=split_source,
            identity_split=identity_split,
            originals={fake: reals[real] for fake, real in pairs if real in reals},
            claimed=tuple(sorted(self.claimed)),
        )


def _printable(text: str) -> str:
    """The text with lone surrogates, which a list may hold and no terminal can show, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def ordered_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once: errors, warnings, then notes; by kind and file."""
    rank = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(set(findings), key=lambda f: (rank[f.severity], f.kind, f.file, f.found)))


def rooted(path: Path) -> tuple[Path, str]:
    """Part a given path into the folder to read and the one list in it ("" for a folder)."""
    return (path.parent, path.name) if path.is_file() else (path, "")
