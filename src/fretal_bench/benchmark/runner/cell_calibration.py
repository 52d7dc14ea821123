"""Temperature and thresholds of a done cell after each step: fitted on its validation samples, and stored beside them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fretal_bench import parsing
from fretal_bench.benchmark.runner import documents, score_table
from fretal_bench.benchmark.runner.documents import TITLE
from fretal_bench.benchmark.runner.seals import Sealed
from fretal_bench.errors import BenchError
from fretal_bench.metrics.calibration import Fitted, best_threshold, fit_temperature, with_temperature
from fretal_bench.metrics.numbers import Floats, Labels
from fretal_bench.metrics.videos import MEAN, scores_of_groups, video_groups
from fretal_bench.records import Invalid, Record, limited, ruled

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

NAME: Final = "calibration.json"
FORMAT: Final = 1
_DIGITS: Final = 6
"""Significant digits of a temperature: the last bits of sums differ between processors."""
_WHAT: Final = ("temperature", "threshold")


@dataclass(frozen=True, kw_only=True)
class StepCalibration(Record):
    """What was fitted on the validation samples of all domains learned so far, after one step.

    Attributes:
        step: The step.
        domains: The learned domains that have validation samples.
        reals: Different reals among these samples: a real may be in several domains.
        fakes: Different fakes.
        temperature: ``metrics.calibration.fit_temperature``; None where there is none.
        threshold: ``metrics.calibration.best_threshold``, of scores without temperature; None where there is none.
        own: The best threshold of each of these domains alone, where it has one.
        missing: Why there is no temperature or threshold, by name.
    """

    step: int = limited(at_least=0)
    domains: tuple[str, ...] = ruled(TITLE)
    reals: int = limited(at_least=0)
    fakes: int = limited(at_least=0)
    temperature: float | None = limited(None, above=0)
    threshold: float | None = limited(None, at_least=0, at_most=1)
    own: Mapping[str, float] = dataclasses.field(default_factory=dict)
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what belongs together; raises ``Invalid``."""
        super().__post_init__()
        for name in _WHAT:
            if (getattr(self, name) is None) != (name in self.missing):
                raise Invalid(name, f"a number, or a reason in 'missing.{name}'", getattr(self, name))
        for domain, value in self.own.items():
            if domain not in self.domains or not 0 <= value <= 1:
                raise Invalid(f"own.{domain}", "a threshold in [0, 1] of one of its domains", value)

    def for_detector(self) -> tuple[float, float | None]:
        """Return a detector's temperature, and its P(fake) threshold after that; 1 and None for none."""
        temperature = 1.0 if self.temperature is None else self.temperature
        if self.threshold is None:
            return temperature, None
        return temperature, float(with_temperature([self.threshold], temperature)[0])


@dataclass(frozen=True)
class CalibrationFile(Record):
    """``calibration.json``: the frames' temperatures and thresholds after each step, by ``calibrate``."""

    format: int
    steps: tuple[StepCalibration, ...]


class _Part(NamedTuple):
    """Validation samples: labels, scores, and numbers that are the same for the same sample, ``[n]`` each."""

    labels: Labels
    scores: Floats
    samples: NDArray[np.int64]

    @classmethod
    def of_all(cls, parts: Iterable[_Part]) -> _Part:
        """Put parts together."""
        empty = cls(np.zeros(0, np.int8), np.zeros(0), np.zeros(0, np.int64))
        return cls(*(np.concatenate(of) for of in zip(empty, *parts, strict=True)))


def _codes(texts: pd.Series[str]) -> NDArray[np.int64]:
    """Number texts in the order of their first appearance."""
    import pandas as pd

    return np.asarray(pd.factorize(texts)[0], dtype=np.int64)


class ValidationSteps:
    """The validation samples on which a cell is calibrated after each step: those of all domains learned so far.

    Args:
        validation: Scores of validation samples, as ``CellResult.validation`` gives them.
        domains: The stream's domains, in the order in which they are learned.
        level: ``frame`` or ``video``.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
    """

    def __init__(
        self, validation: pd.DataFrame, domains: Sequence[str], level: str = "frame", video: str = MEAN
    ) -> None:
        self.domains = tuple(domains)
        labels, scores = validation["label"].to_numpy(np.int8), validation["score"].to_numpy(np.float64)
        # A real that is in several domains is one sample of them all.
        samples, places = _codes(validation["video"]), _codes(validation["domain"])
        steps, of_domains = validation["step"].to_numpy(np.int64), validation["domain"].to_numpy()
        if level == "frame":
            rows = validation["row"].to_numpy(np.int64)
            samples = samples * (1 + rows.max(initial=0)) + rows
        else:
            number, first = video_groups(validation)
            is_in = number >= 0
            scores = scores_of_groups(scores[is_in], number[is_in], video)
            labels, samples, places, steps, of_domains = (
                of[first] for of in (labels, samples, places, steps, of_domains)
            )
        keys = (steps + 1) * (1 + len(steps)) + places
        order = np.argsort(keys, kind="stable")
        _, starts = np.unique(keys[order], return_index=True)
        self._parts = {
            (int(steps[at[0]]), str(of_domains[at[0]])): _Part(labels[at], scores[at], samples[at])
            for at in np.split(order, starts[1:])
            if len(at)
        }

    def learned(self, step: int) -> dict[str, _Part]:
        """Return the samples of the domains that are learned after a step, of those that have some, by domain."""
        names = self.domains[: step + 1]
        return {name: self._parts[step, name] for name in names if (step, name) in self._parts}

    def different(self, step: int, label: int) -> Floats:
        """Return the scores of the reals (0) or the fakes (1) of these domains, each sample once."""
        pooled = _Part.of_all(self.learned(step).values())
        of_class = pooled.labels == label
        _, first = np.unique(pooled.samples[of_class], return_index=True)
        return np.asarray(pooled.scores[of_class][first])

    def _pooled(self, step: int) -> tuple[Labels, Floats, NDArray[np.int64]]:
        """Return labels, scores and places of the domains that are learned after a step."""
        learned = self.learned(step)
        pooled = _Part.of_all(learned.values())
        of = np.repeat(np.arange(len(learned)), [len(part.labels) for part in learned.values()])
        return pooled.labels, pooled.scores, of

    def threshold(self, step: int) -> Fitted:
        """Fit the threshold after a step alone."""
        return best_threshold(*self._pooled(step))

    def calibrated(self, step: int) -> StepCalibration:
        """Fit temperature and thresholds after a step."""
        learned = self.learned(step)
        temperature, threshold = fit_temperature(*self._pooled(step)), self.threshold(step)
        own = {name: best_threshold(part.labels, part.scores).value for name, part in learned.items()}
        fitted = {"temperature": temperature, "threshold": threshold}
        return StepCalibration(
            step=step,
            domains=tuple(learned),
            reals=len(self.different(step, 0)),
            fakes=len(self.different(step, 1)),
            temperature=None if temperature.reason else float(f"{temperature.value:.{_DIGITS}g}"),
            threshold=None if threshold.reason else threshold.value,
            own={name: value for name, value in own.items() if not math.isnan(value)},
            missing={name: of_all.reason for name, of_all in fitted.items() if of_all.reason},
        )


def calibrate(
    validation: pd.DataFrame, domains: Sequence[str], level: str = "frame", video: str = MEAN
) -> tuple[StepCalibration, ...]:
    """Fit temperature and thresholds after each step of a cell; arguments as ``ValidationSteps``.

    Domains without validation samples take no part; where no learned domain has any, nothing is fitted.
    """
    steps = ValidationSteps(validation, domains, level, video)
    return tuple(steps.calibrated(step) for step in range(len(domains)))


def to_json(steps: Sequence[StepCalibration]) -> str:
    """Return the content of ``calibration.json``."""
    content = {"format": FORMAT, "steps": [dataclasses.asdict(step) for step in steps]}
    return parsing.to_json(parsing.plain(content))


def read_calibration(sealed: Sealed, domains: Sequence[str]) -> tuple[StepCalibration, ...]:
    """Read what was fitted when a cell was finished.

    Args:
        sealed: The cell.
        domains: The stream's domains, in the order in which they are learned.

    Raises:
        BenchError: It is missing, damaged, of another format, or of another stream.
    """
    where = str(sealed.path / NAME)
    steps = _read(sealed)
    for number, step in enumerate(steps):
        if not set(step.domains) <= set(domains[: number + 1]):
            raise BenchError(
                f"{where}: key 'steps[{number}].domains': expected domains learned by then, "
                f"{', '.join(domains[: number + 1])}, found {', '.join(step.domains) or 'none'}; {sealed.remedy}"
            )
    if len(steps) != len(domains):
        raise BenchError(
            f"{where}: key 'steps': expected {len(domains)}, found {len(steps)}; {sealed.remedy}"
        )
    return steps


def _read(sealed: Sealed) -> tuple[StepCalibration, ...]:
    """Read ``calibration.json``, whatever the stream is; errors as ``read_calibration``."""
    where = str(sealed.path / NAME)
    values = sealed.read_json(NAME, "calibration")
    of = values.get("format") if isinstance(values, dict) else None
    if of != FORMAT or isinstance(of, bool):
        raise BenchError(
            f"{where}: key 'format': expected {FORMAT}, found {of!r}: another version of fretal-bench wrote it; read it "
            "with that version"
        )
    steps = documents.build(CalibrationFile, values, where, sealed.remedy).steps
    if [step.step for step in steps] != list(range(len(steps))) or not steps:
        numbers = ", ".join(str(step.step) for step in steps) or "none"
        raise BenchError(f"{where}: key 'steps': expected steps 0, 1, ..., found {numbers}; {sealed.remedy}")
    return steps


def check_calibration(sealed: Sealed, validation: pd.DataFrame, domains: Sequence[str]) -> None:
    """Compare what was fitted when a cell was finished with what its validation samples give.

    Raises:
        BenchError: It is not that; or as ``read_calibration``.
    """
    for stored, fitted in zip(read_calibration(sealed, domains), calibrate(validation, domains), strict=True):
        for name, value in dataclasses.asdict(fitted).items():
            if not _are_alike(getattr(stored, name), value):
                raise BenchError(
                    f"{sealed.path / NAME}: key 'steps[{stored.step}].{name}': expected {value!r} of validation.parquet, "
                    f"found {getattr(stored, name)!r}; {sealed.remedy}"
                )


def _are_alike(stored: Any, fitted: Any) -> bool:
    """Compare two values; the last digits of a temperature depend on the processor."""
    if isinstance(stored, float) and isinstance(fitted, float):
        return math.isclose(stored, fitted, rel_tol=1e-4)
    return bool(stored == fitted)


def calibration_after(cell: Path, step: int | None = None) -> StepCalibration | None:
    """Return what was fitted after a step of a done cell, of frames: what a detector made of it is used with.

    Args:
        cell: Its folder.
        step: The step; the last by default.

    Returns:
        None where the cell has no scores of validation samples, or is of an earlier version, which stored nothing, and
        the step is not its last.

    Raises:
        BenchError: A file is damaged.
    """
    sealed = Sealed(cell)
    if sealed.has(NAME):
        steps = _read(sealed)
        return steps[-1] if step is None else next((of for of in steps if of.step == step), None)
    where = cell / "validation.parquet"
    if not sealed.has(where.name):
        return None
    validation = score_table.to_frame(score_table.read_table(sealed.read(where.name, "scores"), str(where)))
    if not len(validation):
        return None
    last = int(validation["step"].max())
    if step not in (None, last):
        return None
    # All domains are learned by then: in which order does not matter.
    return ValidationSteps(validation, list(validation["domain"].unique())).calibrated(last)
