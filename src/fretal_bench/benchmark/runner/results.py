"""Results: a result folder, read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fretal_bench.benchmark.runner.folder import ResultFolder, read_json, read_plan
from fretal_bench.errors import BenchError


@dataclass(frozen=True)
class CellResult:
    """A done cell.

    Args:
        id: The cell's id.
        strategy: The strategy's name.
        label: The name, with the hyperparameters that differ from the defaults.
        hyperparameters: All of them.
        seed: The seed.
        scores: One row a test sample a step: step, domain, row, label, video, score.
        environment: Versions, machine, commit, and ``phases`` with seconds and memory.
        path: The cell's folder.
    """

    id: str
    strategy: str
    label: str
    hyperparameters: Mapping[str, Any]
    seed: int
    scores: pd.DataFrame
    environment: Mapping[str, Any]
    path: Path

    def validation(self) -> pd.DataFrame:
        """Return the scores of the validation samples; same columns as ``scores``."""
        return pd.read_parquet(self.path / "validation.parquet")


@dataclass(frozen=True)
class CellFailure:
    """A cell that failed, with its reason in one line and the traceback."""

    id: str
    label: str
    seed: int
    reason: str
    traceback: str


@dataclass(frozen=True)
class MissingCell:
    """A cell that was asked for and is neither done nor failed."""

    label: str
    seed: int


@dataclass(frozen=True)
class Results:
    """A result folder, read.

    Args:
        path: The folder.
        plan: ``plan.json``: stream, recipe, cells.
        cells: Done cells, in the plan's order.
        failures: Failed cells.
        missing: Cells that were asked for and are neither done nor failed.
    """

    path: Path
    plan: Mapping[str, Any]
    cells: tuple[CellResult, ...]
    failures: tuple[CellFailure, ...]
    missing: tuple[MissingCell, ...]


def load_results(path: str | os.PathLike[str]) -> Results:
    """Read a result folder.

    Raises:
        BenchError: It is no result folder, or something in it is damaged; the message names the file.
    """
    folder = ResultFolder(path)
    plan = read_plan(folder.path)
    cells, failures, missing = [], [], []
    for entry in plan["cells"]:
        done, failed = folder.cell(entry["id"]), folder.failure(entry["id"])
        if done.is_dir():
            cells.append(_read_cell(done, entry))
        elif failed.is_file():
            failures.append(CellFailure(**read_json(failed, f"{failed} is missing")))
        else:
            missing.append(MissingCell(entry["label"], entry["seed"]))
    return Results(folder.path, plan, tuple(cells), tuple(failures), tuple(missing))


def _read_cell(folder: Path, entry: Mapping[str, Any]) -> CellResult:
    damaged = f"{folder}: damaged; delete it and run again"
    try:
        scores = pd.read_parquet(folder / "scores.parquet")
    except (OSError, ValueError) as error:
        raise BenchError(
            f"{folder / 'scores.parquet'}: cannot be read; delete {folder} and run again"
        ) from error
    return CellResult(
        id=entry["id"],
        strategy=entry["strategy"],
        label=entry["label"],
        hyperparameters=entry["hyperparameters"],
        seed=entry["seed"],
        scores=scores,
        environment=read_json(folder / "environment.json", damaged),
        path=folder,
    )
