"""Test sets that were never trained on: every number computed a second time from the scores."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import statistics

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import t
from sklearn.metrics import accuracy_score, roc_auc_score

from fretal_bench.errors import BenchError
from fretal_bench.reporting.contents import quantity_tables, size_table
from fretal_bench.reporting.formats import to_markdown
from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.tables import Number
from fretal_bench.reporting.verdict import verdict

pytestmark = pytest.mark.usefixtures("undrawn")

STRATEGIES = {"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "joint": (0.94, 0.0)}
SETS = ("a (c40)", "celeb-df-v2")


def scores_on(name, steps, seed, videos=12, frames=3):
    """Random scores of a test set after these steps: the same samples each time, rows in no order."""
    rng = np.random.default_rng([seed, *name.encode()])
    count = videos * frames
    row = np.arange(count) + 100
    label = row // frames % 2
    parts = [
        pd.DataFrame(
            {
                "step": np.int16(step),
                "domain": name,
                "row": row,
                "label": label.astype(np.int8),
                "video": [f"set/{name}/c40/{k // frames}" for k in row],
                "score": np.clip(0.3 * label + rng.uniform(0, 0.7, count), 0, 1).astype(np.float32),
            }
        ).sample(frac=1, random_state=step + 5)
        for step in steps
    ]
    return pd.concat(parts, ignore_index=True)


def judged(results, steps=(-1, 0, 1), sets=SETS, only=None):
    """The same cells, judged on further sets; ``only(label, seed, set)`` says which are."""
    cells = []
    for number, cell in enumerate(results.cells):
        parts = [
            scores_on(name, steps, number)
            for name in sets
            if only is None or only(cell.label, cell.seed, name)
        ]
        cells.append(dataclasses.replace(cell, further=pd.concat(parts) if parts else None))
    return dataclasses.replace(results, cells=tuple(cells))


@pytest.fixture(scope="module")
def plain(make):
    return make(STRATEGIES, seeds=3, domains=("a", "b"))


@pytest.fixture(scope="module")
def results(plain):
    return judged(plain)


def value_of(cell, name, step, level, metric):
    """The metric with scikit-learn, of frames or of the mean of each video."""
    frame = cell.further.query("domain == @name and step == @step")
    if level == "video":
        frame = frame.astype({"score": float}).groupby("video")[["label", "score"]].mean()
    labels, scores = frame["label"].astype(int), frame["score"]
    return roc_auc_score(labels, scores) if metric == "auc" else accuracy_score(labels, scores >= 0.5)


def table_of(summary, level):
    (table,) = [table for table in further_tables(summary) if table.name == f"further-{level}"]
    return table


def cell_of(table, label, key):
    keys = [column.key for column in table.columns]
    return next(row for row in table.rows if row.cells[0] == label).cells[keys.index(key)]


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
@pytest.mark.parametrize("level", ["frame", "video"])
@pytest.mark.parametrize(("when", "step"), [("", 1), ("_first", 0)])
def test_every_value_is_the_mean_over_seeds_of_the_metric_after_its_step(results, metric, level, when, step):
    table = table_of(summarize(results, metric), level)
    for name in SETS:
        for label in STRATEGIES:
            values = [value_of(c, name, step, level, metric) for c in results.cells if c.label == label]
            number = cell_of(table, label, f"{name}{when}")
            assert number.value == pytest.approx(statistics.fmean(values))
            half = t.ppf(0.975, 2) * statistics.stdev(values) / 3**0.5
            assert number.half == pytest.approx(half)


def test_the_mean_of_sets_is_of_each_seed_that_was_judged_on_all_of_them(plain):
    results = judged(plain, only=lambda label, seed, name: (label, seed, name) != ("ewc", 1, SETS[0]))
    table = table_of(summarize(results), "frame")
    for label, seeds in (("finetuning", {0, 1, 2}), ("ewc", {0, 2})):
        cells = [cell for cell in results.cells if cell.label == label and cell.seed in seeds]
        values = [
            statistics.fmean(value_of(cell, name, 1, "frame", "accuracy") for name in SETS) for cell in cells
        ]
        number = cell_of(table, label, "mean_of_sets")
        assert number.value == pytest.approx(statistics.fmean(values))
        assert set(number.over) == seeds


def test_the_reports_level_comes_first_and_bounds_are_apart(results):
    for level, other in (("frame", "video"), ("video", "frame")):
        tables = further_tables(summarize(results, level=level))
        assert [table.name for table in tables] == [f"further-{level}", f"further-{other}"]
    assert [row.apart for row in tables[0].rows] == [False, False, True]


def test_without_the_step_after_the_first_domain_there_is_no_column_of_it(plain):
    table = table_of(summarize(judged(plain, steps=(1,))), "frame")
    assert [column.key for column in table.columns] == ["strategy", *SETS, "mean_of_sets"]
    assert "after the first domain" not in " ".join(table.notes)
    table = table_of(summarize(judged(plain, steps=(0, 1))), "frame")
    assert [column.title for column in table.columns][1:3] == ["a (c40)", "a (c40), after a"]


def test_further_sets_change_no_other_number_and_not_the_verdict(plain, results):
    alone, both = summarize(plain), summarize(results)
    assert verdict(alone) == verdict(both)
    # As text: where there is no interval its half is NaN, which equals nothing.
    assert [*map(to_markdown, quantity_tables(alone))] == [*map(to_markdown, quantity_tables(both))]
    for one, other in zip(alone.strategies, both.strategies, strict=True):
        assert one.by_seed == other.by_seed


def test_a_report_without_further_sets_says_nothing_of_them_and_keeps_no_file(plain, results, tmp_path):
    write_report(results, tmp_path)
    report = write_report(plain, tmp_path)
    assert not list(tmp_path.rglob("further*"))
    assert "further" not in report.to_dict()
    for path in (report.page, tmp_path / "summary.md"):
        assert "ever trained on" not in path.read_text()


def test_the_report_shows_further_sets_everywhere(results, tmp_path):
    report = write_report(results, tmp_path)
    console = Console(width=100, file=io.StringIO(), color_system=None)
    print_summary(results, report.summary, report.verdict, console)
    for text in (console.file.getvalue(), (tmp_path / "summary.md").read_text(), report.page.read_text()):
        assert "Accuracy on test sets that were never trained on, frame level" in text
        assert "celeb-df-v2" in text
    assert '<a href="#further">' in report.page.read_text()
    names = {str(path.relative_to(tmp_path)) for path in report.files}
    assert {"tables/further-video.tex", "tables/further-frame.csv", "plots/further.svg"} <= names


def test_every_metric_of_every_step_stands_in_one_file(results, tmp_path):
    write_report(results, tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables/further.csv").open()))
    metrics = {row["metric"] for row in rows}
    assert len(rows) == 9 * 2 * 3 * 2 * len(metrics)
    for row in rows:
        if row["metric"] in ("accuracy", "auc"):
            (cell,) = [c for c in results.cells if (c.label, str(c.seed)) == (row["label"], row["seed"])]
            expected = value_of(cell, row["set"], int(row["step"]), row["level"], row["metric"])
            assert float(row["value"]) == pytest.approx(expected)


def test_the_values_are_plain_data_with_their_standard_deviation(results, tmp_path):
    report = write_report(results, tmp_path)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))["further"]
    assert plain["sets"] == [
        {"name": name, "reals": 18, "fakes": 18, "videos": 13, "folds": 1} for name in SETS
    ]
    (record,) = [
        of
        for of in plain["values"]
        if (of["set"], of["label"], of["level"], of["when"]) == ("a (c40)", "ewc", "video", "end")
    ]
    values = [value_of(c, "a (c40)", 1, "video", "accuracy") for c in results.cells if c.label == "ewc"]
    assert record["mean"] == pytest.approx(statistics.fmean(values))
    assert record["deviation"] == pytest.approx(statistics.stdev(values))
    assert record["seeds"] == [0, 1, 2]


def test_who_was_judged_with_fewer_seeds_is_said_and_not_compared(plain):
    def only(label, seed, name):
        return not (label == "ewc" and seed == 2) and not (label == "joint" and name == SETS[1])

    results = judged(plain, only=only)
    summary = summarize(results)
    table = table_of(summary, "frame")
    notes = " ".join(table.notes)
    assert "ewc: judged with seeds 0, 1 only on a (c40), celeb-df-v2." in notes
    assert "joint: not judged on celeb-df-v2." in notes
    assert notes.count("judged") == 2
    values = [
        value_of(c, SETS[0], 1, "frame", "accuracy") for c in results.cells if c.label == "ewc" and c.seed < 2
    ]
    number = cell_of(table, "ewc", SETS[0])
    assert number.value == pytest.approx(statistics.fmean(values))
    assert number.over == (0, 1)
    assert np.isnan(cell_of(table, "joint", SETS[1]).value)
    assert not any(cell.best for row in table.rows for cell in row.cells if isinstance(cell, Number))


def test_cells_without_numbers_are_left_out_of_further_sets_too(results):
    broken = dataclasses.replace(results.cells[0], scores=results.cells[0].scores.iloc[:-1])
    summary = summarize(dataclasses.replace(results, cells=(broken, *results.cells[1:])))
    assert cell_of(table_of(summary, "frame"), "finetuning", SETS[0]).over == (1, 2)


def test_the_sizes_of_further_sets_stand_apart(results):
    rows = size_table(summarize(results)).rows
    assert [(row.cells[0], row.apart) for row in rows] == [
        ("a", False),
        ("b", False),
        *((name, True) for name in SETS),
    ]
    assert [cell.value for cell in rows[-1].cells[1:]] == [18, 18, 13]


def test_a_set_of_one_class_has_no_auc_and_the_report_says_why(plain):
    results = judged(plain, sets=SETS[:1])
    for cell in results.cells:
        cell.further["label"] = np.int8(1)
    summary = summarize(results, "auc")
    assert np.isnan(cell_of(table_of(summary, "frame"), "ewc", SETS[0]).value)
    assert "AUC (frame level) does not exist on a (c40): no real sample among 36" in summary.undefined


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), r"row \d+ of the test set .* is there twice"),
        (lambda frame: frame.assign(row=frame["row"] + 1), "its samples of the test set .* are not those of"),
        (
            lambda frame: frame.assign(label=1 - frame["label"]),
            "its samples of the test set .* are not those of",
        ),
        (lambda frame: frame.drop(columns="video"), "have no column 'video'"),
    ],
)
def test_scores_that_are_not_of_one_set_are_refused(results, change, message):
    other = dataclasses.replace(results.cells[1], further=change(results.cells[1].further))
    with pytest.raises(BenchError, match=message):
        summarize(dataclasses.replace(results, cells=(results.cells[0], other, *results.cells[2:])))


def test_the_plot_shows_every_set_at_the_end_and_after_the_first_domain(results):
    summary = summarize(results)
    (plot,) = [plot for plot in plots(summary) if plot.section == "further"]
    figure = plot.draw(summary)
    for panel, name in zip(figure.axes, SETS, strict=True):
        assert panel.get_title("left") == name
        table = table_of(summary, "frame")
        drawn = [float(line.get_xdata()[0]) for line in panel.lines if len(line.get_xdata()) == 1]
        for label in STRATEGIES:
            for key in (name, f"{name}_first"):
                assert any(abs(x - cell_of(table, label, key).value) < 1e-12 for x in drawn)


def test_of_many_sets_and_strategies_the_plot_can_be_drawn(make):
    results = judged(
        make({f"s{k}": (0.9, 0.01 * k) for k in range(12)}, seeds=1, domains=("a", "b")),
        steps=(1,),
        sets=[f"set {k}" for k in range(7)],
    )
    summary = summarize(results)
    (plot,) = [plot for plot in plots(summary) if plot.section == "further"]
    panels = [panel for panel in plot.draw(summary).axes if panel.get_visible()]
    assert len(panels) == 7
    assert all(panel.get_position().width > 0.02 for panel in panels)
