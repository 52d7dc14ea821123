"""The model that the strategies of a run begin with: what reports call it, and whether one that was brought can judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench.benchmark.runner.results import Results
from fretal_bench.datasets.streams.domain import NO_ROWS
from fretal_bench.metrics.detection import auc

if TYPE_CHECKING:
    import pandas as pd

UNTRAINED: Final = "untrained"
SOURCE: Final = "source model"
_ALIKE: Final = 1e-3
"""P(fake) that differs by no more than this over a test set tells nothing apart."""


def words_before(plan: Mapping[str, Any]) -> str:
    """Name what a run judges before any training: an untrained model, or the one that the user brought."""
    return SOURCE if plan["stream"].get("brought") else UNTRAINED


def doubts(results: Results) -> tuple[str, ...]:
    """Say of a source model that was brought on which old test sets it judges as no detector would, a sentence each.

    Old are the domains that nobody learns: those it should know. An AUC below 0.5 asks whether its outputs are swapped; a
    P(fake) that is almost the same for all samples says so.
    """
    stream = results.plan["stream"]
    if not stream.get("brought") or not results.cells:
        return ()
    old = [domain["name"] for domain in stream["domains"] if domain["rows"]["train"] == NO_ROWS]
    scores = results.cells[0].scores
    before = scores[scores["step"] == -1]
    parts = {name: before[before["domain"] == name] for name in old}
    return tuple(filter(None, (_doubt(name, part) for name, part in parts.items() if len(part))))


def _doubt(name: str, samples: pd.DataFrame) -> str:
    score = samples["score"].to_numpy(np.float64)
    low, high = float(score.min()), float(score.max())
    if high - low <= _ALIKE:
        return (
            f"The source model gives all {len(score)} test samples of {name} almost the same P(fake), {low:.3f} to "
            f"{high:.3f}: it tells nothing apart; check its weights, its backbone and how pixels are scaled."
        )
    area = auc(samples["label"].to_numpy(), score)
    if area < 0.5:
        return (
            f"The source model has an AUC of {area:.3f} on {name}, which is below 0.5: are its outputs swapped? --fake "
            "says which of them is fake."
        )
    return ""
