"""A run that is planned and not trained: what it would train on, for readers of recipes, streams and stores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fuzz.running import Bench
from fuzz.world import STRATEGIES, recipe_words


def planned(bench: Bench, *words: str, tiny: bool = True) -> dict[str, Any]:
    """Call ``bench run`` up to where it would train.

    Args:
        bench: Calls the command.
        words: Options besides ``--strategies``.
        tiny: Whether to change the recipe to the tiny one.

    Returns:
        ``recipe``: every value of the recipe; ``cells``: the cells' strategies and hyperparameters; ``stream``: its
        content, and of every domain's rows their manifest rows and crops.
    """
    prepared: list[Any] = []
    with (
        patch("fretal_bench.benchmark.runner.run.execute", lambda ready, _: prepared.append(ready)),
        patch("fretal_bench.cli.run.show_report", lambda *_, **__: None),
    ):
        changes = recipe_words() if tiny else []
        bench("run", "--strategies", ",".join(STRATEGIES), "--jobs", "1", "--out", "out", *words, *changes)
    (ready,) = prepared
    return {
        "recipe": dataclasses.asdict(ready.plan.recipe),
        "cells": [
            {"id": c.id, "strategy": c.strategy, "seed": c.seed, "values": dict(c.hyperparameters)}
            for c in ready.plan.cells
        ],
        "stream": stream_content(ready.opened.stream),
        "left out": dict(ready.plan.left_out),
    }


def stream_content(stream: Any) -> dict[str, Any]:
    """What is learned and tested: the rows of every split of every domain with their crops."""
    return {
        "name": stream.name,
        "protocol": dataclasses.asdict(stream.protocol),
        "domains": {domain.name: _domain(domain) for domain in stream},
    }


def _domain(domain: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"size": domain.store.size, "margin": _margin(domain.store.path)}
    for split, rows in domain.rows.items():
        content[split] = domain.store.index.iloc[rows].reset_index(drop=True)
        content[f"{split} crops"] = hashlib.sha256(domain.store.crops[rows].tobytes()).hexdigest()
        content[f"{split} labels"] = domain.store.index["label"].to_numpy()[rows]
    return content


def _margin(folder: Path) -> float:
    return float(json.loads((folder / "store.json").read_text("utf-8-sig"))["margin"])
