"""Strategies in plain Avalanche scripts, apart from what the conformance kit checks of each of them."""

import pytest
import torch

import fretal_bench.strategies as public
from fretal_bench.errors import BenchError
from fretal_bench.strategies.features import features_and_logits, head_inputs_and_logits, head_of
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.testing.plain_script import plain_convnet
from tests_support import NEEDING_ATTENTION


def plain_model():
    torch.manual_seed(0)
    return plain_convnet()


@pytest.mark.parametrize("name", sorted(NEEDING_ATTENTION))
def test_what_needs_attention_refuses_a_plain_model(name):
    model = plain_model()
    with pytest.raises(BenchError, match=r"attention blocks|one sequence of tokens"):
        load(find_strategy(name))(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.05))


def test_the_head_of_a_model_without_the_method_is_its_last_linear_layer_and_features_are_what_enters_it():
    model = plain_model().eval()
    assert head_of(model) == (model[-1],)
    x = torch.randn(4, 3, 16, 16)
    expected = model[:-1](x)
    for read in (features_and_logits, head_inputs_and_logits):
        features, logits = read(model, x)
        assert torch.equal(features, expected)
        assert torch.equal(logits, model(x))


def test_task_labels_of_the_data_are_kept_and_zeros_where_there_are_none():
    model = plain_model()
    strategy = load(find_strategy("finetuning"))(
        model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1)
    )
    x, y = torch.randn(4, 3, 16, 16), torch.arange(4) % 2
    strategy.mbatch = [x, y]
    assert torch.equal(strategy.mb_task_id, torch.zeros_like(y))
    strategy.mbatch = [x, y, y + 3]
    assert torch.equal(strategy.mb_task_id, y + 3)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [("FReTAL", "fretal"), ("ER", "er"), ("ExperienceReplay", "er"), ("EWC", "ewc"), ("SUR_LID", "sur-lid")],
)
def test_classes_are_imported_by_their_name_or_the_strategys(name, strategy):
    assert getattr(public, name) is load(find_strategy(strategy))
    assert name in dir(public)
