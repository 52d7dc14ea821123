"""Results -> summary: known numbers, missing and unusable cells, costs, tidy data."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from fretal_bench.errors import BenchError
from fretal_bench.metrics.continual import CONTINUAL_METRICS
from fretal_bench.metrics.matrices import accuracy_matrix
from fretal_bench.metrics.registry import OWN
from fretal_bench.reporting.contents import cost_table, metric_table, summary_table
from fretal_bench.reporting.quantities import FOOTPRINT, IMAGES, UPDATES, cost, quantities
from fretal_bench.reporting.summary import summarize, summary_record, tidy_matrices, tidy_values


def changed(results, **fields):
    return dataclasses.replace(results, **fields)


def test_a_known_course_gives_its_known_numbers(make):
    # Learned to 0.9 (0.91 with seed 0's shift), 0.06 lost with each of three later steps.
    summary = summarize(make({"ewc": (0.90, 0.06)}, seeds=1))
    values = {name: interval.mean for name, interval in summary.strategies[0].values.items()}
    assert values["learning"] == pytest.approx(0.91)
    assert values["forgetting"] == pytest.approx(0.06 * (1 + 2 + 3) / 3)
    assert values["backward_transfer"] == pytest.approx(-0.12)
    assert values["average"] == pytest.approx(0.91 - 0.06 * (0 + 1 + 2 + 3) / 4)
    assert values["average_micro"] == pytest.approx(values["average"])
    assert values["minimum_old"] == pytest.approx(0.73)
    assert values["forward_transfer"] == pytest.approx(0.03 * (1 + 2 + 3) / 3)
    assert values["zero_shot"] == pytest.approx((3 * 0.53 + 2 * 0.56 + 0.59) / 6)
    assert values["train_seconds"] == 30.5
    assert values["peak_memory_mb"] == 800


def test_every_quantity_is_computed_for_every_metric_and_level(make):
    results = make({"ewc": (0.90, 0.06)}, seeds=1)
    for metric in OWN:
        for level in ("frame", "video"):
            summary = summarize(results, metric, level)
            found = summary.strategies[0].values
            # Results of an earlier version have neither footprint nor updates.
            known = quantities(metric).keys() - {*FOOTPRINT, UPDATES, IMAGES}
            assert found.keys() == summary.quantities.keys() == known
            assert set(CONTINUAL_METRICS) < found.keys()
            assert not np.isnan([interval.mean for interval in found.values()]).any()
            expected = accuracy_matrix(results.cells[0].scores, metric, level)
            np.testing.assert_array_equal(summary.strategies[0].accuracy.mean, expected.values)
            np.testing.assert_array_equal(summary.strategies[0].baseline.mean, expected.baseline)


def test_quantities_of_an_error_rate_point_the_other_way():
    better = {name: q.better for name, q in quantities("eer").items()}
    assert better["average"] == better["learning"] == better["minimum_old"] == better["forgetting"] == "lower"
    assert better["backward_transfer"] == better["forward_transfer"] == "higher"
    assert quantities("accuracy")["average"].better == "higher"


def test_bounds_come_last_and_are_no_competitors(make):
    summary = summarize(make({"zero-shot": (0.6, 0), "ewc": (0.9, 0.05), "joint": (0.9, 0)}, seeds=1))
    assert [s.label for s in summary.strategies] == ["ewc", "zero-shot", "joint"]
    assert [s.label for s in summary.competitors] == ["ewc"]


def test_a_strategy_that_the_registry_does_not_know_is_a_competitor(make):
    summary = summarize(make({"my-plugin": (0.9, 0.05)}, seeds=1))
    assert [s.label for s in summary.competitors] == ["my-plugin"]


def test_labels_not_names_tell_strategies_apart(make):
    summary = summarize(make({"fretal": (0.9, 0.05), "fretal(temperature=10)": (0.8, 0.01)}))
    assert [s.label for s in summary.strategies] == ["fretal", "fretal(temperature=10)"]
    assert {s.strategy for s in summary.strategies} == {"fretal"}


def test_the_plans_domains_give_the_order(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=1)
    turned = tuple(reversed(summarize(results).domains))
    stream = {**results.plan["stream"], "domains": results.plan["stream"]["domains"][::-1]}
    assert summarize(changed(results, plan={**results.plan, "stream": stream})).domains == turned


def test_failed_and_missing_cells_are_listed_with_their_reason(make):
    summary = summarize(make(failed={("mas", 0): "out of\nmemory"}, missing=[("ewc", 7)]))
    assert [(p.label, p.seed, p.kind) for p in summary.problems] == [
        ("mas", 0, "failed"),
        ("ewc", 7, "missing"),
    ]
    assert summary.problems[0].reason == "out of memory"
    assert summary.seeds == (0, 1, 2, 7)


def test_a_cell_with_broken_scores_is_left_out_and_listed(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=2)
    broken = dataclasses.replace(results.cells[1], scores=results.cells[1].scores.iloc[:-1])
    summary = summarize(changed(results, cells=(results.cells[0], broken)))
    assert summary.strategies[0].seeds == (0,)
    assert summary.problems[0].kind == "unusable"
    assert "99 at step 3" in summary.problems[0].reason


def test_no_usable_cell_is_an_error_that_names_a_reason(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=1)
    with pytest.raises(BenchError, match="holds no finished cell; `bench run`"):
        summarize(changed(results, cells=()))
    broken = dataclasses.replace(results.cells[0], scores=results.cells[0].scores.drop(columns="score"))
    with pytest.raises(BenchError, match="no column 'score'"):
        summarize(changed(results, cells=(broken,)))


def test_two_cells_of_one_label_and_seed_are_an_error(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=1)
    with pytest.raises(BenchError, match="two cells are called 'ewc' with seed 0"):
        summarize(changed(results, cells=results.cells * 2))


@pytest.mark.parametrize(("metric", "level", "word"), [("acc", "frame", "metric"), ("auc", "clip", "level")])
def test_unknown_names_are_refused(make, metric, level, word):
    with pytest.raises(BenchError, match=f"unknown {word}"):
        summarize(make(), metric, level)


def test_values_that_do_not_exist_are_explained(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=1, domains=("a", "b"))
    scores = results.cells[0].scores
    scores.loc[scores["domain"] == "b", "label"] = np.int8(1)
    summary = summarize(results)
    assert "AUC (frame level) does not exist on b: no real sample among 100" in summary.undefined
    assert np.isnan(summary.strategies[0].values["final_auc"].mean)
    assert not np.isnan(summary.strategies[0].values["average"].mean)


def test_a_diverged_cell_is_explained_and_has_no_value(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=1, domains=("a", "b"))
    scores = results.cells[0].scores
    scores.loc[scores["step"] == 1, "score"] = np.nan
    summary = summarize(results)
    assert "ewc, seed 0, a after step 1: 100 of 100 scores are not finite" in summary.undefined
    assert np.isnan(summary.strategies[0].values["forgetting"].mean)


def test_cost_leaves_evaluation_out_and_says_nothing_of_what_was_not_measured():
    phases = [
        {"phase": "train", "step": 0, "seconds": 2.0, "peak_memory_mb": 10.0},
        {"phase": "after", "step": 0, "seconds": 7.0, "cpu_seconds": 1.0, "peak_memory_mb": 30.0},
        {"phase": "evaluate val", "step": 0, "seconds": 9.0, "peak_memory_mb": 90.0},
    ]
    assert cost({"phases": phases}) == {"train_seconds": 3.0, "peak_memory_mb": 30.0}
    assert np.isnan(list(cost({}).values())).all()


def footprint_phases(**of_last):
    """Phases of three domains with footprints; of the last, values that differ (None: an earlier version's)."""
    sizes = {"weights": 2_000_000, "trainable": 2_000_000, "extra": 0, "kept": 0}
    later = {"weights": 2_000_000, "trainable": 20_000, "extra": 50_000, "kept": 3 * 2**20}
    last = {key: value for key, value in {**later, **of_last}.items() if value is not None}
    return [
        {"phase": "train", "step": step, "seconds": 1.0, **of_step}
        for step, of_step in enumerate((sizes, later, last))
    ]


def test_a_footprint_is_the_most_of_any_later_domain_in_shares_of_the_models_weights():
    phases = footprint_phases(extra=100_000, kept=5 * 2**20, trainable=10_000)
    values = cost({"phases": phases})
    assert values["trainable_percent"] == pytest.approx(1.0)
    assert values["extra_percent"] == pytest.approx(5.0)
    assert values["kept_mb"] == pytest.approx(5.0)
    assert values["model_weights"] == 2_000_000


def test_a_footprint_that_an_earlier_version_did_not_write_for_every_domain_is_not_known():
    values = cost({"phases": footprint_phases(kept=None)})
    assert "kept_mb" not in values
    assert values["trainable_percent"] == pytest.approx(1.0)
    nothing = footprint_phases(weights=None, trainable=None, extra=None, kept=None)
    assert set(cost({"phases": nothing})) == {"train_seconds", "peak_memory_mb"}


def test_updates_and_images_are_added_up_over_all_domains_the_first_included_and_judging_is_left_out():
    phases = [
        {"phase": "train", "step": 0, "seconds": 1.0, "updates": 10, "images": 320},
        {"phase": "after", "step": 0, "seconds": 1.0},
        {"phase": "evaluate test", "step": 0, "seconds": 1.0},
        {"phase": "train", "step": 1, "seconds": 1.0, "updates": 7, "images": 448},
    ]
    values = cost({"phases": phases})
    assert (values["updates"], values["images_seen"]) == (17, 768)
    # What one domain does not say is not known of the stream.
    del phases[3]["images"]
    assert cost({"phases": phases})["updates"] == 17
    assert "images_seen" not in cost({"phases": phases})


def test_the_cost_table_has_updates_where_a_cell_has_them_and_says_that_they_are_not_equal(make):
    results = make({"er": (0.9, 0.1), "ewc": (0.9, 0.1)})
    assert not {"updates", "images_seen"} & {column.key for column in cost_table(summarize(results)).columns}
    cell = results.cells[0]
    phases = [{"phase": "train", "step": 0, "seconds": 1.0, "updates": 10, "images": 320}]
    known = dataclasses.replace(cell, environment={**cell.environment, "phases": phases})
    table = cost_table(summarize(dataclasses.replace(results, cells=(known, *results.cells[1:]))))
    assert {"updates", "images_seen"} <= {column.key for column in table.columns}
    assert "recipe.effort=updates" in table.notes[0]


def test_the_cost_table_has_the_footprint_where_a_cell_has_it_and_no_such_columns_elsewhere(make):
    results = make({"ewc": (0.9, 0.05), "lwf": (0.9, 0.05)}, seeds=2, domains=("a", "b"))
    plain = {column.key for column in cost_table(summarize(results)).columns}
    assert not plain & {"trainable_percent", "extra_percent", "kept_mb"}
    cells = [
        dataclasses.replace(cell, environment={**cell.environment, "phases": footprint_phases()})
        if cell.strategy == "ewc"
        else cell
        for cell in results.cells
    ]
    summary = summarize(dataclasses.replace(results, cells=tuple(cells)))
    table = cost_table(summary)
    keys = [column.key for column in table.columns]
    by_name = {row.cells[0]: row.cells for row in table.rows}
    kept = keys.index("kept_mb")
    assert by_name["ewc"][kept].value == pytest.approx(3.0)
    assert np.isnan(by_name["lwf"][kept].value)
    assert "2 million" in table.notes[0]
    assert {q.title for q in summary.quantities.values()} >= {"trainable, %", "extra, %", "kept, MiB"}


def test_tidy_data_hold_every_value_of_every_cell(make):
    results = make(seeds=2, domains=("a", "b"))
    summary = summarize(results)
    values = tidy_values(summary)
    assert len(values) == 2 * 2 * len(summary.quantities)
    one = values[(values["label"] == "ewc") & (values["seed"] == 1) & (values["quantity"] == "forgetting")]
    assert one["value"].item() == summary.strategies[1].by_seed["forgetting"][1]

    matrices = tidy_matrices(summary)
    assert len(matrices) == 4 * len(OWN) * 2 * (2 + 1) * 2
    chosen = matrices.query("label == 'ewc' and seed == 1 and metric == 'auc' and level == 'video'")
    table = chosen.pivot(index="step", columns="domain", values="value")
    expected = accuracy_matrix(results.cells[3].scores, "auc", "video")
    pd.testing.assert_index_equal(table.index, pd.Index([-1, 0, 1], name="step"))
    np.testing.assert_array_equal(table.to_numpy(), np.vstack([expected.baseline, expected.values]))


@pytest.mark.parametrize("level", ["frame", "video"])
def test_accuracy_by_class_is_that_of_the_reals_and_of_the_fakes_after_every_step(make, level):
    results = make({"ewc": (0.90, 0.06)}, seeds=2, domains=("a", "b"))
    (strategy,) = summarize(results, "auc", level).strategies
    for kind, i, j in itertools.product((0, 1), range(3), range(2)):
        shares = []
        for cell in results.cells:
            of = cell.scores
            part = of[(of["step"] == i - 1) & (of["domain"] == "ab"[j]) & (of["label"] == kind)]
            scores = part["score"].astype(float)
            scores = scores.groupby(part["video"]).mean() if level == "video" else scores
            shares.append(((scores >= 0.5) == (kind == 1)).mean())
        assert strategy.by_class.mean[kind, i, j] == pytest.approx(np.mean(shares))


def test_a_way_to_score_videos_reaches_every_number_of_videos_and_is_said(make):
    results = make({"ewc": (0.90, 0.06)}, seeds=1, domains=("a", "b"))
    mean, highest = (summarize(results, "brier", "video", by) for by in ("mean", "max"))
    for summary, by in ((mean, "mean"), (highest, "max")):
        expected = accuracy_matrix(results.cells[0].scores, "brier", "video", video=by)
        np.testing.assert_array_equal(summary.strategies[0].accuracy.mean, expected.values)
        auc = accuracy_matrix(results.cells[0].scores, "auc", "video", video=by)
        assert summary.strategies[0].values["video_auc"].mean == pytest.approx(auc.values[-1].mean())
    assert not np.array_equal(mean.strategies[0].accuracy.mean, highest.strategies[0].accuracy.mean)
    assert "(highest frame score)" in highest.level_words
    assert set(tidy_values(highest)["level"]) == {"video-max"}
    assert set(tidy_matrices(highest)["level"]) == {"frame", "video-max"}
    assert summary_record(highest)["video"] == "max"


def test_few_reals_are_said_where_the_metric_has_a_budget_of_them(make):
    results = make({"ewc": (0.90, 0.06)}, seeds=2, domains=("a", "b"))
    # 50 real frames and 25 real videos.
    (metric,) = summarize(results, "auc", "video").cautions
    assert metric == "tpr_at_fpr1"
    caution = summarize(results, "tpr_at_fpr1").cautions["tpr_at_fpr1"]
    assert "fewer than 100 reals on a (50), b (50)" in caution
    for named, expected in (("tpr_at_fpr1", True), ("tpr_at_fpr5", False), ("auc", False)):
        assert (caution in summary_table(summarize(results, named)).notes) == expected
    assert caution in metric_table(summarize(results)).notes


def test_forgetting_of_a_loss_is_its_rise(make):
    results = make({"ewc": (0.90, 0.06)}, seeds=1, domains=("a", "b"))
    (strategy,) = summarize(results, "nll").strategies
    r = accuracy_matrix(results.cells[0].scores, "nll").values
    assert r[1, 0] > r[0, 0]
    assert strategy.values["forgetting"].mean == pytest.approx(r[1, 0] - r[0, 0])
    assert strategy.values["relative_forgetting"].mean == pytest.approx(r[1, 0] / r[0, 0] - 1)
