"""What is known of a detector's past: the domains that it learned, and what it was measured to do at that point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fretal_bench.benchmark.detectors.record import Learned, Measured
from fretal_bench.benchmark.runner import score_table
from fretal_bench.benchmark.runner.cell_calibration import calibration_after
from fretal_bench.benchmark.runner.documents import CellFile, DomainContent, Entry, PlanFile, read_plan
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import is_learned
from fretal_bench.benchmark.runner.pool import Pool, StepFile
from fretal_bench.benchmark.runner.results import stream_of_order
from fretal_bench.benchmark.runner.seals import Sealed
from fretal_bench.metrics.detection import THRESHOLD, accuracy, auc

if TYPE_CHECKING:
    import pandas as pd

_BROUGHT: Final = "unknown (the source model was brought)"
_UNCHANGED: Final = ("zero-shot",)
"""Strategies that learn the first domain alone, whatever comes after it."""


@dataclass(frozen=True)
class Past:
    """The past of a detector.

    Attributes:
        learned: The domains that it learned, in order, as far as they are known.
        cell: The folder of a done cell that has its scores; None where there is none.
        step: The step of that cell that it is.
        alone: The folder of a done cell without its plan, which still has what was fitted after its last step.
    """

    learned: tuple[Learned, ...] = ()
    cell: Path | None = None
    step: int = -1
    alone: Path | None = None

    def measured(self) -> tuple[Measured, ...]:
        """Return accuracy and AUC on the test samples of every domain of the cell; errors as ``score_table``'s."""
        if self.cell is None:
            return ()
        frame = _scores(self.cell)
        at_step = frame[frame["step"] == self.step]
        return tuple(
            Measured(
                _name(str(domain)),
                len(part),
                auc=_known(auc(part["label"].to_numpy(), part["score"].to_numpy())),
                accuracy=_known(accuracy(part["label"].to_numpy(), part["score"].to_numpy())),
                threshold=THRESHOLD,
            )
            for domain, part in at_step.groupby("domain", sort=False)
        )

    def fitted(self) -> tuple[float, float | None]:
        """Return the temperature and the threshold that validation samples give it; 1 and None where there are none.

        Raises:
            BenchError: A file of the cell is damaged.
        """
        calibration = calibration_after(self.alone) if self.alone is not None else None
        if self.cell is not None:
            calibration = calibration_after(self.cell, self.step)
        return calibration.for_detector() if calibration is not None else (1.0, None)


def of_cell(folder: Path, about: CellFile) -> Past:
    """Return the past of the detector that a done cell ended with; nothing where its plan is not beside it.

    Raises:
        BenchError: The plan, or the scores, are damaged.
    """
    results = ResultFolder(folder.absolute().parent.parent)
    found = next(_entries(results.path, lambda entry: entry.id == about.id), None)
    if found is None:
        return Past(alone=folder)
    plan, entry = found
    domains = stream_of_order(plan, entry.order).domains
    has_scores = (folder / "scores.parquet").exists()
    kinds = _kinds(folder) if has_scores else {}
    learned = _learned(_known_to(about, domains), kinds, about)
    return Past(learned, folder if has_scores else None, len(domains) - 1)


def of_step(pool: Pool, about: StepFile) -> Past:
    """Return the past of a step in a pool: its domains' names are those of a result folder that uses the pool.

    Raises:
        BenchError: A record of the pool, or a plan, is damaged.
    """
    known: Past | None = None
    for folder in pool.folders():
        # An id is a hash of the whole history: whoever plans it plans these domains.
        for plan, entry in _entries(folder, lambda entry: about.id in entry.steps):
            domains = stream_of_order(plan, entry.order).domains
            learned = _known_to(about, domains[: about.number + 1])
            done = folder / "cells" / entry.id
            if (done / "scores.parquet").exists() and _judged_as(pool, entry, about):
                return Past(_learned(learned, _kinds(done), about), done, about.number)
            known = known or Past(_learned(learned, {}, about))
    if known is not None:
        return known
    contents = [record.learned for record in _path(pool, about) if record.learned is not None]
    return Past(tuple(Learned(f"domain {n}", store=str(c["store"])) for n, c in enumerate(contents)))


def _judged_as(pool: Pool, entry: Entry, about: StepFile) -> bool:
    """Whether a cell's scores after a domain are a step's: of a source model only where its adopter judges alike."""
    of_domain = (
        id for id in reversed(entry.steps) if pool.has_step(id) and pool.record(id).number == about.number
    )
    own = next(of_domain, "")
    return own == about.id or (bool(own) and pool.judge_of(own) == about.id)


def _path(pool: Pool, about: StepFile) -> Sequence[StepFile]:
    """Return a step and those before it, the first first, as far as the pool has them."""
    path = [about]
    while (before := path[0].before) and pool.has_step(before):
        path.insert(0, pool.record(before))
    return path


def _entries(folder: Path, wanted: Callable[[Entry], bool]) -> Iterator[tuple[PlanFile, Entry]]:
    if not (folder / "plan.json").exists():
        return
    _, plan = read_plan(folder)
    yield from ((plan, entry) for entry in plan.cells if wanted(entry))


def _known_to(about: CellFile | StepFile, domains: Sequence[DomainContent]) -> Sequence[DomainContent]:
    """Return those domains that a strategy was trained on: of some only test samples are left."""
    learned = [domain for domain in domains if is_learned(domain)]
    if about.strategy in _UNCHANGED:
        return learned[:1] if about.brought is None else []
    return learned


def _learned(
    domains: Sequence[DomainContent], kinds: Mapping[str, tuple[str, ...]], about: CellFile | StepFile
) -> tuple[Learned, ...]:
    """Return the domains that were learned; before them, of a source model that was brought, that more was."""
    first = (Learned(_BROUGHT),) if about.brought is not None else ()
    return first + tuple(
        Learned(_name(domain.name), kinds.get(domain.name, ()), store=domain.store) for domain in domains
    )


def _kinds(cell: Path) -> dict[str, tuple[str, ...]]:
    """Return by domain what its samples are, ``DATASET/METHOD/COMPRESSION``, by the keys of the judged videos."""
    frame = _scores(cell)
    pairs = frame[["domain", "video"]].drop_duplicates()
    kinds: dict[str, set[str]] = {}
    for domain, video in zip(pairs["domain"].tolist(), pairs["video"].tolist(), strict=True):
        kinds.setdefault(domain, set()).add("/".join(video.split("/")[:3]))
    return {domain: tuple(sorted(values)) for domain, values in kinds.items()}


def _scores(cell: Path) -> pd.DataFrame:
    place = cell / "scores.parquet"
    table = score_table.read_table(Sealed(cell).read(place.name, "scores"), str(place))
    return score_table.to_frame(table)


def _name(name: str) -> str:
    """Return a domain's name; plans of earlier versions may have a path there."""
    return name.replace("/", "-").replace("\\", "-")


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
