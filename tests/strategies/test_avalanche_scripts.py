"""Every strategy of the registry in a plain Avalanche script: tensors without task labels, any model, metrics back."""

import warnings

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import as_classification_dataset
from torch import nn
from torch.utils.data import TensorDataset

import fretal_bench.strategies as public
from fretal_bench.errors import BenchError
from fretal_bench.strategies.features import features_and_logits, head_inputs_and_logits, head_of
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.registry import find_strategy, names
from tests_support import NEEDING_ATTENTION

EXPERIENCES, COUNT = 3, 24


def tensors(seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(COUNT) % 2
    x = torch.randn(COUNT, 3, 16, 16, generator=generator) + 2.0 * y[:, None, None, None]
    return x, y


def dataset(seed):
    x, y = tensors(seed)
    plain = TensorDataset(x, y)
    plain.targets = y.tolist()
    return as_classification_dataset(plain)


@pytest.fixture(scope="module")
def benchmark():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return benchmark_from_datasets(
            train=[dataset(seed) for seed in range(EXPERIENCES)],
            test=[dataset(10 + seed) for seed in range(EXPERIENCES)],
        )


def plain_model():
    torch.manual_seed(0)
    convolution = (nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
    return nn.Sequential(*convolution, nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))


@pytest.mark.parametrize("name", names(plugins=False))
def test_it_trains_on_tensors_with_a_plain_model_and_eval_returns_the_accuracy(name, benchmark):
    model = plain_model()
    kind = load(find_strategy(name))
    call = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), 0.05)}
    if name in NEEDING_ATTENTION:
        with pytest.raises(BenchError, match=r"attention blocks|one sequence of tokens"):
            kind(**call)
        return
    strategy = kind(**call, train_mb_size=8, train_epochs=2)
    for experience in benchmark.train_stream:
        strategy.train(experience)
    metrics = strategy.eval(benchmark.test_stream)
    accuracy = {key: value for key, value in metrics.items() if "Acc" in key}
    assert len(accuracy) == EXPERIENCES + 1
    right = []
    strategy.model.eval()
    for seed in range(EXPERIENCES):
        x, y = tensors(10 + seed)
        with torch.no_grad():
            right.append((strategy.probabilities(x)[:, 1] >= 0.5) == (y == 1))
    (whole,) = [value for key, value in accuracy.items() if "Stream" in key]
    assert whole == pytest.approx(float(torch.cat(right).float().mean()), abs=0.02)


def test_the_head_of_a_model_without_the_method_is_its_last_linear_layer_and_features_are_what_enters_it():
    model = plain_model().eval()
    assert head_of(model) == (model[-1],)
    x, _ = tensors(0)
    expected = model[:-1](x)
    for read in (features_and_logits, head_inputs_and_logits):
        features, logits = read(model, x)
        assert torch.equal(features, expected)
        assert torch.equal(logits, model(x))


def test_task_labels_of_the_data_are_kept_and_zeros_where_there_are_none(benchmark):
    model = plain_model()
    strategy = load(find_strategy("finetuning"))(
        model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1)
    )
    x, y = tensors(0)
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
