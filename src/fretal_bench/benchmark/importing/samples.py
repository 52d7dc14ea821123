"""The test samples that imported scores are of: the same after every step, by domain, and in folds where seeds differ."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fretal_bench.benchmark.importing.columns import Fault, unread
from fretal_bench.benchmark.importing.keys import OWN, are_keys, people_of, video_keys
from fretal_bench.benchmark.importing.order import find_order
from fretal_bench.benchmark.importing.rows import Group, Ints, ScoreRows
from fretal_bench.datasets.streams.folds import fold_of
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

_SHIFT = 32
"""A sample's key is the place of its video times 2^32, and its frame."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of all cells.

    Attributes:
        domains: Their names, in the order in which they are learned.
        videos: The key of each video of a domain, sorted by domain and key, [G].
        labels: Of each, int8 [G].
        people: Who is in each, as ``manifest.people_key``; empty texts where nobody is known.
        domain_of: The place of each video's domain, [G].
        keys: All samples, ascending, int64 [U]: place of the video << 32 | frame.
        folds: For each fold the samples that are tested in it, ascending.
        place_of: The place of each of the file's groups among ``videos``.
        has_untrained: Whether there are scores before any training.
        order: The rows of the file by cell and step, [N].
        starts: Where those of each cell and step begin in it: cell c and step s at ``c (T + 1) + s + 1``.
        dataset: What the data set of the videos is called here, as their names do not say it; empty where they do.
        called: What the file calls each video, [G].
        after: When each step is, in the file's own words.
    """

    domains: tuple[str, ...]
    videos: tuple[str, ...]
    labels: NDArray[np.int8]
    people: tuple[str, ...]
    domain_of: Ints
    keys: Ints
    folds: tuple[Ints, ...]
    place_of: Ints
    has_untrained: bool
    order: NDArray[np.intp]
    starts: Ints
    dataset: str
    called: tuple[str, ...]
    after: Mapping[int, str]

    @property
    def steps(self) -> range:
        """The steps that have scores."""
        return range(-1 if self.has_untrained else 0, len(self.domains))

    def of(self, rows: ScoreRows, cell: int, step: int) -> tuple[Ints, NDArray[np.intp]]:
        """Return the samples that a cell was judged on after a step, ascending, and the row of each in the file."""
        block = cell * (len(self.domains) + 1) + step + 1
        chosen = self.order[self.starts[block] : self.starts[block + 1]]
        keys = (self.place_of[rows.group[chosen]] << _SHIFT) | rows.frame[chosen].astype(np.int64)
        ascending = np.argsort(keys, kind="stable")
        return keys[ascending], chosen[ascending]

    def fold(self, seed: int) -> Ints:
        """Return the samples that a seed is tested on."""
        return self.folds[fold_of(seed, len(self.folds))]

    def rows(self, keys: Ints) -> Ints:
        """Return the row numbers of samples: their places among all of their domain."""
        place = np.searchsorted(self.keys, keys)
        first = np.searchsorted(self.domain_of[self.keys >> _SHIFT], np.arange(len(self.domains)))
        return np.asarray(place - first[self.domain_of[keys >> _SHIFT]], dtype=np.int64)

    def content(self, domain: int) -> str:
        """Return a SHA-256 of what a domain's samples are: videos, labels, people, frames."""
        digest = hashlib.sha256()
        places = np.flatnonzero(self.domain_of == domain)
        for place in places.tolist():
            digest.update(f"{self.videos[place]}\0{self.labels[place]}\0{self.people[place]}\n".encode())
        inside = np.isin(self.keys >> _SHIFT, places)
        digest.update((self.keys[inside] - (int(places[0]) << _SHIFT)).tobytes())
        return digest.hexdigest()


def find_samples(
    rows: ScoreRows, domains: Sequence[str], dataset: str, where: str, *, of_stream: bool = False
) -> Samples:
    """Find the samples, and check that every cell has a score of each after every step.

    Args:
        rows: The rows of the file.
        domains: The domains in the order in which they are learned; none = as they first appear in the file.
        dataset: What the data set of videos is called whose names say nothing of it; empty if the call names none.
        where: The file, for the errors.
        of_stream: Whether ``domains`` are those of a stream that the call names.

    Raises:
        BenchError: A domain or step is unknown or missing, a sample is scored twice or not after every step, or seeds
            have samples that are neither the same nor those of folds.
    """
    order_of = find_order(rows, domains, where, of_stream=of_stream)
    names = order_of.domains
    dataset = _dataset(rows.groups, dataset, where)
    keys = video_keys(rows.groups, dataset, where)
    people = people_of(rows.groups, keys, where)
    place = {name: number for number, name in enumerate(names)}
    order = sorted(range(len(rows.groups)), key=lambda g: (place[rows.groups[g].domain], keys[g]))
    place_of = np.empty(len(order), dtype=np.int64)
    place_of[order] = np.arange(len(order))
    twice = [keys[g] for g, h in itertools.pairwise(order) if _same(rows.groups, keys, g, h)]
    if twice:
        raise BenchError(f"{where}: two videos of one domain are both called {shown(twice[0])}; rename one")
    by_block, starts = _blocks(rows, order_of.steps, len(names))
    samples = Samples(
        names,
        tuple(keys[g] for g in order),
        np.array([rows.groups[g].label for g in order], dtype=np.int8),
        tuple(people[g] for g in order),
        np.array([place[rows.groups[g].domain] for g in order], dtype=np.int64),
        np.zeros(0, dtype=np.int64),
        (),
        place_of,
        bool((order_of.steps == -1).any()),
        by_block,
        starts,
        dataset,
        tuple(rows.groups[g].video for g in order),
        order_of.after,
    )
    folds = _folds(_by_seed(rows, samples, where), samples, where)
    every = folds[0] if len(folds) == 1 else np.unique(np.concatenate(folds))
    return replace(samples, keys=every, folds=tuple(folds))


def _blocks(rows: ScoreRows, steps: NDArray[np.int16], domains: int) -> tuple[NDArray[np.intp], Ints]:
    """Sort rows by cell and step, and say where those of each begin."""
    count = domains + 1
    block = rows.cell * np.int32(count) + (steps + 1).astype(np.int32)[rows.step]
    order = np.argsort(block, kind="stable")
    sizes = np.bincount(block, minlength=len(rows.cells) * count)
    return order, np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def _dataset(groups: Sequence[Group], named: str, where: str) -> str:
    """Return what the data set of the videos is called; empty where their names say it."""
    if not are_keys(groups):
        return named or OWN
    if named:
        raise BenchError(
            f"{where}: --dataset {shown(named)}, and all videos are named with their data set "
            f"({shown(groups[0].video)}); leave it out"
        )
    return ""


def _same(groups: Sequence[Group], keys: Sequence[str], one: int, other: int) -> bool:
    return groups[one].domain == groups[other].domain and keys[one] == keys[other]


def _by_seed(rows: ScoreRows, samples: Samples, where: str) -> dict[int, Ints]:
    """Return the samples of each seed, once every cell of it has each of them exactly once after every step."""
    twice = Fault(
        "a score of a sample that has one already (step, domain, video, frame, seed)", _mapping(rows)
    )
    by_seed: dict[int, Ints] = {}
    for number, (_, seed) in enumerate(rows.cells):
        for step in samples.steps:
            keys, places = samples.of(rows, number, step)
            _check_domains(keys, samples, rows.cells[number], step, where)
            again = places[1:][keys[1:] == keys[:-1]]
            if len(again):
                _count(twice, rows, samples, again)
                keys = np.unique(keys)
            known = by_seed.get(seed)
            if known is None or not np.array_equal(known, keys):
                by_seed[seed] = keys if known is None else np.union1d(known, keys)
    if twice.count:
        raise BenchError(f"{where}: {twice}; nothing was imported")
    missing, first = 0, ""
    for number, (strategy, seed) in enumerate(rows.cells):
        for step in samples.steps:
            keys, _ = samples.of(rows, number, step)
            if len(keys) < len(by_seed[seed]):
                lacking = by_seed[seed][~np.isin(by_seed[seed], keys)]
                missing += len(lacking)
                what = f"{strategy}, seed {seed}: {_sample(int(lacking[0]), samples)} {samples.after[step]}"
                first = first or what
    if missing:
        scores = "1 score is" if missing == 1 else f"{missing:,} scores are"
        raise BenchError(
            f"{where}: {scores} missing, the first of {first}; every sample is scored after every step, or leave it out "
            "everywhere"
        )
    return by_seed


def _mapping(rows: ScoreRows) -> str:
    """Say which columns that were not read may tell samples apart; nothing if all were read."""
    kinds = {"strategy": "strategies", "seed": "seeds", "frame": "frames of a video"}
    lacking = [name for name in kinds if name not in rows.columns]
    if not (lacking and rows.left_out):
        return ""
    columns = ",".join(f"{name}=COLUMN" for name in lacking)
    several = " or ".join(kinds[name] for name in lacking)
    return f"if the file holds several {several}: --map {columns} ({unread(rows.left_out)})"


def _check_domains(keys: Ints, samples: Samples, cell: tuple[str, int], step: int, where: str) -> None:
    """Check that every domain has a score after a step."""
    there = set(samples.domain_of[np.unique(keys >> _SHIFT)].tolist())
    for number, name in enumerate(samples.domains):
        if number not in there:
            raise BenchError(
                f"{where}: {cell[0]}, seed {cell[1]}: domain {name!r} has no score {samples.after[step]}; every "
                "domain is scored after every step, those that are not learned yet too"
            )


def _count(fault: Fault, rows: ScoreRows, samples: Samples, places: NDArray[np.intp]) -> None:
    """Count rows of a fault, and remember the first of them by its line."""
    first = int(places.min())
    line = rows.line(first)
    if not fault.count or line < fault.line:
        key = (int(samples.place_of[rows.group[first]]) << _SHIFT) | int(rows.frame[first])
        fault.line, fault.found = line, _sample(key, samples)
    fault.count += len(places)


def _sample(key: int, samples: Samples) -> str:
    place = key >> _SHIFT
    domain = samples.domains[int(samples.domain_of[place])]
    return f"domain {domain!r}, video {shown(samples.called[place])}, frame {key & (2**_SHIFT - 1)}"


def _folds(by_seed: Mapping[int, Ints], samples: Samples, where: str) -> list[Ints]:
    """Return the samples of each fold: one where all seeds have the same.

    Raises:
        BenchError: Seeds have samples that overlap, or not seed s those of fold s mod the number of folds.
    """
    classes: list[Ints] = []
    of_seed: dict[int, int] = {}
    for seed, keys in by_seed.items():
        equal = (number for number, other in enumerate(classes) if np.array_equal(other, keys))
        number = next(equal, len(classes))
        if number == len(classes):
            for other_seed, other in ((s, classes[n]) for s, n in of_seed.items()):
                common = np.intersect1d(other, keys)
                if len(common):
                    odd = np.setxor1d(other, keys)
                    raise BenchError(
                        f"{where}: seeds {other_seed} and {seed} are tested on samples that are neither the same nor "
                        f"all different: {len(common):,} in common, {len(odd):,} of one alone, the first "
                        f"{_sample(int(odd[0]), samples)}; score the same samples with every seed"
                    )
            classes.append(keys)
        of_seed[seed] = number
    count = len(classes)
    by_fold = {fold_of(seed, count): number for seed, number in of_seed.items()}
    if len(by_fold) < count or any(by_fold[fold_of(seed, count)] != n for seed, n in of_seed.items()):
        raise BenchError(
            f"{where}: seeds are tested on {count} different sets of samples; expected folds, seed s being of fold s mod "
            f"{count}: number the seeds so"
        )
    return [classes[by_fold[fold]] for fold in range(count)]
