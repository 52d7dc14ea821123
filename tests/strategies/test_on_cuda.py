"""On a CUDA device: every strategy passes the kit, batches are those of a CPU, and overflowing updates are skipped."""

import pytest
import torch

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.model import build_optimizer
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.strategies.ahead import fetch_batches
from fretal_bench.strategies.batches import BatchLoader, TensorSource, clean_batches
from fretal_bench.strategies.registry import list_strategies
from fretal_bench.testing import strategy_checks
from strategies.test_conformance import OPTIONS
from tests_support import tiny_backbone, tiny_stream

if not torch.cuda.is_available():
    pytest.skip("torch sees no CUDA device", allow_module_level=True)

CUDA = torch.device("cuda")
CHECKS = [
    pytest.param(check, id=f"{info.name}-{check}")
    for info in list_strategies()
    if not info.origin
    for check in strategy_checks(info, **{**OPTIONS.get(info.name, {}), "device": "cuda"})
]


@pytest.mark.parametrize("check", CHECKS)
def test_every_strategy_conforms(check):
    check()


@pytest.mark.parametrize("limit", [0, 1 << 30])
@pytest.mark.parametrize("changes", [{}, {"shift": 3, "brightness": 0.3, "contrast": 0.3, "cutmix": 0.7}])
def test_batches_are_those_of_a_cpu(tmp_path, limit, changes):
    stream = open_stream(str(tiny_stream(tmp_path, domains=1, people=30)))
    transform = Augmentation(Recipe().changed(changes))
    source = stream[0].batches("train")

    def epochs(device):
        place = type(source)(source._store, source.rows, device=device, memory_limit=limit)
        loader = BatchLoader(place, 8, transform, seed=1, step=2, device=device)
        return [[part.cpu() for part in batch] for _ in range(2) for batch in loader]

    for ours, theirs in zip(epochs("cuda"), epochs("cpu"), strict=True):
        torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=2e-6)
        assert torch.equal(ours[1], theirs[1])


def test_images_are_there_before_they_are_computed_with():
    # Each batch is worked on for long, while the thread is several copies ahead and memory is used again.
    images = torch.randint(0, 255, (64, 64, 64, 3), dtype=torch.uint8)
    source = TensorSource(images.repeat(4, 1, 1, 1))
    busy = torch.randn(2048, 2048, device=CUDA)
    sums = []
    for _, batch in fetch_batches(source, torch.arange(256).split(8), CUDA):
        for _ in range(20):
            busy = torch.tanh(busy @ busy)
        sums.append(batch.long().sum())
        del batch
    expected = [part.long().sum() for part in images.repeat(4, 1, 1, 1).split(8)]
    assert torch.stack(sums).tolist() == torch.stack(expected).tolist()


def test_scores_of_a_source_in_memory_are_of_the_same_images():
    images = torch.randint(0, 255, (50, 16, 16, 3), dtype=torch.uint8)
    transform = Augmentation(Recipe().changed({"image_size": 0}))
    parts = [inputs.cpu() for inputs, _ in clean_batches(TensorSource(images), 16, transform, "cuda")]
    torch.testing.assert_close(torch.cat(parts), transform.eval(images))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_an_update_that_overflows_is_skipped(optimizer):
    recipe = Recipe().changed({"optimizer": optimizer, "device": "cuda", "precision": "fp16"})
    model = tiny_backbone()
    made = build_optimizer(recipe, model)
    model.to(CUDA)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    for factor, moves in ((1.0, True), (float("inf"), False), (1.0, True)):
        before = [weight.detach().clone() for weight in model.parameters()]
        made.zero_grad()
        loss = model(torch.rand(4, 3, 32, 32, device=CUDA)).square().sum() * factor
        scaler.scale(loss).backward()
        scaler.step(made)
        scaler.update()
        moved = any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        assert moved == moves
    assert scaler.get_scale() == 512.0
