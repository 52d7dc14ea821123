"""Prompt tokens a domain: where they stand in timm's transformers, what learns, how samples are routed."""

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
from fretal_bench.strategies.prompts.parts import activate
from fretal_bench.strategies.prompts.s_prompts import SPrompts
from fretal_bench.strategies.prompts.tokens import prompt_tokens
from prompt_cases import DOMAINS, train, vit
from tests_support import experience_of, tiny_backbone

SMALL = {"num_classes": 2, "depth": 2, "embed_dim": 64, "num_heads": 2}
MODELS = {
    "vit_tiny_patch16_224": {"img_size": 32},
    "vit_small_patch14_dinov2": {"img_size": 28},
    "vit_small_patch14_reg4_dinov2": {"img_size": 28},
    "vit_base_patch16_clip_quickgelu_224": {"img_size": 32},
    "vit_base_patch16_siglip_224": {"img_size": 32},
    "vit_base_patch16_rope_reg1_gap_256": {"img_size": 32},
    "deit_tiny_distilled_patch16_224": {"img_size": 32},
    "deit3_small_patch16_224": {"img_size": 32},
    "test_vit2": {"img_size": 32},
    "test_vit3": {"img_size": 32},
    "eva02_tiny_patch14_224": {"img_size": 28},
    "vit_small_patch16_dinov3": {"img_size": 32},
}
"""timm's families, made small: class token or none, registers, norms before and after, poolings, rotary positions."""


def small(name):
    torch.manual_seed(0)
    return timm.create_model(name, **SMALL, **MODELS[name]).eval()


def images(model, count=3):
    side = model.patch_embed.img_size[0]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def prompted(model, length=4):
    """The model's prompt tokens with one domain, large enough to matter."""
    tokens = prompt_tokens(model)
    tokens.add(torch.empty(64), length, torch.Generator().manual_seed(2))
    with torch.no_grad():
        tokens.values[0].mul_(20)
    return tokens


@pytest.mark.parametrize("name", MODELS)
def test_prompts_have_an_effect_no_position_and_no_place_in_what_is_pooled(name):
    model = small(name)
    x = images(model)
    with torch.no_grad():
        for weight in model.parameters():
            # timm begins layer scales, biases and positions near 0, where nothing would be seen.
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)) * 0.1)
        before, shape = model(x), model.forward_features(x).shape
        tokens = prompted(model)
        assert torch.equal(model(x), before)
        activate(model, 1)
        after = model(x)
        assert not torch.allclose(after, before, atol=1e-3)
        assert model.forward_features(x).shape == shape
        # Prompts without positions can change places; patches cannot.
        tokens.values[0].copy_(tokens.values[0].flip(0).clone())
        torch.testing.assert_close(model(x), after, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(x.flip(3)), after, atol=1e-3)
        activate(model, 0)
        assert torch.equal(model(x), before)
    activate(model, 1)
    model(x).sum().backward()
    assert tokens.values[0].grad.abs().min() > 0


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_base_patch16_clip_quickgelu_224", "test_vit2"])
def test_the_sequence_is_class_token_prompts_patches_through_attention_by_hand(name):
    model = small(name)
    prompts = prompted(model).values[0]
    x = images(model)
    with torch.no_grad():
        patches = model.patch_embed.proj(x).flatten(2).transpose(1, 2)
        if name == "test_vit2":
            # No class token; one register, which has a position of its own.
            sequence = torch.cat([model.reg_token.expand(3, -1, -1), patches], 1) + model.pos_embed
            sequence = torch.cat([prompts.expand(3, -1, -1), sequence], 1)
        else:
            sequence = torch.cat([model.cls_token.expand(3, -1, -1), patches], 1) + model.pos_embed
            sequence = torch.cat([sequence[:, :1], prompts.expand(3, -1, -1), sequence[:, 1:]], 1)
        # CLIP has a norm here, and prompts go through it.
        sequence = model.norm_pre(sequence)
        for block in model.blocks:
            normed = block.norm1(sequence)
            mixed = torch.zeros_like(normed)
            q, k, v = block.attn.qkv(normed).chunk(3, 2)
            for head in range(2):
                mine = slice(32 * head, 32 * head + 32)
                share = torch.softmax(q[..., mine] @ k[..., mine].transpose(1, 2) / 32**0.5, 2)
                mixed[..., mine] = share @ v[..., mine]
            sequence = sequence + block.ls1(block.attn.proj(mixed))
            sequence = sequence + block.ls2(block.mlp(block.norm2(sequence)))
        if name == "test_vit2":
            features = model.fc_norm(model.norm(sequence[:, 4 + 1 :]).mean(1))
        else:
            features = model.norm(sequence)[:, 0]
        activate(model, 1)
        torch.testing.assert_close(model(x), model.head(features), rtol=1e-4, atol=1e-5)


build = functools.partial(prompt_cases.build, SPrompts)


def test_only_the_new_domains_prompts_and_head_learn():
    strategy = train(build(), 0, 1)
    before = {name: value.detach().clone() for name, value in strategy.model.named_parameters()}
    begun = before["domain_prompts.values.0"].clone()
    train(strategy, 2)
    named = dict(strategy.model.named_parameters())
    assert all(torch.equal(named[name], value) for name, value in before.items())
    learning = {name for name, value in named.items() if value.requires_grad}
    assert learning == set(named) - set(before)
    assert len(learning) == 3
    assert named["domain_prompts.values.1"].shape == (10, 16)
    assert not torch.equal(named["domain_prompts.values.1"], begun)
    held = {id(w) for group in strategy.optimizer.param_groups for w in group["params"]}
    assert held == {id(value) for value in named.values() if value.requires_grad}


def test_prompts_begin_uniform_within_one_over_the_root_of_the_width():
    tokens = prompt_tokens(vit())
    tokens.add(torch.empty(16), 2000, torch.Generator().manual_seed(0))
    drawn = tokens.values[0]
    assert drawn.abs().max() <= 0.25
    assert drawn.min() < -0.249
    assert abs(float(drawn.detach().var()) - 0.5**2 / 12) < 5e-4


@pytest.mark.parametrize("distance", ["euclidean", "cityblock"])
def test_a_sample_goes_to_the_domain_of_the_centroid_nearest_to_its_unit_length_feature(distance):
    strategy = build(distance=distance)
    # Of no meaning, so that the two distances disagree somewhere.
    generator = torch.Generator().manual_seed(3)
    strategy.centroids = [torch.randn(5, 16, generator=generator) * 0.3 for _ in range(2)]
    features = torch.randn(60, 16, generator=generator) * 5
    strategy.frozen_features = lambda inputs: inputs
    expected = []
    for f in features:
        f = f / sum(v * v for v in f) ** 0.5
        away = []
        for centroids in strategy.centroids:
            if distance == "euclidean":
                away.append(min(sum((f - c) ** 2) for c in centroids))
            else:
                away.append(min(sum(abs(f - c)) for c in centroids))
        expected.append(int(away[1] < away[0]))
    assert strategy.route(features).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_keys_are_centroids_of_features_at_unit_length():
    strategy = train(build(clusters=1), 0)
    x, _ = DOMAINS[0]
    with torch.no_grad():
        features = strategy.model.forward_head(strategy.model.forward_features(x), pre_logits=True)
    mean = torch.stack([f / sum(v * v for v in f) ** 0.5 for f in features]).mean(0)
    torch.testing.assert_close(strategy.centroids[0], mean[None], rtol=1e-4, atol=1e-5)


def test_what_is_said_of_older_domains_samples_stays_when_a_domain_is_learned():
    strategy = train(build(), 0, 1)
    old = [strategy.probabilities(DOMAINS[k][0]) for k in (0, 1)]
    train(strategy, 2)
    assert [set(strategy.route(DOMAINS[k][0]).tolist()) for k in range(3)] == [{0}, {1}, {2}]
    for k in (0, 1):
        torch.testing.assert_close(strategy.probabilities(DOMAINS[k][0]), old[k], rtol=0, atol=0)


def test_each_sample_of_a_mixed_batch_is_judged_by_its_own_domain():
    strategy = train(build(), 0, 1, 2)
    mixed = torch.stack([DOMAINS[k % 3][0][k] for k in range(12)])
    judged = strategy.probabilities(mixed)
    for k in range(12):
        activate(strategy.model, k % 3)
        expected = torch.softmax(strategy.model(mixed[k : k + 1]), 1)[0]
        torch.testing.assert_close(judged[k], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_ends_with_the_same_bytes(stop):
    whole = train(build(), 0, 1, 2)
    resumed = build(vit(seed=5))
    resumed.load_state_dict(copy.deepcopy(train(build(), *range(stop)).state_dict()))
    train(resumed, *range(stop, 3))
    theirs = resumed.model.state_dict()
    assert set(theirs) == set(whole.model.state_dict())
    assert all(torch.equal(value, theirs[key]) for key, value in whole.model.state_dict().items())
    x = torch.cat([x for x, _ in DOMAINS[:3]])
    assert torch.equal(whole.probabilities(x), resumed.probabilities(x))


def test_a_second_strategy_on_the_same_model_puts_no_second_tokens_into_it():
    model = vit()
    build(model)
    build(model)
    assert len(model.norm_pre._forward_pre_hooks) == len(model.norm._forward_pre_hooks) == 1


def test_a_copy_of_a_prompted_model_has_prompts_of_its_own():
    model = small("vit_small_patch16_dinov3")
    prompted(model)
    copied = copy.deepcopy(model)
    x = images(model)
    with torch.no_grad():
        before = model(x)
        activate(copied, 1)
        assert torch.equal(model(x), before)
        activate(model, 1)
        assert torch.equal(model(x), copied(x))


def test_of_a_compiled_model_prompts_learn_as_of_one_that_is_not(compiled_calls):
    recipe = Recipe(name="r", backbone="test_vit", image_size=32)
    learned = []
    for model in (build_model(recipe, 0), build_model(recipe.changed({"compile": True}), 0)):
        strategy = build(model, length=3)
        for number in range(2):
            x, y = DOMAINS[number]
            x = nn.functional.interpolate(x, size=32)
            torch.manual_seed(number)
            strategy.train(experience_of(x, y, number), eval_streams=[], reset_optimizer_state=True)
        learned.append((strategy.model.domain_prompts.values[0].detach(), strategy.probabilities(x)))
    for plain, other in zip(*learned, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", [tiny_backbone, lambda: timm.create_model("mobilevit_xxs", num_classes=2)])
def test_a_model_without_one_sequence_of_tokens_is_refused_with_what_to_do(model):
    with pytest.raises(
        BenchError, match=r"^s-prompts needs one sequence of tokens .* use --set recipe.backbone="
    ):
        build(model())


def test_it_learns_in_bfloat16():
    judged = train(build(precision="bf16"), 0, 1).probabilities(DOMAINS[1][0])
    assert judged.dtype == torch.float32
    assert torch.isfinite(judged).all()
