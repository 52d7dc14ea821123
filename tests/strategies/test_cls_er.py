"""CLS-ER, and what it shares with ESMER: moving averages of the model, by formulas over a recorded course."""

import copy
import io

import numpy as np
import pytest
import torch

from fretal_bench.benchmark.recipes.model import compile_model
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.merging.task_arithmetic import TaskArithmetic
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.replay.averaged_replay import decay_of
from fretal_bench.strategies.replay.cls_er import CLSER, more_confident
from fretal_bench.strategies.replay.er import ExperienceReplay
from fretal_bench.strategies.replay.esmer import ESMER
from fretal_bench.strategies.state import BadState
from replay_cases import SmoothNet, avalanche, build, domain, learn
from tests_support import tiny_backbone

KINDS = (CLSER, ESMER)
FOREVER = 1e15
"""A half-life in which nothing moves: 1 - decay is 0 in float64."""


class Course:
    """Writes down every update of later domains: what went in, and all states after it."""

    supports_distributed = True

    def __init__(self):
        self.batches, self.models, self.averages = [], [], []

    def after_training_iteration(self, strategy, **_):
        if strategy.step == 0:
            return
        self.batches.append((strategy.mb_x.clone(), strategy.mb_y.clone(), strategy.new_samples))
        self.models.append(copy.deepcopy(strategy.model.state_dict()))
        self.averages.append(
            {n: copy.deepcopy(average.model.state_dict()) for n, average in strategy.averages.items()}
        )


def course_of(kind, model=None, domains=2, **constants):
    strategy = build(kind, model, memory=10, epochs=2, **constants)
    course = Course()
    learn(strategy, [domain(0, side=8 if model else 4)])
    course.source = copy.deepcopy(strategy.model.state_dict())
    strategy.plugins.append(course)
    learn(strategy, [domain(number, side=8 if model else 4) for number in range(1, domains)])
    return strategy, course


def normed_net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return tiny_backbone()


@pytest.mark.parametrize("kind", KINDS)
def test_an_average_is_the_sum_of_all_models_each_with_its_share_statistics_included(kind):
    _, course = course_of(kind, normed_net(), stable=0.5)
    updates = len(course.models)
    assert updates == 10
    # Half a domain, 5 updates, halves what was there.
    decay = 2 ** (-1 / 5)
    for number in (1, 5, 10):
        for name, value in course.averages[number - 1]["stable"].items():
            if not value.is_floating_point():
                assert torch.equal(value, course.models[number - 1][name])
                continue
            expected = decay**number * course.source[name].double()
            for k, model in enumerate(course.models[:number]):
                expected += (1 - decay) * decay ** (number - 1 - k) * model[name].double()
            torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-6)
    assert not torch.equal(
        course.averages[-1]["stable"]["body.1.running_mean"], course.source["body.1.running_mean"]
    )


def test_after_a_half_life_half_of_what_was_is_left():
    assert decay_of(2.0, 30) ** 60 == pytest.approx(0.5)
    assert decay_of(0.25, 40) ** 10 == pytest.approx(0.5)
    assert decay_of(0.0, 40) == 0.0
    assert decay_of(FOREVER, 40) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_an_endless_half_life_leaves_the_source_model_to_the_byte_and_none_follows_the_model_to_the_byte(
    kind,
):
    for half_life, expected in ((FOREVER, "source"), (0.0, "model")):
        _, course = course_of(kind, normed_net(), stable=half_life)
        for model, averages in zip(course.models, course.averages, strict=True):
            goal = course.source if expected == "source" else model
            for name, value in averages["stable"].items():
                assert torch.equal(value, goal[name]) or name.endswith("num_batches_tracked")


def test_an_update_is_cross_entropy_over_all_samples_and_the_distance_to_the_surer_average():
    strategy, course = course_of(CLSER, consistency=0.7, stable=2.0, plastic=0.2)
    model, optimizer = SmoothNet(), None
    model.load_state_dict(course.source)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    slow = {name: copy.deepcopy(model) for name in ("stable", "plastic")}
    decays = {"stable": 2 ** (-1 / (2.0 * 10)), "plastic": 2 ** (-1 / (0.2 * 10))}
    taken = set()
    for x, y, new in course.batches:
        assert len(x) == 2 * new == 12
        logits = model(x)
        loss = -sum(torch.log_softmax(z, 0)[label] for z, label in zip(logits, y, strict=True)) / len(x)
        squares = []
        for image, label, z in zip(x[new:], y[new:], logits[new:], strict=True):
            outputs = {name: net(image[None])[0].detach() for name, net in slow.items()}
            chances = {name: float(torch.softmax(out, 0)[label]) for name, out in outputs.items()}
            name = "stable" if chances["stable"] > chances["plastic"] else "plastic"
            taken.add(name)
            squares.append(((z - outputs[name]) ** 2).mean())
        optimizer.zero_grad()
        (loss + 0.7 * sum(squares) / len(squares)).backward()
        optimizer.step()
        with torch.no_grad():
            for name, net in slow.items():
                for old, weight in zip(net.parameters(), model.parameters(), strict=True):
                    old.copy_(decays[name] * old + (1 - decays[name]) * weight)
    assert taken == {"stable", "plastic"}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(strategy.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)
        for average in ("stable", "plastic"):
            torch.testing.assert_close(
                strategy.averages[average].model.state_dict()[name], slow[average].state_dict()[name]
            )


def test_without_the_consistency_an_update_is_that_of_experience_replay():
    ends = []
    for kind, constants in ((ExperienceReplay, {}), (CLSER, {"consistency": 0.0})):
        strategy = learn(build(kind, memory=10, **constants), [domain(k) for k in range(3)])
        ends.append(torch.cat([w.detach().flatten() for w in strategy.model.parameters()]))
    assert torch.equal(*ends)


def test_the_distance_is_0_where_both_averages_are_the_model():
    seen = []

    class Penalties(CLSER):
        def penalty(self):
            value = super().penalty()
            seen.append(float(value.detach()))
            return value

    learn(build(Penalties, memory=10, stable=0.0, plastic=0.0), [domain(0), domain(1)])
    assert seen
    assert max(seen) < 1e-12


def test_the_logits_are_those_of_the_surer_model_sample_by_sample():
    first = torch.tensor([[2.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    taken = more_confident(first, second, torch.tensor([0, 1, 0]))
    assert taken.tolist() == [[2.0, 0.0], [1.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_in_eval_mode_without_gradients_and_normalise_by_their_own_statistics(kind):
    strategy, _ = course_of(kind, normed_net())
    for average in strategy.averages.values():
        assert not any(part.training for part in average.model.modules())
        assert all(w.grad is None and not w.requires_grad for w in average.model.parameters())
    x = torch.randn(4, 3, 8, 8)
    together = strategy.average_logits("stable", x)
    apart = torch.cat([strategy.average_logits("stable", x[[k]]) for k in range(4)])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("kind", KINDS)
def test_the_stable_average_judges_or_the_working_model(kind):
    for judge in ("stable", "working"):
        strategy, _ = course_of(kind, normed_net(), judge=judge)
        source = domain(1, side=8).source
        model = strategy.averages["stable"].model if judge == "stable" else copy.deepcopy(strategy.model)
        model.eval()
        images = source.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            expected = torch.softmax(model(images), 1)[:, 1].numpy()
        np.testing.assert_allclose(strategy.score(source), expected, rtol=1e-5)
        # What Avalanche's own evaluation sees.
        strategy.is_training, strategy.mbatch = False, [images, source.targets, source.targets]
        strategy.model.eval()
        with torch.no_grad():
            logits = strategy.forward()
        np.testing.assert_allclose(torch.softmax(logits, 1)[:, 1].numpy(), expected, rtol=1e-5)
    assert not np.allclose(strategy.score(source), _by_the_average(strategy, source))


def _by_the_average(strategy, source):
    images = source.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    return torch.softmax(strategy.average_logits("stable", images), 1)[:, 1].numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_domain_is_that_of_fine_tuning_and_its_model_is_what_the_averages_begin_as(kind):
    strategy, plain = (learn(build(k, normed_net()), [domain(0, side=8)]) for k in (kind, FineTuning))
    for name, value in plain.model.state_dict().items():
        assert torch.equal(strategy.model.state_dict()[name], value)
        for average in strategy.averages.values():
            assert torch.equal(average.model.state_dict()[name], value)


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_recipe_goes_back_to_an_earlier_epoch_the_averages_go_back_too(kind):
    from fretal_bench.benchmark.recipes.loop import KeepBest

    strategy = build(kind, normed_net(), memory=10, epochs=3)
    learn(strategy, [domain(0, side=8)])
    keeper, ends = KeepBest(), []
    keeper.validations = (None,)
    qualities = iter([0.6, 0.9, 0.7])
    keeper._merits = lambda *_: (next(qualities), 0.5, -1.0)

    class Watch:
        supports_distributed = True

        def after_training_epoch(self, strategy, **_):
            ends.append(copy.deepcopy(({**strategy.running_state()}, strategy.model.state_dict())))

    strategy.plugins += [Watch(), keeper]
    learn(strategy, [domain(1, side=8)])
    running, weights = ends[1]
    for name, value in weights.items():
        assert torch.equal(strategy.model.state_dict()[name], value)
    for name, average in running["averages"].items():
        for key, value in average.model.state_dict().items():
            assert torch.equal(strategy.averages[name].model.state_dict()[key], value)
    assert not torch.equal(ends[2][1]["head.weight"], weights["head.weight"])
    if kind is ESMER:
        assert torch.equal(strategy.running_loss, running["running_loss"])
        assert not torch.equal(strategy.running_loss, ends[2][0]["running_loss"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_stopped_after_every_domain_ends_with_the_same_bytes(kind):
    experiences = [domain(number, side=8) for number in range(4)]
    ends = []
    for stop in (False, True):
        strategy = build(kind, normed_net(), memory=9)
        for number, experience in enumerate(experiences):
            learn(strategy, [experience])
            if stop:
                file = io.BytesIO()
                life.save(strategy, file)
                file.seek(0)
                strategy = build(kind, normed_net(), memory=9)
                strategy.load_state_dict(life.read_state(file))
                strategy.past = [avalanche(past) for past in experiences[: number + 1]]
        ends.append(strategy)
    whole, stopped = (strategy.state_dict() for strategy in ends)
    assert torch.equal(ends[0].memory.rows, ends[1].memory.rows)
    for name, value in whole["extra"]["averages"]["stable"].items():
        assert torch.equal(stopped["extra"]["averages"]["stable"][name], value)
        assert torch.equal(stopped["model"][name], whole["model"][name])
    np.testing.assert_array_equal(*(strategy.score(experiences[0].source) for strategy in ends))


@pytest.mark.parametrize("kind", KINDS)
def test_what_predicts_from_a_saved_state_is_the_stable_average(kind):
    strategy, _ = course_of(kind, normed_net())
    judge = life.build_judge(
        find_strategy("cls-er" if kind is CLSER else "esmer"),
        normed_net(),
        copy.deepcopy(strategy.state_dict()),
        values={"memory": 10},
    )
    source = domain(0, side=8).source
    judge.transform = strategy.transform
    np.testing.assert_array_equal(judge.score(source), strategy.score(source))


def test_a_state_without_an_average_is_refused():
    strategy, _ = course_of(CLSER)
    state = copy.deepcopy(strategy.state_dict())
    del state["extra"]["averages"]["plastic"]
    with pytest.raises(BadState, match="averages: expected plastic, stable after 2 domains, found stable"):
        build(CLSER, memory=10).load_state_dict(state)


@pytest.mark.parametrize("kind", [*KINDS, TaskArithmetic])
def test_a_compiled_model_learns_what_one_that_is_not_learns(kind, compiled_calls):
    constants = {"batchnorm": "reestimate"} if kind is TaskArithmetic else {"memory": 10}
    ends = []
    for compiled in (False, True):
        model = normed_net()
        if compiled:
            compile_model(model)
        strategy = learn(build(kind, model, **constants), [domain(number, side=8) for number in range(2)])
        source = domain(0, side=8).source
        ends.append(strategy.score(source))
    np.testing.assert_allclose(*ends, rtol=1e-4)


@pytest.mark.parametrize("constants", [{"stable": -1.0}, {"plastic": -0.5}, {"judge": "plastic"}])
def test_nonsense_is_refused(constants):
    with pytest.raises(BenchError, match=next(iter(constants))):
        build(CLSER, **constants)
