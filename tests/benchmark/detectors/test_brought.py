"""Weights of a user's own: the same P(fake) after loading, whatever their form, and what is refused of them."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fretal_bench.benchmark.detectors.architecture import build_network
from fretal_bench.benchmark.detectors.model import BroughtModel, bring, tensor_hash
from fretal_bench.benchmark.detectors.record import DetectorRecord, record_path, write_record
from fretal_bench.benchmark.detectors.weights import METADATA
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError
from fretal_bench.parsing import plain, to_json

IMAGES = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
OWN = """
from torch import nn
print("ran")
def build(width=4, outputs=2):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs))
def broken():
    raise RuntimeError("no such file")
"""


class Executed:
    """A pickle of this makes a file where it is loaded by what executes pickles."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


@pytest.fixture(scope="module")
def one_logit() -> nn.Module:
    return _network(1)


@pytest.fixture(scope="module")
def two_logits() -> nn.Module:
    return _network(2)


def _network(outputs: int) -> nn.Module:
    torch.manual_seed(1)
    network: nn.Module = timm.create_model("resnet18", num_classes=outputs).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(network.get_parameter("fc.weight"), std=0.3)
    nn.init.normal_(network.get_parameter("fc.bias"), std=0.3)
    return network


def _fake(model: BroughtModel) -> Tensor:
    network = build_network(_recipe(model), 7, model.architecture, model.tensors).eval()
    with torch.no_grad():
        return torch.softmax(network(IMAGES), 1)[:, 1]


def _recipe(model: BroughtModel) -> Recipe:
    return dataclasses.replace(Recipe(), **model.keys)


def _saved(state: Mapping[str, Any], path: Path) -> SourceTable:
    torch.save(state, path)
    return SourceTable(str(path), "resnet18")


def _half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def _refusal(table: SourceTable, folder: Path = Path()) -> str:
    with pytest.raises(BenchError) as error:
        bring(table, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_one_logit_gives_the_sigmoid_of_it_and_a_low_one_where_high_means_real(
    one_logit: nn.Module, tmp_path: Path
) -> None:
    table = _saved(one_logit.state_dict(), tmp_path / "one.pt")
    with torch.no_grad():
        expected = torch.sigmoid(one_logit(IMAGES)[:, 0])
    assert expected.std() > 0.01
    model = bring(table)
    assert (model.outputs, model.taken["outputs"]) == (1, "counted")
    torch.testing.assert_close(_fake(model), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        _fake(bring(dataclasses.replace(table, fake=0))), 1 - expected, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.backbone."])
@pytest.mark.parametrize("wrapper", ["", "state_dict", "model", "net"])
def test_prefixes_and_wrapped_tables_are_found(
    two_logits: nn.Module, tmp_path: Path, prefix: str, wrapper: str
) -> None:
    state: dict[str, Any] = {prefix + name: value for name, value in two_logits.state_dict().items()}
    if wrapper:
        state = {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}
    model = bring(_saved(state, tmp_path / "two.pth"))
    assert model.hash == tensor_hash(two_logits.state_dict())


def test_the_first_output_may_be_fake(two_logits: nn.Module, tmp_path: Path) -> None:
    table = _saved(two_logits.state_dict(), tmp_path / "two.pt")
    with torch.no_grad():
        shares = torch.softmax(two_logits(IMAGES), 1)
    torch.testing.assert_close(_fake(bring(table)), shares[:, 1], atol=1e-6, rtol=0)
    swapped = dataclasses.replace(table, fake=0)
    torch.testing.assert_close(_fake(bring(swapped)), shares[:, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_half_precision_with_a_prefix_one_logit_and_high_for_real_gives_the_same_to_a_thousandth(
    one_logit: nn.Module, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"half{suffix}"
    state = {f"module.{name}": value for name, value in _half(one_logit.state_dict()).items()}
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    model = bring(SourceTable(str(path), "resnet18", fake=0))
    with torch.no_grad():
        expected = 1 - torch.sigmoid(one_logit(IMAGES)[:, 0])
    torch.testing.assert_close(_fake(model), expected, atol=1e-3, rtol=0)
    assert all(value.dtype in (torch.float32, torch.int64) for value in model.tensors.values())


def test_the_hash_is_of_the_tensors_not_of_the_file(two_logits: nn.Module, tmp_path: Path) -> None:
    state = two_logits.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "a.safetensors")
    one = bring(SourceTable(str(tmp_path / "a.safetensors"), "resnet18"))
    other = bring(_saved({"state_dict": state}, tmp_path / "b.pt"))
    state["fc.bias"][0] += 1e-3
    changed = bring(_saved(state, tmp_path / "b.pt"))
    assert one.hash == other.hash != changed.hash


def test_code_in_a_pickle_is_not_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    table = _saved({"fc.weight": Executed(mark)}, tmp_path / "code.pt")
    assert "nothing was executed" in _refusal(table)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Executed(mark)))
    assert "nothing was executed" in _refusal(SourceTable(str(tmp_path / "bare.pth"), "resnet18"))
    assert not mark.exists()


@pytest.mark.parametrize("name", ["cut.pt", "cut.safetensors"])
@pytest.mark.parametrize("share", [0.999, 0.5, 0.0001])
def test_a_file_that_was_cut_off_is_told(
    two_logits: nn.Module, tmp_path: Path, name: str, share: float
) -> None:
    path = tmp_path / name
    state = {key: value.contiguous() for key, value in two_logits.state_dict().items()}
    if name.endswith(".pt"):
        torch.save(state, path)
    else:
        save_file(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    line = _refusal(SourceTable(str(path), "resnet18"))
    assert str(path) in line
    assert "cut off" in line


def test_adapters_alone_another_architecture_and_another_head_are_told(
    two_logits: nn.Module, tmp_path: Path
) -> None:
    adapters = {f"base_model.model.layer{n}.lora_A.weight": torch.zeros(4, 64) for n in range(1, 5)}
    assert "adapters alone" in _refusal(_saved(adapters, tmp_path / "lora.pt"))
    table = _saved(two_logits.state_dict(), tmp_path / "two.pt")
    deeper = _refusal(dataclasses.replace(table, backbone="resnet34"))
    assert "are missing" in deeper
    assert "layer1.2.conv1.weight" in deeper
    wider = _refusal(dataclasses.replace(table, backbone="wide_resnet50_2"))
    assert "conv3" in wider
    thousand = timm.create_model("resnet18", num_classes=1000).state_dict()
    assert "its head has another shape" in _refusal(_saved(thousand, tmp_path / "imagenet.pt"))
    assert "its head has another shape" in _refusal(dataclasses.replace(table, outputs=1))


def test_left_over_tensors_are_listed_and_ignored_where_that_is_stated(
    two_logits: nn.Module, tmp_path: Path
) -> None:
    state = {**two_logits.state_dict(), "aux.weight": torch.zeros(2, 2), "aux.bias": torch.zeros(2)}
    table = _saved(state, tmp_path / "aux.pt")
    assert "2 are left over ('aux.weight', 'aux.bias')" in _refusal(table)
    assert bring(dataclasses.replace(table, ignore=("aux.",))).hash == tensor_hash(two_logits.state_dict())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([1, 2], "found a list"),
        ({"epoch": 3}, "'epoch'"),
        ({}, "found a table"),
        ({"model": {"a": torch.ones(1)}, "net": {"a": torch.ones(1)}}, "'model' and 'net'"),
        ({"fc.weight": torch.full((2, 512), float("nan"))}, "are missing"),
    ],
)
def test_what_is_no_state_dict_is_told(tmp_path: Path, content: Any, named: str) -> None:
    assert named in _refusal(_saved(content, tmp_path / "other.pt"))


def test_weights_that_are_no_numbers_are_told(two_logits: nn.Module, tmp_path: Path) -> None:
    state = {name: value.clone() for name, value in two_logits.state_dict().items()}
    state["layer4.1.conv2.weight"][0, 0, 0, 0] = float("nan")
    assert "'layer4.1.conv2.weight' holds NaN" in _refusal(_saved(state, tmp_path / "nan.pt"))


def test_no_file_another_suffix_and_no_backbone_are_told(two_logits: nn.Module, tmp_path: Path) -> None:
    assert "nothing.pt" in _refusal(SourceTable(str(tmp_path / "nothing.pt"), "resnet18"))
    (tmp_path / "weights.h5").write_bytes(b"x")
    assert "ends in .safetensors" in _refusal(SourceTable(str(tmp_path / "weights.h5"), "resnet18"))
    table = _saved(two_logits.state_dict(), tmp_path / "two.pt")
    assert "key 'backbone'" in _refusal(dataclasses.replace(table, backbone=""))
    assert "did you mean 'resnet18'" in _refusal(dataclasses.replace(table, backbone="resnet_18"))
    loading = dataclasses.replace(table, arguments={"checkpoint_path": "x.pth"})
    assert "'checkpoint_path'" in _refusal(loading)


def test_pixels_are_stated_or_recorded_or_the_backbones(two_logits: nn.Module, tmp_path: Path) -> None:
    table = _saved(two_logits.state_dict(), tmp_path / "two.pt")
    imagenet = bring(table)
    assert imagenet.mean == (0.485, 0.456, 0.406)
    assert imagenet.image_size == 224
    assert imagenet.taken["mean"] == imagenet.taken["image_size"] == "of timm's published weights"
    assert imagenet.taken["fake"] == "nothing states it"
    record = DetectorRecord(
        backbone="resnet18", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), image_size=96, fake=0
    )
    write_record(record_path(table.weights), record)
    recorded = bring(SourceTable(table.weights))
    assert recorded.mean == record.mean
    assert (recorded.image_size, recorded.fake) == (96, 0)
    assert recorded.taken["fake"] == "as two.json says"
    stated = bring(dataclasses.replace(table, mean=(0.5,) * 3, std=(0.5,) * 3, image_size=0, fake=1))
    assert stated.mean == stated.std == (0.5, 0.5, 0.5)
    assert (stated.image_size, stated.fake) == (0, 1)
    assert stated.taken["fake"] == "stated, not 0 as two.json says"
    assert "output 1 of 2 is fake (stated, not 0 as two.json says)" in stated.sentence


def test_the_record_may_be_in_the_metadata_of_a_safetensors_file(
    one_logit: nn.Module, tmp_path: Path
) -> None:
    record = DetectorRecord(backbone="resnet18", mean=(0.1,) * 3, std=(0.2,) * 3, outputs=1, fake=0)
    path = tmp_path / "detector.safetensors"
    state = {name: value.contiguous() for name, value in one_logit.state_dict().items()}
    save_file(state, path, {METADATA: to_json(plain(record))})
    model = bring(SourceTable(str(path)))
    assert (model.mean, model.outputs, model.fake) == ((0.1, 0.1, 0.1), 1, 0)
    assert model.taken["mean"] == "as its metadata says"


@pytest.mark.parametrize("outputs", [1, 2])
def test_an_architecture_of_ones_own_is_built_by_the_function_that_is_named(
    tmp_path: Path, outputs: int
) -> None:
    (tmp_path / "net.py").write_text(OWN)
    inside: dict[str, Any] = {}
    exec(OWN, inside)
    network = inside["build"](6, outputs)
    torch.save(network.state_dict(), tmp_path / "own.pt")
    table = SourceTable(
        "own.pt",
        model="net.py:build",
        arguments={"width": 6, "outputs": outputs},
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        image_size=0,
    )
    model = bring(table, tmp_path)
    with torch.no_grad():
        logits = network(IMAGES)
    expected = torch.sigmoid(logits[:, 0]) if outputs == 1 else torch.softmax(logits, 1)[:, 1]
    torch.testing.assert_close(_fake(model), expected, atol=1e-6, rtol=0)
    assert (model.outputs, model.taken["backbone"]) == (outputs, "code of your own")
    assert model.architecture.content()["backbone"] == "net.py:build"
    assert "net.py:broken, code of your own, failed" in _refusal(
        dataclasses.replace(table, model="net.py:broken", arguments={}), tmp_path
    )
    assert "'nothing'" in _refusal(dataclasses.replace(table, model="net.py:nothing"), tmp_path)
    assert "key 'mean'" in _refusal(dataclasses.replace(table, mean=None, std=None), tmp_path)
    assert "key 'image_size'" in _refusal(dataclasses.replace(table, image_size=None), tmp_path)


def test_code_that_a_record_names_is_not_run(
    two_logits: nn.Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(OWN)
    table = _saved(two_logits.state_dict(), tmp_path / "two.pt")
    record = DetectorRecord(
        backbone="", model=str(tmp_path / "net.py:build"), mean=(0.5,) * 3, std=(0.5,) * 3
    )
    write_record(record_path(table.weights), record)
    assert "code runs only where you name it" in _refusal(dataclasses.replace(table, backbone=""))
    assert "ran" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("trainable", ["head", "norms", "lora"])
def test_a_recipe_that_freezes_or_adapts_leaves_the_scores_as_they_are(
    tmp_path: Path, trainable: Any
) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=2, img_size=64).eval()
    torch.save(network.state_dict(), tmp_path / "vit.pt")
    model = bring(SourceTable(str(tmp_path / "vit.pt"), "test_vit", image_size=64))
    recipe = dataclasses.replace(_recipe(model), trainable=trainable)
    built = build_network(recipe, 0, model.architecture, model.tensors).eval()
    with torch.no_grad():
        torch.testing.assert_close(built(IMAGES), network(IMAGES))
    frozen = [name for name, weight in built.named_parameters() if not weight.requires_grad]
    assert frozen


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"weights": ""}, "weights"),
        ({"mean": [124.0, 117.0, 104.0], "std": [0.5] * 3}, "mean"),
        ({"mean": [0.5] * 3}, "mean"),
        ({"fake": 2}, "fake"),
        ({"outputs": 1000}, "outputs"),
        ({"model": "net:build"}, "model"),
        ({"model": "net.py:build"}, "model"),
        ({"image_size": 4}, "image_size"),
    ],
)
def test_a_wrong_table_names_its_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(BenchError, match=f"key '{key}'"):
        SourceTable(**{"weights": "a.pt", "backbone": "resnet18", **change})
