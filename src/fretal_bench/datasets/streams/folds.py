"""Folds: the people of a stream's stores dealt out so that everybody is tested in exactly one of them.

People who are joined by a fake (whose face it shows, whose video it is) are a *group*, which is never split: groups are
the connected components of that relation. Fold 0 is the stores' own split. Its test people are not tested again: the
other groups are dealt into the other folds, the largest group first, each to the fold that has the fewest people so far;
groups of one size in the order of a hash of their names. The validation people of a later fold are as many as the
stores' own: groups that are not tested in it, in the order of a hash of the fold's number and their names, each that
still fits. All others are trained on.

All that depends on the people and their splits alone, not on the order of rows, on methods, on compressions or on seeds:
streams of the same people have the same folds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError
from fretal_bench.names import shown

if TYPE_CHECKING:
    import pandas as pd

Splits = Mapping[str, str]
"""``train``, ``val`` or ``test`` of every person (``dataset/name``)."""
Group = tuple[str, ...]


def fold_of(seed: int, folds: int) -> int:
    """Return the fold that a seed takes: ``seed mod folds``."""
    return seed % folds


def folds_of(indexes: Mapping[str, pd.DataFrame], folds: int, where: str) -> tuple[Splits, ...]:
    """Deal the people of some stores into folds.

    Args:
        indexes: The index of every store, by what the errors call the store.
        folds: How many.
        where: The stream file and its key, for the errors.

    Returns:
        The splits of each fold; those of the first are the stores' own.

    Raises:
        BenchError: A row names not both of its people, people who are joined by fakes are in several splits, or there are
            too few groups for so many folds.
    """
    own: dict[str, set[str]] = {}
    pairs: set[tuple[str, str]] = set()
    for store, index in indexes.items():
        nameless = int(((index["source"] == "") | (index["target"] == "")).sum())
        if nameless:
            raise BenchError(
                f"{where}: expected rows that say whose face and whose video they show, found {nameless:,} of "
                f"{len(index):,} in {store} that don't; leave the key out"
            )
        kinds = index[["dataset", "source", "target", "split"]].drop_duplicates()
        for dataset, source, target, split in kinds.itertuples(index=False, name=None):
            people = f"{dataset}/{target}", f"{dataset}/{source}"
            pairs.add(people)
            for person in people:
                own.setdefault(person, set()).add(split)
    groups = groups_of(pairs)
    for group in groups:
        splits = set().union(*(own[person] for person in group))
        if len(splits) > 1:
            raise BenchError(
                f"{where}: {shown(group[0])} and all who are joined to that person by fakes are in "
                f"{' and '.join(sorted(splits))}, and folds need them in one split; leave the key out"
            )
    return deal(groups, {person: split for person, (split,) in own.items()}, folds, where)


def groups_of(pairs: Iterable[tuple[str, str]]) -> tuple[Group, ...]:
    """Return the groups of people that pairs join, each sorted, in the order of their first names."""
    leader: dict[str, str] = {}

    def find(person: str) -> str:
        leader.setdefault(person, person)
        while leader[person] != person:
            leader[person] = leader[leader[person]]
            person = leader[person]
        return person

    for first, second in pairs:
        leader[find(first)] = find(second)
    members: dict[str, list[str]] = {}
    for person in leader:
        members.setdefault(find(person), []).append(person)
    return tuple(sorted(tuple(sorted(group)) for group in members.values()))


def deal(groups: Sequence[Group], own: Splits, folds: int, where: str) -> tuple[Splits, ...]:
    """Deal groups into folds by the rule of this module.

    Args:
        groups: Of people who stay together.
        own: The split of every person in fold 0, one for a whole group.
        folds: How many.
        where: The stream file and its key, for the errors.

    Raises:
        BenchError: Fewer groups are left to be tested than there are folds after the first.
    """
    left = [group for group in groups if own[group[0]] != "test"]
    if len(left) < folds - 1:
        raise BenchError(
            f"{where}: expected at most {len(left) + 1} folds, as {len(left)} groups of people joined by fakes are not "
            f"tested by the store's own split, found {folds}; give fewer"
        )
    tested: list[list[Group]] = [[] for _ in range(folds - 1)]
    for group in sorted(left, key=lambda group: (-len(group), _rank("test", group))):
        min(tested, key=_people).append(group)
    count = sum(split == "val" for split in own.values())
    return (dict(own), *(_splits(groups, of, count, fold) for fold, of in enumerate(tested, start=1)))


def _splits(groups: Sequence[Group], tested: Sequence[Group], count: int, fold: int) -> Splits:
    """Return the splits of a fold of which the tested groups are known, and how many people validate."""
    others = [group for group in groups if group not in set(tested)]
    others.sort(key=lambda group: _rank(f"val/{fold}", group))
    validating: list[Group] = []
    for group in others:
        if _people(validating) + len(group) <= count:
            validating.append(group)
    splits = {person: "train" for group in others for person in group}
    for split, chosen in (("val", validating), ("test", tested)):
        splits.update({person: split for group in chosen for person in group})
    return splits


def _people(groups: Sequence[Group]) -> int:
    return sum(map(len, groups))


def _rank(purpose: str, group: Group) -> bytes:
    # Ranking by a hash, not by a generator: the folds are the same with every version of Python and numpy.
    return hashlib.sha256("\0".join(("folds", purpose, *group)).encode()).digest()


def split_column(index: pd.DataFrame, splits: Splits) -> npt.NDArray[Any]:
    """Return the split of every row of a store's index in a fold, ``[N]``: that of its people, who are in one."""
    keys = (index["dataset"] + "/" + index["target"]).to_numpy(dtype=object)
    names, codes = np.unique(keys.astype(str), return_inverse=True)
    column: npt.NDArray[Any] = np.array([splits[str(name)] for name in names], dtype=object)[codes]
    return column
