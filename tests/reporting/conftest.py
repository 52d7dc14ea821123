"""Made-up results as ``load_results`` gives them, with a known forgetting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.runner.results import CellFailure, CellResult, MissingCell, Results

DOMAINS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def scores_of(r: np.ndarray, domains: Sequence[str], per_video: int = 2, videos: int = 50) -> pd.DataFrame:
    """Scores whose accuracy on domain j at step i (row 0 = step -1) is exactly r[i, j], to 1 in 100."""
    n = per_video * videos
    row = np.arange(n)
    parts = []
    for i, accuracies in enumerate(r):
        for name, value in zip(domains, accuracies, strict=True):
            label = row // per_video % 2
            # Spread evenly over the test set, so that reals and fakes are hit alike.
            right = (row * 37 % n) < round(value * n)
            sure = 0.55 + 0.4 * ((row * 61 % n) / n)
            parts.append(
                pd.DataFrame(
                    {
                        "step": np.int16(i - 1),
                        "domain": name,
                        "row": row,
                        "label": label.astype(np.int8),
                        "video": [f"set/{name}/c23/{k // per_video}" for k in row],
                        "score": np.where(right == (label == 1), sure, 1 - sure).astype(np.float32),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def course(t: int, learned: float, lost: float, shift: float = 0.0) -> np.ndarray:
    """R under its baseline, [t + 1, t]: learned to ``learned``, ``lost`` with each later step, 0.5 before."""
    r = np.full((t + 1, t), 0.5)
    for j in range(t):
        for i in range(j, t):
            r[i + 1, j] = max(0.5, learned - lost * (i - j) + shift)
        for i in range(j):
            r[i + 1, j] = 0.5 + 0.03 * (i + 1)
    return r


ENVIRONMENT = {
    "versions": {"python": "3.11.7", "fretal-bench": "0.1.0", "torch": "2.13.0"},
    "device": "cpu",
    "commit": "0123456789ab",
    "phases": [
        {"phase": "train", "step": 0, "seconds": 20.0, "peak_memory_mb": 700.0},
        {"phase": "evaluate test", "step": 0, "seconds": 5.0, "peak_memory_mb": 900.0},
        {"phase": "train", "step": 1, "seconds": 10.5, "peak_memory_mb": 800.0},
    ],
}

# Learned to, lost a step.
KNOWN = {
    "finetuning": (0.95, 0.14),
    "lwf": (0.92, 0.08),
    "ewc": (0.90, 0.06),
    "fretal": (0.93, 0.04),
    "zero-shot": (0.60, 0.0),
    "joint": (0.94, 0.0),
}


@pytest.fixture(scope="session")
def make() -> Callable[..., Results]:
    """Build results: ``make({"ewc": (learned, lost)}, seeds=3, domains=("a", "b"))``; seeds differ by a little."""

    def build(
        strategies: Mapping[str, tuple[float, float]] | None = None,
        seeds: int = 3,
        domains: Sequence[str] = DOMAINS,
        failed: Mapping[tuple[str, int], str] | None = None,
        missing: Sequence[tuple[str, int]] = (),
    ) -> Results:
        strategies = (
            {"finetuning": KNOWN["finetuning"], "ewc": KNOWN["ewc"]} if strategies is None else strategies
        )
        cells = []
        for number, (label, (learned, lost)) in enumerate(strategies.items()):
            for seed in range(seeds):
                # Whole samples of 100; strategies are shifted alike, but not quite.
                shift = 0.01 * (seed % 3) + (0.01 if (seed + number) % 4 == 0 else 0.0)
                strategy = label.partition("(")[0]
                hyperparameters = {"temperature": 2.0} if strategy in ("lwf", "fretal") else {}
                scores = scores_of(course(len(domains), learned, lost, shift), domains)
                id = f"{label}-{seed}"
                path = Path("results/test/cells") / id
                cells.append(
                    CellResult(id, strategy, label, hyperparameters, seed, scores, ENVIRONMENT, path)
                )
        failures = [
            CellFailure(f"{label}-{seed}", label, seed, reason, "")
            for (label, seed), reason in (failed or {}).items()
        ]
        plan: dict[str, Any] = {
            "stream": {
                "name": "test-stream",
                "protocol": {"videos_per_class": 8, "shared_reals": True},
                "domains": [{"name": name, "store": "0123", "rows": {"test": "4567"}} for name in domains],
                "left_out": {},
            },
            "recipe": {"name": "mini", "backbone": "test_resnet", "epochs": 10},
        }
        return Results(
            Path("results/test"),
            plan,
            tuple(cells),
            tuple(failures),
            tuple(MissingCell(label, seed) for label, seed in missing),
        )

    return build
