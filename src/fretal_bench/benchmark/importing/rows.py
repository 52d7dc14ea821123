"""The rows of a CSV of scores, read in batches into a few numbers a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fretal_bench import files, parsing
from fretal_bench.benchmark.importing.columns import Faults, columns_of, unread
from fretal_bench.benchmark.recipes.recipe import SEEDS
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.errors import BenchError, first_line
from fretal_bench.names import hidden_fault, shown

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
FRAMES: Final = 2**31
"""Frames are whole numbers from 0 that are below this."""
_LABELS: Final = {"0": REAL, "1": FAKE, "0.0": REAL, "1.0": FAKE, "real": REAL, "fake": FAKE}
_WORDS: Final = {REAL: "real", FAKE: "fake"}
_BLOCK: Final = 2**22
"""Bytes that are parsed at once."""
_LONGEST: Final = 300
"""Characters of a name."""


@dataclass(frozen=True)
class Group:
    """The frames of a video in a domain: one label and the same people at every step.

    Attributes:
        domain: The domain, as the file writes it.
        video: The video.
        label: 0 real, 1 fake.
        person: Who is in it; empty where the file does not say.
    """

    domain: str
    video: str
    label: int
    person: str


@dataclass(frozen=True, eq=False)
class ScoreRows:
    """The rows of a CSV of scores.

    Attributes:
        cell: Which of ``cells`` each is of, int32 [N].
        step: Which of ``steps``, int16 [N].
        group: Which of ``groups``, int32 [N].
        frame: The frame's number, int32 [N].
        score: P(fake), float32 [N].
        cells: Strategy and seed.
        steps: What the file writes for a step, each text once, in the order of first appearance.
        groups: The videos of each domain, in the order of first appearance.
        line: Gives the line of a row in the file.
        left_out: Columns of the file that were not read.
        columns: The file's column by the name that it has here, of those that were.
    """

    cell: NDArray[np.int32]
    step: NDArray[np.int16]
    group: NDArray[np.int32]
    frame: NDArray[np.int32]
    score: NDArray[np.float32]
    cells: tuple[tuple[str, int], ...]
    steps: tuple[str, ...]
    groups: tuple[Group, ...]
    line: Callable[[int], int]
    left_out: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


def read_rows(path: Path, mapped: dict[str, str], strategy: str, *, logits: bool = False) -> ScoreRows:
    """Read a CSV of scores: each row is P(fake) of one frame after one step.

    The file is read in blocks; what is kept of a row is 18 bytes, and every text once.

    Args:
        path: The file.
        mapped: See ``columns_of``.
        strategy: What the method is called where the file has no column ``strategy``; empty if the call names none.
        logits: Whether scores are logits of "fake", which become probabilities by the logistic function.

    Raises:
        BenchError: It cannot be read, a column is missing, or rows are wrong: each kind counted, the first of it named
            by its line.
    """
    where = str(path)
    header = parsing.csv_header(path, "CSV of scores")
    columns = columns_of(header, mapped, where)
    left_out = tuple(name for name in header if name not in columns.values())
    if "strategy" not in columns and not strategy:
        other = f", or --map strategy=COLUMN if a column says it ({unread(left_out)})" if left_out else ""
        raise BenchError(
            f"{where}: has no column 'strategy'; say what the method is called: --strategy NAME{other}"
        )
    if "strategy" in columns and strategy:
        raise BenchError(
            f"{where}: its column {columns['strategy']!r} names strategies; leave --strategy out"
        )
    reader = _Reader(where, columns, strategy, logits)
    for batch in _batches(path, columns, reader.uneven):
        reader.add(batch)
    return reader.rows(left_out)


def _batches(path: Path, columns: dict[str, str], uneven: list[tuple[int, str]]) -> Iterator[pa.RecordBatch]:
    """Parse a CSV block by block, every field as text; note the lines that have more or fewer fields."""
    import pyarrow as pa
    from pyarrow import csv

    def note(row: Any) -> str:
        fields = f"{row.actual_columns} fields where the header has {row.expected_columns}"
        uneven.append((row.number, fields))
        return "skip"

    files.check_regular(path, "CSV of scores")
    try:
        reader = csv.open_csv(
            path,
            csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(columns.values(), pa.string()),
                include_columns=list(dict.fromkeys(columns.values())),
                strings_can_be_null=False,
            ),
        )
        yield from reader
    except pa.ArrowException as error:
        reason = "it is not UTF-8 text; save it as UTF-8" if "UTF8" in str(error) else first_line(error)
        if "include_columns" in reason:
            # The header was read without them.
            reason = "there are blanks around names in its first line; write them without, and the values too"
        raise BenchError(f"{path}: cannot be read as CSV: {reason}") from error


@dataclass
class _Codes:
    """Texts as numbers, in the order of first appearance."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def of(self, texts: list[Any]) -> Ints:
        """Return the number of each text; a new one gets the next."""
        return np.array([self.numbers.setdefault(text, len(self.numbers)) for text in texts], dtype=np.int64)


@dataclass
class _Tally:
    """How many rows of each video have which label, and the line of the first, [G, 2]."""

    counts: Ints = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    lines: Ints = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def add(self, group: Ints, label: Ints, size: int, line: Callable[[NDArray[np.intp]], Ints]) -> None:
        """Count the rows of a batch, of ``size`` videos up to now; those whose label is none are passed over."""
        more = ((0, size - len(self.counts)), (0, 0))
        self.counts, self.lines = np.pad(self.counts, more), np.pad(self.lines, more)
        rows = np.flatnonzero(label >= 0)
        keys, first, counts = np.unique(2 * group[rows] + label[rows], return_index=True, return_counts=True)
        new = self.counts.reshape(-1)[keys] == 0
        self.lines.reshape(-1)[keys[new]] = line(rows[first[new]])
        self.counts.reshape(-1)[keys] += counts


class _Reader:
    """Takes batches of texts and keeps their rows as numbers."""

    def __init__(self, where: str, columns: dict[str, str], strategy: str, logits: bool) -> None:
        self._where, self._columns, self._logits = where, columns, logits
        self._strategy = strategy
        self._faults = Faults()
        self._steps, self._domains, self._videos, self._people = _Codes(), _Codes(), _Codes(), _Codes()
        self._strategies, self._seeds, self._cells, self._groups = _Codes(), _Codes(), _Codes(), _Codes()
        self._labels: list[int] = []
        self._persons: list[int] = []
        self._parts: tuple[list[NDArray[Any]], ...] = ([], [], [], [], [])
        self._tally = _Tally()
        self._whose = _Codes()
        self._rows_whose: list[int] = []
        self._lines_whose: list[int] = []
        self._count = 0
        self._places: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._blanks: list[int] = []
        self._outside = False
        self.uneven: list[tuple[int, str]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Keep the rows of a batch; empty lines are passed over."""
        size, batch = batch.num_rows, self._without_blanks(batch)
        step = self._texts(batch, "step", self._steps)
        domain = self._texts(batch, "domain", self._domains)
        video = self._texts(batch, "video", self._videos)
        person = self._texts(batch, "person", self._people, may_be_empty=True)
        label = self._label(batch)
        score = self._score(batch)
        frame = self._whole(batch, "frame", FRAMES)
        seed = self._whole(batch, "seed", SEEDS)
        strategy = self._texts(batch, "strategy", self._strategies)
        cell = self._pairs(strategy, seed, self._cells)[0]
        group = self._group(domain, video, label, person)
        kinds = (np.int32, np.int16, np.int32, np.int32, np.float32)
        for part, values, kind in zip(self._parts, (cell, step, group, frame, score), kinds, strict=True):
            part.append(values.astype(kind))
        self._count += size

    def rows(self, left_out: tuple[str, ...]) -> ScoreRows:
        """Return all rows.

        Raises:
            BenchError: Some are wrong, or there is none.
        """
        if self.uneven:
            # The lines of other faults would be wrong: these rows were passed over.
            self._faults.kinds = {}
            self._tally, self._whose = _Tally(), _Codes()
            line, fields = min(self.uneven)
            self._faults.add("not as many fields as the header", len(self.uneven), line, fields)
        self._faults.others += self._labelled() + self._peopled()
        self._faults.check(self._where)
        if not self._count - len(self._blanks):
            raise BenchError(f"{self._where}: holds no row; expected one for every frame after every step")
        if self._logits and not self._outside:
            raise BenchError(
                f"{self._where}: --logits, and all scores lie in [0, 1]: these look like probabilities; leave it out"
            )
        cell, step, group, frame, score = map(_joined, self._parts)
        strategies, domains, videos, people = (
            list(codes.numbers) for codes in (self._strategies, self._domains, self._videos, self._people)
        )
        return ScoreRows(
            cell,
            step,
            group,
            frame,
            score,
            tuple((strategies[pair[0]], pair[1]) for pair in self._cells.numbers),
            tuple(self._steps.numbers),
            tuple(
                Group(domains[pair[0]], videos[pair[1]], label, people[person])
                for pair, label, person in zip(self._groups.numbers, self._labels, self._persons, strict=True)
            ),
            lambda row: _file_row(row, self._blanks) + 2,
            left_out,
            self._columns,
        )

    def _without_blanks(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out the empty lines of a batch, and remember which its rows are."""
        import pyarrow.compute as pc

        there = np.zeros(batch.num_rows, dtype=bool)
        for column in batch.columns:
            there |= pc.not_equal(column, "").to_numpy(zero_copy_only=False)
        self._places = np.flatnonzero(there)
        self._blanks += (self._count + np.flatnonzero(~there)).tolist()
        return batch if there.all() else batch.take(self._places)

    def _line(self, row: int) -> int:
        """Return the line of a row of the current batch; the header is line 1."""
        return int(self._count + self._places[row] + 2)

    def _fault(
        self, wrong: NDArray[np.bool_], words: str, found: Callable[[int], str], remedy: str = ""
    ) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            self._faults.add(words, int(wrong.sum()), self._line(row), found(row), remedy)

    def _texts(self, batch: pa.RecordBatch, name: str, codes: _Codes, *, may_be_empty: bool = False) -> Ints:
        """Return the numbers of a column of names; without the column there is one name for all rows."""
        if name not in self._columns:
            only = self._strategy if name == "strategy" else ""
            return np.full(batch.num_rows, codes.of([only])[0], dtype=np.int64)
        encoded = batch[self._columns[name]].dictionary_encode()
        texts = [text.strip() for text in encoded.dictionary.to_pylist()]
        place = encoded.indices.to_numpy(zero_copy_only=False)
        faults = [_name_fault(text, may_be_empty=may_be_empty) for text in texts]
        if any(faults):
            wrong = np.array([bool(fault) for fault in faults])[place]
            column = self._columns[name]
            self._fault(wrong, f"no name in column {column!r}", lambda row: faults[place[row]])
        return np.asarray(codes.of(texts)[place], dtype=np.int64)

    def _label(self, batch: pa.RecordBatch) -> Ints:
        encoded = batch[self._columns["label"]].dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        place = encoded.indices.to_numpy(zero_copy_only=False)
        known = np.array([_LABELS.get(text.strip().lower(), -1) for text in texts], dtype=np.int64)
        labels: Ints = np.asarray(known[place], dtype=np.int64)
        self._fault(
            labels < 0,
            "a label that is not 0, 1, real or fake",
            lambda row: shown(texts[place[row]]),
        )
        return labels

    def _score(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        column = self._columns["score"]
        texts = batch[column]
        values = _numbers(texts)
        self._fault(
            ~np.isfinite(values),
            f"no finite number in column {column!r}",
            lambda row: shown(texts[row].as_py()),
        )
        outside = (values < 0) | (values > 1)
        self._outside |= bool(outside.any())
        if self._logits:
            with np.errstate(over="ignore"):
                return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float64)
        self._fault(
            outside & np.isfinite(values),
            "a score outside of [0, 1]",
            lambda row: shown(texts[row].as_py()),
            "a score is P(fake); if these are logits of it give --logits",
        )
        return values

    def _whole(self, batch: pa.RecordBatch, name: str, below: int) -> Ints:
        """Return a column of whole numbers; zeros without the column."""
        if name not in self._columns:
            return np.zeros(batch.num_rows, dtype=np.int64)
        texts = batch[self._columns[name]]
        values = _numbers(texts)
        with np.errstate(invalid="ignore"):
            wrong = ~((values >= 0) & (values < below) & (values == np.floor(values)))
        self._fault(
            wrong,
            f"no whole number from 0 to {below - 1} in column {self._columns[name]!r}",
            lambda row: shown(texts[row].as_py()),
        )
        return np.asarray(np.where(wrong, 0, values), dtype=np.int64)

    def _pairs(self, first: Ints, second: Ints, codes: _Codes) -> tuple[Ints, Ints, Ints]:
        """Return the number of each pair; of the new pairs that, and the row in which each stands first."""
        known = len(codes.numbers)
        keys, rows, place = np.unique((first << 32) | second, return_index=True, return_inverse=True)
        order = np.argsort(rows)
        pairs = [(int(first[row]), int(second[row])) for row in rows[order]]
        numbers = np.empty(len(keys), dtype=np.int64)
        numbers[order] = codes.of(pairs)
        new = order[numbers[order] >= known]
        return numbers[place], numbers[new], rows[new]

    def _group(self, domain: Ints, video: Ints, label: Ints, person: Ints) -> Ints:
        """Return the number of each row's video in its domain, and count its labels and people."""
        group, _, rows = self._pairs(domain, video, self._groups)
        self._labels += label[rows].tolist()
        self._persons += person[rows].tolist()
        self._tally.add(group, label, len(self._labels), self._line_in_file)
        whose, _, rows = self._pairs(group, person, self._whose)
        self._rows_whose += [0] * len(rows)
        self._lines_whose += self._line_in_file(rows).tolist()
        for pair, count in zip(*np.unique(whose, return_counts=True), strict=True):
            self._rows_whose[pair] += int(count)
        return group

    def _line_in_file(self, rows: NDArray[np.intp]) -> Ints:
        """Return the lines of rows of a batch."""
        return np.asarray(self._count + self._places[rows] + 2, dtype=np.int64)

    def _labelled(self) -> list[str]:
        """Say of the first video that is labelled both ways in which rows it is, and how many more there are."""
        both = np.flatnonzero((self._tally.counts > 0).all(axis=1))
        if not len(both):
            return []
        group = int(both[self._tally.lines[both].max(axis=1).argmin()])
        counts, lines = self._tally.counts[group].tolist(), self._tally.lines[group].tolist()
        rare, usual = sorted((REAL, FAKE), key=lambda label: (counts[label], -lines[label]))
        two = [(_WORDS[label], counts[label], lines[label]) for label in (rare, usual)]
        return [f"{self._video(group)} is {_in_rows(two)}{_more(len(both) - 1, 'both labels')}"]

    def _peopled(self) -> list[str]:
        """Say of the first video that has other people in some rows in which rows who is, and how many more there are."""
        of_groups: dict[int, list[int]] = {}
        for pair, (group, _) in enumerate(self._whose.numbers):
            of_groups.setdefault(group, []).append(pair)
        several = {group: pairs for group, pairs in of_groups.items() if len(pairs) > 1}
        if not several:
            return []
        lines, people = self._lines_whose, list(self._people.numbers)
        group = min(several, key=lambda group: sorted(lines[pair] for pair in several[group])[1])
        persons = [person for _, person in self._whose.numbers]
        pairs = sorted(several[group], key=lambda pair: (self._rows_whose[pair], -lines[pair]))
        # The rarest and the most frequent: of more, these two show what is wrong.
        two = [
            (
                shown(people[persons[pair]]) if people[persons[pair]] else "nobody",
                self._rows_whose[pair],
                lines[pair],
            )
            for pair in (pairs[0], pairs[-1])
        ]
        return [f"the people of {self._video(group)} are {_in_rows(two)}{_more(len(several) - 1, 'several')}"]

    def _video(self, group: int) -> str:
        """Name a video and its domain."""
        domain, video = list(self._groups.numbers)[group]
        names = list(self._videos.numbers)[video], list(self._domains.numbers)[domain]
        return "video {} of domain {}".format(*map(shown, names))


def _in_rows(two: list[tuple[str, int, int]]) -> str:
    """Say in which rows which of two values stands: ``real in 1 row (line 5) and fake in 3 (first line 4)``."""
    (rare, few, first), (usual, many, line) = two
    rows = "1 row (" if few == 1 else f"{few:,} rows (first "
    return (
        f"{rare} in {rows}line {first}) and {usual} in {many:,} ({'' if many == 1 else 'first '}line {line})"
    )


def _more(others: int, what: str) -> str:
    return f"; {others:,} more {'has' if others == 1 else 'have'} {what}" if others else ""


def _file_row(row: int, blanks: list[int]) -> int:
    """Return the place of a row in the file, which has empty lines at some places."""
    for blank in blanks:
        if blank > row:
            break
        row += 1
    return row


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Join the parts of a column, and let go of them: it is not there twice for longer than it takes."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _name_fault(text: str, *, may_be_empty: bool) -> str:
    if not text:
        return "" if may_be_empty else "it is empty"
    if len(text) > _LONGEST:
        return f"it has {len(text)} characters"
    return hidden_fault(text)


def _numbers(texts: pa.Array) -> NDArray[np.float64]:
    """Read texts as numbers; NaN for what is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = pc.cast(pc.utf8_trim_whitespace(texts), pa.float64())
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowException:
        return np.array([_number(text) for text in texts.to_pylist()], dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
