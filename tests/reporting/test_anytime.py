"""Anytime metrics in reports: every number computed a second time from the rows of the courses."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import numpy as np
import pytest

from fretal_bench.benchmark.runner.cell_course import CellCourse, CourseFile
from fretal_bench.benchmark.runner.course_table import Grid, frame_of
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.anytime_tables import anytime_tables
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.report import write_report
from fretal_bench.reporting.summary import summarize

pytestmark = pytest.mark.usefixtures("undrawn")

DOMAINS = ("a", "b", "c")
STRATEGIES = {"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "icarl": (0.9, 0.1), "joint": (0.94, 0.0)}
UPDATES = (30, 25, 12)
EVERY = 10


def course_of(seed, every=EVERY, watched=True):
    """A course of random counts."""
    random = np.random.default_rng(seed)
    updates = UPDATES if watched else (0, 0, 0)
    rows = []
    for step, count in enumerate(updates):
        for point in Grid(step, every if watched else 0, count, ended=True).points():
            reals, fakes = 40 + point[3], 60
            rows.append(
                {
                    **dict(zip(("step", "update", "ended", "domain"), point, strict=True)),
                    "reals": reals,
                    "fakes": fakes,
                    "reals_right": int(random.integers(10, reals)),
                    "fakes_right": int(random.integers(10, fakes)),
                    "auc": float(random.uniform(0.3, 1)),
                    "loss": float(random.uniform(0, 2)),
                }
            )
    about = CourseFile(
        1, "0" * 16, every, watched=watched, updates=updates, seconds=3.0, training_seconds=12.0
    )
    return CellCourse(about, frame_of(rows))


def watched(results, only=lambda cell: True, every=lambda cell: EVERY):
    """The same cells with courses; iCaRL's are of ends alone."""
    cells = [
        dataclasses.replace(
            cell,
            courses={every(cell): course_of([at, 7], every(cell), watched=cell.strategy != "icarl")}
            if only(cell)
            else {},
        )
        for at, cell in enumerate(results.cells)
    ]
    return dataclasses.replace(results, cells=tuple(cells))


@pytest.fixture(scope="module")
def plain(make):
    return make(STRATEGIES, seeds=3, domains=DOMAINS)


@pytest.fixture(scope="module")
def results(plain):
    return watched(plain)


def series(cell, metric, domain):
    """A(i, n) by n: of all rows of one update the last one of the finished step, else the new domain's first."""
    frame, ((_, course),) = next(iter(cell.courses.values())).frame, cell.courses.items()
    lengths = [max(1, n) for n in course.about.updates]
    values = {}
    for row in frame[frame["domain"] == domain].to_dict("records"):
        before = sum(lengths[: row["step"]])
        n = before + (lengths[row["step"]] if row["ended"] else row["update"])
        value = (
            row["auc"]
            if metric == "auc"
            else (row["reals_right"] + row["fakes_right"]) / (row["reals"] + row["fakes"])
        )
        if row["ended"] or n not in values:
            values[n] = value
    return values, [sum(lengths[: k + 1]) for k in range(len(lengths))]


def expected(cell, metric):
    """All measures of a cell by loops over the formulas; domains from 0 here."""
    a = [series(cell, metric, i)[0] for i in range(3)]
    t = series(cell, metric, 0)[1]
    minima = [min(v for n, v in a[i].items() if t[i] < n <= t[2]) for i in range(2)]
    pairs = [
        (a[i][t[k - 1]], min(v for n, v in a[i].items() if t[k - 1] < n <= t[k]), a[i][t[k]])
        for k in (1, 2)
        for i in range(k)
    ]
    fell = [(before - least, after - least) for before, least, after in pairs if before > least]
    values = {
        "minimum": sum(minima) / 2,
        "worst_case": (a[2][t[2]] + sum(minima)) / 3,
        "stability_gap": sum(before - least for before, least, _ in pairs) / len(pairs),
        "recovered": sum(r for _, r in fell) / sum(f for f, _ in fell) if fell else math.nan,
    }
    for w in (10, 100):
        falls, rises = [], []
        for i in range(3):
            line = [v for _, v in sorted(a[i].items())]
            moves = [line[x] - line[y] for x in range(len(line)) for y in range(x + 1, min(x + w, len(line)))]
            falls.append(max([0, *moves]))
            rises.append(max([0, *(-m for m in moves)]))
        values |= {f"windowed_forgetting_{w}": np.mean(falls), f"windowed_plasticity_{w}": np.mean(rises)}
    return values


def test_every_measure_of_every_strategy_is_that_of_its_rows(results):
    summary = summarize(results)
    for metric, table in zip(("accuracy", "auc"), anytime_tables(summary), strict=True):
        assert [row.cells[0] for row in table.rows] == list(STRATEGIES)
        for row in table.rows:
            cells = [cell for cell in results.cells if cell.label == row.cells[0]]
            by_cell = [expected(cell, metric) for cell in cells]
            for column, number in zip(table.columns[1:], row.cells[1:], strict=True):
                over = mean_interval([values[column.key] for values in by_cell])
                assert number.value == pytest.approx(over.mean, nan_ok=True)
                assert number.half == pytest.approx(over.half, nan_ok=True)


def test_the_tables_say_grid_people_formulas_and_cost_and_compare_no_ends_with_courses(results):
    table, of_auc = anytime_tables(summarize(results))
    words = " ".join(table.notes)
    assert table.title == "Accuracy while domains are learned, judged every 10 updates"
    for part in (
        "every 10 updates",
        "100 to 102",
        "0.050",
        "De Lange et al., ICLR 2023",
        "25% of the seconds",
    ):
        assert part in words
    assert "since what judges is made there (or never trained): icarl;" in words
    assert [column.title for column in of_auc.columns[1:3]] == ["min-AUC", "WC-AUC"]
    rows = {row.cells[0]: row for row in table.rows}
    assert not any(number.best for number in rows["icarl"].cells[1:])
    assert any(number.best for name in ("finetuning", "ewc") for number in rows[name].cells[1:])


def test_only_courses_of_the_commonest_grid_are_shown_and_the_others_are_named(plain):
    some = watched(
        plain,
        only=lambda cell: (cell.label, cell.seed) != ("ewc", 2),
        every=lambda cell: 5 if (cell.label, cell.seed) == ("ewc", 1) else EVERY,
    )
    summary = summarize(some)
    assert summary.anytime.every == EVERY
    assert sorted(summary.anytime.by_seed("ewc", "auc", "minimum")) == [0]
    words = " ".join(anytime_tables(summary)[0].notes)
    assert "whose numbers do not compare: 1 every 5 updates." in words
    assert "Not watched: ewc (seed 2); bench run --watch 10 does." in words
    assert "1 to 3 seeds" in words


def test_a_report_has_the_tables_the_plot_and_every_row_and_loses_them_with_the_courses(
    plain, results, tmp_path
):
    report = write_report(results, tmp_path / "r")
    names = {str(path.relative_to(report.path)) for path in report.files}
    own = {
        *(f"tables/anytime-{metric}.{kind}" for metric in ("accuracy", "auc") for kind in ("csv", "tex")),
        *(f"plots/courses.{kind}" for kind in ("png", "svg")),
        "tables/courses.csv",
    }
    assert own <= names
    rows = list(csv.DictReader((report.path / "tables/courses.csv").open()))
    assert len(rows) == sum(len(cell.courses[EVERY].frame) for cell in results.cells)
    first = next(
        row for row in rows if row["label"] == "ewc" and row["learning"] == "b" and row["ended"] == "True"
    )
    cell = next(cell for cell in results.cells if (cell.label, cell.seed) == ("ewc", int(first["seed"])))
    assert float(first["accuracy"]) == pytest.approx(series(cell, "accuracy", 0)[0][55])
    page = report.page.read_text()
    assert 'id="anytime"' in page
    assert "Accuracy while domains are learned" in page
    assert "(plots/courses.png)" in (report.path / "summary.md").read_text()
    values = json.loads(json.dumps(report.to_dict()))["anytime"]["values"]
    (value,) = (
        v for v in values if (v["label"], v["metric"], v["measure"]) == ("ewc", "auc", "stability_gap")
    )
    cells = [cell for cell in results.cells if cell.label == "ewc"]
    assert value["mean"] == pytest.approx(np.mean([expected(cell, "auc")["stability_gap"] for cell in cells]))
    write_report(plain, tmp_path / "r")
    assert not any((report.path / name).exists() for name in own)
    assert 'id="anytime"' not in report.page.read_text()


def test_the_plot_has_a_panel_a_watched_strategy_a_line_a_domain_and_a_line_between_domains(results):
    summary = summarize(results)
    (plot,) = (plot for plot in plots(summary) if plot.name == "courses")
    panels = [panel for panel in plot.draw(summary).axes if panel.get_visible()]
    assert [panel.get_title(loc="left") for panel in panels] == ["finetuning", "ewc", "joint"]
    lines = {line.get_label(): line for line in panels[0].lines}
    assert set(DOMAINS) <= set(lines)
    cells = [cell for cell in results.cells if cell.label == "finetuning"]
    means = np.mean(
        [[v for _, v in sorted(series(cell, "accuracy", 1)[0].items())] for cell in cells], axis=0
    )
    drawn = lines["b"].get_ydata()
    assert drawn[~np.isnan(drawn)] == pytest.approx(means)
    uprights = [
        line.get_xdata()[0]
        for line in panels[0].lines
        if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]
    ]
    assert uprights == [30, 55]


def test_courses_of_ends_alone_have_tables_and_no_plot(plain):
    summary = summarize(watched(plain, only=lambda cell: cell.label == "icarl"))
    assert anytime_tables(summary)[0].rows[0].cells[0] == "icarl"
    assert "courses" not in [plot.name for plot in plots(summary)]
