"""The views of a page: what its script is given is what whole reports by that metric say, and the scores second-hand."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.metrics.calibration import best_threshold
from fretal_bench.reporting.page.command import recipe_title, run_commands
from fretal_bench.reporting.page.data import embedded, page_data
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict
from fretal_bench.reporting.views import View, Views

DOMAINS = ("a", "b", "c")


def scores(seed, fall):
    """Noisy scores whose reals and fakes come nearer with every step after a domain is learned."""
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(12) % 2, 2)
    parts = [
        pd.DataFrame(
            {
                "step": np.int16(step),
                "domain": name,
                "row": np.arange(24),
                "label": label.astype(np.int8),
                "video": [f"set/{name}/{k // 2}" for k in range(24)],
                "score": np.clip(0.5 + (label - 0.5) * (0.6 - fall * max(0, step - j)) + noise, 0, 1).astype(
                    np.float32
                ),
            }
        )
        for j, name in enumerate(DOMAINS)
        for noise in (random.normal(0, 0.15, 24),)
        for step in range(-1, 3)
    ]
    return pd.concat(parts, ignore_index=True).sort_values("step", kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def results(make, tmp_path_factory):
    """Three strategies and a bound, two seeds, with scores of validation samples."""
    falls = {"finetuning": 0.35, "ewc": 0.2, "er": 0.05, "joint": 0.0}
    plain = make(dict.fromkeys(falls, (0.9, 0.1)), seeds=2, domains=DOMAINS)
    cells = []
    for number, cell in enumerate(plain.cells):
        place = tmp_path_factory.mktemp(cell.id)
        scores(100 + number, falls[cell.label]).to_parquet(place / "validation.parquet", index=False)
        cells.append(dataclasses.replace(cell, path=place, scores=scores(number, falls[cell.label])))
    return dataclasses.replace(plain, cells=tuple(cells))


@pytest.fixture(scope="module")
def summary(results):
    return summarize(results)


@pytest.fixture(scope="module")
def data(results, summary):
    return json.loads(embedded(page_data(results, summary)))


@pytest.mark.parametrize(("metric", "level"), [("auc", "frame"), ("eer", "video"), ("accuracy", "video")])
def test_a_view_says_what_a_report_by_its_metric_and_level_says(results, summary, data, metric, level):
    whole = summarize(results, metric, level)
    view = data["views"][f"{metric}/{level}"]
    assert view["sentence"] == verdict(whole).sentence
    inference = whole.inference["backward_transfer"]
    labels = [strategy["label"] for strategy in data["strategies"]]
    assert [labels[place] for place in view["ranked"]] == list(inference.ranked)
    assert {label: view["groups"][labels.index(label)] for label in inference.groups} == inference.groups
    for at, strategy in enumerate(whole.strategies):
        mean, half, bold = view["values"]["forgets"][at]
        assert mean == pytest.approx(-strategy.values["backward_transfer"].mean, abs=6e-5)
        assert half is None or half == pytest.approx(strategy.values["backward_transfer"].half, abs=6e-5)
        assert bold == (strategy.label in whole.best["backward_transfer"])
        shown = np.array(view["matrices"][at], dtype=float)
        np.testing.assert_allclose(shown[1:, :, 0], strategy.accuracy.mean, atol=6e-5)
        np.testing.assert_allclose(shown[1:, :, 1], strategy.accuracy.half, atol=6e-5)
    assert len(view["pairs"]) == 3
    for first, second, mean, low, _, p, told, _ in view["pairs"]:
        pair = inference.between(labels[first], labels[second])
        # The view is of what is forgotten, the comparison of BWT.
        assert mean == pytest.approx(-pair.effect.mean, abs=6e-5)
        assert low == pytest.approx(-pair.effect.high, abs=6e-5)
        assert p == pytest.approx(pair.p_corrected, abs=6e-5)
        assert told == pair.told_apart


@pytest.mark.parametrize("level", ["frame", "video"])
def test_a_view_at_fitted_thresholds_is_that_of_decisions_by_them(results, data, level):
    def of_level(frame):
        keys = ["step", "domain", "video", "label"]
        return frame if level == "frame" else frame.groupby(keys, as_index=False)["score"].mean()

    values = []
    for cell in results.cells[:2]:
        test, validation = of_level(cell.scores), of_level(cell.validation())
        r = np.empty((3, 3))
        for step in range(3):
            learned = validation[
                (validation["step"] == step) & validation["domain"].isin(DOMAINS[: step + 1])
            ]
            at = best_threshold(learned["label"], learned["score"], learned["domain"]).value
            now = test[test["step"] == step]
            right = (now["score"] >= at) == (now["label"] == 1)
            r[step] = [right[now["domain"] == name].mean() for name in DOMAINS]
        values.append(np.mean([r[j, j] - r[2, j] for j in (0, 1)]))
    assert data["views"][f"threshold/{level}"]["values"]["forgets"][0][0] == pytest.approx(
        np.mean(values), abs=6e-5
    )


def test_curves_are_those_of_the_pooled_scores(results, data):
    cells = [cell.scores for cell in results.cells if cell.label == "ewc"]
    at = [strategy["label"] for strategy in data["strategies"]].index("ewc")
    curves = data["curves"]["frame"][at]["domains"][0]
    end = pd.concat([of[(of["step"] == 2) & (of["domain"] == "a")] for of in cells])
    missed = np.mean([((o["score"] < 0.5) & (o["label"] == 1)).sum() / 12 for o in parts_of(cells, 2)])
    assert curves["missed"][1][0] == pytest.approx(missed, abs=6e-5)
    assert [sum(counts) for counts in curves["hist"]["now"]] == [24, 24]
    assert sum(curves["hist"]["now"][1][10:]) == ((end["score"] >= 0.5) & (end["label"] == 1)).sum()
    alarms, found = (np.array(part) / 1000 for part in curves["roc"]["now"])
    pairs = end[end["label"] == 1]["score"].to_numpy()[:, None] - end[end["label"] == 0]["score"].to_numpy()
    area = np.sum(np.diff(alarms) * (found[1:] + found[:-1]) / 2)
    assert area == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)), abs=0.002)


def parts_of(cells, step):
    return [of[(of["step"] == step) & (of["domain"] == "a")] for of in cells]


def test_embedded_data_cannot_end_the_element_that_it_stands_in():
    text = embedded({"label": "</script><!--<script>&", "value": 0.5})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"label": "</script><!--<script>&", "value": 0.5}


def test_thresholds_are_no_view_where_a_cell_has_no_validation_scores(make):
    results = make({"ewc": (0.9, 0.06)}, seeds=1, domains=("a", "b"))
    views = Views(results, summarize(results)).views
    assert set(views) == {View(m, level) for m in ("accuracy", "auc", "eer") for level in ("frame", "video")}


def test_a_stream_of_one_domain_has_views_without_forgetting(make):
    results = make({"ewc": (0.9, 0.06)}, seeds=1, domains=("a",))
    view = page_data(results, summarize(results))["views"]["auc/video"]
    assert view["ranked"] == []
    assert view["values"]["forgets"][0][0] is None
    assert not math.isnan(view["values"]["learning"][0][0])


def test_the_command_is_written_again_from_the_plan():
    cell = {"strategy": "ewc", "label": "ewc", "seed": 0}
    plan = {
        "stream": {"name": "ffpp-mini", "domains": [{}, {}]},
        "recipe": {"name": "mini"},
        "cells": [
            *({**cell, "seed": seed} for seed in (0, 1, 2)),
            {**cell, "label": "ewc(lambda_=5.0)"},
            {"strategy": "er", "label": "er", "seed": 0},
        ],
        "orders": [[{}, {}]],
    }
    rest = "--stream ffpp-mini --recipe mini"
    assert run_commands(plan) == (
        f"bench run --strategies ewc,er {rest} --seeds 0-2 --orders all",
        f"bench run --strategies ewc {rest} --seeds 0 --set ewc.lambda_=5.0 --orders all",
    )


@pytest.mark.parametrize(
    "changes", [{}, {"batchnorm": "frozen", "channels_last": False, "epochs": 3, "lr": 1e-4}]
)
def test_a_changed_recipe_of_the_suite_is_changed_again_by_the_command(changes):
    recipe = open_recipe("mini").changed(changes)
    plan = {
        "stream": {"name": "ffpp-mini", "domains": [{}, {}]},
        "recipe": {"name": "mini", **recipe.changed({"device": "cuda"}).content()},
        "cells": [{"strategy": "ewc", "label": "ewc", "seed": 0}],
    }
    (command,) = run_commands(plan)
    words = shlex.split(command)
    pairs = [words[n + 1].split("=") for n, word in enumerate(words) if word == "--set"]
    assert {key for key, _ in pairs} == {f"recipe.{key}" for key in changes}
    again = open_recipe("mini").changed({key.removeprefix("recipe."): value for key, value in pairs})
    assert again == recipe
    if changes:
        title = "mini (epochs=3, lr=0.0001, batchnorm=frozen, channels_last=false)"
        assert recipe_title(plan["recipe"]) == title
    else:
        assert recipe_title(plan["recipe"]) == "mini"


@pytest.mark.parametrize(
    "recipe", [{"name": "my-own", "epochs": 3}, {"name": "mini", "epochs": "5 and 8"}, {}]
)
def test_of_a_recipe_that_is_none_of_the_suites_nothing_is_known_but_its_name(recipe):
    assert recipe_title(recipe) == recipe.get("name", "")
