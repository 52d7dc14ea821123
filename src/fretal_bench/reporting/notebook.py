"""Results as a notebook meets them: shown as the answer and the leaderboard, as data frames, and drawn."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import html
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench.benchmark.runner import results as runner_results
from fretal_bench.benchmark.runner import run as runner_run
from fretal_bench.benchmark.runner.results import CellResult
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics.videos import MEAN
from fretal_bench.reporting.crop_stores import stores_of
from fretal_bench.reporting.faces import KINDS, frames_that_turned
from fretal_bench.reporting.inference import comparisons_frame
from fretal_bench.reporting.inputs import domain_names
from fretal_bench.reporting.notebook_plots import ResultPlots
from fretal_bench.reporting.quantities import AVERAGE, BACKWARD, FORGETTING, LEARNING
from fretal_bench.reporting.short import short_table
from fretal_bench.reporting.summary import Summary, summarize
from fretal_bench.reporting.tables import Column, Number, number_text
from fretal_bench.reporting.verdict import verdict

if TYPE_CHECKING:
    import pandas as pd

_SHOWN: Final = (BACKWARD, FORGETTING, LEARNING, AVERAGE, "minimum_old", "final_fakes", "final_reals")
"""The quantities of ``Results.summary``, each with half the width of its interval."""


@dataclasses.dataclass(frozen=True, repr=False)
class Results(runner_results.Results):
    """A result folder, read: what ``fretal_bench.load_results`` and ``fretal_bench.run`` return.

    In a notebook it shows itself as the verdict and the leaderboard, in a terminal as one line. Its methods give what a
    report shows as data frames, computed when they are asked for, once for each metric and level; ``plot`` has its plots.
    """

    def __repr__(self) -> str:
        strategies = dict.fromkeys(cell.label for cell in self.cells)
        seeds = sorted({cell.seed for cell in self.cells})
        lost = {
            "failed": len(self.failures) + len(self.unusable),
            "missing": len(self.missing),
        }
        rest = "".join(f", {count} {what}" for what, count in lost.items() if count)
        return (
            f"Results({str(self.path)!r}: {len(self.cells)} cells done, {len(strategies)} strategies, "
            f"seeds {_ranges(seeds)}{rest})"
        )

    def _repr_html_(self) -> str:
        if not self.cells:
            return f"<p>{html.escape(repr(self))}</p>"
        summary = self._summarized(None, "frame", MEAN)
        table = short_table(summary)
        heads = "".join(f"<th>{html.escape(column.head)}</th>" for column in table.columns)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td>{_cell(cell, column)}</td>"
                for cell, column in zip(row.cells, table.columns, strict=True)
            )
            + "</tr>"
            for row in table.rows
        )
        notes = html.escape(" ".join(table.notes))
        return (
            f"<p><strong>{html.escape(verdict(summary).sentence)}</strong></p>"
            f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><p><small>{notes}</small></p>"
        )

    @functools.cached_property
    def plot(self) -> ResultPlots:
        """The plots of a report: ``results.plot.tradeoff()``, ``results.plot.matrix("ewc", ax=ax)``."""
        return ResultPlots(self._summarized, self._label, self.forgotten, self.crops_of)

    @functools.cached_property
    def _summaries(self) -> dict[tuple[str | None, str, str], Summary]:
        return {}

    def _summarized(self, metric: str | None, level: str, video: str) -> Summary:
        key = metric, level, video
        if key not in self._summaries:
            self._summaries[key] = summarize(self, metric, level, video)
        return self._summaries[key]

    def verdict(self, metric: str | None = None, level: str = "frame", video: str = MEAN) -> str:
        """Return the one sentence on who forgets least; arguments and errors as ``summary``."""
        return verdict(self._summarized(metric, level, video)).sentence

    def summary(self, metric: str | None = None, level: str = "frame", video: str = MEAN) -> pd.DataFrame:
        """Return the leaderboard: a row a strategy, the one that forgets least first, bounds last.

        Columns: ``ties`` (letters; two strategies that share one are not told apart; or "at chance"), ``bound``,
        and every quantity of the summary table with ``QUANTITY_half``, half of its 95% interval over people and seeds;
        accuracy on fakes and reals at the end is at frame level.

        Args:
            metric: By default accuracy, or balanced accuracy where a class is far larger.
            level: ``frame`` or ``video``.
            video: How videos are scored, one of ``videos.VIDEO_SCORES``.

        Raises:
            BenchError: A name is unknown, or no cell can be used.
        """
        import pandas as pd

        summary = self._summarized(metric, level, video)
        table = short_table(summary)
        ties = next((at for at, column in enumerate(table.columns) if column.key == "ties"), None)
        known = {strategy.label: strategy for strategy in summary.strategies}
        rows = {}
        for row in table.rows:
            strategy = known[str(row.cells[0])]
            values: dict[str, Any] = {
                "ties": "" if ties is None else row.cells[ties],
                "bound": strategy.bound,
            }
            for name in _SHOWN:
                if (value := strategy.values.get(name)) is not None:
                    values |= {name: value.mean, f"{name}_half": value.half}
            rows[strategy.label] = values
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = "strategy"
        return frame

    def matrix(
        self,
        strategy: str,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
        *,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """Return R of a strategy, the row before training above it: after which domain (rows), on which (columns).

        Args:
            strategy: Its label, or one of its names.
            metric: As ``summary``'s.
            level: As ``summary``'s.
            video: As ``summary``'s.
            seed: Of one seed; the mean over seeds if None, and then ``frame.attrs["half"]`` has half of the intervals.

        Raises:
            BenchError: There is no such strategy or seed, or as ``summary``.
        """
        import pandas as pd

        summary = self._summarized(metric, level, video)
        label = self._label(strategy)
        index = pd.Index([summary.before, *summary.domains], name="after")
        if seed is not None:
            cells = {cell.seed: cell for cell in summary.cells if cell.label == label}
            if seed not in cells:
                raise unknown_name("seed", str(seed), map(str, cells))
            values = cells[seed].matrices[summary.level, summary.metric].whole
            return pd.DataFrame(values, index, list(summary.domains))
        of = next(of for of in summary.strategies if of.label == label)
        means, halves = (
            pd.DataFrame(
                np.vstack([getattr(of.baseline, part), getattr(of.accuracy, part)]),
                index,
                list(summary.domains),
            )
            for part in ("mean", "half")
        )
        means.attrs["half"] = halves
        return means

    def scores(self) -> pd.DataFrame:
        """Return every score: one row a test sample, step and cell; the cells' columns, after strategy and seed."""
        import pandas as pd

        return pd.concat(
            [cell.scores.assign(strategy=cell.label, seed=cell.seed) for cell in self.cells],
            ignore_index=True,
        )[["strategy", "seed", *self.cells[0].scores.columns]]

    def compare(
        self, first: str, second: str, metric: str | None = None, level: str = "frame", video: str = MEAN
    ) -> pd.DataFrame:
        """Return the differences ``first - second`` of two strategies, a row a quantity.

        Columns: difference, low, high (95% interval over people and seeds), p, p_corrected (Holm over all pairs of these
        results), sign_flip, told_apart, equivalent, people_needed; as ``tables/all-comparisons.csv`` of a report.

        Args:
            first: A strategy's label, or one of its names.
            second: Another's.
            metric: As ``summary``'s.
            level: As ``summary``'s.
            video: As ``summary``'s.

        Raises:
            BenchError: There is no such strategy, they are the same, or a bound, or as ``summary``.
        """
        labels = self._label(first), self._label(second)
        if labels[0] == labels[1]:
            raise BenchError(f"{first!r} and {second!r} are the same strategy; name two")
        compared = []
        for of in self._summarized(metric, level, video).inference.values():
            # Of a quantity that one of the two does not have there is nothing to compare.
            with contextlib.suppress(KeyError):
                compared.append(dataclasses.replace(of, comparisons=(of.between(*labels),)))
        if not compared:
            raise BenchError(
                f"{labels[0]} and {labels[1]} are not compared: bounds are not, nor is what has no value"
            )
        frame = comparisons_frame(compared)
        return frame.drop(columns=["first", "second"]).set_index("quantity")

    def forgotten(
        self, strategy: str, domain: str | None = None, *, seed: int | None = None, crops: bool = False
    ) -> pd.DataFrame:
        """Return the frames that a strategy judges otherwise at the end than right after their domain was learned.

        Columns: seed, domain, kind (``missed``: a fake that was found; ``alarm``: a real that was passed; ``back``: was
        wrong, is right), video, row (in the domain's store), then and now (P(fake)); at a threshold of 0.5.
        ``plot.faces`` draws them.

        Args:
            strategy: Its label, or one of its names.
            domain: Of one domain; of all if None.
            seed: Of one seed; of all if None.
            crops: Whether there is a column ``crop`` too, as ``crops_of`` gives them.

        Raises:
            BenchError: There is no such strategy, domain or seed.
        """
        import pandas as pd

        label, domains = self._label(strategy), domain_names(self.plan)
        if domain is not None and domain not in domains:
            raise unknown_name("domain", domain, domains)
        cells = [cell for cell in self.cells if cell.label == label]
        if seed is not None and seed not in {cell.seed for cell in cells}:
            raise unknown_name("seed", str(seed), (str(cell.seed) for cell in cells))
        frames = [_turned(cell, domains) for cell in cells if seed in (None, cell.seed)]
        frame = pd.concat(frames, ignore_index=True)
        if domain is not None:
            frame = frame[frame["domain"] == domain].reset_index(drop=True)
        if crops:
            frame["crop"] = pd.Series(self.crops_of(frame), frame.index, dtype=object)
        return frame

    def crops_of(self, frames: pd.DataFrame) -> list[Any]:
        """Return the face crops (uint8 [H, W, 3]) of rows as ``forgotten`` gives them; None where no store is found.

        A store is found in the cache, in ``$FRETAL_BENCH_DATA`` or where the results say; nothing is downloaded.
        """
        stores = stores_of(self)
        checksums = {domain["name"]: domain.get("store", "") for domain in self.plan["stream"]["domains"]}
        places = [
            (stores.get(checksums[name]), int(row))
            for name, row in zip(frames["domain"], frames["row"], strict=True)
        ]
        return [None if store is None else store.crops[row] for store, row in places]

    def _label(self, strategy: str) -> str:
        """Return a strategy's label by the label or one of its names."""
        labels = dict.fromkeys(cell.label for cell in self.cells)
        if strategy in labels:
            return strategy
        named = [label for label in labels if strategy in label.split("/")]
        if len(named) != 1:
            raise unknown_name("strategy", strategy, labels)
        return named[0]


def load_results(path: str | os.PathLike[str]) -> Results:
    """Read a result folder; errors as ``bench report``."""
    return shown(runner_results.load_results(path))


def run(*arguments: Any, **options: Any) -> Results:
    """Run strategies along a stream; arguments and errors as ``benchmark.runner.run.run``."""
    return shown(runner_run.run(*arguments, **options))


def shown(results: runner_results.Results) -> Results:
    """Return results that show themselves."""
    return Results(**{field.name: getattr(results, field.name) for field in dataclasses.fields(results)})


def _turned(cell: CellResult, domains: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    of = frames_that_turned(cell, domains)
    return pd.DataFrame(
        {
            "seed": cell.seed,
            "domain": [domains[place] for place in of.domain],
            "kind": [KINDS[kind] for kind in of.kind],
            "video": of.video,
            "row": of.row,
            "then": of.then,
            "now": of.now,
        }
    )


def _cell(cell: str | Number, column: Column) -> str:
    return html.escape(cell if isinstance(cell, str) else number_text(cell, column))


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as ``0-4, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "none"
