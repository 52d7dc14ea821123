"""Agreement with Avalanche's own metrics where those are right (its import takes seconds, so in this file alone)."""

from __future__ import annotations

import numpy as np
import pytest

from fretal_bench.metrics.continual import backward_transfer, forgetting, forgetting_matrix, forward_transfer


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    return rng.random((5, 5)), rng.random(5)


def test_backward_transfer_is_avalanches_mean_over_old_domains(table):
    from avalanche.evaluation.metrics.forgetting_bwt import BWT

    r, _ = table
    metric = BWT()
    for i, row in enumerate(r):
        metric.update(i, row[i], initial=True)
        for j in range(i):
            metric.update(j, row[j])
    assert backward_transfer(r) == pytest.approx(np.mean(list(metric.result().values())))


def test_avalanches_forgetting_is_minus_bwt_and_ours_is_its_own_from_the_best(table):
    from avalanche.evaluation.metrics.forgetting_bwt import Forgetting

    r, _ = table
    first, best = Forgetting(), Forgetting()
    for j in range(len(r) - 1):
        first.update(j, r[j, j], initial=True)
        best.update(j, r[j:-1, j].max(), initial=True)
        first.update(j, r[-1, j])
        best.update(j, r[-1, j])
    assert np.mean(list(first.result().values())) == pytest.approx(-backward_transfer(r))
    assert np.mean(list(best.result().values())) == pytest.approx(forgetting(r))
    np.testing.assert_allclose(forgetting_matrix(r)[-1, :-1], [best.result()[j] for j in range(len(r) - 1)])


def test_forward_transfer_is_avalanches(table):
    from avalanche.evaluation.metrics.forward_transfer import ForwardTransfer

    r, b = table
    metric = ForwardTransfer()
    for j in range(1, len(r)):
        metric.update(j, b[j], initial=True)
        metric.update(j, r[j - 1, j])
    assert forward_transfer(r, b) == pytest.approx(np.mean(list(metric.result().values())))


def test_micro_average_is_avalanches_accuracy_over_the_pooled_stream():
    import torch
    from avalanche.evaluation.metrics import Accuracy

    from fretal_bench.metrics.matrices import StreamScores, micro_average

    rng = np.random.default_rng(5)
    labels = tuple(rng.integers(0, 2, n).astype(np.int8) for n in (30, 7))
    scores = tuple(rng.random((3, len(y))) for y in labels)
    metric = Accuracy()
    for y, s in zip(labels, scores, strict=True):
        metric.update(torch.tensor(s[-1] >= 0.5).long(), torch.tensor(y).long())
    assert micro_average(StreamScores(("a", "b"), "frame", labels, scores)) == pytest.approx(metric.result())
