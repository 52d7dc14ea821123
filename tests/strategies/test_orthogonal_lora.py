"""Adapters that add up: their sum, their overlap, the balancing of experts, what learns, what a checkpoint carries."""

import copy
import functools

import pytest
import timm
import torch
from torch import nn

import prompt_cases
from fretal_bench.benchmark.recipes.model import build_model
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.errors import BenchError
from fretal_bench.strategies.prompts.orthogonal_lora import Experts, OrthogonalLoRA, imbalance
from fretal_bench.strategies.prompts.parts import activate
from fretal_bench.strategies.state import BadState
from prompt_cases import DOMAINS, train, vit
from tests_support import experience_of, tiny_backbone

build = functools.partial(prompt_cases.build, OrthogonalLoRA)


def experts_of(strategy):
    return [module for module in strategy.model.modules() if isinstance(module, Experts)]


@pytest.mark.parametrize("real", [False, True])
def test_a_new_domain_begins_at_exactly_what_the_last_one_said(real):
    strategy = train(build(real_lora=real), 0)
    x = DOMAINS[1][0]
    for number in (1, 2):
        with torch.no_grad():
            said = strategy.model(x).clone()
            strategy.before_domain(experience_of(*DOMAINS[number], number))
            torch.testing.assert_close(strategy.model.eval()(x), said, rtol=1e-5, atol=1e-6)
        for part in experts_of(strategy):
            nn.init.normal_(part.up[-1], generator=torch.Generator().manual_seed(number))
        assert not torch.allclose(strategy.model(x), said, atol=1e-3)
        strategy.step += 1


@pytest.mark.parametrize("real", [False, True])
def test_weights_of_the_feed_forward_layers_are_w_plus_all_pairs_so_far(real):
    strategy = train(build(rank=3, alpha=6.0, real_lora=real), 0, 1, 2)
    layers = [layer for block in strategy.model.blocks for layer in (block.mlp.fc1, block.mlp.fc2)]
    assert len(experts_of(strategy)) == len(layers) == 4
    assert not hasattr(strategy.model.blocks[0].attn.qkv, "parametrizations")
    for layer in layers:
        (part,) = layer.parametrizations.weight
        assert len(part.up) == 2 + real
        expected = layer.parametrizations.weight.original.clone()
        for up, down in zip(part.up, part.down, strict=True):
            for k in range(3):
                expected += 2.0 * torch.outer(up[:, k], down[k])
            assert up.abs().max() > 0
        torch.testing.assert_close(layer.weight, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("real", [False, True])
def test_only_the_newest_adapters_the_shared_ones_and_the_head_learn(real):
    strategy = train(build(real_lora=real), 0, 1)
    before = {name: value.detach().clone() for name, value in strategy.model.named_parameters()}
    train(strategy, 2)
    moved, new = set(), set()
    for name, value in strategy.model.named_parameters():
        if name not in before:
            new.add(name)
        elif not torch.equal(value, before[name]):
            moved.add(name)
    place = int(real)
    assert {name for name in new if name.endswith((f".up.{place + 1}", f".down.{place + 1}"))} == new
    assert len(new) == 2 * 4
    shared = {name for name in before if name.endswith((".up.0", ".down.0"))} if real else set()
    assert moved == {"head.weight", "head.bias"} | shared
    held = {id(w) for group in strategy.optimizer.param_groups for w in group["params"]}
    assert held == {id(w) for w in strategy.model.parameters() if w.requires_grad}
    assert len(held) == 2 * 4 + 2 + len(shared)


def test_the_penalty_is_the_mean_squared_overlap_with_older_domains_summed_over_layers():
    strategy = train(build(orthogonality=0.7, real_lora=True), 0, 1, 2)
    strategy.before_domain(experience_of(*DOMAINS[3], 3))
    expected = 0.0
    for part in experts_of(strategy):
        _, *old, newest = part.down
        assert len(old) == 2
        for other in old:
            for row in newest.detach():
                for column in other.detach():
                    expected += 0.7 * float(sum(row * column)) ** 2 / 2
    assert expected > 0
    assert strategy.penalty().item() == pytest.approx(expected, rel=1e-4)


def test_there_is_no_overlap_before_there_are_two_adapters():
    strategy = train(build(), 0)
    strategy.before_domain(experience_of(*DOMAINS[1], 1))
    assert strategy.penalty().item() == 0.0


def test_a_strong_penalty_makes_new_adapters_orthogonal_to_old_ones():
    def overlap(strength):
        strategy = train(build(orthogonality=strength, train_epochs=15), 0, 1, 2)
        return sum(float(part.overlap()) for part in experts_of(strategy))

    assert overlap(50.0) < 0.05 * overlap(0.0)


def test_the_response_of_an_expert_is_the_mean_norm_of_what_it_adds_to_a_samples_tokens():
    part = Experts(rank=2, alpha=6.0, shared=True)
    weight, generator = torch.zeros(5, 3), torch.Generator().manual_seed(0)
    part.add(weight, generator)
    for up in part.up:
        nn.init.normal_(up, generator=generator)
    part.activate(1)
    x = torch.randn(2, 4, 3, generator=generator)
    responses = part.responses(x, 2)
    assert responses.shape == (2, 2)
    for expert in range(2):
        for sample in range(2):
            norms = [
                (3.0 * part.up[expert] @ (part.down[expert] @ token)).square().sum() ** 0.5
                for token in x[sample]
            ]
            torch.testing.assert_close(responses[expert, sample], sum(norms) / 4)
    # Hybrids cut an image into several sequences, which follow each other.
    torch.testing.assert_close(part.responses(x.reshape(4, 2, 3), 2), responses)


def test_the_imbalance_is_variance_over_mean_of_responses_weighted_by_whom_they_fit():
    responses = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    fake = torch.tensor([False, True, True])
    # The shared expert fits the real, the other one the fakes.
    weighted = [1.0 * 0.9, 2.0 * 1.1, 3.0 * 1.1, 4.0 * 1.1, 5.0 * 0.9, 6.0 * 0.9]
    mean = sum(weighted) / 6
    expected = sum((value - mean) ** 2 for value in weighted) / 6 / mean
    assert float(imbalance(responses, fake, 0.1, True)) == pytest.approx(expected, rel=1e-5)
    weighted = [1.0 * 1.1, 2.0 * 0.9, 3.0 * 0.9, 4.0 * 1.1, 5.0 * 0.9, 6.0 * 0.9]
    mean = sum(weighted) / 6
    expected = sum((value - mean) ** 2 for value in weighted) / 6 / mean
    assert float(imbalance(responses, fake, 0.1, False)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("model", [vit, lambda: timm.create_model("mobilevit_xxs", num_classes=2)])
def test_balancing_begins_without_a_response_and_moves_the_experts(model):
    torch.manual_seed(0)
    made = model()
    plain, balanced = (
        train(build(copy.deepcopy(made), real_lora=True, balancing=on, balancing_weight=5.0), 0, 1)
        for on in (False, True)
    )
    for strategy in (plain, balanced):
        assert all(torch.isfinite(value).all() for value in strategy.model.state_dict().values())
    theirs = [part.up[1] for part in experts_of(plain)]
    assert not all(
        torch.allclose(part.up[1], other, atol=1e-4)
        for part, other in zip(experts_of(balanced), theirs, strict=True)
    )
    assert balanced._inputs.kept == {}


@pytest.mark.parametrize("stop", [1, 2])
@pytest.mark.parametrize("real", [False, True])
def test_a_resumed_run_ends_with_the_same_bytes(stop, real):
    options = {"real_lora": real, "balancing": real}
    whole = train(build(**options), 0, 1, 2)
    resumed = build(vit(seed=5), **options)
    resumed.load_state_dict(copy.deepcopy(train(build(**options), *range(stop)).state_dict()))
    train(resumed, *range(stop, 3))
    theirs = resumed.model.state_dict()
    assert set(theirs) == set(whole.model.state_dict())
    assert all(torch.equal(value, theirs[key]) for key, value in whole.model.state_dict().items())


def test_a_loaded_checkpoint_says_what_its_strategy_said():
    strategy = train(build(real_lora=True), 0, 1, 2)
    x = torch.cat([x for x, _ in DOMAINS])
    loaded = build(vit(seed=5), real_lora=True)
    loaded.load_state_dict(strategy.state_dict())
    loaded.model.eval()
    assert torch.equal(loaded.probabilities(x), strategy.probabilities(x))
    activate(loaded.model, 0)
    assert not torch.allclose(loaded.probabilities(x), strategy.probabilities(x), atol=1e-3)


def test_a_state_of_more_domains_than_it_has_weights_is_refused_before_any_is_made():
    state = train(build(), 0, 1).state_dict()
    with pytest.raises(BadState, match="step: expected no more domains than weights, found 2000000000"):
        build().load_state_dict({**state, "step": 2_000_000_000})


def test_of_a_hybrid_everything_but_adapters_and_head_stays_batchnorm_statistics_included():
    torch.manual_seed(0)
    strategy = train(build(timm.create_model("mobilevit_xxs", num_classes=2)), 0)
    before = {name: value.clone() for name, value in strategy.model.state_dict().items()}
    train(strategy, 1)
    after = strategy.model.state_dict()
    moved = {name for name, old in before.items() if not torch.equal(after.get(name, old), old)}
    assert moved == {"head.fc.weight", "head.fc.bias"}
    assert any(name.endswith("running_mean") for name in before)


def test_new_parts_learn_at_the_whole_rate_where_layers_learn_at_shares_of_it():
    model = vit()
    named = dict(model.named_parameters())
    head, blocks = ({name for name in named if name.startswith(part)} for part in ("head.", "blocks."))
    shares = ((0.1, set(named) - head - blocks), (1.0, head), (0.5, blocks))
    groups = [
        {"params": [named[name] for name in sorted(part)], "lr": 0.01 * share, "lr_scale": share}
        for share, part in shares
    ]
    strategy = OrthogonalLoRA(model=model, optimizer=torch.optim.SGD(groups), train_mb_size=8)
    train(strategy, 0, 1)
    counts = {group["lr_scale"]: len(group["params"]) for group in strategy.optimizer.param_groups}
    assert counts == {0.1: 0, 1.0: 2 * 4 + 2, 0.5: 0}


def test_of_a_compiled_model_experts_learn_and_are_balanced_as_of_one_that_is_not(compiled_calls):
    recipe = Recipe(name="r", backbone="test_vit", image_size=32)
    learned = []
    for model in (build_model(recipe, 0), build_model(recipe.changed({"compile": True}), 0)):
        strategy = build(model, real_lora=True, balancing=True)
        for number in range(3):
            x, y = DOMAINS[number]
            x = nn.functional.interpolate(x, size=32)
            torch.manual_seed(number)
            strategy.train(experience_of(x, y, number), eval_streams=[], reset_optimizer_state=True)
        learned.append([part.up[-1].detach() for part in experts_of(strategy)])
    for plain, other in zip(*learned, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-2, atol=1e-4)


def test_a_model_without_attention_is_refused_with_what_to_do():
    with pytest.raises(
        BenchError,
        match=r"^orthogonal-lora needs a model with attention .*TinyConvNet; use --recipe mini-vit",
    ):
        build(tiny_backbone())


def test_it_learns_in_bfloat16():
    judged = train(build(precision="bf16", real_lora=True, balancing=True), 0, 1).probabilities(DOMAINS[1][0])
    assert judged.dtype == torch.float32
    assert torch.isfinite(judged).all()
