"""Reports of runs that begin with a brought model: names of row -1, doubts, and domains without a test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fretal_bench.benchmark.runner.documents import DomainContent, RowHashes, StreamContent
from fretal_bench.benchmark.runner.results import Results
from fretal_bench.datasets.streams.domain import NO_ROWS
from fretal_bench.datasets.streams.file import Protocol
from fretal_bench.reporting.contents import accuracy_table, formula_table, matrix_tables, transfer_table
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict
from tests_support import hash_of

pytestmark = pytest.mark.usefixtures("undrawn")

DOMAINS = ("old", "new")
Make = Callable[..., Results]


def brought(results: Results, *, learned: tuple[str, ...] = ("new",)) -> Results:
    """The same results, of a run that began with a brought model."""
    domains = [
        {
            "name": name,
            "store": hash_of(name),
            "rows": {
                "train": hash_of(name, "train") if name in learned else NO_ROWS,
                "val": NO_ROWS,
                "test": hash_of(name, "test"),
            },
        }
        for name in DOMAINS
    ]
    stream = {
        **results.plan["stream"],
        "domains": domains,
        "brought": {"weights": "0" * 64, "backbone": "net"},
    }
    return dataclasses.replace(results, plan={**results.plan, "stream": stream})


def with_source(results: Results, change: Callable[[pd.DataFrame], Any]) -> Results:
    """Change the scores of the old domain before training, in every cell."""
    cells = []
    for cell in results.cells:
        scores = cell.scores.copy()
        at = (scores["step"] == -1) & (scores["domain"] == "old")
        scores.loc[at, "score"] = change(scores[at])
        cells.append(dataclasses.replace(cell, scores=scores))
    return dataclasses.replace(results, cells=tuple(cells))


@pytest.fixture
def results(make: Make) -> Results:
    run = make({"lwf": (0.9, 0.05), "finetuning": (0.9, 0.2)}, seeds=2, domains=DOMAINS)
    # It knows the old kind.
    return with_source(brought(run), lambda of: np.where(of["label"] == 1, 0.9, 0.1).astype(np.float32))


def test_what_is_judged_before_training_is_called_by_what_it_is(make: Make, results: Results) -> None:
    summary = summarize(results)
    assert summary.before == "source model"
    for table in matrix_tables(summary, summary.strategies[0])[:2]:
        assert table.rows[0].cells[0] == "source model"
    text = " ".join((*formula_table(summary).notes, *transfer_table(summary).notes))
    assert "untrained" not in text
    assert text.count("source model that was brought") == 2
    own = summarize(make(domains=DOMAINS))
    assert accuracy_table(own, own.strategies[0]).rows[0].cells[0] == "untrained"


def test_a_model_that_knows_the_old_kind_raises_no_doubt(results: Results) -> None:
    assert summarize(results).doubts == ()


def test_a_model_below_chance_on_the_old_kind_is_asked_whether_its_outputs_are_swapped(
    results: Results,
) -> None:
    summary = summarize(with_source(results, lambda of: 1 - of["score"]))
    (doubt,) = summary.doubts
    assert "AUC of 0.000 on old" in doubt
    assert "are its outputs swapped? --fake" in doubt
    assert verdict(summary).notes[0] == doubt


def test_a_model_that_scores_all_alike_is_named(results: Results) -> None:
    noise = np.random.default_rng(0).uniform(0, 5e-4, 100).astype(np.float32)
    (doubt,) = summarize(with_source(results, lambda of: 0.7 + noise[: len(of)])).doubts
    assert "all 100 test samples of old almost the same P(fake), 0.700 to 0.70" in doubt


def test_nothing_is_said_of_a_new_kind_or_of_a_model_that_was_trained_here(make: Make) -> None:
    run = make({"lwf": (0.9, 0.05)}, seeds=1, domains=DOMAINS)
    wrong = with_source(run, lambda of: np.where(of["label"] == 1, 0.1, 0.9).astype(np.float32))
    assert summarize(wrong).doubts == ()
    assert summarize(brought(wrong, learned=DOMAINS)).doubts == ()
    assert len(summarize(brought(wrong)).doubts) == 1


def untested(results: Results, name: str) -> Results:
    """The same results, in a stream in which a domain has training rows and no test set."""
    contents = tuple(
        DomainContent(
            other,
            hash_of(other),
            rows=RowHashes(hash_of(other, "t"), NO_ROWS, NO_ROWS if other == name else hash_of(other, "e")),
        )
        for other in dict.fromkeys(results.cells[0].scores["domain"])
    )
    stream = StreamContent("s", protocol=Protocol(), domains=contents)
    cells = tuple(
        dataclasses.replace(cell, scores=cell.scores[cell.scores["domain"] != name], stream=stream)
        for cell in results.cells
    )
    return dataclasses.replace(results, cells=cells)


@pytest.mark.parametrize("name", ["Deepfakes", "FaceSwap", "NeuralTextures"])
@pytest.mark.parametrize(("metric", "level"), [("accuracy", "frame"), ("auc", "video")])
def test_a_report_of_a_stream_with_a_domain_without_a_test_set_is_whole(
    make: Make, tmp_path: Path, name: str, metric: str, level: str
) -> None:
    results = untested(make({"lwf": (0.9, 0.05), "finetuning": (0.9, 0.2)}), name)
    written = write_report(results, tmp_path, metric, level)
    summary = written.summary
    for strategy in summary.strategies:
        known = {key: value.mean for key, value in strategy.values.items() if key != "peak_memory_mb"}
        assert not [key for key, value in known.items() if np.isnan(value)]
        column = summary.domains.index(name)
        assert np.isnan(strategy.accuracy.mean[:, column]).all()
        assert np.isfinite(np.delete(strategy.accuracy.mean, column, axis=1)).all()
        # No row is lost: what learning it did to the others is seen.
        others = np.delete(strategy.accuracy.mean[-1], column)
        assert strategy.values["average"].mean == pytest.approx(others.mean())
    assert any(note.startswith(f"{name} has no test set") for note in summary.undefined)
    assert written.verdict.leader == "lwf"
    print_summary(results, summary, written.verdict, Console(width=120, file=(tmp_path / "out").open("w")))
