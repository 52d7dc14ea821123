"""Adapters a domain: where they begin, what learns, how samples are routed, what a checkpoint carries."""

import functools
import io

import pytest
import timm
import torch
from torch import nn

import prompt_cases
from fretal_bench.errors import BenchError
from fretal_bench.strategies.prompts.domain_lora import DomainLoRA
from fretal_bench.strategies.prompts.parts import LowRank, activate
from fretal_bench.strategies.prompts.routed import centroids_of
from prompt_cases import DOMAINS, data, train, vit
from tests_support import experience_of, tiny_backbone

build = functools.partial(prompt_cases.build, DomainLoRA)


def test_a_new_domain_begins_at_exactly_the_source_models_logits():
    strategy = train(build(), 0)
    x = DOMAINS[1][0]
    with torch.no_grad():
        source = strategy.model(x).clone()
        strategy.before_domain(experience_of(*DOMAINS[1], 1))
        assert torch.equal(strategy.model(x), source)
        part = next(part for part in strategy.model.modules() if isinstance(part, LowRank))
        nn.init.ones_(part.up[0])
        assert not torch.allclose(strategy.model(x), source)


def test_adapted_weights_are_w_plus_alpha_over_r_b_a():
    strategy = train(build(rank=3, alpha=6.0), 0, 1)
    layer = strategy.model.blocks[1].attn.qkv
    original = layer.parametrizations.weight.original
    part = layer.parametrizations.weight[0]
    part.active = 1
    down, up = part.down[0], part.up[0]
    assert down.shape == (3, 16)
    assert up.shape == (48, 3)
    expected = torch.empty_like(original)
    for i in range(48):
        for j in range(16):
            expected[i, j] = original[i, j] + 2.0 * sum(up[i, k] * down[k, j] for k in range(3))
    torch.testing.assert_close(layer.weight, expected, rtol=1e-5, atol=1e-6)
    assert up.abs().max() > 0


def test_only_the_new_domains_adapters_and_head_learn_and_nothing_else_has_a_gradient():
    strategy = train(build(), 0, 1)
    before = {name: value.detach().clone() for name, value in strategy.model.named_parameters()}
    train(strategy, 2)
    moved = set()
    for name, value in strategy.model.named_parameters():
        if name in before and not torch.equal(value, before[name]):
            moved.add(name)
        if not value.requires_grad:
            assert value.grad is None
    assert moved == set()
    learning = {name for name, value in strategy.model.named_parameters() if value.requires_grad}
    assert learning == set(strategy.model.state_dict()) - set(before)
    # Two adapters of two matrices in each of two blocks, and the head's weight and bias.
    assert len(learning) == 2 * 2 * 2 + 2
    held = {id(w) for group in strategy.optimizer.param_groups for w in group["params"]}
    assert held == {id(value) for value in strategy.model.parameters() if value.requires_grad}


def test_samples_of_separated_clusters_are_routed_to_their_domain():
    strategy = train(build(), 0, 1, 2)
    for number in range(3):
        x, _ = data(10 + number, domain=number)
        assert strategy.route(x).tolist() == [number] * len(x)
    mixed = torch.stack([DOMAINS[k % 3][0][k] for k in range(12)])
    assert strategy.route(mixed).tolist() == [0, 1, 2] * 4


def test_each_sample_of_a_mixed_batch_is_judged_by_its_own_domain():
    strategy = train(build(), 0, 1, 2)
    mixed = torch.stack([DOMAINS[k % 3][0][k] for k in range(12)])
    judged = strategy.probabilities(mixed)
    for k in range(12):
        activate(strategy.model, k % 3)
        expected = torch.softmax(strategy.model(mixed[k : k + 1]), 1)[0]
        torch.testing.assert_close(judged[k], expected, rtol=1e-4, atol=1e-6)
    activate(strategy.model, 0)
    assert not torch.allclose(judged[2], torch.softmax(strategy.model(mixed[2:3]), 1)[0], atol=1e-3)


def test_what_is_said_of_older_domains_samples_stays_when_a_domain_is_learned():
    strategy = train(build(), 0, 1)
    old = [strategy.probabilities(DOMAINS[k][0]) for k in (0, 1)]
    train(strategy, 2)
    assert set(torch.cat([strategy.route(DOMAINS[k][0]) for k in (0, 1)]).tolist()) == {0, 1}
    for k in (0, 1):
        torch.testing.assert_close(strategy.probabilities(DOMAINS[k][0]), old[k], rtol=0, atol=0)


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_ends_with_the_same_bytes(stop):
    whole = train(build(), 0, 1, 2)
    first = train(build(), *range(stop))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed = build(vit(seed=5))
    resumed.load_state_dict(torch.load(file, weights_only=True))
    train(resumed, *range(stop, 3))
    theirs = resumed.model.state_dict()
    assert set(theirs) == set(whole.model.state_dict())
    assert all(torch.equal(value, theirs[key]) for key, value in whole.model.state_dict().items())
    for ours, other in zip(whole.centroids, resumed.centroids, strict=True):
        assert torch.equal(ours, other)
    x = torch.cat([x for x, _ in DOMAINS[:3]])
    assert torch.equal(whole.probabilities(x), resumed.probabilities(x))


def test_a_loaded_checkpoint_says_what_its_strategy_said():
    strategy = train(build(), 0, 1, 2)
    x = torch.cat([x for x, _ in DOMAINS[:3]])
    loaded = build(vit(seed=5))
    loaded.load_state_dict(strategy.state_dict())
    loaded.model.eval()
    assert torch.equal(loaded.probabilities(x), strategy.probabilities(x))


def test_adopting_the_source_model_equals_having_trained_it_here():
    trained = train(build(), 0)
    adopting = build(vit(seed=5))
    adopting.adopt(trained.model.state_dict(), experience_of(*DOMAINS[0], 0))
    for one, other in zip(trained.centroids, adopting.centroids, strict=True):
        assert torch.equal(one, other)


def test_rank_alpha_and_clusters_each_change_what_is_learned():
    plain = train(build(), 0, 1)
    judged = plain.probabilities(DOMAINS[1][0])
    for change in ({"rank": 2}, {"alpha": 1.0}):
        assert not torch.allclose(
            train(build(**change), 0, 1).probabilities(DOMAINS[1][0]), judged, atol=1e-4
        )
    assert len(plain.centroids[0]) == 5
    assert len(train(build(clusters=2), 0).centroids[0]) == 2


def test_centroids_are_the_means_of_their_own_samples():
    torch.manual_seed(0)
    features = torch.cat([torch.randn(20, 3) * 0.1 + shift for shift in (0.0, 5.0, 10.0)])
    centres = centroids_of(features, 3, torch.Generator().manual_seed(1))
    nearest = [min(range(3), key=lambda k: float(((f - centres[k]) ** 2).sum())) for f in features]
    for k in range(3):
        mine = [f for f, own in zip(features, nearest, strict=True) if own == k]
        assert mine
        torch.testing.assert_close(centres[k], torch.stack(mine).mean(0), rtol=1e-5, atol=1e-6)
    assert len(centroids_of(features[:2], 5, torch.Generator())) == 2


def test_avalanches_own_evaluation_is_routed():
    strategy = train(build(), 0, 1, 2)
    x, y = DOMAINS[1]
    strategy.mbatch, strategy.is_training = [x, y, torch.zeros_like(y)], False
    torch.testing.assert_close(torch.softmax(strategy.forward(), 1), strategy.probabilities(x))


def test_of_a_hybrid_everything_but_adapters_and_head_stays_batchnorm_statistics_included():
    torch.manual_seed(0)
    strategy = train(build(timm.create_model("mobilevit_xxs", num_classes=2)), 0)
    before = {name: value.clone() for name, value in strategy.model.state_dict().items()}
    routed = strategy.frozen_features(DOMAINS[0][0])
    train(strategy, 1)
    after = strategy.model.state_dict()
    # A weight that has come to depend on the domain is kept under another name.
    moved = [n for n, old in before.items() if not torch.equal(after.get(n, old), old)]
    assert moved == []
    assert any(name.endswith("running_mean") for name in before)
    assert torch.equal(strategy.frozen_features(DOMAINS[0][0]), routed)
    learned = [name for name in after if name not in before]
    assert any(after[name].abs().sum() > 0 for name in learned if ".up." in name)


def test_a_model_without_attention_is_refused_with_what_to_do():
    with pytest.raises(
        BenchError, match=r"needs a model with attention blocks.*found TinyConvNet; use --recipe mini-vit"
    ):
        build(tiny_backbone())


def test_it_learns_in_bfloat16():
    strategy = train(build(precision="bf16"), 0, 1)
    judged = strategy.probabilities(DOMAINS[1][0])
    assert judged.dtype == torch.float32
    assert torch.isfinite(judged).all()
