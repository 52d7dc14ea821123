"""What of forgetting is only the threshold moved, and what temperatures and thresholds of validation people are worth."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench.benchmark.runner.cell_calibration import StepCalibration, ValidationSteps, calibrate
from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.errors import BenchError
from fretal_bench.metrics import detection, losses
from fretal_bench.metrics.calibration import Fitted, check_fpr, decisions, threshold_at_fpr, with_temperature
from fretal_bench.metrics.continual import average_accuracy, backward_transfer
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.matrices import StreamScores, matrix
from fretal_bench.metrics.numbers import NAN, Floats, or_none
from fretal_bench.metrics.videos import MEAN, level_key
from fretal_bench.reporting.inputs import domain_names, seed_words, unique
from fretal_bench.reporting.quantities import CellMeasures

if TYPE_CHECKING:
    import pandas as pd

ACCURACIES: Final = ("accuracy", "balanced_accuracy")
"""The metrics of decisions that reports have matrices of; of a report of another metric these tables are of the first."""
HALF: Final = "forgetting_at_half"
AT_THRESHOLD: Final = "forgetting_at_threshold"
MOVED: Final = "forgetting_threshold"
APART: Final = "forgetting_domains"
RANKING: Final = "forgetting_ranking"
OF_AUC: Final = "forgetting_auc"
OF_FORGETTING: Final = (HALF, AT_THRESHOLD, MOVED, APART, RANKING, OF_AUC)
OF_DETECTOR: Final = (
    "average_at_half",
    "average_at_threshold",
    "threshold",
    "temperature",
    "ece",
    "ece_after",
    "nll",
    "nll_after",
)
AT_FPR: Final = ("threshold_at_fpr", "false_alarms", "fakes_found", "average_at_fpr")
LEAST_FALL: Final = 0.05
"""From this much forgetting of accuracy on, the report says in a sentence where it is the threshold."""
MOST_OF_AUC: Final = 0.25
"""The threshold it is where the AUC falls by at most this share of what accuracy does."""


@dataclass(frozen=True, eq=False)
class CellCalibration:
    """What thresholds and temperatures do to one cell.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        values: By quantity; those of forgetting lack in a stream of one domain.
        steps: What was fitted after each step.
        reals: Different validation reals at the end.
        missing: Why there is no threshold at the false-alarm rate; empty if there is one.
    """

    label: str
    seed: int
    values: Mapping[str, float]
    steps: tuple[StepCalibration, ...]
    reals: int
    missing: str = ""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What thresholds and temperatures do to the cells of a report.

    Attributes:
        cells: Those that have scores of validation samples, in the plan's order.
        metric: ``accuracy`` or ``balanced_accuracy``.
        level: ``frame`` or ``video``, of everything here.
        video: How videos are scored.
        fpr: The false-alarm rate that the user stated.
        without: Labels and seeds of cells that have no scores of validation samples.
    """

    cells: tuple[CellCalibration, ...]
    metric: str
    level: str
    video: str = MEAN
    fpr: float | None = None
    without: tuple[str, ...] = field(default=())

    def by_seed(self, label: str, quantity: str) -> dict[int, float]:
        """Give a quantity of a strategy by seed, ascending."""
        return dict(sorted(self._values.get((label, quantity), {}).items()))

    @functools.cached_property
    def _values(self) -> dict[tuple[str, str], dict[int, float]]:
        values: dict[tuple[str, str], dict[int, float]] = {}
        for cell in self.cells:
            for name, value in cell.values.items():
                values.setdefault((cell.label, name), {})[cell.seed] = value
        return values


def measure_calibration(
    results: Results,
    measured: Sequence[CellMeasures],
    metric: str,
    level: str,
    video: str = MEAN,
    fpr: float | None = None,
) -> Calibration | None:
    """Judge test people at the thresholds and temperatures that validation people give.

    Args:
        results: Results as ``load_results`` gives them.
        measured: The cells that the report has numbers of; others are left out here too.
        metric: The report's metric.
        level: ``frame`` or ``video``.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
        fpr: A share of reals that may be called fake.

    Returns:
        None if no cell has scores of validation samples.

    Raises:
        BenchError: They are damaged, the false-alarm rate is none, or it is given and there are no such scores.
    """
    if fpr is not None:
        check_fpr(fpr)
    domains = domain_names(results.plan)
    accuracy = metric if metric in ACCURACIES else ACCURACIES[0]
    known = {(cell.label, cell.seed): cell for cell in measured}
    cells, without = [], []
    for cell in results.cells:
        measures = known.get((cell.label, cell.seed))
        if measures is None:
            continue
        if cell.has_validation:
            cells.append(_of_cell(cell, measures, domains, (accuracy, level, video), fpr))
        else:
            without.append(f"{cell.label}, seed {cell.seed}")
    if not cells:
        if fpr is not None:
            raise BenchError(f"--fpr: expected scores of validation samples in {results.path}, found none")
        return None
    return Calibration(tuple(cells), accuracy, level, video, fpr, tuple(without))


def _of_cell(
    cell: CellResult,
    measures: CellMeasures,
    domains: tuple[str, ...],
    of: tuple[str, str, str],
    fpr: float | None,
) -> CellCalibration:
    """Judge one cell; ``of`` is metric, level and how videos are scored."""
    metric, level, video = of
    scores = measures.laid_out[level].scores
    validation = None if level == "frame" and fpr is None else cell.validation()
    if validation is None or level == "frame":
        steps = cell.calibration()
    else:
        steps = calibrate(validation, domains, level, video)
    at_half = measures.matrices[level, metric].values
    at_threshold = matrix(decided(scores, lambda step, _: _number(steps[step].threshold)), metric).values
    at_own = matrix(decided(scores, lambda step, name: steps[step].own.get(name, NAN)), metric).values
    last = steps[-1]
    values = {
        "average_at_half": average_accuracy(at_half),
        "average_at_threshold": average_accuracy(at_threshold),
        "threshold": _number(last.threshold),
        "temperature": _number(last.temperature),
        **_of_temperature(scores, 1.0 if last.temperature is None else last.temperature),
    }
    if len(domains) > 1:
        values |= _of_forgetting(at_half, at_threshold, at_own, measures.matrices[level, "auc"].values)
    reason = ""
    if fpr is not None:
        assert validation is not None
        reals = ValidationSteps(validation, domains, level, video).different(len(domains) - 1, 0)
        fitted = threshold_at_fpr(reals, fpr)
        reason = fitted.reason
        values |= _at_fpr(scores, fitted, metric)
    return CellCalibration(cell.label, cell.seed, values, steps, last.reals, reason)


def _of_forgetting(at_half: Floats, at_threshold: Floats, at_own: Floats, auc: Floats) -> dict[str, float]:
    """Part the forgetting at 0.5, all of it -BWT, into what threshold, domains and ranking have of it."""
    half, threshold, own = (-backward_transfer(of) for of in (at_half, at_threshold, at_own))
    return {
        HALF: half,
        AT_THRESHOLD: threshold,
        MOVED: half - threshold,
        APART: threshold - own,
        RANKING: own,
        OF_AUC: -backward_transfer(auc),
    }


def _of_temperature(scores: StreamScores, temperature: float) -> dict[str, float]:
    """Give ECE and NLL of the test samples of all domains pooled, at the end, before and after temperature."""
    labels = np.concatenate(scores.labels)
    before = np.concatenate([of_domain[-1] for of_domain in scores.scores])
    after = with_temperature(before, temperature)
    return {
        "ece": detection.ece(labels, before),
        "ece_after": detection.ece(labels, after),
        "nll": losses.nll(labels, before),
        "nll_after": losses.nll(labels, after),
    }


def _at_fpr(scores: StreamScores, fitted: Fitted, metric: str) -> dict[str, float]:
    """Give what the final detector does at a threshold, means over domains."""
    of_last = decided(scores, lambda step, _: fitted.value)
    reals, fakes, average = (
        average_accuracy(matrix(of_last, name).values) for name in ("real_accuracy", "fake_accuracy", metric)
    )
    return dict(zip(AT_FPR, (fitted.value, 1 - reals, fakes, average), strict=True))


def decided(scores: StreamScores, threshold: Callable[[int, str], float]) -> StreamScores:
    """Replace scores by the decisions at a threshold of their step and domain; before any training it is 0.5."""
    of_domains = []
    for name, of_domain in zip(scores.domains, scores.scores, strict=True):
        steps = range(len(of_domain) - 1)
        thresholds = [detection.THRESHOLD, *(threshold(step, name) for step in steps)]
        of_domains.append(np.stack([decisions(of, at) for of, at in zip(of_domain, thresholds, strict=True)]))
    return dataclasses.replace(scores, scores=tuple(of_domains))


def _number(value: float | None) -> float:
    return NAN if value is None else value


def threshold_losers(
    calibration: Calibration, labels: Sequence[str]
) -> dict[str, tuple[float, float, float]]:
    """Give the strategies that keep their ranking and lose their threshold.

    They forget at least ``LEAST_FALL`` of accuracy at 0.5, and of AUC at most ``MOST_OF_AUC`` of that; with several
    seeds the interval of the difference of both (Student's t, paired) lies above 0.

    Args:
        calibration: What was measured.
        labels: The strategies that are looked at.

    Returns:
        By label, means over seeds: what accuracy at 0.5 and AUC lose (-BWT), and what of the first is the threshold.
    """
    losers = {}
    for label in labels:
        half, auc, moved = (calibration.by_seed(label, name) for name in (HALF, OF_AUC, MOVED))
        lost, of_auc = (mean_interval(list(of.values())).mean for of in (half, auc))
        if not (lost >= LEAST_FALL and of_auc <= MOST_OF_AUC * lost):
            continue
        gap = mean_interval([half[seed] - auc[seed] for seed in half])
        if gap.n < 2 or gap.low > 0:
            losers[label] = (lost, of_auc, mean_interval(list(moved.values())).mean)
    return losers


def calibration_frame(calibration: Calibration) -> pd.DataFrame:
    """Give every quantity of every cell, one row a value; and temperature and threshold after each step.

    Returns:
        Columns label, seed, level, step (of what is of the whole stream the last), quantity, value.
    """
    import pandas as pd

    level = level_key(calibration.level, calibration.video)
    rows: list[tuple[str, int, str, int, str, float]] = []
    for cell in calibration.cells:
        rows += [
            (cell.label, cell.seed, level, step.step, name, _number(getattr(step, name)))
            for step in cell.steps[:-1]
            for name in ("threshold", "temperature")
        ]
        last = len(cell.steps) - 1
        rows += [(cell.label, cell.seed, level, last, name, value) for name, value in cell.values.items()]
    return pd.DataFrame(rows, columns=["label", "seed", "level", "step", "quantity", "value"])


def calibration_record(calibration: Calibration) -> dict[str, Any]:
    """Give the quantities, means over seeds, as plain data for ``json.dumps``."""
    strategies = []
    for label in unique(cell.label for cell in calibration.cells):
        values = {}
        for name in (*OF_DETECTOR, *OF_FORGETTING, *AT_FPR):
            if by_seed := calibration.by_seed(label, name):
                over = mean_interval(list(by_seed.values()))
                values[name] = {
                    "mean": or_none(over.mean),
                    "low": or_none(over.low),
                    "high": or_none(over.high),
                    "n": over.n,
                }
        strategies.append({"label": label, "values": values})
    return {"metric": calibration.metric, "fpr": calibration.fpr, "strategies": strategies}


def why_missing(calibration: Calibration, domains: Sequence[str]) -> tuple[str, ...]:
    """Say why there is no threshold after a domain, or no temperature or rate at the end, those alike together."""
    seeds_of: dict[str, dict[str, list[int]]] = {}
    for cell in calibration.cells:
        last = len(cell.steps) - 1
        reasons = [
            f"no {name} after {domains[step.step]}: {reason}"
            for step in cell.steps
            for name, reason in step.missing.items()
            if name == "threshold" or step.step == last
        ]
        reasons += [f"no threshold at the false-alarm rate: {cell.missing}"] if cell.missing else []
        for reason in reasons:
            seeds_of.setdefault(reason, {}).setdefault(cell.label, []).append(cell.seed)
    lines = []
    for reason, by_label in seeds_of.items():
        named = [f"{label} (seed {seed_words(seeds)})" for label, seeds in by_label.items()]
        lines.append(f"{', '.join(named)}: {reason}.")
    return tuple(lines)
