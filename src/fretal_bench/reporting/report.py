"""A report, written to a folder or printed in a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from threadpoolctl import threadpool_limits

from fretal_bench import files
from fretal_bench.benchmark.runner.results import Results
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.videos import MEAN, level_key
from fretal_bench.reporting.anytime import METRICS as WATCHED
from fretal_bench.reporting.anytime import course_frame
from fretal_bench.reporting.anytime_tables import anytime_tables
from fretal_bench.reporting.calibration import calibration_frame
from fretal_bench.reporting.calibration_tables import NAMES as CALIBRATED
from fretal_bench.reporting.calibration_tables import calibration_tables
from fretal_bench.reporting.chance import letters
from fretal_bench.reporting.choice import CHOSEN, Choice, chosen, labels_of
from fretal_bench.reporting.comparison_words import comparison_tables
from fretal_bench.reporting.contents import (
    class_matrix_table,
    matrix_table,
    matrix_tables,
    metric_table,
    quantity_tables,
    side_by_side,
)
from fretal_bench.reporting.crop_stores import stores_of
from fretal_bench.reporting.drawing import image
from fretal_bench.reporting.formats import frame_to_csv, to_csv
from fretal_bench.reporting.further import further_frame
from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.inference import comparisons_frame
from fretal_bench.reporting.inputs import left_out, shortcut_words
from fretal_bench.reporting.latex import abbreviations, to_latex
from fretal_bench.reporting.markdown import markdown
from fretal_bench.reporting.order_data import order_frame, order_values
from fretal_bench.reporting.order_tables import order_tables
from fretal_bench.reporting.orders import COMPARED
from fretal_bench.reporting.page.page import page
from fretal_bench.reporting.plots import Plot, plots
from fretal_bench.reporting.progress import problem_table, progress_frame, progress_table
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.robustness import METRICS, robustness_frame
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.several import folder_tables
from fretal_bench.reporting.summary import (
    StrategySummary,
    Summary,
    summarize,
    summary_record,
    tidy_matrices,
    tidy_values,
)
from fretal_bench.reporting.tables import Table, drawn_width, fitted, to_rich, without_intervals
from fretal_bench.reporting.verdict import Verdict, verdict
from fretal_bench.reporting.verdict_notes import MOST_PAIRS

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

MATRICES: Final = ("accuracy-matrices", "class-matrices", "forgetting-matrices")
"""Tables of all steps: in CSV they have no intervals."""
_TABLES: Final = (
    CHOSEN,
    "comparisons",
    "folders",
    *(f"orders-{name}" for name in COMPARED),
    *(f"further-{level}" for level in LEVELS),
    *(f"robustness-{metric}" for metric in METRICS),
    *CALIBRATED,
    *(f"anytime-{metric}" for metric in WATCHED),
)
SOMETIMES: Final = (
    *(f"tables/{name}{end}" for name in _TABLES for end in (".csv", ".tex", "-narrow.tex")),
    # Of earlier versions.
    *(f"plots/forgetting-against-average.{kind}" for kind in ("png", "svg")),
    *(
        f"tables/{name}.csv"
        for name in (
            "progress",
            "all-comparisons",
            "further",
            "robustness",
            "orders",
            "order-values",
            "courses",
        )
    ),
    "tables/calibration-values.csv",
    *(f"plots/{name}.{kind}" for name in ("further", "orders", "courses") for kind in ("png", "svg")),
)
"""The files of a report that not every one has."""
_MOST_PRINTED: Final = 15
"""More comparisons than these are left to the files and the page; up to ``MOST_PAIRS`` are in the notes."""
_REMEDY: Final = "give another --out"


@dataclass(frozen=True, eq=False)
class Report:
    """A written report.

    Attributes:
        path: Its folder.
        page: The HTML page; the one file to open.
        files: Every file that was written.
        verdict: What it says first.
        summary: What its tables show.
    """

    path: Path
    page: Path
    files: tuple[Path, ...]
    verdict: Verdict
    summary: Summary

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain data for ``json.dumps``; a value that does not exist is None."""
        record = summary_record(self.summary)
        if BACKWARD in record["inference"]:
            record["inference"][BACKWARD]["groups"] = letters(self.summary)
        return {
            "path": str(self.path),
            "page": str(self.page),
            "files": [str(path) for path in self.files],
            "verdict": asdict(self.verdict),
            **record,
        }


def write_report(
    results: Results,
    out: str | os.PathLike[str],
    metric: str | None = None,
    level: str = "frame",
    video: str = MEAN,
    fpr: float | None = None,
    *,
    faces: bool = True,
    strategies: Sequence[str] = (),
    columns: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Write a report: ``index.html``, ``summary.md``, ``tables/*.csv`` and ``*.tex``, ``plots/*.png`` and ``*.svg``.

    The same results give the same bytes on the same day (the page says when it was written). Every file is replaced as a
    whole or not at all; files of other names in the folder are left alone, files of an earlier report that this one does
    not have are removed.

    Args:
        results: Results as ``load_results`` gives them.
        out: Folder, made if it is not there.
        metric: Metric of the matrices; by default accuracy, or balanced accuracy where a class is far larger.
        level: ``frame`` or ``video``.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
        fpr: A share of reals that may be called fake, for one more threshold.
        faces: Whether the page shows the faces that were forgotten, with pictures where their crop store is at hand.
        strategies: The rows of the tables in ``tables``: labels, names or patterns; by default all.
        columns: The columns of these tables, by their names in CSV; by default all. What is chosen of several tables
            stands together in ``tables/chosen``.
        tell: Told in a few words what is being done.

    Raises:
        BenchError: If no cell can be used, a name is unknown, or the folder cannot be written.
        RunError: If there is no space left.
    """
    folder = Path(out)
    index = folder / "index.html"
    files.check_place(index, "--out")
    rows = labels_of(strategies, {cell.label: cell.strategy for cell in results.cells})
    tell(f"measuring {len(results.cells)} cells")
    # Matrices are small: with more threads linear algebra waits for itself, a seventh of all CPU time.
    with threadpool_limits(1):
        summary = summarize(results, metric, level, video, fpr)
        conclusion = verdict(summary)
        tables = chosen(_tables(summary), Choice(rows, tuple(columns)))
        contents = _contents(results, summary, conclusion, faces, tables, tell)
    for name, content in contents.items():
        files.write(folder / name, content, remedy=_REMEDY)
    for name in SOMETIMES:
        # What an earlier report says of a run that has gone on since would be believed.
        if name not in contents:
            with files.refusals(folder / name, remedy=_REMEDY):
                (folder / name).unlink(missing_ok=True)
    return Report(folder, index, tuple(folder / name for name in contents), conclusion, summary)


def _contents(
    results: Results,
    summary: Summary,
    conclusion: Verdict,
    faces: bool,
    tables: Sequence[Table],
    tell: Callable[[str], None],
) -> dict[str, str | bytes]:
    """Make the content of every file of a report, by path."""
    contents: dict[str, str | bytes] = {}
    pictures: list[tuple[Plot, bytes]] = []
    for plot in plots(summary):
        tell(f"drawing {plot.name}")
        figure = plot.draw(summary)
        svg = image(figure, "svg")
        contents[f"plots/{plot.name}.svg"] = svg
        contents[f"plots/{plot.name}.png"] = image(figure, "png")
        pictures.append((plot, svg))
    tell("writing tables")
    short = abbreviations(summary.domains)
    for table in tables:
        plain = without_intervals(table) if table.name in MATRICES else table
        contents[f"tables/{table.name}.csv"] = to_csv(plain)
        contents[f"tables/{table.name}.tex"] = to_latex(table)
        contents[f"tables/{table.name}-narrow.tex"] = to_latex(table, narrow=True, short=short)
    contents |= {f"tables/{name}.csv": frame_to_csv(frame) for name, frame in _frames(summary).items()}
    contents["summary.md"] = markdown(results, summary, conclusion)
    tell("laying out the page")
    stores = stores_of(results) if faces else None
    contents["index.html"] = page(results, summary, conclusion, pictures, stores)
    return contents


def _tables(summary: Summary) -> tuple[Table, ...]:
    """Give the tables that are written as CSV and LaTeX."""
    matrices = [matrix_table(summary, "accuracy"), class_matrix_table(summary)]
    if len(summary.domains) > 1:
        matrices.append(matrix_table(summary, "forgetting"))
    return (
        *quantity_tables(summary),
        *folder_tables(summary),
        *comparison_tables(summary),
        metric_table(summary),
        *calibration_tables(summary),
        *further_tables(summary),
        *robustness_tables(summary),
        *anytime_tables(summary),
        *order_tables(summary),
        *matrices,
    )


def _frames(summary: Summary) -> dict[str, pd.DataFrame]:
    """Give what stands in CSV only, by name."""
    frames = {"values": tidy_values(summary), "all-matrices": tidy_matrices(summary)}
    if any(of.comparisons for of in summary.inference.values()):
        frames["all-comparisons"] = comparisons_frame(summary.inference.values())
    if summary.further is not None:
        frames["further"] = further_frame(summary.further)
    if summary.robustness is not None:
        frames["robustness"] = robustness_frame(summary.robustness)
    if summary.anytime is not None:
        frames["courses"] = course_frame(summary.anytime, summary.domains)
    if summary.calibration is not None:
        frames["calibration-values"] = calibration_frame(summary.calibration)
    if summary.orders is not None:
        frames["orders"] = order_frame(summary.orders)
        frames["order-values"] = order_values(
            summary.orders, summary.metric, level_key(summary.level, summary.video)
        )
    if summary.problems:
        frames["progress"] = progress_frame(summary.progress)
    return frames


def print_summary(results: Results, summary: Summary, conclusion: Verdict, console: Console) -> None:
    """Print a report: the verdict, the tables, and both matrices of each strategy, side by side if they fit.

    Args:
        results: Results as ``load_results`` gives them.
        summary: What ``summarize`` makes of them.
        conclusion: What ``verdict`` says of it.
        console: Where to; its width decides what stands side by side.
    """
    from rich.text import Text

    console.print(Text(conclusion.sentence, style="bold"))
    for note in conclusion.notes:
        console.print(Text(f"- {note}"))
    compared = [
        table for table in comparison_tables(summary) if MOST_PAIRS < len(table.rows) <= _MOST_PRINTED
    ]
    tables = [
        *quantity_tables(summary),
        *folder_tables(summary),
        *compared,
        *calibration_tables(summary),
        *further_tables(summary),
        *robustness_tables(summary),
        *anytime_tables(summary),
        *order_tables(summary),
    ]
    if summary.problems:
        tables += [progress_table(summary.progress), problem_table(summary.problems)]
    for strategy in summary.strategies:
        tables.extend(_matrices_for(console.width, summary, strategy))
    printed: set[str] = set()
    for table in tables:
        for piece in fitted(table, console.width):
            console.print()
            console.print(to_rich(piece))
            # Notes that many tables share are printed under the first of them.
            new = [note for note in piece.notes if note not in printed]
            printed.update(new)
            if new:
                console.print(Text(" ".join(new), style="dim"))
    shortcuts = (f"Shortcut in {line}" for line in shortcut_words(results))
    for line in (*shortcuts, *left_out(results), *summary.undefined):
        console.print(Text(f"- {line}"))


def _matrices_for(width: int, summary: Summary, strategy: StrategySummary) -> list[Table]:
    """Give the matrices of a strategy: as many side by side as fit, if need be without intervals."""
    row: list[Table] = []
    rows: list[list[Table]] = []
    for table in matrix_tables(summary, strategy):
        if not row or drawn_width(without_intervals(side_by_side([*row, table]))) > width:
            rows.append(row := [])
        row.append(table)
    return [side_by_side(tables) for tables in rows]
