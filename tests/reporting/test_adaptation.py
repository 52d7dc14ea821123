"""Before and after: intervals by hand, what is certain by them, domains without a test set, and the sentences."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_1samp

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.datasets.streams.domain import NO_ROWS
from fretal_bench.errors import RunError
from fretal_bench.reporting.adaptation import measure_adaptation
from fretal_bench.reporting.adaptation_words import adaptation_table, certainty, recommendation
from tests_support import hash_of

VIDEOS = 20


def results_of(wrong: dict[str, dict[str, tuple[int, int]]], every: int = 2) -> Results:
    """One seed; by strategy and domain how many videos of two frames are judged wrong before and after.

    Every so many videos one is real.
    """
    cells = []
    for label, of_label in wrong.items():
        parts = []
        for name, (before, after) in of_label.items():
            video = np.repeat(np.arange(VIDEOS), 2)
            label_of = (video % every != 0).astype(np.int8)
            for step, count in ((-1, before), (0, before), (1, after)):
                right = np.where(video < count, 1 - label_of, label_of)
                score = (0.1 + 0.8 * right).astype(np.float32)
                rows = {
                    "step": np.int16(step),
                    "domain": name,
                    "row": np.arange(len(video)),
                    "label": label_of,
                }
                keys = [f"s/{name}/c23/{number}" for number in video]
                parts.append(pd.DataFrame({**rows, "video": keys, "score": score}))
        path = Path("results/a/cells") / label
        cells.append(CellResult(label, label, label, {}, 0, pd.concat(parts, ignore_index=True), {}, path))
    domains = [
        {
            "name": name,
            "store": hash_of(name),
            "rows": {"train": train, "val": NO_ROWS, "test": hash_of(name, "test")},
        }
        for name, train in (("old", NO_ROWS), ("new", hash_of("new")))
    ]
    return Results(Path("results/a"), {"stream": {"domains": domains}}, tuple(cells), (), ())


RUN: dict[str, dict[str, tuple[int, int]]] = {
    "lwf": {"old": (2, 3), "new": (10, 1)},
    "finetuning": {"old": (2, 14), "new": (10, 0)},
}


def test_numbers_and_their_intervals_are_those_of_videos() -> None:
    adaptation = measure_adaptation(results_of(RUN))
    assert (adaptation.old, adaptation.new) == (("old",), ("new",))
    assert (adaptation.unit, adaptation.clusters) == ("videos", 2 * VIDEOS)
    before, (lwf, finetuning) = adaptation.before, adaptation.after
    assert before.values["new", "accuracy"].mean == pytest.approx(0.5)
    assert lwf.values["old", "accuracy"].mean == pytest.approx(17 / 20)
    # Of the first 14 videos half are fakes.
    assert finetuning.values["old", "missed_fakes"].mean == pytest.approx(0.7)
    assert finetuning.values["old", "false_alarms"].mean == pytest.approx(0.7)
    # Videos of the other domain count as clusters without samples: 0 in the linear form of a ratio.
    change = np.repeat([-1.0, 0.0], [1, VIDEOS - 1])
    own = np.concatenate([2 * change - 2 * change.mean(), np.zeros(VIDEOS)]) + change.mean()
    half = t.ppf(0.975, 2 * VIDEOS - 1) * own.std(ddof=1) / np.sqrt(2 * VIDEOS)
    effect = lwf.changes["old"]
    assert effect.mean == pytest.approx(-0.05)
    assert effect.high - effect.mean == pytest.approx(half)
    assert effect.p == pytest.approx(ttest_1samp(own, 0).pvalue, rel=1e-6)


def test_a_change_is_certain_with_the_correction_for_all_of_them() -> None:
    adaptation = measure_adaptation(results_of(RUN))
    lwf, finetuning = adaptation.after
    p = {(of.label, group): of.changes[group].p for of in (lwf, finetuning) for group in of.changes}
    ordered, running = sorted(p, key=lambda key: p[key]), 0.0
    for place, key in enumerate(ordered):
        running = max(running, min(1.0, (len(ordered) - place) * p[key]))
        of = lwf if key[0] == "lwf" else finetuning
        assert of.p_corrected[key[1]] == pytest.approx(running)
        assert of.is_certain(key[1]) == (running <= 0.05)
    assert not lwf.is_certain("old")
    first, second, third = certainty(adaptation)
    assert first.startswith("Certain: on new lwf (+0.450 [")
    assert "on old finetuning (-0.600 [" in first
    assert second.startswith("Not certain: on old whether lwf (-0.050 [")
    assert "Holm's correction for 4 changes" in third
    assert "one seed" in third
    assert recommendation(adaptation).startswith("No strategy is recommended")


def test_the_table_has_every_test_set_before_and_after() -> None:
    table = adaptation_table(measure_adaptation(results_of(RUN)))
    assert [row.cells[:2] for row in table.rows] == [
        (f"{name} ({name})", detector)
        for name in ("old", "new")
        for detector in ("before", "lwf", "finetuning")
    ]


def test_without_a_test_set_of_the_new_kind_only_forgetting_is_measured() -> None:
    results = results_of(RUN)
    cells = tuple(
        dataclasses.replace(
            cell, scores=cell.scores[cell.scores["domain"] == "old"], stream=_stream(results.plan)
        )
        for cell in results.cells
    )
    adaptation = measure_adaptation(dataclasses.replace(results, cells=cells))
    assert (adaptation.old, adaptation.new) == (("old",), ())
    assert all(list(of.changes) == ["old"] for of in adaptation.after)
    assert "has no test samples" in " ".join(adaptation_table(adaptation).notes)
    assert "on new" not in " ".join(certainty(adaptation))


def _stream(plan: Any) -> Any:
    from fretal_bench.benchmark.runner.documents import DomainContent, RowHashes, StreamContent
    from fretal_bench.datasets.streams.file import Protocol

    domains = tuple(
        DomainContent(
            of["name"],
            of["store"],
            rows=RowHashes(
                of["rows"]["train"], NO_ROWS, NO_ROWS if of["name"] == "new" else of["rows"]["test"]
            ),
        )
        for of in plan["stream"]["domains"]
    )
    return StreamContent("s", protocol=Protocol(), domains=domains)


def test_where_a_class_is_far_larger_accuracy_is_balanced_as_in_the_report() -> None:
    adaptation = measure_adaptation(results_of({"lwf": {"old": (0, 4), "new": (10, 0)}}, every=4))
    assert adaptation.metric == "balanced_accuracy"
    # Of the first four videos one is real, of five in all; three are fakes, of fifteen.
    assert adaptation.after[0].values["old", "accuracy"].mean == pytest.approx((4 / 5 + 12 / 15) / 2)
    assert adaptation_table(adaptation).columns[2].title == "balanced accuracy"
    assert "that balanced accuracy changed" in certainty(adaptation)[-1]


def test_results_without_a_cell_are_refused() -> None:
    with pytest.raises(RunError, match="no strategy has numbers"):
        measure_adaptation(dataclasses.replace(results_of(RUN), cells=()))
