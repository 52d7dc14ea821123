"""On a CUDA device: runs, in every precision; what is gone on from, judged again, reported and taken home."""

import json

import numpy as np
import pytest
import torch

from fretal_bench.benchmark.prediction.detectors import FakeDetector
from fretal_bench.benchmark.runner.results import load_results
from tests_support import recipe_options, tiny_stream

if not torch.cuda.is_available():
    pytest.skip("torch sees no CUDA device", allow_module_level=True)

STRATEGIES = "finetuning,fretal,kd,lwf,ewc,er,dfil"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "fp16"},
        {"precision": "bf16", "channels_last": True},
        {"precision": "fp16", "compile": True, "optimizer": "sgd"},
    ],
    ids=["fp32", "fp16", "bf16", "compiled"],
)
def test_a_run(bench, tmp_path, changes):
    stream = tiny_stream(tmp_path, domains=3)
    options = recipe_options(device="cuda", **changes)
    ended = bench("run", "--strategies", STRATEGIES, "--stream", stream, *options, "--out", "results/run")
    assert ended.code == 0, ended.err
    results = load_results("results/run")
    assert {cell.strategy for cell in results.cells} >= set(STRATEGIES.split(","))
    plan = json.loads((tmp_path / "results/run/plan.json").read_text())
    assert plan["recipe"]["device"] == "cuda"
    # Nothing is trained again.
    again = bench("run", "--strategies", STRATEGIES, "--stream", stream, *options, "--out", "results/run")
    assert again.code == 0
    assert bench("report", "results/run").code == 0


def test_a_detector_judges_alike_on_both_devices(bench, tmp_path):
    stream = tiny_stream(tmp_path, domains=2)
    words = ("--strategies", "fretal", "--stream", stream, *recipe_options(device="cuda"))
    assert bench("run", *words, "--out", "results/run").code == 0
    (cell,) = load_results("results/run").cells
    assert cell.environment["device"] == torch.cuda.get_device_name()
    ended = bench("export", "results/run:fretal:0", "--out", "model/")
    assert ended.code == 0, ended.err
    random = np.random.default_rng(0)
    crops = [random.integers(0, 255, (32, 32, 3)).astype(np.uint8) for _ in range(40)]
    on_cuda, on_cpu = (FakeDetector(cell.path, device).score(crops) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(on_cuda, on_cpu, atol=2e-3)
