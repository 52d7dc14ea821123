"""The scaling of pixels: in ids, in what is recorded of cells and steps, and in how they judge later."""

import json

import numpy as np
import pytest
import timm
import torch

from fretal_bench.benchmark.prediction.detectors import FakeDetector
from fretal_bench.benchmark.recipes.model import build_model
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError
from tests_support import TINY, tiny_stream

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, with which timm's weights of the tiny backbone were trained."""
# Ids of a cell of fretal with seed 0, and of its untrained model, before recipes said how pixels are scaled.
EARLIER = {
    "cddb": ("81f13c5728456c62", "44aa88845f5b5f89"),
    "deepfakebench": ("3990198ff7953b0c", "f26108bac548c2d9"),
    "dfil": ("d402b7fc78bebb58", "dafcdc053ec3de35"),
    "mini": ("68720e259fb369c6", "1af1df386b389518"),
    "mini-vit": ("f107a7a73f8bcc6a", "ecbe89b8de38622e"),
    "paper-cored": ("ff7e2c9081e59856", "c1dee24418a1b019"),
    "paper-fretal": ("ff7e2c9081e59856", "c1dee24418a1b019"),
}


def ids(recipe):
    """Ids of a cell of fretal with seed 0, and of its untrained model."""
    rows = {"train": "2" * 64, "val": "3" * 64, "test": "4" * 64}
    stream = {"name": "s", "domains": [{"name": "a", "store": "1" * 64, "rows": rows}]}
    # Its teacher was the source model by default then.
    changes = {"fretal": {"teacher": "source"}}
    (cell,) = make_plan(("fretal",), "s", stream, recipe, (0,), changes).cells
    return cell.id, cell.path[0].id


@pytest.mark.parametrize("name", sorted(set(EARLIER) - {"cddb"}))
def test_recipes_whose_pixels_are_scaled_as_before_keep_their_ids(name):
    # What has changed since for other reasons.
    since = {"mini": {"source_epochs": 15, "epochs": 15}, "dfil": {"ties": "first"}}
    recipe = open_recipe(name).changed(since.get(name, {}))
    assert ids(recipe) == EARLIER[name]
    assert ids(recipe.settled()) == EARLIER[name]


def test_a_recipe_whose_pixels_are_scaled_otherwise_has_other_ids_and_the_old_ones_with_the_old_scaling():
    recipe = open_recipe("cddb")
    assert not set(ids(recipe)) & set(EARLIER["cddb"])
    assert ids(recipe.settled()) == ids(recipe)
    assert ids(recipe.changed({"mean": 0.5, "std": 0.5})) == EARLIER["cddb"]


@pytest.mark.parametrize(
    "values", [{"mean": (0.5, 0.5, 0.4), "std": 0.5}, {"mean": 0.5, "std": (0.5, 0.5, 0.4)}]
)
def test_every_channel_is_in_the_ids(values):
    assert not set(ids(Recipe(**values))) & set(ids(Recipe()))


@pytest.fixture(scope="module")
def begun_from_published(tmp_path_factory):
    """A cell of a recipe with published weights, which are not downloaded: they begin at random all the same."""
    folder = tmp_path_factory.mktemp("pixels")
    stream = tiny_stream(folder, domains=1)
    create = timm.create_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timm, "create_model", lambda name, pretrained, **options: create(name, **options))
        recipe = {**TINY, "pretrained": True}
        run(("finetuning",), str(stream), changes={"recipe": recipe}, out=folder / "r", jobs=1)
    (cell,) = (folder / "r" / "cells").iterdir()
    return folder, stream, cell


def scores_of(cell, crops, mean, std):
    """P(fake) of crops by the weights of a cell's last step, computed without the suite's augmentation."""
    about = json.loads((cell / "cell.json").read_text())
    state = torch.load(cell.parent.parent.parent / "steps" / "steps" / about["steps"][-1] / "checkpoint.pt")
    model = build_model(Recipe(**TINY), 0).eval()
    model.load_state_dict(state["model"])
    scaled = (crops / 255 - np.array(mean)) / np.array(std)
    with torch.no_grad():
        logits = model(torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2))
    return torch.softmax(logits, 1)[:, 1].numpy()


def test_the_scaling_is_recorded_with_cell_and_step_and_a_cell_judges_as_it_was_trained(begun_from_published):
    folder, _, cell = begun_from_published
    about = json.loads((cell / "cell.json").read_text())
    (step, *_) = (folder / "steps" / "steps").glob("*/step.json")
    for recorded in (about, json.loads(step.read_text())):
        assert (recorded["recipe"]["mean"], recorded["recipe"]["std"]) == (list(MEAN), list(STD))
    crops = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    own, half = scores_of(cell, crops, MEAN, STD), scores_of(cell, crops, (0.5,) * 3, (0.5,) * 3)
    assert np.abs(own - half).max() > 1e-3, "the two scalings can be told apart"
    assert np.allclose(FakeDetector(cell, "cpu").score(list(crops)), own, atol=1e-5)

    # As an earlier version would have written it: trained with 0.5, without a word.
    for key in ("mean", "std"):
        del about["recipe"][key]
    (cell / "cell.json").write_text(json.dumps(about))
    (cell / "checksums.json").unlink()
    assert np.allclose(FakeDetector(cell, "cpu").score(list(crops)), half, atol=1e-5)


def test_a_folder_whose_pixels_were_scaled_otherwise_is_not_gone_on_with(begun_from_published, tmp_path):
    _, stream, _ = begun_from_published
    half = {**TINY, "pretrained": True, "mean": 0.5, "std": 0.5}
    prepare(Call(("finetuning",), str(stream), changes={"recipe": half}, out=tmp_path / "r"))
    own = {**TINY, "pretrained": True}
    with pytest.raises(BenchError, match=r"recipe.mean: there none, now \[0.485, 0.456, 0.406\]"):
        prepare(Call(("finetuning",), str(stream), changes={"recipe": own}, out=tmp_path / "r"))
