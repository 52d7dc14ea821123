"""The shared template: parity with Avalanche and with a bare loop, order, seeds, state."""

import copy

import pytest
import torch
from avalanche.training.supervised import Naive
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fretal_bench.errors import BenchError
from fretal_bench.strategies.batches import BatchLoader, ConcatSource, PlainTransform, epoch_order
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.bounds.joint import Joint
from fretal_bench.strategies.bounds.zero_shot import ZeroShot
from fretal_bench.strategies.distillation.fretal import FReTAL
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy, list_strategies, names
from tests_support import experience_of, tiny_backbone


class Bytes:
    """A batch source over uint8 images whose first pixel is their number."""

    def __init__(self, targets, offset=0):
        self.targets = torch.tensor(targets)
        self.pixels = torch.zeros(len(targets), 2, 2, 3, dtype=torch.uint8)
        self.pixels[:, 0, 0, 0] = torch.arange(len(targets)) + offset

    def __len__(self):
        return len(self.targets)

    def images(self, index):
        return self.pixels[index]


def data(seed=0, count=40):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 8, 8, generator=generator), torch.randint(
        0, 2, (count,), generator=generator
    )


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_finetuning_equals_avalanches_naive_and_a_bare_loop_bit_for_bit():
    x, y = data()
    torch.manual_seed(0)
    start = tiny_backbone()
    trained = []
    for kind in (FineTuning, Naive):
        model = copy.deepcopy(start)
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        strategy = kind(
            model=model, optimizer=optimizer, criterion=nn.CrossEntropyLoss(), train_mb_size=8, train_epochs=2
        )
        torch.manual_seed(7)
        strategy.train(experience_of(x, y), num_workers=0)
        trained.append(weights(model))
    model = copy.deepcopy(start).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    torch.manual_seed(7)
    for _ in range(2):
        for bx, by in DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(bx), by).backward()
            optimizer.step()
    assert torch.equal(trained[0], trained[1])
    assert torch.equal(trained[0], weights(model))


def test_zero_shot_never_moves_after_the_first_domain_not_even_batchnorm():
    x, y = data()
    model = tiny_backbone()
    strategy = ZeroShot(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    before = weights(model)
    strategy.train(experience_of(x, y, 0))
    first = weights(model)
    strategy.train(experience_of(x + 5, 1 - y, 1))
    assert not torch.equal(before, first)
    assert torch.equal(first, weights(model))


def test_joint_trains_on_every_sample_seen_so_far():
    model = tiny_backbone()
    strategy = Joint(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.01), train_mb_size=100)
    sizes = []
    strategy.plugins.insert(0, _Counter(sizes))
    for number in range(3):
        strategy.train(experience_of(*data(number), number))
    assert sizes == [40, 80, 120]


class _Counter:
    """Counts the samples of every epoch."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.supports_distributed = True

    def before_training_epoch(self, strategy, **_):
        self.sizes.append(0)

    def after_training_iteration(self, strategy, **_):
        self.sizes[-1] += len(strategy.mb_y)


def test_epochs_are_balanced_by_repeating_the_smaller_class_evenly():
    targets = torch.tensor([0] * 10 + [1] * 35)
    order = epoch_order(targets, True, torch.Generator().manual_seed(0))
    assert len(order) == 70
    counts = torch.bincount(order, minlength=45)
    assert set(counts[:10].tolist()) <= {3, 4}
    assert set(counts[10:].tolist()) == {1}
    plain = epoch_order(targets, False, torch.Generator().manual_seed(0))
    assert sorted(plain.tolist()) == list(range(45))


def test_batches_depend_on_seed_step_and_epoch_and_on_nothing_else():
    source = Bytes([0, 1] * 20)

    def epochs(seed, step, count=2):
        torch.rand(3)
        loader = BatchLoader(source, 8, PlainTransform(), seed=seed, step=step)
        return [torch.cat([batch[0][:, 0, 0, 0] for batch in loader]) for _ in range(count)]

    first = epochs(0, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, epochs(0, 0), strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], epochs(1, 0)[0])
    assert not torch.equal(first[0], epochs(0, 1)[0])


def test_a_last_batch_that_is_smaller_is_dropped_unless_it_is_the_only_one():
    assert len(BatchLoader(Bytes([0, 1] * 10), 8, PlainTransform())) == 2
    assert [len(b[1]) for b in BatchLoader(Bytes([0, 1] * 10), 8, PlainTransform())] == [8, 8]
    assert [len(b[1]) for b in BatchLoader(Bytes([0, 1]), 8, PlainTransform())] == [2]


def test_joined_sources_give_their_images_and_labels_in_the_order_asked():
    joined = ConcatSource([Bytes([0, 1, 1]), Bytes([1, 0], offset=100), Bytes([0], offset=200)])
    index = torch.tensor([5, 0, 4, 3, 2, 0])
    assert len(joined) == 6
    assert joined.images(index)[:, 0, 0, 0].tolist() == [200, 0, 101, 100, 2, 0]
    assert joined.targets[index].tolist() == [0, 0, 0, 1, 1, 0]


def test_state_goes_on_where_it_was():
    experiences = [experience_of(*data(number), number) for number in range(3)]
    for kind, constants in ((FReTAL, {"teacher": "source"}), (FReTAL, {}), (load(find_strategy("ewc")), {})):
        runs = []
        for stop in (False, True):
            torch.manual_seed(0)
            strategy = None
            for number, experience in enumerate(experiences):
                if strategy is None or stop:
                    model = tiny_backbone()
                    if strategy is None:
                        start = copy.deepcopy(model.state_dict())
                    old = strategy
                    optimizer = torch.optim.SGD(model.parameters(), 0.05)
                    strategy = kind(model=model, optimizer=optimizer, train_mb_size=10, **constants)
                    if old is None:
                        model.load_state_dict(start)
                    else:
                        strategy.load_state_dict(old.state_dict())
                torch.manual_seed(number)
                strategy.train(experience)
            runs.append(weights(strategy.model))
        assert torch.equal(*runs)


def test_adopting_a_trained_model_equals_having_trained_it_here():
    x, y = data()
    kind = load(find_strategy("ewc"))
    torch.manual_seed(0)
    first = tiny_backbone()
    trained = kind(model=first, optimizer=torch.optim.SGD(first.parameters(), 0.05))
    trained.train(experience_of(x, y))
    second = tiny_backbone()
    adopting = kind(model=second, optimizer=torch.optim.SGD(second.parameters(), 0.05))
    adopting.adopt(first.state_dict(), experience_of(x, y))
    assert adopting.step == trained.step == 1
    for name, value in trained.importance.items():
        assert torch.equal(value, adopting.importance[name])


def test_hyperparameters_are_checked_by_name_and_value():
    model = tiny_backbone()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(BenchError, match="FReTAL: unknown key 'temprature'; did you mean 'temperature'"):
        FReTAL(model=model, optimizer=optimizer, temprature=3)
    with pytest.raises(BenchError, match=r"feature.*'scalar', 'vector'.*'matrix'"):
        FReTAL(model=model, optimizer=optimizer, feature="matrix")


def test_a_model_without_a_head_is_refused_by_fretal():
    model = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    strategy = FReTAL(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(BenchError, match="has no head that can be told apart"):
        strategy.train(experience_of(*data()))


def test_every_registered_strategy_loads_and_describes_its_hyperparameters():
    assert {"finetuning", "lwf", "ewc", "kd", "fretal", "zero-shot", "joint"} <= set(names(plugins=False))
    for name in names(stock=True, plugins=False):
        info = find_strategy(name)
        assert load(info).__doc__
        assert load(info).Hyperparameters is info.constants
        info.hyperparameters()
    assert [info.name for info in list_strategies("fre*")] == ["fretal"]


def test_a_class_that_is_not_there_or_no_strategy_is_named():
    for target, message in [
        ("fretal_bench.none:X", "cannot load"),
        ("fretal_bench.strategies.distillation.lwf:Nothing", "cannot load"),
        ("fretal_bench.errors:BenchError", "is not a ContinualStrategy"),
    ]:
        with pytest.raises(BenchError, match=message):
            load(StrategyInfo("x", target, "", ""))
