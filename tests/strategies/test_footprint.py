"""What a strategy says that it needs to judge, and keeps, against what happens without it."""

import copy

import pytest
import torch

from fretal_bench.strategies import life
from fretal_bench.strategies.registry import find_strategy, names
from fretal_bench.strategies.state import numbers_in, tensor_bytes
from fretal_bench.testing import TinyConvNet, tiny_transformer
from fretal_bench.testing.rig import Rig
from fretal_bench.testing.world import TinyAugmentation, tiny_benchmark
from tests_support import NEEDING_ATTENTION


def without(value):
    """The same with every floating number 0."""
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: without(part) for key, part in value.items()}
    return [without(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", names(plugins=False))
def test_scores_depend_on_what_a_strategy_says_that_judging_needs_and_on_nothing_else_that_it_keeps(name):
    info = find_strategy(name)
    factory = tiny_transformer if name in NEEDING_ATTENTION else TinyConvNet
    rig = Rig(info, factory)
    state = rig.trained.saved[-1]

    def scores(changed):
        extra = {
            key: without(copy.deepcopy(part)) if key in changed else part
            for key, part in state["extra"].items()
        }
        judge = life.build_judge(
            info, factory(), {**state, "extra": extra}, values=rig.base, transform=TinyAugmentation()
        )
        return [life.judge(judge, e.source, checked=False).tolist() for e in tiny_benchmark().test_stream]

    judged_by = set(life.load(info).judged_by)
    assert judged_by <= set(state["extra"])
    assert scores(set(state["extra"]) - judged_by) == scores(set())
    for key in judged_by:
        if numbers_in(without(state["extra"][key])):
            assert scores({key}) != scores(set()), key


def test_bytes_of_tensors_are_counted_as_a_file_holds_them():
    whole = torch.zeros(10, 4)
    nested = {"a": [whole, whole], "b": {"part": whole[3:5]}, "n": 3, "c": torch.zeros(5, dtype=torch.int64)}
    assert tensor_bytes(nested) == 10 * 4 * 4 + 5 * 8
    assert numbers_in(nested) == 40 + 40 + 8 + 5


def test_a_plugin_with_old_samples_that_does_not_count_them_keeps_a_number_that_is_not_known():
    from fretal_bench.strategies.bounds.finetuning import FineTuning
    from fretal_bench.strategies.footprint import footprint

    model = TinyConvNet()
    strategy = FineTuning(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    assert footprint(strategy, 3072, trained=True, resumable=True).kept == 0
    assert footprint(strategy, 3072, trained=True, resumable=False).kept is None
    strategy.past = ["a domain"]
    assert footprint(strategy, 3072, trained=True, resumable=True).kept is None
