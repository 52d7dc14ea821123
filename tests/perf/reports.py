"""A report of 300 cells: its time and memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch.optim import SGD

from fretal_bench.benchmark.runner.call import Call, Opened, Prepared, prepare
from fretal_bench.benchmark.runner.joining import finish_cell, save_step
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.scoring import StepScores
from fretal_bench.datasets.manifest import video_key
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.datasets.streams.stream import Stream
from fretal_bench.strategies import life
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.template import ContinualStrategy
from perf.steps import Row
from tests_support import TINY, tiny_backbone

DOMAINS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
STRATEGIES = 30
SEEDS = 10
_SECONDS = 30
_MEGABYTES = 2000
_LONGEST = 600
_PEOPLE = {"train": 4, "val": 2, "test": 40}
_FRAMES = 2
# The command in a process of its own, whose peak of memory is then that of the command alone.
_MEASURED = """
import sys
from pathlib import Path
from fretal_bench.cli.main import main
sys.argv = ["bench", "report", sys.argv[1]]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
# Not ru_maxrss, which begins at what the parent had.
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def measure_reports(strategies: int = STRATEGIES, seeds: int = SEEDS) -> list[Row]:
    """Measure ``bench report`` of ``strategies`` x ``seeds`` cells of four domains with 160 test crops each.

    Nothing is trained: the scores are drawn, and written by what a run writes them with.
    """
    with tempfile.TemporaryDirectory() as name:
        results = made_up_results(Path(name), strategies, seeds)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(results)],
            cwd=name,
            capture_output=True,
            text=True,
            check=True,
            timeout=_LONGEST,
        )
        seconds = time.perf_counter() - begun
    megabytes = int(done.stderr.split()[-1]) / 1024
    what = f"bench report, {strategies * seeds} cells"
    return [
        Row(f"{what}: {seconds:.1f} s", f"{_SECONDS} s", [seconds / _SECONDS], "at most 1"),
        Row(f"{what}: {megabytes:.0f} MB", f"{_MEGABYTES} MB", [megabytes / _MEGABYTES], "at most 1"),
    ]


def made_up_results(folder: Path, strategies: int, seeds: int) -> Path:
    """Write a result folder of made-up scores: one strategy with as many values of a hyperparameter."""
    prepared = _plan(folder, strategies, range(seeds))
    opened, results = prepared.opened, prepared.folder
    model = tiny_backbone()
    trained = life.build(find_strategy("ewc"), model, SGD(model.parameters(), 0.1))
    rows = {split: _rows(opened.stream, split) for split in ("test", "val")}
    random = np.random.default_rng(0)
    for cell in prepared.plan.cells:
        source = cell.source
        assert source is not None
        if not results.source(source.id).is_dir():
            _save(results.source(source.id), trained, rows, -1, random)
        for step in range(len(opened.stream)):
            _save(results.step(cell.id, step), trained, rows, step, random)
        finish_cell(cell, opened.stream, results)
        results.forget_steps(cell.id)
    return results.path


def _plan(folder: Path, strategies: int, seeds: Sequence[int]) -> Prepared:
    def cells(opened: Opened) -> list[Cell]:
        changes = [{"ewc": {"lambda_": str(value)}} for value in range(1, strategies + 1)]
        return [cell for change in changes for cell in opened.cells(["ewc"], seeds, change)]

    call = Call(["ewc"], str(_stream(folder)), changes={"recipe": TINY}, jobs=1, out=folder / "results")
    return prepare(call, cells=cells)


def _stream(folder: Path) -> Path:
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
        for split, people in _PEOPLE.items()
        for person in range(people)
        for method in ("real", *DOMAINS)
        for frame in range(_FRAMES)
    )
    crops = np.random.default_rng(0).integers(0, 256, (len(rows), 32, 32, 3), dtype=np.uint8)
    with CropStoreWriter(folder / "store", size=32, name="made-up") as writer:
        writer.add(crops, rows)
        writer.finish()
    domains = "".join(
        f'[[domains]]\nname = "{name}"\nstore = "store"\nmethods = ["{name}"]\n' for name in DOMAINS
    )
    path = folder / "made-up.toml"
    path.write_text(f'name = "made-up"\ndescription = "noise"\n{domains}', "utf-8")
    return path


def _rows(stream: Stream, split: str) -> pd.DataFrame:
    """Every sample of a split of every domain, as scores have it but for step and score."""
    parts = []
    for domain in stream:
        source = domain.batches(split)
        rows = domain.store.index.iloc[source.rows]
        labels = rows["label"].astype("int8").to_numpy()
        part = {
            "domain": domain.name,
            "row": source.rows,
            "label": labels,
            "video": video_key(rows).to_numpy(),
        }
        parts.append(pd.DataFrame(part).astype({"domain": "str", "row": "int64"}))
    return pd.concat(parts, ignore_index=True)


def _save(
    path: Path,
    strategy: ContinualStrategy,
    rows: dict[str, pd.DataFrame],
    step: int,
    random: np.random.Generator,
) -> None:
    scores = StepScores()
    for frames, split in ((scores.test, "test"), (scores.validation, "val")):
        frame = rows[split]
        drawn = np.clip(random.normal(0.4 + 0.2 * frame["label"], 0.2), 0, 1).astype(np.float32)
        scored = frame.assign(step=np.int16(step), score=drawn)
        frames.append(scored[["step", "domain", "row", "label", "video", "score"]])
    save_step(
        path, strategy, scores, [{"phase": "train", "step": step, "seconds": 1.0, "cpu_seconds": 1.0}], "cpu"
    )
