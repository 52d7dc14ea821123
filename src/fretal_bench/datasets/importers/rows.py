"""Rows of a manifest in the making: splits by identity, people in two splits, duplicates, what is lost and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np

from fretal_bench.datasets.dates import DATE_WORDS, date_of
from fretal_bench.datasets.importers.family import Finding, Import, LeftOut, Severity
from fretal_bench.datasets.importers.findings import Findings, ordered_findings
from fretal_bench.datasets.importers.identity_split import IdentitySplit, split_by_identity
from fretal_bench.datasets.importers.names import CLASS_WORDS, text_fault
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.row_table import (
    PRIORITY,
    Entry,
    RowTable,
    Selection,
    Video,
    numbered,
    repeated,
)
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS, check_manifest
from fretal_bench.errors import BenchError
from fretal_bench.names import NAME, shown

_MANY: Final = 0.25
"""Share of the rows that may be lost to people in two splits; where more are, another split is needed."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row to be: the manifest's columns; the real video a fake was made from (its id), and a date; "" if unknown."""

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
    date: str = ""


class Rows:
    """What an importer found so far.

    Attributes:
        tree: The folder it reads.
        splits: The splits of the rows so far.
        left_out: Files that will not be in the manifest.
        claimed: Side files that were read.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.left_out: list[LeftOut] = []
        self.claimed: set[str] = set()
        self._table = RowTable()
        self._last: ManifestRow | None = None
        self._told: set[tuple[str, str]] = set()
        self._findings = Findings()
        self._strange: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def splits(self) -> set[str]:
        """The splits of the rows so far."""
        return self._table.splits

    def add(self, row: ManifestRow, frame: int | None = None) -> None:
        """Take a row, or the same with another frame; one with a name that no table or path can hold is left out."""
        number = row.frame if frame is None else frame
        if row is self._last:
            self._table.repeat(number)
            return
        video = Video(
            row.dataset,
            row.method,
            row.compression,
            row.label,
            row.video,
            row.source,
            row.target,
            row.split,
            row.original,
            row.date,
        )
        if fault := "" if self._table.has(video) else _name_fault(video):
            self._lose(Entry(video, row.path, number), "name", fault, "rename it, or correct the list")
        else:
            self._table.append(video, row.path, number)
            self._last = row

    def note(self, file: str, kind: str, severity: Severity, words: str, action: str = "") -> None:
        """Take a finding."""
        self._findings.add(Finding(file, kind, severity, words, action))

    def date(self, text: str, file: str, where: str = "") -> str:
        """Read a date of a list or table; what is none is told, and the row is taken without one.

        Args:
            text: What should be a date, or nothing.
            file: The list or table.
            where: Where it stands there, as the beginning of a sentence.
        """
        date = date_of(text)
        if date is None:
            words = f"{where}expected {DATE_WORDS}, found {shown(text)}"
            self.note(file, "date", "warning", words, "correct it; the fakes of a dated order need one")
        return date or ""

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

    def leave_out_folder(self, folder: str, kind: str, words: str, action: str, dataset: str) -> None:
        """Count every file of a folder that will not be in the manifest; the reason is told once."""
        files = [entry.path for entry in self.tree.descend(folder)]
        example = f", {files[0]} among them" if files else ""
        self.note(folder, kind, "error", f"{words}; {len(files):,} files are left out{example}", action)
        self.left_out.extend(LeftOut(file, dataset, "", "none", kind) for file in files)

    def not_understood(self, folder: str, name: str) -> None:
        """Take a folder whose name should say real or fake and doesn't; each name is told once."""
        self._strange.setdefault(name, []).append(folder)

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
        rows = self._without_duplicates(self._table.rows())
        identity_split: IdentitySplit | None = None
        if not official or options.splits == "identity":
            rows, identity_split, split_source = self._split(rows, rows.first, options, options.fractions)
        else:
            rows = self._apart(rows)
            splits = {number: rows.videos[number].split for number in rows.first}
            if not has_val and options.val_fraction > 0 and "val" not in splits.values():
                shares = {"train": 1 - options.val_fraction, "val": options.val_fraction}
                train = [number for number, split in splits.items() if split == "train"]
                rows, identity_split, how = self._split(rows, train, options, shares)
                split_source = f"{split_source}; validation: {options.val_fraction:.0%} of train, {how}"
        return self._build(self._apart(rows), family, split_source, identity_split)

    def _without_duplicates(self, rows: Selection) -> Selection:
        """Leave out second copies of a video or frame, and files that are listed as two different things."""
        file = numbered(self.tree.real_path(path) for path in rows.paths)[rows.path]
        key = numbered(video.key for video in rows.videos)[rows.video]
        label = np.array([video.label for video in rows.videos], np.int64)[rows.video]
        of_label = [set(file[label == each].tolist()) for each in (REAL, FAKE)]
        torn = of_label[REAL] & of_label[FAKE]
        # Most data sets repeat nothing; only what is repeated is looked at row by row.
        doubtful = repeated(file, rows.frame) | repeated(key, rows.frame) | np.isin(file, list(torn))
        readings: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
        for place in np.flatnonzero(doubtful).tolist():
            by_key = readings.setdefault((int(file[place]), int(rows.frame[place])), {})
            first, chosen = by_key.setdefault(int(key[place]), (place, place))
            split, before = (rows.videos[rows.video[each]].split for each in (place, chosen))
            if PRIORITY[split] < PRIORITY[before]:
                by_key[int(key[place])] = (first, place)
            if split != before:
                words = f"listed in {before} and in {split}; it was taken once, for the test if it is in it"
                self._tell(rows.entry(place), "crossing", words, "correct the lists", "warning")
        source, stays = np.arange(len(rows)), ~doubtful
        taken: dict[tuple[int, int], int] = {}
        for (of_file, frame), by_key in readings.items():
            for of_key, (first, chosen) in by_key.items():
                names = sorted(rows.entry(each).video.key for each, _ in by_key.values())
                earlier = taken.get((of_key, frame))
                if self._is_sound(rows.entry(chosen), of_file in torn, names, earlier, rows):
                    taken[of_key, frame] = chosen
                    source[first], stays[first] = chosen, True
        return rows.take(source[stays])

    def _is_sound(
        self, entry: Entry, torn: bool, names: list[str], earlier: int | None, rows: Selection
    ) -> bool:
        """Whether a row that repeats something is to be taken; it is left out otherwise."""
        if torn:
            words = "the same file is listed as real and as fake"
            self._lose(entry, "label", words, "correct the lists or links")
        elif len(names) > 1:
            self._lose(entry, "duplicate", f"listed as {' and as '.join(names)}", "correct the lists")
        elif earlier is not None:
            kind = "video" if entry.frame < 0 else "frame"
            words = f"the same {kind} of {entry.video.key} as {rows.entry(earlier).path}"
            self._lose(entry, "duplicate", words, "keep one of the two")
        else:
            return True
        return False

    def _split(
        self, rows: Selection, numbers: Iterable[int], options: ReadOptions, shares: Mapping[str, float]
    ) -> tuple[Selection, IdentitySplit | None, str]:
        """Give these videos' rows splits by identity; those of people in different splits are left out."""
        chosen_numbers = set(numbers)
        latest = [rows.videos[number] for number in rows.last if number in chosen_numbers]
        people = {
            video.recording: video.people for video in sorted(latest, key=lambda video: video.recording)
        }
        if not people:
            return rows, None, "nothing to split"
        # A folder of split files, where only a part of train is split here.
        has_lists = "test" not in shares and options.split_path is not None and options.split_path.is_dir()
        if options.split_path is not None and not has_lists:
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
        videos, homeless = list(rows.videos), {}
        for number in chosen_numbers:
            split = chosen[videos[number].recording]
            if split is not None:
                videos[number] = videos[number]._replace(split=split)
            else:
                homeless[number] = _why_homeless(videos[number].people, identity_split)
        for entry, number in rows.listed(homeless):
            self._lose(entry, "crossing", homeless[number], "nothing: no face may be in two splits", "info")
        if identity_split.cut:
            words = "everybody is linked with everybody by some fake, so people were dealt out one by one"
            self.note(
                "", "crossing", "info", f"{words}; fakes of two people in different splits were left out"
            )
        others = np.flatnonzero(~rows.where(chosen_numbers))
        settled = np.flatnonzero(rows.where(chosen_numbers - homeless.keys()))
        return rows.take(np.concatenate([others, settled])).of(videos), identity_split, how

    def _apart(self, rows: Selection) -> Selection:
        """Leave out what would put a person or a recording into a second split; test goes before val before train."""
        rows = rows.by_split()
        home: dict[str, str] = {}
        where: dict[str, str] = {}
        strays: dict[int, str] = {}
        for split, numbers in groupby(rows.first, key=lambda number: rows.videos[number].split):
            staying = []
            for number in numbers:
                video = rows.videos[number]
                names = (*video.people, video.recording)
                away = next((who for who in names if home.get(who, split) != split), None)
                if away is None:
                    staying.append((number, names))
                else:
                    strays[number] = f"{away} is in {split} here, and in {home[away]} at {where[away]}"
            for number, names in staying:
                for who in names:
                    home.setdefault(who, split)
                    where.setdefault(who, rows.entry(rows.first[number]).path)
        for entry, number in rows.listed(strays):
            action = "try a split that keeps people apart: --splits identity"
            self._lose(entry, "crossing", strays[number], action, "warning")
        lost = int(rows.where(strays).sum()) if strays else 0
        if lost and lost >= _MANY * len(rows):
            words = f"{lost:,} of {len(rows):,} rows are left out, since people or videos are in two splits"
            self.note("", "crossing", "error", words, "split by people: --splits identity")
        return rows.take(~rows.where(strays)) if strays else rows

    def _lose(self, entry: Entry, kind: str, words: str, action: str, severity: Severity = "error") -> None:
        """Leave a row out; all frames of a video share one finding."""
        video = entry.video
        self.left_out.append(LeftOut(entry.path, video.dataset, video.method, video.compression, kind))
        self._tell(entry, kind, words, action, severity)

    def _tell(self, entry: Entry, kind: str, words: str, action: str, severity: Severity) -> None:
        key = (kind, entry.video.key)
        if key not in self._told:
            self._told.add(key)
            self.note(entry.path, kind, severity, words, action)

    def _build(
        self, rows: Selection, family: str, split_source: str, identity_split: IdentitySplit | None
    ) -> Import:
        videos = [rows.videos[number] for number in rows.first]
        self._tell_whole(videos)
        reals = {(v.dataset, v.compression, v.video): v.key for v in videos if v.label == REAL}
        pairs = ((v.key, (v.dataset, v.compression, v.original)) for v in videos if v.original)
        files = len(rows) + len(self.left_out)
        devices = (LeftOut(path, "", "", "", "device") for path in self.tree.devices)
        return Import(
            family=family,
            root=self.tree.root,
            frame=check_manifest(rows.in_manifest_order().frame_of_rows()),
            findings=ordered_findings([*self.tree.findings.values(), *self._findings.told(files)]),
            left_out=(*self.left_out, *devices),
            split_source=split_source,
            identity_split=identity_split,
            originals={fake: reals[real] for fake, real in pairs if real in reals},
            claimed=tuple(sorted(self.claimed)),
        )

    def _tell_whole(self, videos: list[Video]) -> None:
        """Take the findings about all rows: none at all, empty splits, folders that say neither real nor fake."""
        severity: Severity = "warning" if len({video.label for video in videos}) == 2 else "error"
        for name, folders in self._strange.items():
            words = f"{len(folders):,} folders {name!r} say neither real nor fake, {folders[0]} among them"
            known = "; ".join(", ".join(words) for words in CLASS_WORDS.values())
            action = f"rename the folder if its images are to be used, e.g. to one of {known}"
            self.note(folders[0], "name", severity, words, action)
        present = {video.split for video in videos}
        empty = [split for split in SPLITS if split not in present]
        if not videos:
            self.note("", "missing", "error", "no file could be used", "see the other findings")
        elif empty:
            self.note("", "split", "warning", f"nothing in {' and '.join(empty)}", "choose another split")


def _why_homeless(people: tuple[str, ...], identity_split: IdentitySplit) -> str:
    """Why a video has no split."""
    unknown = [person for person in people if person not in identity_split.assignment]
    return f"nobody assigned {unknown[0]}" if unknown else f"{' and '.join(people)} are in different splits"


def _name_fault(video: Video) -> str:
    """What is wrong with the names of a video, in words; "" if nothing is."""
    for kind, name in (("data set", video.dataset), ("method", video.method)):
        if fault := NAME.fault(name):
            return f"the name of its {kind} cannot be used: {fault}"
    if not video.video:
        return "its video has no name"
    for kind, text in (("video", video.video), ("source", video.source), ("target", video.target)):
        if fault := text_fault(text):
            return f"the name of its {kind} cannot be used: {fault}"
    return ""


def rooted(path: Path) -> tuple[Path, str]:
    """Part a given path into the folder to read and the one list in it ("" for a folder)."""
    return (path.parent, path.name) if path.is_file() else (path, "")
