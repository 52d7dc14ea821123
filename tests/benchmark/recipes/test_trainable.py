"""Which weights learn, and at which rate: what a recipe's model and optimiser are, and every strategy with them."""

import functools
import re

import pytest
import torch
from torch import nn

from fretal_bench.benchmark.recipes.loop import LearningRate
from fretal_bench.benchmark.recipes.model import build_model, build_optimizer, check_trainable
from fretal_bench.benchmark.recipes.recipe import Recipe, list_recipes, recorded_recipe
from fretal_bench.benchmark.recipes.trainable import freeze
from fretal_bench.benchmark.runner.plan import check_strategies
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy, names
from fretal_bench.testing import TinyConvNet, tiny_transformer
from fretal_bench.testing.rig import Rig, Walk
from fretal_bench.testing.watcher import PARAMETERS
from tests_support import NEEDING_ATTENTION, namespace

MODES = ("head", "norms", "lora")
VIT = {"backbone": "test_vit", "image_size": 160}


def learning(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_of_a_convolutional_backbone_the_head_or_the_norms_and_the_head_learn():
    plain = build_model(Recipe(), 0)
    norms = {
        f"{name}.{kind}"
        for name, module in plain.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for kind in ("weight", "bias")
    }
    head = {"head.fc.weight", "head.fc.bias"}
    assert learning(plain) == {name for name, _ in plain.named_parameters()}
    assert learning(build_model(Recipe(trainable="head"), 0)) == head
    assert learning(build_model(Recipe(trainable="norms"), 0)) == head | norms
    assert len(norms) > 4


def test_of_a_vision_transformer_adapters_of_the_attention_learn_and_leave_the_first_logits_as_they_are():
    plain = build_model(Recipe(**VIT), 3).eval()
    model = build_model(Recipe(**VIT, trainable="lora", lora_rank=2, lora_alpha=6), 3).eval()
    adapters = {
        f"blocks.{block}.attn.{layer}.parametrizations.weight.0.{part}.0"
        for block in range(len(plain.blocks))
        for layer in ("qkv", "proj")
        for part in ("down", "up")
    }
    assert learning(model) == adapters | {"head.weight", "head.bias"}
    inputs = torch.randn(2, 3, 160, 160)
    assert torch.equal(model(inputs), plain(inputs))

    # LoRA, equation 3: W + alpha / r B A.
    layer, old = model.blocks[0].attn.qkv, plain.blocks[0].attn.qkv.weight
    adapter = layer.parametrizations.weight[0]
    with torch.no_grad():
        adapter.up[0].normal_()
        down, up = adapter.down[0], adapter.up[0]
        assert down.shape == (2, old.shape[1])
        torch.testing.assert_close(layer.weight, old + 3.0 * up @ down)


def test_the_layer_norms_of_a_vision_transformer_learn():
    model = build_model(Recipe(**VIT, trainable="norms"), 0)
    norms = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) > 4
    assert sum(w.numel() for w in model.parameters() if w.requires_grad) == sum(
        w.numel() for m in [*norms, model.head] for w in m.parameters()
    )


@pytest.mark.parametrize("trainable", ["head", "norms"])
def test_batchnorm_statistics_rest_where_its_weights_are_frozen_and_follow_the_data_where_they_learn(
    trainable,
):
    model = build_model(Recipe(trainable=trainable), 0).train()
    plain = build_model(Recipe(), 0)
    inputs = torch.randn(8, 3, 32, 32) * 3 + 1
    frozen = build_model(Recipe(trainable=trainable), 0).eval()(inputs)
    torch.testing.assert_close(frozen, plain.eval()(inputs), rtol=1e-5, atol=1e-5)
    before = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    with torch.no_grad():
        logits = model(inputs)
    same = all(torch.equal(v, before[k]) for k, v in model.state_dict().items() if "running" in k)
    assert before
    assert same == (trainable == "head")
    assert torch.allclose(logits, frozen, atol=1e-5) == (trainable == "head")


def test_initial_weights_are_those_of_the_recipe_without_the_keys_and_adapters_depend_on_the_seed():
    plain = build_model(Recipe(**VIT), 5).state_dict()
    states = [build_model(Recipe(**VIT, trainable="lora"), seed).state_dict() for seed in (5, 5, 6)]
    down = "blocks.0.attn.qkv.parametrizations.weight.0.down.0"
    assert torch.equal(states[0]["head.weight"], plain["head.weight"])
    assert torch.equal(states[0][down], states[1][down])
    assert not torch.equal(states[0][down], states[2][down])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"trainable": "lora"}, "attention"),
        ({"backbone": "test_nfnet", "trainable": "norms"}, "no normalisation layer"),
        ({"backbone": "levit_128s", "trainable": "head"}, "BatchNorm1d of the backbone cannot be frozen"),
    ],
)
def test_a_backbone_without_what_should_learn_is_refused_before_anything_trains(values, reason):
    with pytest.raises(BenchError, match=f"^recipe 'mini': .*{reason}.*; use "):
        check_trainable(Recipe(**values))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"lora_rank": 2}, "key 'lora_rank': expected 4 unless trainable is 'lora', found 2"),
        ({"lora_alpha": 2.0, "trainable": "head"}, "key 'lora_alpha': expected 8 unless trainable is 'lora'"),
        (
            {"layer_decay": 0.5, "trainable": "head"},
            "key 'layer_decay': expected 1 where the head alone learns",
        ),
        ({"trainable": "heads"}, "did you mean 'head'"),
    ],
)
def test_keys_that_do_nothing_together_are_refused(values, reason):
    with pytest.raises(BenchError, match=re.escape(reason)):
        Recipe().changed(values)


def test_what_learns_is_recorded_and_read_back_and_so_is_nothing_where_all_do():
    for values in ({"trainable": "lora", "lora_rank": 2}, {"trainable": "norms", "layer_decay": 0.75}, {}):
        recipe = Recipe(**values)
        assert set(recipe.content()) - set(Recipe().content()) >= set(values)
        assert recorded_recipe({"name": "mini", **recipe.content()}, "cell").settled() == recipe.settled()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_rate_decays_by_layer_and_weight_decay_stays(optimizer):
    """Independent: numbered by hand. The stem is layer 0, block b is b + 1, the norm goes with the last block."""
    recipe = Recipe(**VIT, layer_decay=0.5, lr=0.08, weight_decay=0.1, optimizer=optimizer)
    model = build_model(recipe, 0)
    groups = build_optimizer(recipe, model).param_groups
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    depth = len(model.blocks)
    for name, weight in model.named_parameters():
        block = re.match(r"blocks\.(\d+)\.", name)
        layer = int(block[1]) + 1 if block else {"norm": depth, "head": depth + 1}.get(name.split(".")[0], 0)
        assert rates[id(weight)] == pytest.approx(0.08 * 0.5 ** (depth + 1 - layer)), name
    assert {group["weight_decay"] for group in groups} == {0.1}
    assert len(rates) == len(list(model.parameters())), "each weight once"


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda recipe: recipe.name)
def test_every_backbone_of_a_recipe_has_layers_whose_rate_decays_from_the_head_down(recipe):
    with torch.device("meta"):
        plain = recipe.changed({"pretrained": False, "layer_decay": 0.5})
        model = build_model(plain, 0)
    scales = {
        id(weight): group["lr_scale"]
        for group in build_optimizer(plain, model).param_groups
        for weight in group["params"]
    }
    by_name = {name: scales[id(weight)] for name, weight in model.named_parameters()}
    assert min(by_name.values()) < 0.1
    (head,) = {scale for name, scale in by_name.items() if weight_is_of_the_head(model, name)}
    assert head == 1
    assert next(iter(by_name.values())) == min(by_name.values()), "what comes first is the lowest"


def weight_is_of_the_head(model, name):
    head = model.get_classifier()
    return any(model.get_parameter(name) is weight for weight in head.parameters())


def test_a_schedule_keeps_the_layers_shares_of_the_rate_and_every_weight_its_bytes_where_all_are_one():
    recipe = Recipe(**VIT, layer_decay=0.5, lr=0.08, schedule="cosine")
    optimizer = build_optimizer(recipe, build_model(recipe, 0))
    plugin = LearningRate(recipe)
    strategy = namespace(optimizer=optimizer, train_epochs=1, dataloader=range(4))
    plugin.before_training_exp(strategy)
    for whole in (0.08, 0.08 * (1 + 0.5**0.5) / 2, 0.04):
        plugin.before_training_iteration(strategy)
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(whole * group["lr_scale"])
    assert min(group["lr_scale"] for group in optimizer.param_groups) < 0.3


def test_published_recipes_train_all_weights_at_one_rate():
    for recipe in list_recipes():
        assert (recipe.trainable, recipe.layer_decay) == ("all", 1)
        assert not {"trainable", "layer_decay", "lora_rank", "lora_alpha"} & set(recipe.content())


class TinyAttentionNet(nn.Module):
    """Patches of 8 pixels, one attention block and a linear head, with the methods of a timm model."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.norm = nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward_features(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(self.norm(tokens)).chunk(3, 2)
        mixed = torch.softmax(query @ key.transpose(1, 2) / 8**0.5, 2) @ value
        return tokens + self.proj(mixed)

    def forward_head(self, x, pre_logits=False):
        pooled = x.mean(1)
        return pooled if pre_logits else self.head(pooled)

    def get_classifier(self):
        return self.head

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


@functools.cache
def factory(kind, mode):
    """A function that makes a tiny model of which the weights of ``mode`` learn; the same for a kind and mode."""

    def make():
        model = {"vit": tiny_transformer, "attention": TinyAttentionNet, "conv": TinyConvNet}[kind]()
        freeze(model, Recipe(trainable=mode), 0)
        return model

    return make


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", names(stock=True, plugins=False))
def test_every_strategy_leaves_frozen_weights_alone_or_refuses(name, mode):
    info = find_strategy(name)
    if mode in dict(info.refuses):
        with pytest.raises(BenchError, match=rf"^strategy '{name}' .*trainable = '{mode}'.*;"):
            check_strategies((name,), Recipe(**VIT, trainable=mode), (0,), {})
        return
    kind = "vit" if name in NEEDING_ATTENTION else "attention" if mode == "lora" else "conv"
    make = factory(kind, mode)
    torch.manual_seed(1)
    model = make()
    frozen = {key: value.clone() for key, value in model.state_dict().items() if key not in learning(model)}
    if mode == "norms":
        frozen = {key: value for key, value in frozen.items() if "running" not in key and "num_" not in key}
    walk = Walk(Rig(info, make))
    trained = walk.finish()
    assert not trained.faults.get(PARAMETERS)
    for number, state in enumerate(trained.saved):
        for key, value in frozen.items():
            # A strategy that adapts a weight for each domain keeps the given one under a longer name.
            layer, _, part = key.rpartition(".")
            now = state["model"].get(key, state["model"].get(f"{layer}.parametrizations.{part}.original"))
            assert torch.equal(now, value), f"{key} after domain {number}"
        again = walk.scored_by_a_new_object(number)
        for scores, before in zip(again, trained.scores[number], strict=True):
            assert ((scores >= 0) & (scores <= 1)).all()
            assert (scores == before).all()
    first, last = (trained.saved[number]["model"] for number in (0, 2))
    assert any(not torch.equal(first[key], model.state_dict()[key]) for key in learning(model))
    if not (info.name == "zero-shot" or ".frozen." in info.target):
        assert len(last) > len(first) or any(
            not torch.equal(value, last[key]) for key, value in first.items()
        )
