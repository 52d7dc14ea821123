"""Finished steps on disk, and the steps of a cell put together as the done cell."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fretal_bench import files, parsing
from fretal_bench.benchmark.runner import documents, score_table
from fretal_bench.benchmark.runner.documents import MadeWith, StreamContent
from fretal_bench.benchmark.runner.environment import Phases, environment, joined_environments
from fretal_bench.benchmark.runner.folder import REMEDY, ResultFolder, write_frame
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.score_table import Split
from fretal_bench.benchmark.runner.scoring import StepScores
from fretal_bench.benchmark.runner.seals import Sealed, read_phases, seal
from fretal_bench.datasets.streams.stream import Stream
from fretal_bench.strategies import life
from fretal_bench.strategies.template import ContinualStrategy

_TABLES: Final[dict[str, Split]] = {"scores.parquet": "test", "validation.parquet": "val"}


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
        (part / "phases.json").write_text(parsing.to_json(phases), "utf-8")
        (part / "environment.json").write_text(parsing.to_json(environment(device)), "utf-8")
        seal(part)


def finish_cell(work: Cell, stream: Stream, folder: ResultFolder) -> None:
    """Put the steps of a cell together as the done cell.

    Raises:
        BenchError: A file of a step or of the source model is damaged, or the strategy's scores are no probabilities.
    """
    parts = [Sealed(folder.step(work.id, step)) for step in range(len(stream))]
    if work.source is not None:
        parts.insert(0, Sealed(folder.source(work.source.id)))
    content = documents.build(StreamContent, stream.fingerprint(), f"stream {stream.name!r}")
    with files.folder(folder.cell(work.id), remedy=REMEDY) as part:
        for name, split in _TABLES.items():
            of_steps = [
                _scores_of(
                    of, name, before_training=number == 0 and work.source is not None and parts[1].has(name)
                )
                for number, of in enumerate(parts)
                if of.has(name)
            ]
            write_frame(part / name, pd.concat(of_steps, ignore_index=True))
            joined = score_table.read_table((part / name).read_bytes(), name)
            score_table.check_table(joined, content, split, name)
        (part / "checkpoint.pt").write_bytes(parts[-1].read("checkpoint.pt", "checkpoint"))
        for name, values in (("environment", _made_with(work, parts)), ("cell", _about(work, stream))):
            (part / f"{name}.json").write_text(parsing.to_json(values), "utf-8")
        seal(part)


def _scores_of(of: Sealed, name: str, *, before_training: bool) -> pd.DataFrame:
    """Read the scores of a step; of a source model, if the cell scored step 0 itself, only those before training."""
    frame = score_table.to_frame(score_table.read_table(of.read(name, "scores"), str(of.path / name)))
    return frame[frame["step"] < 0] if before_training else frame


def _about(work: Cell, stream: Stream) -> dict[str, Any]:
    store = stream[0].store
    return {
        "id": work.id,
        # Its name: what opens it may be a path, which means nothing on another machine.
        "stream": stream.name,
        "strategy": work.strategy,
        "origin": work.origin,
        "revision": work.revision,
        "hyperparameters": dict(work.hyperparameters),
        "recipe": {"name": work.recipe.name, **work.recipe.content()},
        "seed": work.seed,
        "source": work.source.id if work.source else None,
        "crop": {"size": store.size, "margin": store.info.margin},
    }


def _made_with(work: Cell, parts: list[Sealed]) -> dict[str, Any]:
    """Say what a cell was made with: the last step's environment, all phases, and the others' where they differ."""
    first = -1 if work.source is not None else 0
    environments = {
        "source" if step < 0 else f"step {step}": _environment_of(part)
        for step, part in enumerate(parts, first)
        # A step that an earlier version finished has none.
        if part.has("environment.json")
    }
    phases = [phase for part in parts for phase in read_phases(part)]
    joined = joined_environments(environments) or environment(work.recipe.device)
    return {**joined, "seed": work.seed, "phases": phases}


def _environment_of(part: Sealed) -> dict[str, Any]:
    values: dict[str, Any] = part.read_json("environment.json", "environment")
    documents.build(MadeWith, values, str(part.path / "environment.json"), part.remedy)
    return values
