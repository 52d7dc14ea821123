"""Splits of a data set by person, so that no face is trained on and tested on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fretal_bench import parsing, records
from fretal_bench.errors import BenchError
from fretal_bench.records import Record

# FaceForensics++'s own proportions: 720, 140 and 140 of 1,000 videos.
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.72, "val": 0.14, "test": 0.14}

# A split that got less than this part of its share is called starved, and whole components are given up.
_STARVED = 0.5
_REMEDY = "name the store.json of a store that was split by identity"


@dataclass(frozen=True)
class IdentitySplit(Record):
    """Which split every person belongs to.

    Attributes:
        assignment: Identity -> split.
        fractions: Split -> wanted share.
        seed: What the shuffle was seeded with.
        components: Number of connected components (people linked by a fake) that the videos form.
        cut: True if people who are linked had to be separated, because one component held nearly everybody; the fakes
            that link two splits then belong to none.
    """

    assignment: Mapping[str, str]
    fractions: Mapping[str, float]
    seed: int
    components: int
    cut: bool

    def split_of(self, identities: Iterable[str]) -> str | None:
        """Return the split all these people share; None if they are in several, or one is unknown here."""
        splits = {self.assignment.get(identity) for identity in identities}
        return splits.pop() if len(splits) == 1 else None

    @classmethod
    def load(cls, path: Path) -> IdentitySplit:
        """Read the split by identity of a crop store that was prepared with one, from its ``store.json``.

        Raises:
            BenchError: The file is missing, isn't JSON, or holds no split by identity.
        """
        store = parsing.read_json(path, "split file", _REMEDY)
        details = store.get("details") if isinstance(store, dict) else None
        split = details.get("identity_split") if isinstance(details, dict) else None
        if split is None:
            raise BenchError(
                f"{path}: expected the store.json of a store that was split by identity, found none in it; {_REMEDY}"
            )
        return records.read(cls, split, str(path))


def connected_identities(videos: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """Group people who are linked by videos that show two of them.

    Args:
        videos: For each video the identities in it (source and target of a fake).

    Returns:
        The components, each sorted, ordered by their first identity.
    """
    parent: dict[str, str] = {}

    def root_of(identity: str) -> str:
        while parent.setdefault(identity, identity) != identity:
            parent[identity] = parent[parent[identity]]
            identity = parent[identity]
        return identity

    for identities in videos:
        for other in identities[1:]:
            a, b = sorted((root_of(identities[0]), root_of(other)))
            parent[b] = a
        if len(identities) == 1:
            root_of(identities[0])
    groups: dict[str, list[str]] = {}
    for identity in sorted(parent):
        groups.setdefault(root_of(identity), []).append(identity)
    return sorted(tuple(group) for group in groups.values())


def split_by_identity(
    videos: Sequence[Sequence[str]],
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    seed: int = 0,
    *,
    may_cut: bool = True,
) -> IdentitySplit:
    """Give every person one split, so that the shares of videos come near the wanted ones.

    Connected components go whole, the largest first, each to the split that lacks most. Where that starves a split (in
    some sets everybody is linked with everybody) and ``may_cut`` holds, people are dealt out one by one instead; a fake
    of two people in different splits then has none, and the caller counts it as left out.

    Args:
        videos: For each video the identities in it.
        fractions: Split -> share; they are normalised to one.
        seed: Seeds the order among equals.
        may_cut: Whether a component may be taken apart.

    Returns:
        The assignment; the same for the same videos in any order.

    Raises:
        BenchError: A fraction is negative, or all are zero.
    """
    total = sum(fractions.values())
    if total <= 0 or min(fractions.values()) < 0:
        raise BenchError(
            f"split fractions must be positive, found {dict(fractions)}; give e.g. 0.72, 0.14, 0.14"
        )
    shares = {split: value / total for split, value in fractions.items() if value > 0}
    components = connected_identities(videos)
    component_of = {identity: number for number, group in enumerate(components) for identity in group}
    weights = Counter(component_of[identities[0]] for identities in videos if identities)
    assignment, filled = _deal(components, [weights[n] for n in range(len(components))], shares, seed)
    starved = any(filled[split] < _STARVED * share * len(videos) for split, share in shares.items())
    cut = may_cut and starved and len(component_of) > len(components)
    if cut:
        people = [(identity,) for identity in sorted(component_of)]
        assignment, _ = _deal(people, [1] * len(people), shares, seed)
    return IdentitySplit(assignment, dict(fractions), seed, len(components), cut)


def _deal(
    groups: Sequence[tuple[str, ...]], weights: Sequence[int], shares: Mapping[str, float], seed: int
) -> tuple[dict[str, str], dict[str, int]]:
    """Deal groups out, the heaviest first, each to the split that lacks most; equals in a seeded order."""
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda n: -weights[n])
    everything = sum(weights)
    filled = dict.fromkeys(shares, 0)
    assignment: dict[str, str] = {}
    for left, n in zip(range(len(order), 0, -1), order, strict=True):
        # The last groups go to splits that have none yet.
        empty = [name for name in shares if not filled[name]]
        candidates = empty if left <= len(empty) else shares
        split = max(candidates, key=lambda name: shares[name] * everything - filled[name])
        filled[split] += weights[n]
        assignment.update(dict.fromkeys(groups[n], split))
    return assignment, filled
