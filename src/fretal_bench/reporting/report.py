"""Writing a report to a folder, and printing it in a terminal."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fretal_bench.errors import BenchError
from fretal_bench.reporting.contents import (
    formula_table,
    matrix_table,
    matrix_tables,
    pair_table,
    problem_table,
    quantity_tables,
    size_table,
    strategy_table,
)
from fretal_bench.reporting.formats import to_csv, to_latex, to_markdown
from fretal_bench.reporting.inputs import ResultsLike
from fretal_bench.reporting.page import left_out, page
from fretal_bench.reporting.plots import Plot, image, plots
from fretal_bench.reporting.summary import (
    StrategySummary,
    Summary,
    summarize,
    tidy_matrices,
    tidy_values,
    to_plain,
)
from fretal_bench.reporting.tables import Table, drawn_width, fitted, to_rich, without_intervals
from fretal_bench.reporting.verdict import Verdict, verdict

if TYPE_CHECKING:
    from rich.console import Console


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
        return {
            "path": str(self.path),
            "page": str(self.page),
            "files": [str(path) for path in self.files],
            "verdict": asdict(self.verdict),
            **to_plain(self.summary),
        }


def write_report(
    results: ResultsLike, out: str | os.PathLike[str], metric: str = "accuracy", level: str = "frame"
) -> Report:
    """Write a report: ``index.html``, ``summary.md``, ``tables/*.csv`` and ``*.tex``, ``plots/*.png`` and ``*.svg``.

    The same results give the same bytes. Every file is replaced as a whole or not at all; files of other
    names in the folder are left alone.

    Args:
        results: Results as ``load_results`` gives them.
        out: Folder, made if it is not there.
        metric: Metric of the matrices.
        level: ``frame`` or ``video``.

    Raises:
        BenchError: If no cell can be used, a name is unknown, or the folder cannot be written.
    """
    summary = summarize(results, metric, level)
    said = verdict(summary)
    folder = Path(out)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    contents: dict[str, str | bytes] = {}
    pictures: list[tuple[Plot, bytes]] = []
    for plot in plots(summary):
        figure = plot.draw(summary)
        svg = image(figure, "svg")
        contents[f"plots/{plot.name}.svg"] = svg
        contents[f"plots/{plot.name}.png"] = image(figure, "png")
        pictures.append((plot, svg))
    matrices = [matrix_table(summary, "accuracy")]
    if len(summary.domains) > 1:
        matrices.append(matrix_table(summary, "forgetting"))
    for table in quantity_tables(summary):
        contents[f"tables/{table.name}.csv"] = to_csv(table)
        contents[f"tables/{table.name}.tex"] = to_latex(table)
    for table in matrices:
        contents[f"tables/{table.name}.csv"] = to_csv(without_intervals(table))
        contents[f"tables/{table.name}.tex"] = to_latex(table)
    # Seventeen digits bring every float back exactly.
    contents["tables/values.csv"] = tidy_values(summary).to_csv(
        index=False, float_format="%.17g", lineterminator="\n"
    )
    contents["tables/all-matrices.csv"] = tidy_matrices(results, summary).to_csv(
        index=False, float_format="%.17g", lineterminator="\n"
    )
    contents["summary.md"] = markdown(results, summary, said)
    contents["index.html"] = page(results, summary, said, pictures)
    with _writing(folder):
        files = tuple(_write(folder / name, content) for name, content in contents.items())
    return Report(folder, folder / "index.html", files, said, summary)


def print_report(
    results: ResultsLike, console: Console, metric: str = "accuracy", level: str = "frame"
) -> Verdict:
    """Print a report: the verdict, the tables, and both matrices of each strategy, side by side if they fit.

    Args:
        results: Results as ``load_results`` gives them.
        console: Where to; its width decides what stands beside what.
        metric: Metric of the matrices.
        level: ``frame`` or ``video``.

    Returns:
        The verdict that was printed.
    """
    from rich.text import Text

    summary = summarize(results, metric, level)
    said = verdict(summary)
    console.print(Text(said.sentence, style="bold"))
    for note in said.notes:
        console.print(Text(f"- {note}"))
    tables = list(quantity_tables(summary))
    if summary.problems:
        tables.append(problem_table(summary))
    for strategy in summary.strategies:
        tables.extend(_matrices_for(console.width, summary, strategy))
    told: set[str] = set()
    for table in tables:
        for piece in fitted(table, console.width):
            console.print()
            console.print(to_rich(piece))
            # Notes that many tables share are printed under the first of them.
            new = [note for note in piece.notes if note not in told]
            told.update(new)
            if new:
                console.print(Text(" ".join(new), style="dim"))
    for line in (*left_out(results.plan), *summary.undefined):
        console.print(Text(f"- {line}"))
    return said


def _matrices_for(width: int, summary: Summary, strategy: StrategySummary) -> list[Table]:
    """Give both matrices of a strategy: side by side if they fit, if need be without intervals."""
    if len(summary.domains) > 1:
        pair = pair_table(summary, strategy)
        if drawn_width(without_intervals(pair)) <= width:
            return [pair]
    return list(matrix_tables(summary, strategy))


def markdown(results: ResultsLike, summary: Summary, said: Verdict) -> str:
    """Write the report as Markdown: verdict, tables, plots, matrices, protocol and what is missing."""
    stream = results.plan.get("stream", {}).get("name", "stream")
    recipe = results.plan.get("recipe", {}).get("name", "recipe")
    seeds = ", ".join(map(str, summary.seeds))
    parts = [
        f"# Which strategy forgets least? Stream {stream}, recipe {recipe}",
        f"**{said.sentence}**",
        "\n".join(f"- {note}" for note in said.notes),
        f"Stream {summary.stream}. Domains in the order in which they are learned: {', '.join(summary.domains)}. "
        f"Seeds: {seeds}.",
        *(to_markdown(table) for table in quantity_tables(summary)),
        *(f"![{plot.title}](plots/{plot.name}.png)" for plot in plots(summary)),
    ]
    for number, strategy in enumerate(summary.strategies):
        pair = matrix_tables(summary, strategy)
        parts.extend(to_markdown(table if number == 0 else replace(table, notes=())) for table in pair)
    parts.append(to_markdown(size_table(summary)))
    parts.append(to_markdown(strategy_table(summary)))
    parts.append(to_markdown(problem_table(summary)) if summary.problems else "No cell failed or is missing.")
    parts.append("\n".join(f"- {line}" for line in (*left_out(results.plan), *summary.undefined)))
    parts.append(to_markdown(formula_table(summary)))
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn the system's refusals into one line that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise BenchError(
            f"{folder}: the report cannot be written there ({reason}); give another --out"
        ) from error


def _write(path: Path, content: str | bytes) -> Path:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return path
