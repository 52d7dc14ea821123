"""Scores of a strategy on every domain of a stream, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import torch

from fretal_bench.benchmark.runner.environment import Phases, measured
from fretal_bench.datasets.manifest import video_key
from fretal_bench.datasets.streams.stream import Stream
from fretal_bench.strategies import life
from fretal_bench.strategies.template import ContinualStrategy


@dataclass
class StepScores:
    """Test and validation scores of one step, and of what came before it; empty where it has none of its own."""

    test: list[pd.DataFrame] = field(default_factory=list)
    validation: list[pd.DataFrame] = field(default_factory=list)

    def add(self, strategy: ContinualStrategy, stream: Stream, step: int, phases: Phases) -> None:
        """Judge every test and validation sample as after ``step``; -1 is the model as it was initialised."""
        self.test.append(scores(strategy, stream, "test", step, phases))
        self.validation.append(scores(strategy, stream, "val", step, phases))


def judges_otherwise(strategy: ContinualStrategy, weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether a strategy has a rule of its own for probabilities, or changed the weights that it adopted."""
    if type(strategy).probabilities is not ContinualStrategy.probabilities:
        return True
    now = strategy.model.state_dict()
    return now.keys() != weights.keys() or any(not torch.equal(now[name], w) for name, w in weights.items())


def scores(
    strategy: ContinualStrategy, stream: Stream, split: str, step: int, phases: Phases
) -> pd.DataFrame:
    """Score every sample of ``split`` of every domain: step, domain, row, label, video, score."""
    parts = []
    with measured(phases, f"evaluate {split}", step, strategy.device.type):
        for domain in stream:
            source = domain.batches(split)
            rows = domain.store.index.iloc[source.rows]
            part = pd.DataFrame(
                {
                    "step": pd.Series([step] * len(rows), dtype="int16"),
                    "domain": pd.Series([domain.name] * len(rows), dtype="str"),
                    "row": pd.Series(source.rows, dtype="int64"),
                    "label": rows["label"].astype("int8").to_numpy(),
                    "video": video_key(rows).to_numpy(),
                    "score": life.judge(strategy, source),
                }
            )
            parts.append(part)
    return pd.concat(parts, ignore_index=True)
