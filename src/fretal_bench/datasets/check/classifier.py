"""The plain classifier of the search for shortcuts: what it counts, permuted labels, and its accuracy by people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.importers.row_table import numbered

Floats = npt.NDArray[np.float64]
_FOLDS: Final = 5
_DISTINCT: Final = 16
_STRETCHES: Final = 8


class Units:
    """What counts as one: all files of a person and a class.

    Attributes:
        person: Number of each unit's person, [units].
        label: Label of each unit, [units].
        of: Each file's unit, [files].
    """

    def __init__(self, files: Sequence[tuple[str, str, int]]) -> None:
        """Put files together, each given by path, person and label."""
        numbers: dict[tuple[str, int], int] = {}
        self.of = np.array([numbers.setdefault(file[1:], len(numbers)) for file in files], np.int64)
        people = {person: n for n, person in enumerate(dict.fromkeys(person for person, _ in numbers))}
        self.person = np.array([people[person] for person, _ in numbers], np.int64)
        self.label = np.array([label for _, label in numbers], np.int64)

    def shares(self, values: npt.NDArray[np.int64]) -> Floats:
        """Of each unit's files the share that has each value, [units, values]."""
        shares = np.zeros((len(self.label), int(values.max()) + 1))
        np.add.at(shares, (self.of, values), 1)
        total: Floats = shares.sum(axis=1, keepdims=True)
        return shares / total

    def permuted(self, count: int, random: np.random.Generator) -> Floats:
        """Labels of as many permutations, the true ones first, [units, 1 + count]."""
        labels = np.repeat(self.label[:, None], count + 1, axis=1).astype(np.float64)
        paired = np.bincount(self.person)[self.person] == 2
        swaps = random.integers(0, 2, (int(self.person.max()) + 1, count))
        swaps_of_unit = swaps[self.person[paired]]
        labels[paired, 1:] = np.where(swaps_of_unit == 1, 1 - labels[paired, 1:], labels[paired, 1:])
        alone = np.flatnonzero(~paired)
        labels[alone, 1:] = random.permuted(labels[alone, 1:], axis=0)
        return labels


def cross_validated(shares: Floats, labels: Floats, person: npt.NDArray[np.int64]) -> Floats:
    """Cross-validated balanced accuracy of the plain classifier, for each column of labels, [columns]."""
    fake, real = labels.sum(axis=0), (1 - labels).sum(axis=0)
    hits = np.zeros((2, labels.shape[1]))
    fold = person % _FOLDS
    for number in range(_FOLDS):
        held = fold == number
        inside, outside = shares[held], shares[~held]
        trained = outside.T @ labels[~held]
        rates = trained / np.maximum(labels[~held].sum(axis=0), 1)
        others = (outside.sum(axis=0)[:, None] - trained) / np.maximum((1 - labels[~held]).sum(axis=0), 1)
        # Half a hit where the table doesn't say.
        says = 0.5 + 0.5 * np.sign(np.where(np.abs(rates - others) < 1e-9, 0, rates - others))
        tested = inside.T @ labels[held]
        hits[0] += (says * tested).sum(axis=0)
        hits[1] += ((1 - says) * (inside.sum(axis=0)[:, None] - tested)).sum(axis=0)
    balanced: Floats = (hits[0] / fake + hits[1] / real) / 2
    return balanced


def valued(values: Sequence[str | float]) -> npt.NDArray[np.int64]:
    """Number the values of a fact; of a number with many, the stretches that it lies in. Unknown is a value too."""
    if isinstance(values[0], str) or len(set(map(str, values))) <= _DISTINCT:
        return numbered([str(value) for value in values])
    numbers = np.array(values, np.float64)
    edges = np.unique(np.nanquantile(numbers, np.arange(1, _STRETCHES) / _STRETCHES))
    return numbered(np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers)).tolist())
