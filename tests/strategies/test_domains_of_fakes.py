"""Fake-incremental streams, whose later domains bring fakes alone: every strategy trains them and judges both classes."""

import io

import numpy as np
import pytest
import torch

from fretal_bench.strategies import life
from fretal_bench.strategies.registry import find_strategy, names
from fretal_bench.testing import TinyConvNet, tiny_transformer, world
from fretal_bench.testing.world import TinyAugmentation, images_of

TRANSFORMERS = {"domain-lora", "s-prompts", "orthogonal-lora"}
MEMORY = 8
"""Fewer than the first domain has."""


@pytest.fixture
def benchmark(monkeypatch):
    """The tiny stream; its later domains have no reals in train and val."""

    def without_reals(domain, split):
        images, labels = images_of(domain, split)
        kept = labels >= (domain > 0 and split != "test")
        return images[kept], labels[kept]

    monkeypatch.setattr(world, "images_of", without_reals)
    return world.tiny_benchmark()


def built(name, **changes):
    torch.manual_seed(0)
    model = tiny_transformer() if name in TRANSFORMERS else TinyConvNet()
    info = find_strategy(name)
    # Its loss is NaN where a domain has fewer updates than this, as its caution says.
    values = {"delta_t": 1} if name == "avalanche:rwalk" else {}
    if info.memory == "budget" and hasattr(info.constants, "memory"):
        values["memory"] = MEMORY
    return info, life.build(
        info,
        model,
        torch.optim.SGD(model.parameters(), 0.01),
        values=values,
        batch_size=8,
        transform=TinyAugmentation(),
        **changes,
    )


@pytest.mark.parametrize("balance", [False, True], ids=["as they come", "balanced"])
@pytest.mark.parametrize("name", names(stock=True, plugins=False))
def test_every_strategy_learns_later_domains_of_fakes_alone(name, balance, benchmark):
    labels = [experience.source.targets for experience in benchmark.train_stream]
    assert [sorted(set(of.tolist())) for of in labels] == [[0, 1], [1], [1]]
    info, strategy = built(name, balance=balance)
    for number, experience in enumerate(benchmark.train_stream):
        if info.resumable and number:
            state = io.BytesIO()
            life.save(strategy, state)
            _, strategy = built(name, balance=balance)
            learned = list(benchmark.train_stream)[:number]
            life.begin(strategy, info, learned, life.read_state(io.BytesIO(state.getvalue())))
        life.train(strategy, experience)
        assert all(torch.isfinite(weight).all() for weight in strategy.model.parameters())
        for tested in benchmark.test_stream:
            assert set(tested.source.targets.tolist()) == {0, 1}
            scores = life.judge(strategy, tested.source)
            assert np.isfinite(scores).all()
            assert len(scores) == len(tested.source)


@pytest.mark.parametrize(
    "name", [name for name in names(plugins=False) if find_strategy(name).memory == "budget"]
)
def test_a_memory_has_no_reals_but_those_of_the_first_domain(name, benchmark):
    _, strategy = built(name)
    for experience in benchmark.train_stream:
        life.train(strategy, experience)
    memory = strategy.memory
    assert len(memory) == MEMORY
    assert set(memory.domains[memory.labels == 0].tolist()) <= {0}


@pytest.mark.parametrize("name", ["gdumb", "icarl", "dfil"])
def test_shares_by_class_leave_half_of_the_memory_to_the_first_domains_reals(name, benchmark):
    _, strategy = built(name)
    for experience in benchmark.train_stream:
        life.train(strategy, experience)
    labels, domains = strategy.memory.labels.tolist(), strategy.memory.domains.tolist()
    assert labels.count(0) == labels.count(1) == MEMORY // 2
    assert sorted({domain for domain, label in zip(domains, labels, strict=True) if label}) == [0, 1, 2]
