"""Detectors written as files: whatever a strategy judges by, the file gives the same P(fake)."""

import dataclasses
import json

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F

from fretal_bench.benchmark.detectors.export import FORMATS, as_images, export, probes
from fretal_bench.benchmark.detectors.graph import CropJudge, merged_tensors, of_strategy, resize_matrix
from fretal_bench.benchmark.detectors.model import bring
from fretal_bench.benchmark.detectors.record import CropRule, DetectorRecord, Learned, Measured, read_record
from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError, RunError
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import TensorSource
from fretal_bench.strategies.registry import find_strategy, list_strategies
from fretal_bench.testing import tiny_transformer
from fretal_bench.testing.rig import Rig, Walk, seeded
from fretal_bench.testing.world import SIDE, TinyAugmentation, images_of, tiny_convnet
from tests_support import NEEDING_ATTENTION

HALF = (0.5, 0.5, 0.5)
GRAPHS_ALONE = {"icarl", "ranpac", "domain-lora", "s-prompts"}
"""Strategies whose rule is no plain classifier: nearest normalised mean, random projections, parts a domain."""
OWN = [info for info in list_strategies() if not info.origin]


def one_block():
    """The smallest transformer: exporters take long for every layer of every domain."""
    return timm.models.VisionTransformer(
        img_size=SIDE, patch_size=16, embed_dim=16, depth=1, num_heads=2, num_classes=2
    )


def judge_of(name, transformer=tiny_transformer):
    """A strategy that has learned the tiny stream and only judges, and what makes its network."""
    info = find_strategy(name)
    model = transformer if name in NEEDING_ATTENTION else tiny_convnet
    walk = Walk(Rig(info, model, settings={"projections": 16} if name == "ranpac" else {}))
    walk.finish()
    judge = life.build_judge(
        info, seeded(model, 1), walk._read(2), values=walk.rig.base, transform=TinyAugmentation()
    )
    return judge, model


def hundred_crops():
    """Crops of all domains of the tiny stream, uint8 [100, 32, 32, 3], so that what routes them takes several ways."""
    of_domains = torch.cat(
        [images_of(domain, split)[0] for domain in range(3) for split in ("test", "train")]
    )
    return of_domains[torch.linspace(0, len(of_domains) - 1, 100).long()]


def record_of(name="", **changes):
    values = {
        "backbone": "tiny",
        "mean": HALF,
        "std": HALF,
        "crop": CropRule(SIDE, 1.3, "mtcnn"),
        "strategy": name,
        "step": "0123456789abcdef",
    }
    return DetectorRecord(**{**values, **changes})


@pytest.mark.parametrize("name", [info.name for info in OWN])
def test_of_every_strategy_the_file_judges_a_hundred_crops_as_the_strategy_does(name, tmp_path):
    judge, model = judge_of(name)
    crops = hundred_crops()
    judged = life.judge(judge, TensorSource(crops))
    assert np.ptp(judged) > 1e-3
    if name in GRAPHS_ALONE:
        with pytest.raises(
            BenchError, match=f"^{name} judges by a rule of its own.*give --format onnx"
        ) as error:
            export(judge, model(), record_of(name), tmp_path / "d.safetensors", "safetensors")
        assert not isinstance(error.value, RunError)
        assert list(tmp_path.iterdir()) == []
        exported = export(judge, model(), record_of(name), tmp_path / "d.torchscript", "torchscript")
        assert not exported.plain
        scores = torch.jit.load(exported.weights)(as_images(crops)).numpy()
    else:
        from safetensors.torch import load_file

        exported = export(judge, model(), record_of(name), tmp_path / "d.safetensors", "safetensors")
        assert exported.plain
        network = model().eval()
        network.load_state_dict(load_file(exported.weights))
        with torch.no_grad():
            scores = torch.softmax(network(as_images(crops) * 2 - 1), 1)[:, 1].numpy()
    assert np.abs(scores - judged).max() <= 1e-4


@pytest.mark.parametrize("name", ["domain-lora", "s-prompts"])
def test_samples_that_are_routed_to_different_domains_are_judged_by_these_in_one_graph(name):
    judge, _ = judge_of(name)
    crops = hundred_crops()
    inputs = TinyAugmentation().eval(crops)
    with torch.no_grad():
        routes = judge.route(inputs)
        whole = of_strategy(judge, HALF, HALF, crop=SIDE, image=0)(as_images(crops))
        alone = torch.cat([judge.probabilities(inputs[n : n + 1])[:, 1] for n in range(len(inputs))])
    assert len(set(routes.tolist())) > 1
    assert torch.allclose(whole, alone, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "finetuning",
        "domain-lora",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("icarl", "ranpac", "s-prompts")),
    ],
)
def test_onnxruntime_gives_the_scores_of_the_strategy_for_any_number_of_crops(name, tmp_path):
    onnxruntime = pytest.importorskip(
        "onnxruntime", reason="ONNX needs the extra onnx, which is not installed"
    )
    pytest.importorskip("onnxscript", reason="ONNX needs the extra onnx, which is not installed")
    judge, model = judge_of(name, one_block)
    crops = hundred_crops()
    judged = life.judge(judge, TensorSource(crops))
    exported = export(judge, model(), record_of(name), tmp_path / "d.onnx", "onnx")
    session = onnxruntime.InferenceSession(exported.weights)
    for count in (1, 7, 100):
        (scores,) = session.run(["fake"], {"images": as_images(crops[:count]).numpy()})
        assert scores.shape == (count,)
        assert np.abs(scores - judged[:count]).max() <= 1e-4
    assert list(tmp_path.glob("*.data")) == []
    metadata = session.get_modelmeta().custom_metadata_map["fretal_bench.detector"]
    assert json.loads(metadata)["strategy"] == name


def finetuned(backbone="test_byobnet", **recipe):
    """Fine-tuning over a timm network that has learned nothing, with a recipe's own pixels; and the network's maker."""
    recipe = Recipe(backbone=backbone, device="cpu", channels_last=False, **recipe)

    def make():
        torch.manual_seed(1)
        return timm.create_model(backbone, num_classes=2)

    model = make()
    torch.nn.init.normal_(model.get_classifier().weight)
    strategy = life.build(
        find_strategy("finetuning"),
        model,
        torch.optim.SGD(model.parameters(), 0.1),
        transform=Augmentation(recipe),
    )
    strategy.model.eval()
    record = record_of(
        "finetuning", backbone=backbone, mean=recipe.mean, std=recipe.std, image_size=recipe.image_size
    )
    return strategy, make, record


PIXELS = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}


@pytest.mark.parametrize("image_size", [0, 48, 24])
def test_pixels_are_scaled_and_resized_inside_the_graph_as_the_recipe_does(image_size, tmp_path):
    strategy, make, record = finetuned(image_size=image_size, **PIXELS)
    crops = probes(SIDE, 100)
    judged = life.judge(strategy, TensorSource(crops))
    assert np.ptp(judged) > 0.01
    exported = export(strategy, make(), record, tmp_path / "d.torchscript", "torchscript")
    scores = torch.jit.load(exported.weights)(as_images(crops)).numpy()
    assert np.abs(scores - judged).max() <= 1e-4


@pytest.mark.parametrize(("crop", "image"), [(32, 48), (48, 17), (92, 224)])
def test_resizing_by_matrices_is_antialiased_bilinear_resizing(crop, image):
    pictures = torch.rand(3, 3, crop, crop, generator=torch.Generator().manual_seed(0))
    rows = resize_matrix(crop, image)
    expected = F.interpolate(pictures, (image, image), mode="bilinear", antialias=True, align_corners=False)
    assert torch.allclose(rows @ pictures @ rows.mT, expected, atol=1e-5)
    assert torch.allclose(rows.sum(1), torch.ones(image), atol=1e-5)


def test_safetensors_are_brought_back_as_own_weights_with_nothing_stated(tmp_path):
    strategy, make, record = finetuned(image_size=48, **PIXELS)
    exported = export(strategy, make(), record, tmp_path / "d.safetensors", "safetensors")
    for keep_record in (True, False):
        if not keep_record:
            # The file has its record inside, too.
            exported.record.unlink()
        brought = bring(SourceTable(weights=str(exported.weights)))
        assert (brought.mean, brought.std, brought.image_size) == (record.mean, record.std, 48)
        own = strategy.model.state_dict()
        assert own.keys() == brought.tensors.keys()
        assert all(torch.equal(own[name], value) for name, value in brought.tensors.items())


def test_frozen_batchnorm_and_adapters_of_a_recipe_become_plain_weights(tmp_path):
    from fretal_bench.benchmark.recipes.model import build_model

    recipe = Recipe(backbone="test_vit", trainable="lora", device="cpu", channels_last=False, **PIXELS)
    model = build_model(recipe, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".up." in name:
                weight.normal_(std=0.2)
    before = model.state_dict()
    tensors = merged_tensors(model)
    plain = timm.create_model("test_vit", num_classes=2)
    plain.load_state_dict(tensors)
    x = torch.randn(4, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(plain.eval()(x), model.eval()(x), atol=1e-4)
    # What was merged is left as it was.
    assert model.state_dict().keys() == before.keys()

    frozen = Recipe(backbone="test_byobnet", trainable="head", device="cpu", channels_last=False, **PIXELS)
    network = build_model(frozen, 0)
    strategy = life.build(
        find_strategy("finetuning"),
        network,
        torch.optim.SGD(network.parameters(), 0.1),
        transform=Augmentation(frozen),
    )
    strategy.model.eval()
    record = record_of("finetuning", backbone="test_byobnet", **PIXELS)
    exported = export(
        strategy, timm.create_model("test_byobnet", num_classes=2), record, tmp_path / "d", "safetensors"
    )
    assert exported.plain


def test_what_judges_otherwise_than_the_strategy_is_not_written(tmp_path, monkeypatch):
    strategy, make, record = finetuned(**PIXELS)
    wrong = dataclasses.replace(record, mean=(0.0, 0.0, 0.0))
    with pytest.raises(BenchError, match="judges by a rule of its own"):
        export(strategy, make(), wrong, tmp_path / "d.safetensors", "safetensors")
    with pytest.raises(RunError, match=r"differs by up to .* nothing was written"):
        export(strategy, make(), wrong, tmp_path / "d.torchscript", "torchscript")
    assert list(tmp_path.iterdir()) == []


def test_one_detector_in_several_formats_shares_a_record_and_another_is_not_overwritten(tmp_path):
    strategy, make, record = finetuned(**PIXELS)
    first = export(strategy, make(), record, tmp_path / "d.safetensors", "safetensors")
    second = export(strategy, make(), record, tmp_path / "d.torchscript", "torchscript")
    assert first.record == second.record
    assert read_record(second.record).sha256.keys() == {"safetensors", "torchscript"}
    other = dataclasses.replace(record, step="fedcba9876543210")
    with pytest.raises(
        BenchError, match=r"d\.json: expected nothing, found the record of another detector.*--out"
    ):
        export(strategy, make(), other, tmp_path / "d.safetensors", "safetensors")
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    with pytest.raises(
        BenchError, match=r"mine\.safetensors: expected nothing, found a file that has no record"
    ):
        export(strategy, make(), record, tmp_path / "mine.safetensors", "safetensors")
    assert (tmp_path / "mine.safetensors").read_bytes() == b"mine"


def test_the_card_says_how_to_use_it_what_it_learned_and_what_it_does_not_mean(tmp_path):
    strategy, make, record = finetuned(**PIXELS)
    record = dataclasses.replace(
        record,
        trained_on=(Learned("FaceSwap", ("ff/faceswap/c23", "ff/real/c23"), store="ab" * 32),),
        measured=(
            Measured("FaceSwap", 40, auc=0.9, accuracy=0.8),
            Measured("NeuralTextures", 30, accuracy=0.5),
        ),
        licence="mine",
        threshold=0.37,
    )
    exported = export(strategy, make(), record, tmp_path / "d.torchscript", "torchscript")
    text = exported.card.read_text("utf-8")
    for words in (
        "1.3 times the longer side of the face box, found by mtcnn, 32 px",
        "P(fake) >= 0.37 is fake",
        "| 1 | FaceSwap | ff/faceswap/c23, ff/real/c23 | `abababababababab` |",
        "| FaceSwap | 40 | 0.800 | 0.900 | 0.5 |",
        "Never trained on: NeuralTextures.",
        "must not decide on anything about a person",
        "load only one whose sha256 is the one above",
        exported.content.sha256["torchscript"],
        "mine",
    ):
        assert words in text


def test_formats_are_the_suffixes_that_predict_knows():
    assert FORMATS == ("safetensors", "onnx", "torchscript")


def test_a_judge_of_crops_has_no_gradients_and_is_in_eval_mode():
    judge = CropJudge(tiny_convnet(), HALF, HALF, crop=SIDE)
    assert not judge.training
    assert not any(weight.requires_grad for weight in judge.parameters())
