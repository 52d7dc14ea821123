"""Clusters of test samples: people joined by fakes, people, or videos, of which a run's test sets are made.

Samples of one cluster share a face, so that what a detector does with one says something of the other; samples of two
clusters are taken to be independent. Everything that speaks of other people counts clusters, not samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

JOINED: Final = "people joined by fakes"
PEOPLE: Final = "people"
VIDEOS: Final = "videos"
MIXED: Final = "people, and videos of nobody known"
MOST_OF_ONE: Final = 0.5
"""Where joining people puts more than this share of the samples into one cluster, they are not joined."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of a run's test samples.

    Attributes:
        unit: What a cluster is, in words: ``people joined by fakes``, ``people``, ``videos``, or ``people, and videos of
            nobody known`` where some videos say who is in them and some do not.
        count: How many clusters.
        people: How many people are in the samples; 0 where nobody is known.
        note: Why people are not joined, in a sentence; empty where they are or where there is nothing to join.
        of_video: The cluster of each video, 0 to ``count`` - 1.
    """

    unit: str
    count: int
    people: int
    note: str
    of_video: Mapping[str, int]

    def of(self, videos: pd.Series[str]) -> npt.NDArray[np.int64]:
        """Return the cluster of each sample, ``[n]``, by the key of its video.

        Raises:
            KeyError: A video is none of those that the clusters are of.
        """
        import pandas as pd

        codes, names = pd.factorize(videos)
        return np.array([self.of_video[str(name)] for name in names], dtype=np.int64)[codes]


def find_clusters(samples: Sequence[pd.DataFrame]) -> Clusters:
    """Find the clusters of all test samples of a run.

    People who stand in one video, the filmed one and the one whose face was put there, are joined; a cluster is a
    connected component of people. Where that would leave one cluster of more than half of the samples, a video is of the
    filmed person alone. A video of nobody known is a cluster of its own.

    Args:
        samples: Test samples, a table for every set of them that a seed was judged on: columns ``domain``, ``row``,
            ``video``, and where it is known ``people``: who is in the sample, the filmed person first, joined by ``+``.
            A sample that stands in several tables counts once.

    Returns:
        Clusters, numbered in the order of the names of their first people, then of videos.
    """
    sizes, people_of = _videos(samples)
    everybody = sorted({person for people in people_of.values() for person in people})
    joined = any(len(people) > 1 for people in people_of.values())
    cluster_of = _components(everybody, list(people_of.values()))
    of_video = {video: cluster_of[people[0]] for video, people in people_of.items() if people}
    shares: Counter[int] = Counter()
    for video, cluster in of_video.items():
        shares[cluster] += sizes[video]
    largest = max(shares.values(), default=0) / max(1, sum(sizes.values()))
    unit, note = JOINED if joined else PEOPLE, ""
    if joined and largest > MOST_OF_ONE:
        unit = PEOPLE
        filmed = sorted({people[0] for people in people_of.values() if people})
        numbers = {person: number for number, person in enumerate(filmed)}
        of_video = {video: numbers[people[0]] for video, people in people_of.items() if people}
        note = (
            f"Joined by fakes, one cluster of people would hold {100 * largest:.0f}% of the samples: each sample counts "
            "for the person who was filmed alone, and that others' faces are in several of them is left out of account."
        )
    nobody = sorted(video for video, people in people_of.items() if not people)
    first = 1 + max(of_video.values(), default=-1)
    if nobody:
        unit = MIXED if everybody else VIDEOS
    of_video |= {video: first + number for number, video in enumerate(nobody)}
    return Clusters(unit, first + len(nobody), len(everybody), note, of_video)


def _videos(samples: Sequence[pd.DataFrame]) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """Give of each video how many samples it has, each counted once, and who is in it."""
    import pandas as pd

    columns = ["domain", "row", "video"]
    parts = [
        table[columns].assign(people=table["people"].fillna("") if "people" in table.columns else "")
        for table in samples
    ]
    if not parts:
        return {}, {}
    together = pd.concat(parts, ignore_index=True)
    sizes = together.drop_duplicates(["domain", "row"]).groupby("video", observed=True).size()
    people_of: dict[str, tuple[str, ...]] = {}
    # A cell of an earlier version does not say who is in a video that another cell knows.
    for video, names in together[["video", "people"]].drop_duplicates().itertuples(index=False, name=None):
        people = tuple(str(names).split("+")) if names else ()
        people_of[str(video)] = tuple(dict.fromkeys((*people_of.get(str(video), ()), *people)))
    return {str(video): int(size) for video, size in sizes.items()}, people_of


def _components(people: Sequence[str], groups: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return the number of each person's connected component, in the order of their first people."""
    # Not scipy's: a tenth of a second to import, for some hundred people.
    leader = {person: person for person in people}

    def lead(person: str) -> str:
        while leader[person] != person:
            leader[person] = person = leader[leader[person]]
        return person

    for group in groups:
        for other in group[1:]:
            leader[lead(other)] = lead(group[0])
    labels = [lead(person) for person in people]
    order = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return {person: order[label] for person, label in zip(people, labels, strict=True)}
