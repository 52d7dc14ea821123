"""Nearest class mean: its scores, and that nothing but sums survives."""

import numpy as np
import torch

from fretal_bench.strategies.features import head_inputs_and_logits
from fretal_bench.strategies.frozen.ncm import NCM
from tests_support import experience_of, tiny_backbone


def data(seed, count=30):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 8, 8, generator=generator)
    y = torch.randint(0, 2, (count,), generator=generator)
    return x + y[:, None, None, None] * 0.5, y


def build(model=None, **options):
    torch.manual_seed(0)
    model = tiny_backbone() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    return NCM(model=model, optimizer=optimizer, train_mb_size=8, eval_mb_size=7, **options)


def features_by_hand(model, x):
    """The mean over space of the body's output, one sample at a time."""
    with torch.no_grad():
        return np.stack([model.body(one[None])[0].double().numpy().mean((1, 2)) for one in x])


def test_probabilities_are_the_softmax_of_minus_squared_distances_to_the_means_of_all_samples_seen():
    strategy = build()
    domains = [data(k) for k in range(3)]
    for number, (x, y) in enumerate(domains):
        strategy.train(experience_of(x, y, number))
    model = strategy.model.eval()
    features = features_by_hand(model, torch.cat([x for x, _ in domains]))
    labels = torch.cat([y for _, y in domains]).numpy()
    x, _ = data(9, 10)
    for z, got in zip(features_by_hand(model, x), strategy.probabilities(x).numpy(), strict=True):
        weights = []
        for label in (0, 1):
            mine = [f for f, own in zip(features, labels, strict=True) if own == label]
            mean = sum(mine) / len(mine)
            weights.append(np.exp(-sum((a - b) ** 2 for a, b in zip(z, mean, strict=True)) / len(z)))
        np.testing.assert_allclose(got, np.array(weights) / sum(weights), rtol=1e-5)


def test_the_model_never_moves_after_the_first_domain_not_even_batchnorm():
    strategy = build()
    strategy.train(experience_of(*data(0), 0))
    strategy.model.eval()
    first = {key: value.clone() for key, value in strategy.model.state_dict().items()}
    before = strategy.probabilities(data(9)[0])
    strategy.train(experience_of(data(1)[0] + 3, data(1)[1], 1))
    assert all(torch.equal(value, first[key]) for key, value in strategy.model.state_dict().items())
    strategy.model.eval()
    assert not torch.allclose(before, strategy.probabilities(data(9)[0]))


def test_the_order_of_later_domains_makes_no_difference():
    judged = []
    for order in ((1, 2), (2, 1)):
        strategy = build()
        strategy.train(experience_of(*data(0), 0))
        for number in order:
            strategy.train(experience_of(*data(number), number))
        judged.append(strategy.probabilities(data(9)[0]))
    torch.testing.assert_close(*judged, rtol=1e-6, atol=1e-9)


def test_a_resumed_run_ends_with_the_same_bytes():
    whole = build()
    for number in range(3):
        whole.train(experience_of(*data(number), number))
    first = build()
    for number in range(2):
        first.train(experience_of(*data(number), number))
    resumed = build()
    resumed.load_state_dict(first.state_dict())
    resumed.train(experience_of(*data(2), 2))
    x = data(9)[0]
    assert torch.equal(
        whole.model.eval() and whole.probabilities(x), resumed.model.eval() and resumed.probabilities(x)
    )
    assert torch.equal(whole.sums, resumed.sums)


def test_avalanches_own_evaluation_sees_the_class_means_not_the_untouched_head():
    strategy = build()
    strategy.train(experience_of(*data(0), 0))
    x, y = data(1)
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy.is_training = False
    strategy.model.eval()
    judged = torch.softmax(strategy.forward(), 1)
    torch.testing.assert_close(judged, strategy.probabilities(x), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(judged, torch.softmax(strategy.model(x), 1), atol=1e-3)


def test_features_are_what_enters_the_head_of_a_timm_model():
    import timm

    torch.manual_seed(0)
    x = torch.randn(2, 3, 160, 160)
    for name in ("test_byobnet", "test_resnet", "test_vit"):
        model = timm.create_model(name, num_classes=2).eval()
        with torch.no_grad():
            features, logits = head_inputs_and_logits(model, x)
            torch.testing.assert_close(logits, model(x))
            torch.testing.assert_close(model.get_classifier()(features), logits)
            torch.testing.assert_close(
                features, model.forward_head(model.forward_features(x), pre_logits=True)
            )


def test_a_cell_of_a_rule_of_its_own_is_scored_by_that_rule_from_the_first_domain_on(tmp_path):
    from fretal_bench.benchmark.runner.run import run
    from tests_support import TINY, tiny_stream

    results = run(
        ("finetuning", "ncm"),
        str(tiny_stream(tmp_path)),
        changes={"recipe": TINY},
        out=tmp_path / "r",
        jobs=1,
    )
    assert not results.failures
    source, ncm = (cell.scores for cell in results.cells)
    for frame in (ncm, results.cells[1].validation()):
        assert frame.groupby(["step", "domain"]).size().eq(2 * 2 * 3).all()
        assert sorted(frame["step"].unique()) == [-1, 0, 1, 2]
    of_step = [[frame[frame["step"] == k]["score"].to_numpy() for frame in (source, ncm)] for k in (-1, 0)]
    assert np.array_equal(*of_step[0])
    assert not np.array_equal(*of_step[1])
