"""ESMER: the weights of errors, the running loss and what enters the memory, against loops over single samples."""

import copy
import statistics

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies.replay.esmer import ESMER, error_weights, typical_loss
from fretal_bench.strategies.state import BadState
from replay_cases import SmoothNet, build, domain, learn


class Course:
    """Writes down every update of later domains and the running loss after it."""

    supports_distributed = True

    def __init__(self):
        self.batches, self.running, self.losses = [], [], []

    def after_training_iteration(self, strategy, **_):
        if strategy.step > 0:
            self.batches.append((strategy.mb_x.clone(), strategy.mb_y.clone(), strategy.new_samples))
            self.running.append(float(strategy.running_loss))
            self.losses.append(float(strategy.loss.detach()))


def cross_entropy(logits, label):
    """Of one sample."""
    return -torch.log_softmax(logits, 0)[label]


def loss_of(net, image, label):
    return float(cross_entropy(net(image[None])[0].detach(), label))


def typical(losses, margin):
    """The mean of the losses that are not far above their mean."""
    limit = statistics.fmean(losses) + margin * statistics.pstdev(losses)
    return statistics.fmean([loss for loss in losses if loss <= limit])


@pytest.mark.parametrize("beta", [1.0, 0.8])
def test_an_update_equals_a_loop_over_single_samples(beta):
    constants = {
        "beta": beta,
        "consistency": 0.6,
        "stable": 0.7,
        "loss_half_life": 0.3,
        "warmup": 0.25,
        "std_margin": 0.8,
    }
    strategy = build(ESMER, memory=10, epochs=2, lr=0.3, **constants)
    learn(strategy, [domain(0)])
    start, running = copy.deepcopy(strategy.model.state_dict()), float(strategy.running_loss)
    course = Course()
    strategy.plugins.append(course)
    learn(strategy, [domain(1)])
    model = SmoothNet()
    model.load_state_dict(start)
    slow = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    decay, loss_decay = 2 ** (-1 / (0.7 * 10)), 2 ** (-1 / (0.3 * 10))
    kinds = set()
    for number, (x, y, new) in enumerate(course.batches):
        judged = [loss_of(slow, image, label) for image, label in zip(x[:new], y[:new], strict=True)]
        logits = model(x)
        loss = 0.0
        for place, of_slow in enumerate(judged):
            small = of_slow <= beta * running
            kinds.add(small)
            loss += (1 if small else running / of_slow) * cross_entropy(logits[place], y[place]) / new
        for place in range(new, len(x)):
            loss += cross_entropy(logits[place], y[place]) / (len(x) - new)
            distance = (logits[place] - slow(x[[place]])[0].detach()) ** 2
            loss += 0.6 * distance.mean() / (len(x) - new)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for old, weight in zip(slow.parameters(), model.parameters(), strict=True):
                old.copy_(decay * old + (1 - decay) * weight)
        # 10 updates: the first 3 (0, 1, 2 < 2.5) are warm-up.
        if number >= 3:
            running = loss_decay * running + (1 - loss_decay) * typical(judged, 0.8)
        assert course.losses[number] == pytest.approx(float(loss.detach()), rel=1e-4)
        assert course.running[number] == pytest.approx(running, rel=1e-4)
    assert kinds == {True, False}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(strategy.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_errors_weigh_less_the_larger_they_are():
    losses = torch.tensor([0.1, 0.5, 1.0, 4.0])
    assert error_weights(losses, torch.tensor([0.5]), 1.0).tolist() == [1.0, 1.0, 0.5, 0.125]
    assert error_weights(losses, torch.tensor([0.5]), 2.0).tolist() == [1.0, 1.0, 1.0, 0.125]
    assert error_weights(losses, torch.empty(0), 1.0).tolist() == [1.0] * 4


def test_a_running_loss_of_0_is_known_and_gives_no_nan():
    weights = error_weights(torch.tensor([0.0, 1.0]), torch.tensor([0.0]), 1.0)
    assert weights.tolist() == [1.0, 0.0]


def test_the_typical_loss_leaves_out_what_lies_far_above_the_mean():
    assert float(typical_loss(torch.tensor([1.0, 1.0, 1.0, 9.0]), 1.0)) == 1.0
    assert float(typical_loss(torch.tensor([1.0, 1.0, 1.0, 9.0]), 2.0)) == 3.0
    assert float(typical_loss(torch.tensor([0.3]), 1.0)) == pytest.approx(0.3)
    for count in range(1, 60):
        same = torch.full((count,), 0.1)
        assert float(typical_loss(same, 0.0)) == pytest.approx(0.1)


def test_the_running_loss_begins_as_the_mean_of_one_more_epoch_of_the_first_domain():
    strategy = build(ESMER, memory=10, epochs=2, std_margin=0.5)
    learn(strategy, [domain(0)])
    strategy.step = 0
    from replay_cases import avalanche

    means = []
    for x, y in strategy.further_batches(avalanche(domain(0))):
        losses = [loss_of(strategy.model, image, label) for image, label in zip(x, y, strict=True)]
        means.append(typical(losses, 0.5))
    assert len(means) == 5
    assert float(strategy.running_loss) == pytest.approx(statistics.fmean(means), rel=1e-5)


def test_only_samples_of_small_loss_enter_the_memory():
    strategy = build(ESMER, memory=100, beta=0.9)
    experiences = [domain(0), domain(1)]
    for number, experience in enumerate(experiences):
        learn(strategy, [experience])
        images = experience.source.pixels.permute(0, 3, 1, 2).float() * (2 / 255) - 1
        net = strategy.averages["stable"].model
        losses = [
            loss_of(net, image, label) for image, label in zip(images, experience.source.targets, strict=True)
        ]
        expected = [row for row, loss in enumerate(losses) if loss <= 0.9 * float(strategy.running_loss)]
        assert 0 < len(expected) < 30
        assert strategy.memory.rows[strategy.memory.domains == number].tolist() == expected
    assert strategy.memory.offered == len(strategy.memory) <= 60


def test_reals_alone_are_stored_as_fakes_alone_are():
    for label in (0, 1):
        strategy = build(ESMER, memory=20, beta=2.0)
        only = domain(0)
        only.source.targets = torch.full_like(only.source.targets, label)
        learn(strategy, [only])
        assert len(strategy.memory) == 20
        assert set(strategy.memory.labels.tolist()) == {label}


def test_a_memory_that_took_nothing_is_no_obstacle():
    strategy = build(ESMER, memory=10, beta=1e-9)
    learn(strategy, [domain(number) for number in range(3)])
    assert len(strategy.memory) == 0
    assert strategy.step == 3


def test_the_warm_up_is_a_share_of_the_updates_and_rests_the_running_loss():
    for warmup, changes in ((0.0, 5), (0.5, 2), (1.0, 0)):
        strategy = build(ESMER, memory=10, warmup=warmup)
        learn(strategy, [domain(0)])
        before, course = float(strategy.running_loss), Course()
        strategy.plugins.append(course)
        learn(strategy, [domain(1)])
        course.running.insert(0, before)
        moved = [a != b for a, b in zip(course.running, course.running[1:], strict=False)]
        assert sum(moved) == changes
        assert moved == [False] * (5 - changes) + [True] * changes


def test_a_running_loss_that_is_none_is_refused():
    strategy = build(ESMER, memory=10)
    learn(strategy, [domain(0)])
    for wrong in (torch.tensor([-1.0]), torch.tensor([torch.nan]), torch.empty(0)):
        state = copy.deepcopy(strategy.state_dict())
        state["extra"]["running_loss"] = wrong
        with pytest.raises(BadState, match="running_loss"):
            build(ESMER, memory=10).load_state_dict(state)


@pytest.mark.parametrize("constants", [{"beta": 0.0}, {"warmup": 1.5}, {"loss_half_life": -1.0}])
def test_nonsense_is_refused(constants):
    with pytest.raises(BenchError, match=next(iter(constants))):
        build(ESMER, **constants)
