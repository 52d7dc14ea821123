"""Scores -> R: the layout, what is refused, levels, and micro averages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import accuracy, auc
from fretal_bench.metrics.matrices import Undefined, accuracy_matrix, align, align_levels, micro_average
from fretal_bench.metrics.registry import OWN
from fretal_bench.metrics.videos import video_level

DOMAINS = ("b", "a", "c")


@pytest.fixture
def scores() -> pd.DataFrame:
    """Three domains of 8, 12 and 16 frames."""
    return frames_of((8, 12, 16))


def frames_of(sizes: tuple[int, int, int]) -> pd.DataFrame:
    """Three domains of so many frames in videos of 2, at steps -1 to 2; learned in the order b, a, c."""
    rng = np.random.default_rng(1)
    parts = []
    for step in range(-1, 3):
        for size, name in zip(sizes, DOMAINS, strict=True):
            row = np.arange(size)
            parts.append(
                pd.DataFrame(
                    {
                        "step": np.int16(step),
                        "domain": name,
                        "row": row,
                        "label": (row // 2 % 2).astype(np.int8),
                        "video": [f"{name}/{r // 2}" for r in row],
                        "score": rng.random(size).astype(np.float32),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def of(scores: pd.DataFrame, step: int, domain: str) -> pd.DataFrame:
    return scores[(scores["step"] == step) & (scores["domain"] == domain)]


@pytest.mark.parametrize("metric", OWN)
def test_each_cell_is_the_metric_of_its_own_rows(scores, metric):
    r = accuracy_matrix(scores, metric)
    function = OWN[metric].function
    for j, name in enumerate(DOMAINS):
        for i in range(3):
            part = of(scores, i, name)
            assert r.values[i, j] == pytest.approx(function(part["label"], part["score"]), abs=1e-12)
        part = of(scores, -1, name)
        assert r.baseline[j] == pytest.approx(function(part["label"], part["score"]), abs=1e-12)
    assert r.higher_is_better == OWN[metric].higher_is_better


def test_domains_stand_in_the_order_of_their_first_appearance(scores):
    assert accuracy_matrix(scores).domains == DOMAINS


def test_the_order_of_domains_can_be_given(scores):
    given = accuracy_matrix(scores, domains=("a", "b", "c"))
    assert given.domains == ("a", "b", "c")
    np.testing.assert_array_equal(given.values, accuracy_matrix(scores).values[:, [1, 0, 2]])


def test_the_order_of_rows_in_the_frame_does_not_matter(scores):
    shuffled = scores.sample(frac=1, random_state=0)
    for level in ("frame", "video"):
        np.testing.assert_array_equal(
            accuracy_matrix(shuffled, "auc", level, DOMAINS).values,
            accuracy_matrix(scores, "auc", level).values,
        )


def test_a_categorical_domain_and_video_column_is_read_as_well(scores):
    categories = scores.astype({"domain": "category", "video": "category"})
    for level in ("frame", "video"):
        np.testing.assert_array_equal(
            accuracy_matrix(categories, level=level).values, accuracy_matrix(scores, level=level).values
        )


def test_video_level_is_the_metric_of_mean_scores(scores):
    r = accuracy_matrix(scores, "auc", "video")
    part = of(scores, 1, "a").groupby("video").agg({"score": "mean", "label": "first"})
    assert r.values[1, 1] == pytest.approx(auc(part["label"], part["score"]))
    assert r.level == "video"


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_scores_of_videos_are_those_of_video_level_to_the_last_bit(shuffled):
    scores = frames_of((800, 400, 400))
    scores["score"] = (10.0 ** np.random.default_rng(2).uniform(-40, 0, len(scores))).astype(np.float32)
    scores["video"] = scores["domain"] + "/" + (scores["row"] // 10).astype(str)
    scores["label"] = np.int8(1)
    scores = scores.sample(frac=1, random_state=0) if shuffled else scores
    laid_out = align(scores, "video", DOMAINS)
    means = video_level(scores).sort_values(["domain", "step", "video"]).groupby("domain")
    for name, of_domain in zip(DOMAINS, laid_out.scores, strict=True):
        assert np.array_equal(of_domain.ravel(), means.get_group(name)["score"].to_numpy())


def test_a_video_with_a_lost_score_has_none(scores):
    scores.loc[of(scores, 1, "a").index[3], "score"] = np.nan
    of_a = align(scores, "video").scores[1]
    assert np.argwhere(np.isnan(of_a)).tolist() == [[2, 1]]


def test_both_levels_are_laid_out_at_once_as_each_alone(scores):
    for level, laid_out in align_levels(scores).items():
        alone = align(scores, level)
        assert (laid_out.level, laid_out.domains) == (level, alone.domains)
        for ours, theirs in zip(
            (*laid_out.labels, *laid_out.scores), (*alone.labels, *alone.scores), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_micro_average_weighs_domains_by_their_size(scores):
    laid_out = align(scores)
    last = scores[scores["step"] == 2]
    assert micro_average(laid_out) == pytest.approx(accuracy(last["label"], last["score"]))
    sizes = np.array([8, 12, 16])
    row = accuracy_matrix(scores).values[0]
    assert micro_average(laid_out, step=0) == pytest.approx(np.average(row, weights=sizes))
    assert micro_average(laid_out, "auc") == pytest.approx(auc(last["label"], last["score"]))


def test_micro_average_refuses_a_step_that_is_not_there(scores):
    with pytest.raises(BenchError, match="step 3 asked"):
        micro_average(align(scores), step=3)


def test_matrices_cannot_be_changed(scores):
    with pytest.raises(ValueError, match="read-only"):
        accuracy_matrix(scores).values[0, 0] = 1


def test_one_real_video_may_stand_in_two_domains(scores):
    scores.loc[scores["label"] == 0, "video"] = "real/" + (scores["row"] // 2).astype(str)
    assert np.isfinite(accuracy_matrix(scores, "auc", "video").values).all()


def test_where_and_why_a_value_does_not_exist_is_told(scores):
    scores.loc[scores["domain"] == "a", "label"] = 1
    r = accuracy_matrix(scores, "auc")
    assert np.isnan(r.values[:, 1]).all()
    assert np.isfinite(r.values[:, [0, 2]]).all()
    assert r.undefined == tuple(Undefined(step, "a", "no real sample among 12") for step in range(-1, 3))
    assert accuracy_matrix(scores).undefined == ()


def test_lost_scores_are_told_from_a_test_set_of_one_class(scores):
    scores.loc[scores["domain"] == "a", "label"] = 1
    scores.loc[of(scores, 1, "a").index, "score"] = np.nan
    scores.loc[of(scores, 1, "b").index[:3], "score"] = np.nan
    by_place = {(value.step, value.domain): value for value in accuracy_matrix(scores, "auc").undefined}
    assert not by_place[1, "a"].lost
    assert by_place[1, "b"].lost
    assert by_place[1, "b"].reason == "3 of 8 scores are not finite"


def test_a_missing_step_of_a_domain_is_refused(scores):
    lost = scores[~((scores["step"] == 1) & (scores["domain"] == "c"))]
    with pytest.raises(BenchError, match="no scores of domain 'c' at step 1"):
        accuracy_matrix(lost)


def test_a_missing_baseline_is_refused(scores):
    with pytest.raises(BenchError, match="no scores of domain 'b' at step -1"):
        accuracy_matrix(scores[scores["step"] >= 0])


def test_a_step_too_many_is_refused(scores):
    with pytest.raises(BenchError, match="steps -1 to 3; a stream of 3 domains has steps -1 to 2"):
        accuracy_matrix(pd.concat([scores, scores[scores["step"] == 2].assign(step=3)]))


def test_a_lost_row_is_refused(scores):
    with pytest.raises(BenchError, match="domain 'c' has 16 scores at step -1 and 15 at step 2"):
        accuracy_matrix(scores.iloc[:-1])


def test_other_rows_at_a_later_step_are_refused(scores):
    scores.loc[scores.index[-1], "row"] = 99
    with pytest.raises(
        BenchError, match=r"rows of domain 'c' at step 2 are not those of step -1 \(99 for 15\)"
    ):
        accuracy_matrix(scores)


def test_another_label_at_a_later_step_is_refused(scores):
    at = of(scores, 1, "a").index[0]
    scores.loc[at, "label"] = 1 - scores.loc[at, "label"]
    with pytest.raises(BenchError, match="labels of domain 'a' at step 1"):
        accuracy_matrix(scores)


def test_a_row_scored_twice_is_refused(scores):
    scores.loc[scores["row"] == 5, "row"] = 4
    scores["label"] = np.int8(1)
    with pytest.raises(BenchError, match="row 4 stands twice"):
        accuracy_matrix(scores)


def test_a_row_that_changes_its_video_is_refused_at_video_level(scores):
    at = of(scores, 1, "a").index
    scores.loc[at[0], "video"] = scores.loc[at[4], "video"]
    with pytest.raises(BenchError, match="one video at one step"):
        accuracy_matrix(scores, level="video")


def test_a_video_key_that_merges_real_and_fake_is_refused(scores):
    scores["video"] = "one folder for all"
    with pytest.raises(BenchError, match="holds both real and fake"):
        accuracy_matrix(scores, level="video")


@pytest.mark.parametrize("column", ["domain", "video"])
def test_a_row_without_a_name_is_refused(scores, column):
    scores.loc[3, column] = None
    with pytest.raises(BenchError, match=f"a row without a {column}"):
        accuracy_matrix(scores, level="video")


def test_domains_that_are_not_those_of_the_stream_are_refused(scores):
    with pytest.raises(BenchError, match="scores hold domains b, a, c but the stream has a, b"):
        accuracy_matrix(scores, domains=("a", "b"))


def test_a_missing_column_is_named(scores):
    with pytest.raises(BenchError, match="no column 'video'"):
        accuracy_matrix(scores.drop(columns="video"))


def test_empty_scores_are_refused(scores):
    with pytest.raises(BenchError, match="scores are empty"):
        accuracy_matrix(scores.iloc[:0])


@pytest.mark.parametrize(
    ("arguments", "word"), [({"level": "clip"}, "level 'clip'"), ({"metric": "acc"}, "metric 'acc'")]
)
def test_unknown_names_are_refused(scores, arguments, word):
    with pytest.raises(BenchError, match=f"unknown {word}"):
        accuracy_matrix(scores, **arguments)
