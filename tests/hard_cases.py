"""Results on awkward test sets, with scores drawn for detectors of a known quality: how far apart reals and fakes lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fretal_bench.benchmark.runner.results import CellResult, Results


@dataclass(frozen=True)
class Videos:
    """How many real and fake videos a domain has.

    Attributes:
        reals: Real videos.
        fakes: Fake videos.
        frames: Frames a video.
        of: The domain whose very videos it has, under another name.
        person: Who is in all videos; by default each has someone else, and nobody is known.
    """

    reals: int
    fakes: int
    frames: int = 4
    of: str = ""
    person: str = ""


def results_on(
    sets: Mapping[str, Videos],
    strategies: Mapping[str, tuple[float, float]],
    seeds: Mapping[str, Sequence[int]] | Sequence[int] = (0, 1, 2),
    threshold: float = 0.0,
) -> Results:
    """Make results.

    Args:
        sets: The test sets, in the order of the stream.
        strategies: For each the distance between reals and fakes after learning, in standard deviations of a frame, and
            how much of it every later domain takes away.
        seeds: Of all strategies, or by label.
        threshold: Where the detector's middle lies, in the same unit: above 0 it calls more samples real.
    """
    cells = []
    for label, (learned, lost) in strategies.items():
        for seed in seeds[label] if isinstance(seeds, Mapping) else seeds:
            id = f"{label}-{seed}"
            scores = scores_of(sets, learned, lost, seed, threshold, label)
            cells.append(
                CellResult(
                    id, label, label, {}, seed, scores, {"phases": []}, Path("results/hard/cells") / id
                )
            )
    plan = {
        "stream": {
            "name": "hard",
            "protocol": {"videos_per_class": 8},
            "domains": [{"name": name, "store": "0123", "rows": {"test": "4567"}} for name in sets],
            "left_out": {},
        },
        "recipe": {"name": "mini", "backbone": "test_resnet", "epochs": 10},
    }
    return Results(Path("results/hard"), plan, tuple(cells), (), ())


def scores_of(
    sets: Mapping[str, Videos], learned: float, lost: float, seed: int, threshold: float, label: str
) -> pd.DataFrame:
    """Draw the scores of one cell; what is hard for one strategy is hard for all, as they judge the same videos."""
    parts = []
    for place, (name, of) in enumerate(sets.items()):
        labels = np.repeat([0] * of.reals + [1] * of.fakes, of.frames)
        videos = np.repeat(np.arange(of.reals + of.fakes), of.frames)
        source = of.of or name
        shared = np.random.default_rng([sum(map(ord, source)), 7])
        of_video = shared.normal(0, 0.5, of.reals + of.fakes)[videos]
        own = np.random.default_rng([seed, sum(map(ord, label)), place])
        for step in range(-1, len(sets)):
            learned_at = [
                at for at, other in enumerate(sets) if (sets[other].of or other) == source and at <= step
            ]
            apart = learned - lost * (step - learned_at[-1]) if learned_at else 0.0
            logit = apart * (labels - 0.5) + of_video + own.normal(0, 0.7, len(labels)) - threshold
            frame = pd.DataFrame(
                {
                    "step": np.int16(step),
                    "domain": name,
                    "row": np.arange(len(labels)),
                    "label": labels.astype(np.int8),
                    "video": [f"{source}/{number}" for number in videos],
                    "score": (1 / (1 + np.exp(-2 * logit))).astype(np.float32),
                }
            )
            parts.append(frame.assign(people=of.person) if of.person else frame)
    return pd.concat(parts, ignore_index=True)
