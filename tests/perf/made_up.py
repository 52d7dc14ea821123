"""A finished run with made-up scores: plan, pool and result folder as a run writes them, nothing trained."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fretal_bench.benchmark.runner.call import Call, Opened, Prepared, prepare
from fretal_bench.benchmark.runner.environment import environment
from fretal_bench.benchmark.runner.graph import SOURCE, Step, TestSet
from fretal_bench.benchmark.runner.joining import finish_cell
from fretal_bench.benchmark.runner.opened import samples, the_stream, use_stream
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.pool import NewScores, NewStep
from fretal_bench.datasets.store.store import CropStoreWriter
from tests_support import TINY

DOMAINS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
PEOPLE = {"train": 4, "val": 2, "test": 40}
FRAMES = 2
_SIDE = 32


def stream_of(folder: Path, people: dict[str, int] = PEOPLE, frames: int = FRAMES) -> Path:
    """Write a store of noise and a stream of four domains over it.

    Args:
        folder: Where they go.
        people: People of each split; each has a real video and a fake one a domain.
        frames: Crops of a video.

    Returns:
        Path of the stream file.
    """
    rows = pd.DataFrame(
        {
            "path": f"{method}/{split}{person}.mp4",
            "dataset": "made-up",
            "method": method,
            "compression": "none",
            "split": split,
            "label": int(method != "real"),
            "video": f"{split}{person}",
            "source": f"{split}{person}",
            "target": f"{split}{person}",
            "frame": frame,
        }
        for split, count in people.items()
        for person in range(count)
        for method in ("real", *DOMAINS)
        for frame in range(frames)
    )
    random = np.random.default_rng(0)
    with CropStoreWriter(folder / "store", size=_SIDE, name="made-up") as writer:
        for begin in range(0, len(rows), 10_000):
            part = rows.iloc[begin : begin + 10_000]
            writer.add(random.integers(0, 256, (len(part), _SIDE, _SIDE, 3), dtype=np.uint8), part)
        writer.finish()
    domains = "".join(
        f'[[domains]]\nname = "{name}"\nstore = "store"\nmethods = ["{name}"]\n' for name in DOMAINS
    )
    path = folder / "made-up.toml"
    path.write_text(f'name = "made-up"\ndescription = "noise"\n{domains}', "utf-8")
    return path


def call_of(folder: Path, strategies: Sequence[str], seeds: Sequence[int], orders: str | None = None) -> Call:
    """Return the call of a run on the stream that ``stream_of`` wrote to ``folder``."""
    return Call(
        strategies,
        str(folder / "made-up.toml"),
        seeds=seeds,
        changes={"recipe": TINY},
        jobs=1,
        out=folder / "results",
        orders=orders,
    )


def finished(
    call: Call,
    cells: Callable[[Opened], Sequence[Cell]] | None = None,
    *,
    state: bytes = b"no weights",
    linked: bool = False,
) -> Prepared:
    """Plan a run and write all that it would have written, its scores drawn.

    Args:
        call: The call.
        cells: As in ``prepare``.
        state: What is written as the state of every step.
        linked: Give all cells the files of the first. They are found done like any other, and are soon made.
    """
    prepared = prepare(call, cells=cells)
    pool, opened = prepared.agenda.pool, prepared.opened
    use_stream(opened.reference, opened.stream)
    made_with = environment("cpu")
    random = np.random.default_rng(0)
    steps = {step.id: (step, cell.sets) for cell in prepared.plan.cells for step in cell.path}
    for step, sets in steps.values():
        if step.before is not None:
            pool.keep_step(_step(step, state, made_with))
        if step.kind != "adopted" or step.before is None or step.before.strategy != SOURCE:
            pool.keep_scores(_scores(step, sets, made_with, random))
    first, *others = prepared.plan.cells
    for cell in (first,) if linked else prepared.plan.cells:
        finish_cell(cell, the_stream(cell.stream, cell.path[-1].order), prepared.folder, pool)
    for cell in others if linked else ():
        shutil.copytree(prepared.folder.cell(first.id), prepared.folder.cell(cell.id), copy_function=os.link)
    return prepared


def _step(step: Step, state: bytes, made_with: dict[str, object]) -> NewStep:
    phases = [{"phase": "train", "step": step.number, "seconds": 1.0, "cpu_seconds": 1.0}]
    judges_as = step.before.id if step.before is not None and step.kind == "adopted" else None
    return NewStep(step, state, judges_as, phases, made_with, {"size": _SIDE, "margin": 0.0})


def _scores(
    step: Step, sets: Sequence[TestSet], made_with: dict[str, object], random: np.random.Generator
) -> NewScores:
    sources = {of.id: samples(of) for of in sets}
    return NewScores(
        step.id,
        {
            id: np.clip(random.normal(0.4 + 0.2 * source.targets.numpy(), 0.2), 0, 1).astype(np.float32)
            for id, source in sources.items()
        },
        {id: source.rows for id, source in sources.items()},
        {id: {"seconds": 1.0, "cpu_seconds": 1.0} for id in sources},
        made_with,
    )
