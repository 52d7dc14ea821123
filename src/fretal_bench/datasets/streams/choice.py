"""Which rows of a store a domain has, and which of them it trains on by the protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.manifest import FAKE, SPLITS, video_key
from fretal_bench.datasets.streams.file import DomainFile, Protocol
from fretal_bench.errors import BenchError, nearest

if TYPE_CHECKING:
    import pandas as pd


def named_rows(
    path: Path, domain: DomainFile, index: pd.DataFrame, split: npt.NDArray[Any] | None = None
) -> dict[str, npt.NDArray[np.int64]]:
    """Find the rows of a store that belong to a domain: its fakes, and the reals of its data sets.

    Args:
        path: The stream file, for the errors.
        domain: Names methods, data sets and compressions; where it names none, all of the store's are meant.
        index: The store's.
        split: The split of every row; by default the store's own.

    Returns:
        For ``train``, ``val`` and ``test`` row numbers, int64, ascending.

    Raises:
        BenchError: The store has no rows of something that is named.
    """
    chosen = np.ones(len(index), dtype=bool)
    for key, values, column in (
        ("methods", ("real", *domain.methods) if domain.methods else (), "method"),
        ("datasets", domain.datasets, "dataset"),
        ("compressions", domain.compressions, "compression"),
    ):
        present = set(index[column].unique())
        for value in values:
            if value not in present:
                raise BenchError(
                    f"{path}: domain {domain.name!r}: key {key!r}: "
                    f"no {column} {value!r} in the store {domain.store}{nearest(value, present)}"
                )
        if values:
            chosen &= index[column].isin(values).to_numpy()
    split = index["split"].to_numpy() if split is None else split
    return {name: np.flatnonzero(chosen & (split == name)).astype(np.int64) for name in SPLITS}


def training_rows(
    protocol: Protocol,
    index: pd.DataFrame,
    rows: npt.NDArray[np.int64],
    name: str,
    sharing: Sequence[str],
    *,
    first: bool,
    draw: int = 0,
) -> npt.NDArray[np.int64]:
    """Choose a domain's training rows by the protocol, in whole videos.

    Args:
        protocol: The protocol.
        index: Of the domain's store.
        rows: The domain's rows of the train split, as row numbers of ``index``.
        name: The domain's.
        sharing: The domains between which the real videos are dealt where they are not shared, in the order of the
            stream file: it does not depend on the order in which they are learned.
        first: Whether it is learned first; then its videos are not thinned.
        draw: Which choice of its videos, from 0.

    Returns:
        Row numbers, int64, ascending.
    """
    thinned = protocol.videos_per_class is not None and not first
    if protocol.shared_reals and not thinned:
        return rows
    label = index["label"].to_numpy()[rows]
    key = video_key(index.iloc[rows]).to_numpy()
    real, fake = (np.unique(key[label == value]).tolist() for value in (0, 1))
    if not protocol.shared_reals:
        dealt = sorted(real, key=lambda video: _draw(protocol.seed, "reals", video))
        real = dealt[sharing.index(name) :: len(sharing)]
    if thinned:
        # The first is what a stream without draws has.
        purpose = f"{name}/draw {draw}" if draw else name
        real, fake = (
            sorted(videos, key=lambda video: _draw(protocol.seed, purpose, video))[
                : protocol.videos_per_class
            ]
            for videos in (real, fake)
        )
    return rows[np.isin(key, [*real, *fake])]


def fakes_of(index: pd.DataFrame, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows that are fakes, of row numbers of ``index``."""
    fakes: npt.NDArray[np.int64] = rows[index["label"].to_numpy()[rows] == FAKE]
    return fakes


def _draw(seed: int, purpose: str, video: str) -> bytes:
    # Ranking by a hash, not by a generator: the choice is the same with every version of numpy.
    return hashlib.sha256(f"{seed}/{purpose}/{video}".encode()).digest()
