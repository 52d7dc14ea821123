"""The papers' recipes, and the options of released code that they name."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from fretal_bench.benchmark.recipes.model import build_model
from fretal_bench.benchmark.recipes.recipe import Recipe, list_recipes, open_recipe
from fretal_bench.benchmark.runner.call import Call, prepare, resolved_recipe
from fretal_bench.benchmark.runner.run import execute
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.errors import BenchError
from tests_support import TINY, tiny_stream

PAPERS = ("cddb", "deepfakebench", "dfil", "paper-cored", "paper-fretal")


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


def train(stream, out, strategy, **changes):
    """Run one cell and return its folder, and those of its last step and of its source model."""
    changes = {"recipe": {**TINY, "source_epochs": 1, "schedule": "constant", **changes}}
    # Each with a pool of its own.
    ready = prepare(Call([strategy], stream, "mini", changes=changes, out=out / "r", jobs=1))
    (cell,) = execute(ready).cells
    path, pool = ready.plan.cells[0].path, ready.agenda.pool
    return cell.path, pool.step(path[-1].id), pool.step(path[1].id)


def running_means(folder):
    weights = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    return torch.cat([value for key, value in weights.items() if key.endswith("running_mean")])


@pytest.mark.parametrize(
    ("mode", "strategy", "moves"),
    [
        ("adapt", "fretal", True),
        ("frozen", "fretal", False),
        ("released", "fretal", False),
        ("released", "cored", False),
        ("frozen", "kd", False),
        ("released", "kd", True),
        ("released", "finetuning", True),
    ],
)
def test_batchnorm_stays_frozen_for_whom_the_option_says(stream, tmp_path, mode, strategy, moves):
    _, last, source = train(stream, tmp_path / "out", strategy, batchnorm=mode)
    assert bool((running_means(last) != running_means(source)).any()) == moves


def contrary_stream(folder, people=24):
    """Two domains that pull apart: in the first fakes are the brighter ones, in the second reals are; both noisy."""
    random = np.random.default_rng(0)
    crops, rows = [], []
    for person in range(people):
        for domain, label, frame in itertools.product(range(2), range(2), range(3)):
            brightness = 128 + (20 if domain != label else -20) + random.normal(0, 20)
            crops.append(np.clip(random.normal(brightness, 20, (32, 32, 3)), 0, 255).astype(np.uint8))
            rows.append(
                {
                    "path": f"{label}/p{person}.mp4",
                    "dataset": f"d{domain}",
                    "method": "fake" if label else "real",
                    "compression": "none",
                    "split": ("train", "val", "test")[person % 3],
                    "label": label,
                    "video": f"p{person}",
                    "source": f"p{person}",
                    "target": f"p{person}",
                    "frame": frame,
                }
            )
    with CropStoreWriter(folder / "store", size=32, name="contrary") as writer:
        writer.add(np.stack(crops), pd.DataFrame(rows))
        writer.finish()
    domains = [f'[[domains]]\nname = "D{k}"\nstore = "store"\ndatasets = ["d{k}"]\n' for k in range(2)]
    path = folder / "contrary.toml"
    path.write_text('name = "contrary"\n' + "".join(domains))
    return str(path)


def accuracies(scores, step):
    """Accuracy on each domain after a step, counted one by one."""
    part = scores[scores["step"] == step]
    right = (part["score"] >= 0.5).astype(int) == part["label"]
    return right.groupby(part["domain"]).mean()


def scores_after(folder, step):
    scores = pd.read_parquet(folder / "scores.parquet")
    return scores[scores["step"] == step]["score"].to_numpy()


def test_the_kept_epoch_is_the_one_with_the_best_sum_over_old_and_new_validation(tmp_path):
    stream = contrary_stream(tmp_path)
    common = {"lr": 0.001, "batch_size": 16, "ties": "first"}
    # Batches depend on (seed, step, epoch) alone: a run of k epochs is the first k epochs of a longer one.
    runs = [train(stream, tmp_path / str(k), "finetuning", epochs=k, **common)[0] for k in range(1, 5)]
    validation = [accuracies(pd.read_parquet(run / "validation.parquet"), 1) for run in runs]
    by_sum = int(np.argmax([values["D0"] + values["D1"] for values in validation]))
    by_target = int(np.argmax([values["D1"] for values in validation]))
    assert len({by_sum, by_target, 3}) == 3, "data that tell the options apart"
    for select, best in [("source-and-target", by_sum), ("validation", by_target), ("last", 3)]:
        cell, *_ = train(stream, tmp_path / select, "finetuning", select=select, epochs=4, **common)
        assert np.array_equal(scores_after(cell, 1), scores_after(runs[best], 1)), select


def test_half_precision_on_a_cpu_is_refused_with_what_to_set():
    with pytest.raises(BenchError, match=r"'paper-fretal': key 'precision'.*CUDA.*recipe\.precision=fp32"):
        resolved_recipe("paper-fretal", {}, "cpu")
    changes = {"recipe": {"precision": "fp32"}}
    assert resolved_recipe("paper-fretal", changes, "cpu").precision == "fp32"


def test_there_is_a_recipe_of_every_paper_and_its_model_is_built_without_a_network():
    assert {recipe.name for recipe in list_recipes()} >= set(PAPERS)
    for name in PAPERS:
        recipe = open_recipe(name).changed({"pretrained": False})
        model = build_model(recipe, 0).eval()
        with torch.inference_mode():
            assert model(torch.zeros(1, 3, recipe.image_size, recipe.image_size)).shape == (1, 2)


@pytest.mark.parametrize("name", ["paper-fretal", "paper-cored"])
def test_the_released_settings_are_those_of_the_notes_on_the_code(name):
    recipe = open_recipe(name)
    released = {
        "backbone": "legacy_xception",
        "image_size": 128,
        "optimizer": "sgd",
        "lr": 0.05,
        "momentum": 0.1,
        "weight_decay": 0.0,
        "schedule": "constant",
        "batch_size": 128,
        "epochs": 100,
        "precision": "fp16",
        "cutmix": 0.2,
        "cutmix_alpha": 0.5,
        "flip": 0.5,
        "shift": 0,
        "brightness": 0.0,
        "contrast": 0.0,
        "batchnorm": "released",
        "select": "source-and-target",
        "ties": "first",
    }
    assert {key: getattr(recipe, key) for key in released} == released


def test_the_defaults_are_the_fair_options():
    assert (Recipe().batchnorm, Recipe().select) == ("adapt", "last")
