"""Several result folders in one report: what rows are called, what is compared with what, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fretal_bench.benchmark.importing.folder import ImportCall, import_scores
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.errors import BenchError
from fretal_bench.reporting.markdown import markdown
from fretal_bench.reporting.several import folder_tables, together
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict

DOMAINS = ("a", "b", "c")


@pytest.fixture
def two(make):
    """Two recipes, the same test videos and seeds; EWC forgets more in the second, and joint is a bound."""

    def folder(name, lost, **recipe):
        strategies = {"ewc": (0.9, lost), "lwf": (0.92, 0.08), "joint": (0.94, 0.0)}
        of = make(strategies, domains=DOMAINS)
        plan = {**of.plan, "recipe": {**of.plan["recipe"], **recipe}, "cells": []}
        return replace(of, path=Path("results") / name, plan=plan)

    return folder("few", 0.02), folder("many", 0.2, epochs=20)


def of_rows(table):
    return {row.cells[0]: row.cells for row in table.rows}


def test_rows_are_called_by_the_key_of_the_recipe_in_which_folders_differ(two):
    whole = together(two)
    labels = {cell.label for cell in whole.cells}
    assert labels == {f"{s} [epochs={n}]" for s in ("ewc", "lwf", "joint") for n in (10, 20)}
    assert whole.plan["recipe"]["epochs"] == {"epochs=10": 10, "epochs=20": 20}
    assert whole.path.name == "few+many"


def test_rows_are_called_by_the_folder_where_recipes_are_alike_or_differ_in_much(two):
    few, many = two
    same = replace(many, plan=few.plan)
    assert {cell.source for cell in together([few, same]).cells} == {"few", "many"}
    recipe = {**many.plan["recipe"], "lr": 0.1, "flip": 0.0}
    different = replace(many, plan={**many.plan, "recipe": recipe})
    assert {cell.source for cell in together([few, different]).cells} == {"few", "many"}


def test_one_folder_is_left_as_it_is(two):
    assert together(two[:1]) is two[0]
    assert folder_tables(summarize(two[0])) == ()


def test_the_difference_of_a_strategy_is_paired_by_seed_and_told_apart(two):
    summary = summarize(together(two))
    (table,) = folder_tables(summary)
    rows = of_rows(table)
    assert set(rows) == {"ewc", "lwf"}, "a bound is compared with nobody"
    keys = [column.key for column in table.columns]
    bwt, learned = keys.index("backward_transfer"), keys.index("learning")
    alone = [summarize(of) for of in two]
    for name in ("ewc", "lwf"):
        values = [
            next(s for s in of.strategies if s.label == name).by_seed["backward_transfer"] for of in alone
        ]
        by_hand = np.mean([values[1][seed] - values[0][seed] for seed in range(3)])
        assert rows[name][bwt].value == pytest.approx(by_hand)
    assert rows["ewc"][1] == "epochs=20 - epochs=10"
    assert rows["ewc"][bwt].value < -0.1
    assert rows["ewc"][-1] == "told apart"
    assert rows["lwf"][bwt].value == pytest.approx(0)
    assert rows["lwf"][learned].half == pytest.approx(0, abs=1e-6)
    text = markdown(together(two), summary, verdict(summary))
    assert "The same strategy in several result folders" in text
    assert any("2 result folders are compared" in note for note in verdict(summary).notes)


def test_folders_without_a_common_seed_are_not_paired_and_that_is_said(two):
    few, many = two
    later = replace(many, cells=tuple(replace(cell, seed=cell.seed + 10) for cell in many.cells))
    summary = summarize(together([few, later]))
    pair = summary.inference["backward_transfer"].between("ewc [epochs=10]", "ewc [epochs=20]")
    assert not pair.told_apart
    assert any("no seed in common" in note for note in verdict(summary).notes)


def test_other_domains_another_order_other_videos_and_the_same_folder_are_refused(two, make):
    few, _ = two
    for domains, words in ((("a", "b", "d"), "other domains"), (("b", "a", "c"), "in another order")):
        other = replace(make({"ewc": (0.9, 0.1)}, domains=domains), path=Path("other"))
        with pytest.raises(BenchError, match=f"other: learns .*{words}"):
            together([few, other])
    renamed = [
        replace(cell, scores=cell.scores.assign(video="x" + cell.scores["video"])) for cell in few.cells
    ]
    words = (
        r"other videos of domain 'a' .* seed 0 \(50 and 50, 0 in common; e\.g\. 'x.*' and '.*'\): .*/VIDEO\)$"
    )
    with pytest.raises(BenchError, match=words):
        together([few, replace(few, path=Path("other"), cells=tuple(renamed))])
    with pytest.raises(BenchError, match="few is named twice"):
        together([few, few])


def test_scores_that_were_imported_stand_beside_a_run_of_the_same_videos(tmp_path):
    older = Path(__file__).parents[1] / "benchmark" / "runner" / "older_results"
    run = load_results(older)
    frame = next(cell for cell in run.cells if cell.strategy == "ewc" and cell.seed == 0).scores
    frame.rename(columns={"row": "frame"}).to_csv(tmp_path / "mine.csv", index=False)
    import_scores(ImportCall(tmp_path / "mine.csv", tmp_path / "mine", "ewc", domains=("D0", "D1")))
    whole = together([run, load_results(tmp_path / "mine")])
    summary = summarize(whole)
    labels = {s.label for s in summary.strategies}
    assert "ewc [mine]" in labels
    assert any(label.endswith("[older_results]") for label in labels)
    first = next(label for label in labels if label.startswith("ewc(") and label.endswith("[older_results]"))
    pair = summary.inference["backward_transfer"].between("ewc [mine]", first)
    assert (pair.effect.mean, pair.effect.seeds) == (0, 1)
    assert any("imported from mine.csv" in note for note in verdict(summary).notes)


def test_pictures_of_one_folders_store_are_not_shown_for_rows_of_anothers(two):
    few, many = two
    stream = {
        **many.plan["stream"],
        "domains": [{**d, "store": "89ab"} for d in many.plan["stream"]["domains"]],
    }
    whole = together([few, replace(many, plan={**many.plan, "stream": stream})])
    assert [domain["store"] for domain in whole.plan["stream"]["domains"]] == ["", "", ""]
    assert [domain["store"] for domain in together(two).plan["stream"]["domains"]] == ["0123"] * 3
