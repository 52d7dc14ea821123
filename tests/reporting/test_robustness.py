"""Corrupted test sets in reports: every drop computed a second time from the scores."""

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
from sklearn.metrics import accuracy_score, roc_auc_score

from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict

pytestmark = pytest.mark.usefixtures("undrawn")

DOMAINS = ("a", "b")
NAMES = ("jpeg-30", "blur-2")


def judged(results, only=lambda label, seed, domain: True):
    """The same cells judged on corrupted sets after the last step: their own scores with noise."""
    cells = []
    for number, cell in enumerate(results.cells):
        last = cell.scores[cell.scores["step"] == 1]
        parts = []
        for k, name in enumerate(NAMES):
            for domain in DOMAINS:
                if only(cell.label, cell.seed, domain):
                    part = last[last["domain"] == domain].copy()
                    noise = np.random.default_rng([number, k]).normal(0, 0.2 * (k + 1), len(part))
                    part["score"] = np.clip(part["score"] + noise, 0, 1).astype(np.float32)
                    parts.append(part.assign(domain=f"{domain} ({name})"))
        cells.append(dataclasses.replace(cell, further=pd.concat(parts) if parts else None))
    plan = {
        **results.plan,
        "further": [
            {"name": f"{domain} ({name})", "store": "0123", "rows": {}, "corruption": name}
            for name in NAMES
            for domain in DOMAINS
        ],
    }
    return dataclasses.replace(results, cells=tuple(cells), plan=plan)


@pytest.fixture(scope="module")
def plain(make):
    return make(
        {"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "joint": (0.94, 0.0)}, seeds=3, domains=DOMAINS
    )


@pytest.fixture(scope="module")
def results(plain):
    return judged(plain)


def value_of(frame, level, metric):
    if level == "video":
        frame = frame.astype({"score": float}).groupby("video")[["label", "score"]].mean()
    labels, scores = frame["label"].astype(int), frame["score"]
    return roc_auc_score(labels, scores) if metric == "auc" else accuracy_score(labels, scores >= 0.5)


@pytest.mark.parametrize("level", ["frame", "video"])
def test_every_drop_is_the_mean_over_domains_and_seeds_of_clean_minus_corrupted(results, level):
    tables = robustness_tables(summarize(results, "ece", level))
    assert [table.name for table in tables] == ["robustness-accuracy", "robustness-auc"]
    for table, metric in zip(tables, ("accuracy", "auc"), strict=True):
        assert [column.key for column in table.columns] == ["strategy", "clean", *NAMES]
        for row in table.rows:
            cells = [cell for cell in results.cells if cell.label == row.cells[0]]
            clean = [
                statistics.fmean(
                    value_of(cell.scores.query("step == 1 and domain == @domain"), level, metric)
                    for domain in DOMAINS
                )
                for cell in cells
            ]
            assert row.cells[1].value == pytest.approx(statistics.fmean(clean))
            for at, name in enumerate(NAMES, 2):
                corrupted = [
                    statistics.fmean(
                        value_of(cell.further[cell.further["domain"] == f"{domain} ({name})"], level, metric)
                        for domain in DOMAINS
                    )
                    for cell in cells
                ]
                drop = statistics.fmean(clean) - statistics.fmean(corrupted)
                assert row.cells[at].value == pytest.approx(drop)
        assert [row.apart for row in table.rows] == [False, False, True]


def test_corrupted_sets_are_no_further_sets_and_change_nothing_else(plain, results):
    alone, both = summarize(plain), summarize(results)
    assert both.further is None
    assert further_tables(both) == ()
    assert verdict(both) == verdict(alone)
    assert robustness_tables(alone) == ()


def test_a_strategy_that_was_not_judged_on_all_domains_has_no_drop_and_is_named(plain):
    results = judged(plain, only=lambda label, seed, domain: label != "ewc" or (domain == "a" and seed < 2))
    table = robustness_tables(summarize(results))[0]
    row = next(row for row in table.rows if row.cells[0] == "ewc")
    assert all(np.isnan(number.value) for number in row.cells[2:])
    assert "ewc: judged not on all domains under jpeg-30, blur-2." in table.notes


def test_files_page_and_terminal_have_them_and_a_later_report_without_them_has_not(plain, results, tmp_path):
    report = write_report(results, tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables" / "robustness.csv").open()))
    assert len(rows) == len(results.cells) * len(NAMES) * len(DOMAINS) * 2 * 2
    for row in rows:
        assert float(row["drop"]) == pytest.approx(float(row["clean"]) - float(row["value"]), abs=1e-12)
    plain_data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain_data["robustness"]["corruptions"] == list(NAMES)
    console = Console(width=120, file=io.StringIO(), color_system=None)
    print_summary(results, report.summary, report.verdict, console)
    for text in (console.file.getvalue(), report.page.read_text(), (tmp_path / "summary.md").read_text()):
        on_one_line = " ".join(text.split())
        assert "clean, and the drop when corrupted" in on_one_line
        assert "sigma in pixels of the crop" in on_one_line
    write_report(plain, tmp_path)
    assert not list((tmp_path / "tables").glob("robustness*"))
