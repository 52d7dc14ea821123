"""The check that models are judged on people and videos that they were not trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fretal_bench.datasets.manifest import split_crossings
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd


def check_apart(trained: Iterable[Domain], judged: Iterable[Domain]) -> None:
    """Refuse test sets that hold a person or a video that was trained on.

    As inside of a stream (``manifest.check_splits``), a person is known by data set and name, as source or as target,
    and a video is one recording in all its codings. So FaceForensics++ at c40 may judge models trained on c23, if both
    are split alike; people of different data sets are different people, and where a data set names none, its videos
    alone are compared.

    Args:
        trained: The domains that models were trained on; their train and val rows count, since validation chooses.
        judged: The domains whose test rows are to be judged.

    Raises:
        BenchError: A test set holds such rows; the message counts people and videos and names the first.
    """
    import pandas as pd

    seen = [_rows(domain, "train", "val").assign(split="trained") for domain in trained]
    if not seen:
        return
    training = pd.concat(seen, ignore_index=True)
    for domain in judged:
        test = _rows(domain, "test").assign(split="judged")
        crossings = dict(split_crossings(pd.concat([training, test], ignore_index=True)))
        found = {kind: crossing["name"].nunique() for kind, crossing in crossings.items()}
        if any(found.values()):
            kind = next(kind for kind, count in found.items() if count)
            first = crossings[kind].iloc[0]
            raise BenchError(
                f"{domain.store.path}: test set {domain.name!r} holds {_counted(found['person'], 'person', 'people')} "
                f"and {_counted(found['video'], 'video', 'videos')} that the models were trained or chosen on, e.g. "
                f"{kind} {first['name']!r} of domain {training['domain'].iloc[first['row']]!r}; prepare it with the "
                "splits of the data that they were trained on (`bench data prepare --split-path`), or leave these out"
            )


def _rows(domain: Domain, *splits: str) -> pd.DataFrame:
    rows = np.concatenate([domain.rows[split] for split in splits])
    columns = ["dataset", "method", "video", "source", "target"]
    return domain.store.index[columns].take(rows).drop_duplicates().assign(domain=domain.name)


def _counted(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"
