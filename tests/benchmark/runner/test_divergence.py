"""A run that diverges says where and with what loss; the other cells go on, and nothing of it passes for a result."""

import pytest
import torch

from fretal_bench.benchmark.recipes.loop import StopWhenDiverged
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError
from tests_support import TINY, namespace, recipe_options, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny"), domains=2, people=6))


def test_a_penalty_that_overflows_fails_its_cell_with_domain_epoch_batch_and_loss(stream, tmp_path):
    changes = {"recipe": TINY, "ewc": {"lambda_": 1e300}}
    results = run(("ewc", "finetuning"), stream, changes=changes, out=tmp_path / "r")
    assert [cell.strategy for cell in results.cells] == ["finetuning"]
    (failure,) = results.failures
    assert failure.reason.startswith("training diverged on domain 'D1' (2 of 2) in epoch 1 of 1, batch ")
    assert "the loss is nan; train with a lower learning rate" in failure.reason


def test_a_run_of_which_every_cell_diverged_ends_with_exit_code_1_and_one_line(bench, stream):
    options = recipe_options(lr=1000, weight_decay=1000)
    code, _, err = bench("run", "--strategies", "finetuning", "--stream", stream, "--jobs", "1", *options)
    assert code == 1
    assert "domain 'D0' (1 of 2)" in err
    assert "training diverged" in err
    assert err.count("\n") == 1


def test_scores_that_are_no_probabilities_fail_the_cell_whatever_the_loss_was(stream, tmp_path, monkeypatch):
    from fretal_bench.strategies.penalties.ewc import EWC

    def spoiled(self, inputs):
        return torch.full((len(inputs), 2), torch.nan if self.step > 1 else 0.5)

    monkeypatch.setattr(EWC, "probabilities", spoiled)
    (failure,) = run(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r").failures
    assert failure.reason.startswith("after domain 'D1' (2 of 2): P(fake) of ")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
    ],
)
def test_memory_that_is_out_is_said_in_the_suites_words(error, stream, tmp_path, monkeypatch):
    from fretal_bench.strategies.penalties.ewc import EWC

    def greedy(self):
        raise error

    monkeypatch.setattr(EWC, "penalty", greedy)
    (failure,) = run(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r").failures
    assert failure.reason.startswith("out of memory on cpu; train smaller batches or images")
    assert "allocate" not in failure.reason


@pytest.mark.parametrize(
    ("losses", "scaled", "batch"),
    [
        ([0.5, float("nan"), 0.4], False, 2),
        ([0.5, 0.4, float("inf")], False, 3),
        ([0.5, 0.4], False, None),
        ([], False, None),
        # An update that overflows is skipped where the loss is scaled.
        ([0.5, float("inf"), 0.4], True, None),
        ([float("nan"), float("nan")], True, 1),
    ],
)
def test_the_first_loss_of_an_epoch_that_is_no_number_is_named(losses, scaled, batch):
    plugin = StopWhenDiverged("domain 'A' (1 of 1)", scaled)
    strategy = namespace(train_epochs=2)
    for epoch in ([0.1], losses):
        plugin.before_training_epoch(strategy)
        for loss in epoch:
            strategy.loss = torch.tensor(loss)
            plugin.after_training_iteration(strategy)
        if epoch is losses and batch is not None:
            with pytest.raises(
                BenchError, match=f"in epoch 2 of 2, batch {batch} of {len(losses)}: the loss is"
            ):
                plugin.after_training_epoch(strategy)
        else:
            plugin.after_training_epoch(strategy)
