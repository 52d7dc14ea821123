"""Domains of two samples, or of one more than a batch: every strategy trains, keeps its budget, and judges."""

import pytest
import torch

from fretal_bench.strategies import life
from fretal_bench.strategies.registry import find_strategy, names
from fretal_bench.testing import TinyConvNet, tiny_transformer, world
from fretal_bench.testing.world import TinyAugmentation
from tests_support import NEEDING_ATTENTION

SIZES = {"two samples": (1, 1), "one more than a batch": (16, 17)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", names(stock=True, plugins=False))
def test_every_strategy_learns_domains_that_are_smaller_than_its_batch_or_memory(name, size, monkeypatch):
    monkeypatch.setattr(world, "SIZES", {"train": SIZES[size], "val": (1, 1), "test": (2, 2)})
    torch.manual_seed(0)
    model = tiny_transformer() if name in NEEDING_ATTENTION else TinyConvNet()
    info = find_strategy(name)
    # Its loss is NaN where a domain has fewer updates than this, as its caution says.
    values = {"delta_t": 1} if name == "avalanche:rwalk" else {}
    strategy = life.build(
        info,
        model,
        torch.optim.SGD(model.parameters(), 0.01),
        values=values,
        batch_size=32,
        transform=TinyAugmentation(),
        balance=True,
    )
    benchmark = world.tiny_benchmark()
    for experience in benchmark.train_stream:
        life.train(strategy, experience)
    scores = life.judge(strategy, benchmark.test_stream[0].source)
    assert len(scores) == 4
    memory = getattr(strategy, "memory", None)
    if memory is not None:
        # 500 samples have room for all, each once.
        kept = list(zip(memory.domains.tolist(), memory.rows.tolist(), strict=True))
        assert len(kept) == len(set(kept))
        # ESMER leaves out those of large loss.
        assert name == "esmer" or len(kept) == world.DOMAINS * sum(SIZES[size])
