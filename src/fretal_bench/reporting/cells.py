"""The cells of a result folder: done, failed, diverged, missing or under way, what each came to, and its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from fretal_bench.benchmark.prediction.addresses import address_of
from fretal_bench.benchmark.runner.documents import Entry, PlanFile, read_plan
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import CellFailure, CellResult, Results, labels_of
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics import registry
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.numbers import NAN, or_none
from fretal_bench.metrics.videos import MEAN, check_video_score
from fretal_bench.reporting.inputs import domain_names, one_line, order_name, usual_metric
from fretal_bench.reporting.quantities import AVERAGE, BACKWARD, LEARNING, stream_values

State = Literal["done", "failed", "diverged", "unusable", "under way", "missing"]
_DIVERGED: Final = "diverged"
"""The word in the reason of a cell whose training, or whose scores, left the finite numbers."""


@dataclass(frozen=True)
class CellRow:
    """A cell that was asked for.

    Attributes:
        label: What reports call it.
        strategy: Its strategy's name.
        seed: Its seed.
        order: Number of its order of the domains; 0 is the stream's own.
        domains: That order, as ``A → B``.
        state: ``done``; ``failed``, or ``diverged`` where that is why; ``unusable``: done, and its scores cannot be used;
            ``under way``: another process works on it or on a step that it waits for; ``missing``: asked for, and none
            of these.
        steps: How many of its steps, from the first domain on, are in the pool, and of how many; None where nobody knows.
        learning: Mean over domains right after each was learned, by the metric of the list; NaN where there is none.
        final: Mean over domains at the end.
        forgetting: -BWT; positive = forgot.
        address: What ``bench predict`` and ``bench export`` take for it.
        path: Its folder.
        reason: Why there are no numbers; empty if there are, or nobody knows.
        place: Where it failed, as ``CellFailure.place``.
    """

    label: str
    strategy: str
    seed: int
    order: int
    domains: str
    state: State
    steps: tuple[int, int] | None
    learning: float
    final: float
    forgetting: float
    address: str
    path: Path
    reason: str = ""
    place: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for ``json.dumps``; a value that does not exist is None."""
        values = {key: or_none(of) if isinstance(of, float) else of for key, of in asdict(self).items()}
        return {**values, "path": str(self.path)}


@dataclass(frozen=True)
class CellList:
    """The cells of a result folder.

    Attributes:
        metric: What learning, final and forgetting are of.
        level: ``frame`` or ``video``.
        rows: In the plan's order, those of the stream's own order of the domains first.
    """

    metric: str
    level: str
    rows: tuple[CellRow, ...]


def list_cells(
    results: Results, metric: str | None = None, level: str = "frame", video: str = MEAN
) -> CellList:
    """List every cell that was ever asked for in a result folder.

    Args:
        results: Results as ``load_results`` gives them.
        metric: By default accuracy, or balanced accuracy where a class is far larger, as in the report.
        level: ``frame`` or ``video``.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.

    Raises:
        BenchError: A name is unknown, or the folder's plan cannot be read.
    """
    check_video_score(video)
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    metric = usual_metric(results, level) if metric is None else registry.find(metric).name
    _, plan = read_plan(results.path)
    of_orders = (results, *results.in_other_orders)
    done = {cell.id: cell for of in of_orders for cell in of.cells}
    failed = {cell.id: cell for of in of_orders for cell in of.failures}
    unusable = {cell.id: cell for of in of_orders for cell in of.unusable}
    names = [domain_names(of.plan) for of in of_orders]
    folder = ResultFolder(results.path)
    labels = labels_of(plan.cells)
    rows = []
    for entry in sorted(plan.cells, key=lambda entry: entry.order):
        values, reason = _values(done.get(entry.id), names[entry.order], metric, level, video)
        state, why = _state(entry, values, failed, unusable, folder)
        rows.append(
            CellRow(
                labels[entry.id],
                entry.strategy,
                entry.seed,
                entry.order,
                order_name(names[entry.order]),
                "unusable" if reason else state,
                _steps(entry, plan, folder),
                values.get(LEARNING, NAN),
                values.get(AVERAGE, NAN),
                # Not -0.
                0.0 - values.get(BACKWARD, NAN),
                address_of(results.path, plan, entry),
                folder.cell(entry.id),
                reason or why,
                failed[entry.id].place if entry.id in failed else "",
            )
        )
    return CellList(metric, level, tuple(rows))


def _values(
    cell: CellResult | None, domains: tuple[str, ...], metric: str, level: str, video: str
) -> tuple[dict[str, float], str]:
    """Compute the numbers of a done cell; or say why there are none."""
    if cell is None:
        return {}, ""
    try:
        return stream_values(cell, metric, level, domains, video), ""
    except BenchError as error:
        return {}, str(error)


def _state(
    entry: Entry,
    values: Mapping[str, float],
    failed: Mapping[str, CellFailure],
    unusable: Mapping[str, CellFailure],
    folder: ResultFolder,
) -> tuple[State, str]:
    """Say what a cell's state is, and why."""
    if values:
        return "done", ""
    for cells, state in ((failed, "failed"), (unusable, "unusable")):
        if entry.id in cells:
            reason = one_line(cells[entry.id].reason)
            return ("diverged", reason) if _DIVERGED in reason else (state, reason)  # type: ignore[return-value]
    pool = Pool(folder.pool)
    waiting = (step for step in entry.steps if not pool.has_step(step))
    if folder.is_held(entry.id) or any(map(pool.is_held, waiting)):
        return "under way", ""
    return "missing", ""


def _steps(entry: Entry, plan: PlanFile, folder: ResultFolder) -> tuple[int, int] | None:
    """Count a cell's steps in the pool; None for a cell of an earlier version, or without a pool."""
    if not entry.steps:
        return None
    pool = Pool(folder.pool)
    if not pool.path.is_dir():
        return None
    # The first learned nothing, and is kept only where somebody brought it.
    return sum(map(pool.has_step, entry.steps[1:])), len(entry.steps) - 1
