"""Streaming LDA: against the paper's equations sample by sample, and against LDA over everything at once."""

import numpy as np
import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies.frozen.slda import SLDA, oracle_approximating_shrinkage
from tests_support import experience_of, tiny_backbone


def data(seed, count=30):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 8, 8, generator=generator)
    y = torch.randint(0, 2, (count,), generator=generator)
    return x + y[:, None, None, None] * 0.5, y


def build(**options):
    torch.manual_seed(0)
    model = tiny_backbone()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    return SLDA(model=model, optimizer=optimizer, train_mb_size=8, eval_mb_size=7, **options)


def features_by_hand(model, x):
    with torch.no_grad():
        return model.eval().body(x).double().numpy().mean((2, 3))


def shrunk_by_hand(covariance, n):
    """Chen et al. 2010, equation 23."""
    p = len(covariance)
    trace = sum(covariance[i, i] for i in range(p))
    trace_of_square = sum(covariance[i, j] * covariance[j, i] for i in range(p) for j in range(p))
    rho = ((1 - 2 / p) * trace_of_square + trace**2) / ((n + 1 - 2 / p) * (trace_of_square - trace**2 / p))
    rho = min(1.0, rho)
    return (1 - rho) * covariance + rho * trace / p * np.eye(p)


def by_the_papers_equations(domains, shrinkage):
    """Means and covariance updated one sample at a time; returns W and b."""
    base, labels = domains[0]
    means = {c: base[labels == c].mean(0) for c in (0, 1)}
    counts = {c: int((labels == c).sum()) for c in (0, 1)}
    centred = np.stack([z - means[c] for z, c in zip(base, labels, strict=True)])
    covariance = shrunk_by_hand(centred.T @ centred / len(base), len(base))
    t = len(base)
    for features, labels in domains[1:]:
        for z, y in zip(features, labels, strict=True):
            delta = t * np.outer(z - means[y], z - means[y]) / (t + 1)
            covariance = (t * covariance + delta) / (t + 1)
            means[y] = (counts[y] * means[y] + z) / (counts[y] + 1)
            counts[y] += 1
            t += 1
    precision = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * np.eye(len(covariance)))
    weights = np.stack([precision @ means[c] for c in (0, 1)])
    return weights, np.array([-0.5 * means[c] @ precision @ means[c] for c in (0, 1)])


@pytest.mark.parametrize("shrinkage", [1e-4, 0.3])
def test_the_rule_is_that_of_the_papers_updates_sample_by_sample(shrinkage):
    strategy = build(shrinkage=shrinkage)
    domains = [data(k) for k in range(3)]
    for number, (x, y) in enumerate(domains):
        strategy.train(experience_of(x, y, number))
    by_hand = [(features_by_hand(strategy.model, x), y.numpy()) for x, y in domains]
    weights, biases = by_the_papers_equations(by_hand, shrinkage)
    got_weights, got_biases = (part.numpy() for part in strategy.decision_rule())
    # Of W z + b only the difference of the classes matters, but both rows are the paper's.
    np.testing.assert_allclose(got_weights, weights, rtol=1e-5)
    np.testing.assert_allclose(got_biases, biases, rtol=1e-5)
    x, _ = data(9)
    scores = features_by_hand(strategy.model, x) @ weights.T + biases
    expected = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    np.testing.assert_allclose(strategy.probabilities(x)[:, 1].numpy(), expected, atol=1e-5)


def test_the_statistics_do_not_depend_on_the_batch_size():
    judged = []
    for size in (1, 7, 64):
        strategy = build()
        strategy.eval_mb_size = size
        for number in range(2):
            strategy.train(experience_of(*data(number), number))
        judged.append(strategy.scatter)
    torch.testing.assert_close(judged[0], judged[1], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(judged[0], judged[2], rtol=1e-5, atol=1e-7)


def test_the_direction_is_that_of_scikit_learns_lda_on_one_large_domain():
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    strategy = build(shrinkage=1e-6)
    x, y = data(0, 600)
    strategy.train(experience_of(x, y, 0))
    lda = discriminant.LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
    features = features_by_hand(strategy.model, x)
    expected = lda.fit(features, y.numpy()).coef_[0]
    weights, _ = strategy.decision_rule()
    got = (weights[1] - weights[0]).numpy()
    cosine = got @ expected / np.linalg.norm(got) / np.linalg.norm(expected)
    # What is left is the shrinkage of the first covariance.
    assert cosine > 0.97
    assert np.mean((strategy.probabilities(x)[:, 1].numpy() > 0.5) == lda.predict(features)) > 0.97


def test_oracle_approximating_shrinkage_is_equation_23():
    random = np.random.default_rng(0)
    z = random.normal(size=(25, 6)) * np.arange(1, 7)
    covariance = z.T @ z / 25
    got = oracle_approximating_shrinkage(torch.from_numpy(covariance), 25.0).numpy()
    np.testing.assert_allclose(got, shrunk_by_hand(covariance, 25), rtol=1e-10)
    assert abs(got[0, 1]) < abs(covariance[0, 1])
    same = torch.eye(4, dtype=torch.float64) * 3
    torch.testing.assert_close(oracle_approximating_shrinkage(same, 25.0), same)


def test_a_class_that_the_first_domain_lacks_begins_at_its_first_sample():
    strategy = build()
    x, _ = data(0)
    strategy.train(experience_of(x, torch.zeros(len(x), dtype=torch.int64), 0))
    before = strategy.scatter
    strategy.train(experience_of(x[:1] + 2, torch.tensor([1]), 1))
    assert torch.equal(before, strategy.scatter)
    assert strategy.counts.tolist() == [len(x), 1]


def test_a_resumed_run_ends_with_the_same_bytes_and_the_model_stays():
    whole = build()
    for number in range(3):
        whole.train(experience_of(*data(number), number))
        if number == 0:
            first_weights = {key: value.clone() for key, value in whole.model.state_dict().items()}
    first = build()
    for number in range(2):
        first.train(experience_of(*data(number), number))
    resumed = build()
    resumed.load_state_dict(first.state_dict())
    resumed.train(experience_of(*data(2), 2))
    for name in ("sums", "counts", "scatter"):
        assert torch.equal(getattr(whole, name), getattr(resumed, name))
    assert all(torch.equal(value, first_weights[key]) for key, value in whole.model.state_dict().items())


def test_a_shrinkage_outside_its_range_is_refused():
    with pytest.raises(BenchError, match=r"shrinkage.* in \(0, 1\]"):
        build(shrinkage=0.0)
