"""Footprints of steps: what is recorded of a run, against a count by hand of the files that the run left."""

import json
import zipfile

import pytest

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.reporting.quantities import cost
from tests_support import TINY, tiny_stream

SIDE, VIDEOS = 32, 8
"""Pixels of a crop; training people of the tiny stream."""
IMAGES = 2 * 3 * VIDEOS
"""Training images of a domain: three frames of each person, real and fake."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footprints")
    stream = tiny_stream(folder)
    names = ("finetuning", "ewc", "er", "joint", "zero-shot", "fretal", "gdumb")
    fretal = {"teacher": "source"}
    changes = {"recipe": TINY, "er": {"memory": 60}, "gdumb": {"memory": 60}, "fretal": fretal}
    run(names, str(stream), changes=changes, out=folder / "r", jobs=1)
    # A transformer for images of 32 pixels; its patches are of 16.
    vit = {**TINY, "backbone": "test_vit", "image_size": 160, "source_epochs": 1}
    run(("finetuning", "domain-lora"), str(stream), changes={"recipe": vit}, out=folder / "vit", jobs=1)
    return folder


NEWER = ("weights", "trainable", "extra", "kept", "updates", "images", "samples")
"""Keys of phases that earlier versions did not write."""


def steps_of(folder, results, strategy):
    """The steps of a strategy, by domain: what was recorded of each, and bytes of all tensors in its file."""
    (cell,) = (cell for cell in load_results(folder / results).cells if cell.strategy == strategy)
    about = json.loads((folder / results / "cells" / cell.id / "cell.json").read_text())
    steps = []
    for id in about["steps"][1:]:
        place = folder / "steps" / "steps" / id
        (phase,) = json.loads((place / "phases.json").read_text())
        with zipfile.ZipFile(place / "checkpoint.pt") as archive:
            sizes = [entry.file_size for entry in archive.infolist() if "/data/" in entry.filename]
        steps.append((phase, sum(sizes)))
    return [step for step in steps if step[0]["phase"] == "train" and step[0]["step"] > 0]


def plain(folder, results="r"):
    """Weights of the model, and bytes of a file that holds nothing else."""
    (phase, size), *_ = steps_of(folder, results, "finetuning")
    return phase["weights"], size


def test_fine_tuning_keeps_nothing_and_trains_every_weight(folder):
    weights, size = plain(folder)
    for phase, of_file in steps_of(folder, "r", "finetuning"):
        assert (phase["trainable"], phase["extra"], phase["kept"]) == (weights, 0, 0)
        assert of_file == size


def test_ewc_keeps_two_numbers_a_weight_however_many_domains(folder):
    weights, size = plain(folder)
    for phase, of_file in steps_of(folder, "r", "ewc"):
        # Importance and centre in float32, and a constant.
        assert phase["kept"] == 2 * 4 * weights + 4 == of_file - size
        assert (phase["trainable"], phase["extra"]) == (weights, 0)


def test_er_keeps_its_row_numbers_and_the_images_that_they_name(folder):
    _, size = plain(folder)
    for (phase, of_file), seen in zip(steps_of(folder, "r", "er"), (2, 3), strict=True):
        held = min(60, seen * IMAGES)
        # Domain, row and label as int64 and two logits in float32; the image as the store has it.
        table = held * (3 * 8 + 2 * 4)
        assert of_file - size == table
        assert phase["kept"] == table + held * SIDE * SIDE * 3
        assert phase["extra"] == 0


def test_the_samples_that_a_memory_holds_are_counted_also_where_the_budget_is_larger_than_the_data(folder):
    def samples(strategy):
        (cell,) = (cell for cell in load_results(folder / "r").cells if cell.strategy == strategy)
        return [phase["samples"] for phase in cell.environment["phases"] if "samples" in phase]

    # The source model holds none; then what was there to hold of one domain, two and three.
    assert samples("er") == [0, IMAGES, 60, 60]
    assert samples("joint") == [0, IMAGES, 2 * IMAGES, 3 * IMAGES]
    assert samples("ewc") == [0, 0, 0, 0]


def test_updates_and_their_images_are_recorded(folder):
    """By hand: a batch is a sixth of a domain; er adds as many old samples, joint goes over all domains."""
    batch = TINY["batch_size"]
    updates = TINY["epochs"] * (IMAGES // batch)
    for (one, _), (er, _), (joint, _), seen in zip(
        *(steps_of(folder, "r", name) for name in ("finetuning", "er", "joint")), (2, 3), strict=True
    ):
        assert (one["updates"], one["images"]) == (updates, updates * batch)
        assert (er["updates"], er["images"]) == (updates, 2 * updates * batch)
        assert joint["updates"] == TINY["epochs"] * (seen * IMAGES // batch)
    assert [phase["updates"] for phase, _ in steps_of(folder, "r", "zero-shot")] == [0, 0]


def test_joint_training_keeps_every_image_seen_so_far(folder):
    for (phase, _), seen in zip(steps_of(folder, "r", "joint"), (2, 3), strict=True):
        assert phase["kept"] == seen * IMAGES * SIDE * SIDE * 3


def test_a_teacher_is_kept_once_it_is_no_longer_the_model_itself(folder):
    _, size = plain(folder)
    assert [(phase["kept"], of_file) for phase, of_file in steps_of(folder, "r", "fretal")] == [
        (size, 2 * size),
        (size, 2 * size),
    ]


def test_what_is_never_adapted_trains_nothing_and_what_begins_anew_keeps_where_it_began(folder):
    weights, size = plain(folder)
    assert [phase["trainable"] for phase, _ in steps_of(folder, "r", "zero-shot")] == [0, 0]
    assert steps_of(folder, "r", "gdumb")[0][0]["kept"] == size + 60 * (3 * 8 + 2 * 4 + SIDE * SIDE * 3)
    assert steps_of(folder, "r", "gdumb")[0][0]["trainable"] == weights


def test_adapters_are_extra_weights_of_which_a_domains_own_are_trainable(folder):
    """By hand: test_vit has 6 blocks of width 64, adapters of rank 4 on qkv (64 -> 192) and proj (64 -> 64)."""
    weights, size = plain(folder, "vit")
    adapters = 6 * (4 * (64 + 192) + 4 * (64 + 64))
    head = 64 * 2 + 2
    for (phase, of_file), learned in zip(steps_of(folder, "vit", "domain-lora"), (2, 3), strict=True):
        assert phase["trainable"] == adapters + head
        # Centroids: 5 a domain, of 64 numbers; the first domain has those too, and no adapters.
        centroids = learned * 5 * 64
        assert phase["extra"] == (learned - 1) * (adapters + head) + centroids
        assert phase["kept"] == 4 * phase["extra"] == of_file - size
        assert phase["weights"] == weights


def test_a_cells_footprint_is_read_from_its_folder_and_of_cells_of_earlier_versions_is_not_known(folder):
    by_name = {cell.strategy: cell.environment for cell in load_results(folder / "r").cells}
    weights, _ = plain(folder)
    values = cost(by_name["ewc"])
    assert values["kept_mb"] == pytest.approx((8 * weights + 4) / 2**20)
    assert (values["trainable_percent"], values["extra_percent"]) == (100, 0)
    phases = [
        {key: value for key, value in phase.items() if key not in NEWER} for phase in by_name["ewc"]["phases"]
    ]
    assert set(cost({**by_name["ewc"], "phases": phases})) == {"train_seconds", "peak_memory_mb"}
