"""The model that a recipe describes."""

import copy

import pytest
import torch
from torch import nn

from fretal_bench.benchmark.recipes.model import build_model, check_backbone, compile_model
from fretal_bench.benchmark.recipes.recipe import Recipe, list_recipes, open_recipe
from fretal_bench.errors import BenchError
from fretal_bench.strategies import features_and_logits, head_inputs_and_logits


@pytest.mark.parametrize(
    "way", [features_and_logits, head_inputs_and_logits, lambda model, inputs: (None, model(inputs))]
)
@pytest.mark.parametrize("backbone", ["test_byobnet", "test_vit"])
def test_a_compiled_model_is_compiled_whichever_way_a_strategy_calls_it(compiled_calls, backbone, way):
    size = 160 if backbone == "test_vit" else 32
    recipe = Recipe(name="r", backbone=backbone, compile=True)
    plain = build_model(Recipe(name="r", backbone=backbone), 0).eval()
    compiled = build_model(recipe, 0).eval()
    inputs = torch.randn(2, 3, size, size)

    _, logits = way(compiled, inputs)

    assert compiled_calls
    assert torch.allclose(logits, way(plain, inputs)[1], atol=1e-5)


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda recipe: recipe.name)
def test_timm_has_the_backbone_of_every_recipe(recipe):
    check_backbone(recipe)
    with pytest.raises(BenchError, match=r"key 'backbone': unknown backbone '.*\.none'"):
        check_backbone(
            recipe.changed({"backbone": f"{recipe.backbone.split('.')[0]}.none", "pretrained": True})
        )


def test_a_vision_transformer_is_built_for_the_size_of_the_recipes_images():
    recipe = open_recipe("dinov2-vit-s14").changed({"pretrained": False})
    model = build_model(recipe, 0).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 2)
    assert model.pos_embed.shape[1] == 1 + 16 * 16


@pytest.mark.parametrize("changes", [{"trainable": "norms"}, {"trainable": "lora", "backbone": "test_vit"}])
def test_a_compiled_model_of_which_a_part_learns_learns_what_the_plain_one_does(compiled_calls, changes):
    ends = []
    for compiled in (False, True):
        recipe = Recipe(name="r", image_size=32).changed(changes)
        model = build_model(recipe.changed({"compile": compiled}), 0).train()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.SGD(weights, 0.1)
        inputs = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), torch.tensor([0, 1, 0, 1])).backward()
            optimizer.step()
        ends.append(torch.cat([weight.detach().flatten() for weight in weights]))
    assert compiled_calls
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-5)


def test_all_of_a_large_model_but_its_head_is_compiled_in_one_graph_once_for_all_models(compiled_calls):
    # Xception has more parts than the 8 forms that torch compiles of one function before it goes on without.
    recipe = Recipe(name="r", backbone="legacy_xception", compile=True)
    models = [build_model(recipe, seed).eval() for seed in range(2)]
    convolutions = sum(isinstance(module, nn.Conv2d) for module in models[0].modules())
    inputs = torch.randn(1, 3, 32, 32)
    for model in models:
        with torch.no_grad():
            model(inputs)
            features_and_logits(model, inputs)
    first, *others = compiled_calls
    assert sum(node.target is torch.conv2d for node in first.graph.nodes) == convolutions
    assert len(others) == 3
    assert all(graph is first for graph in others)


def test_hooks_of_a_copy_and_of_another_model_are_seen_and_those_of_no_other(compiled_calls):
    recipe = Recipe(name="r", backbone="test_byobnet", compile=True)
    model, other = (build_model(recipe, seed).eval() for seed in range(2))
    copied = copy.deepcopy(model)
    inputs = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        plain, of_other = model(inputs), other(inputs)
        for hooked in (copied, other):
            norm = next(module for module in hooked.modules() if isinstance(module, nn.BatchNorm2d))
            norm.register_forward_pre_hook(lambda _, arguments: (arguments[0] + 1,))
        assert not torch.allclose(copied(inputs), plain, atol=1e-3)
        assert not torch.allclose(other(inputs), of_other, atol=1e-3)
        assert torch.equal(model(inputs), plain)


class Parts(nn.Module):
    """A model that is not timm's, of more parts than torch compiles forms of one function by default."""

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleList([nn.Conv2d(3, 3, 2 * k + 1, padding=k) for k in range(12)])
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        for part in self.body:
            x = part(x)
        return self.head(x.mean(dim=(2, 3)))


def test_of_another_model_every_part_but_the_head_is_compiled(compiled_calls):
    model = Parts().eval()
    inputs = torch.randn(2, 3, 16, 16)
    plain = model(inputs)
    compile_model(model)
    assert torch.allclose(model(inputs), plain, atol=1e-5)
    assert len(compiled_calls) == len(model.body)


def test_a_copy_of_a_compiled_model_has_weights_of_its_own(compiled_calls):
    model = build_model(Recipe(name="r", backbone="test_byobnet", compile=True), 0).eval()
    inputs = torch.randn(2, 3, 32, 32)
    features_and_logits(model, inputs)
    teacher = copy.deepcopy(model)
    before = features_and_logits(teacher, inputs)[1]

    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)

    assert torch.equal(features_and_logits(teacher, inputs)[1], before)
    assert not torch.equal(features_and_logits(model, inputs)[1], before)
