"""A domain without a test set is no part of any mean: every continual metric, recomputed without its column by loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fretal_bench.errors import BenchError
from fretal_bench.metrics.cluster_values import ClusterMetrics
from fretal_bench.metrics.clusters import find_clusters
from fretal_bench.metrics.continual import CONTINUAL_METRICS, linear_weights, without_columns
from fretal_bench.metrics.matrices import accuracy_matrix, align, align_levels, matrix

T = 4


def by_hand(r: np.ndarray, b: np.ndarray, learned: list[int]) -> dict[str, float]:
    """Every continual metric of the columns ``learned``, each learned at the step of its number; higher is better."""
    last, old = T - 1, [j for j in learned if j < T - 1]
    falls = [max(r[at, j] for at in range(j, last)) - r[last, j] for j in old]
    bests = [max(r[at, j] for at in range(j, last)) for j in old]
    seen = [[r[i, j] for j in learned if j <= i] for i in range(T)]
    return {
        "average": np.mean([r[last, j] for j in learned]),
        "learning": np.mean([r[j, j] for j in learned]),
        "backward_transfer": np.mean([r[last, j] - r[j, j] for j in old]),
        "forgetting": np.mean(falls),
        "relative_forgetting": np.mean([fall / best for fall, best in zip(falls, bests, strict=True)]),
        "forward_transfer": np.mean([r[j - 1, j] - b[j] for j in learned if j > 0]),
        "incremental": np.mean([np.mean(values) for values in seen if values]),
        "minimum_old": min(r[last, j] for j in old),
        "zero_shot": np.mean([r[i, j] for j in learned for i in range(j)]),
    }


@pytest.mark.parametrize("untested", [(3,), (0,), (1,), (0, 2)])
def test_continual_metrics_leave_the_column_out_and_keep_the_step(untested: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    r, b = generator.uniform(0.5, 1, (T, T)), generator.uniform(0.4, 0.6, T)
    expected = by_hand(r, b, [j for j in range(T) if j not in untested])
    assert expected.keys() == CONTINUAL_METRICS.keys()
    for part in (r, b):
        part[..., list(untested)] = np.nan
    masked, before = without_columns(r, untested), without_columns(b, untested)
    for name, known in CONTINUAL_METRICS.items():
        assert known.function(masked, before, True) == pytest.approx(expected[name]), name

        if known.linear:
            weights = linear_weights(name, T, True, untested)
            whole = np.nan_to_num(np.vstack([b, r]))
            assert (weights[:, list(untested)] == 0).all()
            assert (weights * whole).sum() == pytest.approx(expected[name]), name


def test_a_value_that_does_not_exist_is_not_taken_for_a_domain_without_a_test_set() -> None:
    r = np.full((T, T), 0.8)
    r[:, 1] = np.nan
    assert np.isnan(CONTINUAL_METRICS["average"].function(r, r[0], True))
    assert CONTINUAL_METRICS["average"].function(without_columns(r, (1,)), r[0], True) == pytest.approx(0.8)


@pytest.fixture
def scores() -> pd.DataFrame:
    """Domains a, b and d of a stream a, b, c, d: c is learned and has no test set."""
    generator = np.random.default_rng(2)
    parts = []
    for step in range(-1, T):
        for name in ("a", "b", "d"):
            row = np.arange(16)
            parts.append(
                pd.DataFrame(
                    {
                        "step": np.int16(step),
                        "domain": name,
                        "row": row,
                        "label": (row // 2 % 2).astype(np.int8),
                        "video": [f"s/{name}/{number // 2}" for number in row],
                        "score": generator.random(16).astype(np.float32),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def test_scores_without_those_of_an_untested_domain_are_laid_out_where_that_is_known(
    scores: pd.DataFrame,
) -> None:
    names = ("a", "b", "c", "d")
    with pytest.raises(BenchError, match="scores hold domains a, b, d but the stream has a, b, c, d"):
        accuracy_matrix(scores, domains=names)
    clusters = find_clusters([scores[scores["step"] == -1]])
    for level, laid_out in align_levels(scores, names, clusters=clusters, untested=("c",)).items():
        r = matrix(laid_out, "auc")
        assert r.untested == (2,)
        assert r.undefined == ()
        part = scores[(scores["step"] == 3) & (scores["domain"] == "d")]
        alone = accuracy_matrix(part.assign(step=np.int16(-1)).pipe(_twice), "auc", level)
        assert r.whole[4, 3] == pytest.approx(alone.baseline[0])
        assert np.isnan(r.whole[:, 2]).all()
        own = ClusterMetrics(laid_out).matrices("accuracy", matrix(laid_out).whole).own
        assert np.isfinite(own[:, :, [0, 1, 3]]).all()
        assert np.isnan(own[:, :, 2]).all()


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    """A stream of one domain, whose scores after it are those before."""
    return pd.concat([frame, frame.assign(step=np.int16(0))], ignore_index=True)


def test_a_domain_that_has_scores_is_not_untested(scores: pd.DataFrame) -> None:
    with pytest.raises(BenchError, match="do not belong together"):
        align(scores, "frame", ("a", "b", "c", "d"), untested=("c", "d"))
