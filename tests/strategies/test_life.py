"""The life of a strategy object: built, begun, going on as one object, saved, judging."""

import io

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import TensorSource
from fretal_bench.strategies.registry import find_strategy
from tests_support import experience_of, tiny_backbone


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), 0.05)


def built(name, **arguments):
    torch.manual_seed(0)
    model = tiny_backbone()
    return life.build(find_strategy(name), model, optimizer_of(model), **arguments)


def data(number):
    generator = torch.Generator().manual_seed(number)
    return torch.randn(24, 3, 8, 8, generator=generator), torch.tensor([0, 1] * 12)


IMAGES = TensorSource(torch.randint(0, 256, (70, 8, 8, 3), dtype=torch.uint8))


def test_a_cell_trained_in_fp16_is_judged_on_a_cpu_as_in_fp32():
    strategy = built("finetuning")
    life.train(strategy, experience_of(*data(0)))
    file = io.BytesIO()
    life.save(strategy, file)
    file.seek(0)
    judge = life.build_judge(
        find_strategy("finetuning"), tiny_backbone(), life.read_state(file), precision="fp16", device="cpu"
    )
    assert judge.precision == "fp32"
    assert life.judge(judge, IMAGES).tolist() == life.judge(strategy, IMAGES).tolist()


@pytest.mark.parametrize(("name", "given"), [("er", True), ("joint", True), ("ewc", False)])
def test_only_a_strategy_with_a_memory_is_given_the_past(name, given):
    strategy = built(name)
    assert strategy.past == []
    life.begin(strategy, find_strategy(name), ["first", "second"])
    assert strategy.past == (["first", "second"] if given else [])


class Plugin:
    """An Avalanche plugin that does nothing."""

    supports_distributed = True


@pytest.mark.parametrize("later", [0, 1, 3])
def test_an_object_that_goes_on_gets_new_plugins_and_keeps_its_own_in_their_place(later):
    strategy = built("avalanche:ewc", plugins=[Plugin(), Plugin()], epochs=2)
    own = strategy.plugins[2:]
    assert type(own[0]).__name__ == "EWCPlugin"
    for _ in range(2):
        plugins = [Plugin() for _ in range(later)]
        life.go_on(strategy, plugins, 5)
        assert strategy.plugins == [*plugins, *own]
    assert strategy.train_epochs == 5


def test_a_state_with_more_than_tensors_and_plain_data_is_not_read():
    file = io.BytesIO()
    torch.save({"model": Plugin()}, file)
    file.seek(0)
    with pytest.raises(BenchError, match=r"^holds more than tensors and plain data"):
        life.read_state(file)


def test_a_hyperparameter_that_does_not_exist_is_refused_when_the_strategy_is_built():
    with pytest.raises(BenchError, match="'lamda_'"):
        built("ewc", values={"lamda_": 1})
