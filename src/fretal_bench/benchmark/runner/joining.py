"""Finished steps on disk, and the steps of a cell put together as the done cell."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from fretal_bench import files
from fretal_bench.benchmark.runner.environment import Phases, environment, joined_environments
from fretal_bench.benchmark.runner.folder import REMEDY, ResultFolder, write_frame
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.scoring import StepScores
from fretal_bench.datasets.streams.stream import Stream
from fretal_bench.strategies import life
from fretal_bench.strategies.template import ContinualStrategy


def save_step(
    final: Path, strategy: ContinualStrategy, scores: StepScores, phases: Phases, device: str
) -> None:
    """Write a step's state, scores, measurements and environment, all or nothing."""
    with files.folder(final, remedy=REMEDY) as part:
        # Through memory: on a full disk torch.save to a path raises a RuntimeError of its own.
        buffer = io.BytesIO()
        life.save(strategy, buffer)
        (part / "checkpoint.pt").write_bytes(buffer.getbuffer())
        for name, frames in (("scores", scores.test), ("validation", scores.validation)):
            if frames:
                write_frame(part / f"{name}.parquet", pd.concat(frames, ignore_index=True))
        (part / "phases.json").write_text(json.dumps(phases), "utf-8")
        (part / "environment.json").write_text(json.dumps(environment(device)), "utf-8")


def finish_cell(work: Cell, stream: Stream, folder: ResultFolder) -> None:
    """Put the steps of a cell together as the done cell."""
    parts = [folder.step(work.id, step) for step in range(len(stream))]
    if work.source is not None:
        parts.insert(0, folder.source(work.source.id))
    with files.folder(folder.cell(work.id), remedy=REMEDY) as part:
        for name in ("scores.parquet", "validation.parquet"):
            frames = [pd.read_parquet(path / name) for path in parts if (path / name).exists()]
            if work.source is not None and (folder.step(work.id, 0) / name).exists():
                # The cell scored step 0 itself: of the source model's scores only those before training are its own.
                frames[0] = frames[0][frames[0]["step"] < 0]
            write_frame(part / name, pd.concat(frames, ignore_index=True))
        (part / "checkpoint.pt").write_bytes((parts[-1] / "checkpoint.pt").read_bytes())
        for name, content in (("environment", _made_with(work, parts)), ("cell", _about(work, stream))):
            (part / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _about(work: Cell, stream: Stream) -> dict[str, Any]:
    store = stream[0].store
    return {
        "id": work.id,
        # Its name: what opens it may be a path, which means nothing on another machine.
        "stream": stream.name,
        "strategy": work.strategy,
        "origin": work.origin,
        "hyperparameters": dict(work.hyperparameters),
        "recipe": {"name": work.recipe.name, **work.recipe.content()},
        "seed": work.seed,
        "source": work.source.id if work.source else None,
        "crop": {"size": store.size, "margin": store.info.margin},
    }


def _made_with(work: Cell, parts: list[Path]) -> dict[str, Any]:
    """Say what a cell was made with: the last step's environment, all phases, and the others' where they differ."""
    first = -1 if work.source is not None else 0
    environments = {
        "source" if step < 0 else f"step {step}": json.loads((part / "environment.json").read_text("utf-8"))
        for step, part in enumerate(parts, first)
        # A step that an earlier version finished has none.
        if (part / "environment.json").exists()
    }
    phases = [phase for part in parts for phase in json.loads((part / "phases.json").read_text("utf-8"))]
    joined = joined_environments(environments) or environment(work.recipe.device)
    return {**joined, "seed": work.seed, "phases": phases}
