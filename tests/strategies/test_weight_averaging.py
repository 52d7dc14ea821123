"""Weight averaging: the rule by hand, its ends, and BatchNorm's statistics against pooled data."""

import copy

import pytest
import torch
from torch import nn

from fretal_bench.benchmark.recipes.model import compile_model
from fretal_bench.errors import BenchError
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.merging.merging_strategy import MergingStrategy, measure_statistics
from fretal_bench.strategies.merging.points import interpolated, point_of, state_of
from fretal_bench.strategies.merging.weight_averaging import WeightAveraging
from penalty_cases import domain
from tests_support import namespace, tiny_backbone

DOMAINS = [domain(number, 12, (3, 8, 8), torch.float32) for number in range(3)]


def build(kind, epochs=2, **constants):
    torch.manual_seed(0)
    model = tiny_backbone()
    return kind(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        train_mb_size=6,
        train_epochs=epochs,
        **constants,
    )


def learn(strategy, experiences):
    """Train along domains; returns the state after each."""
    states = []
    for number, experience in enumerate(experiences):
        torch.manual_seed(number)
        strategy.train(experience, eval_streams=[], num_workers=0)
        states.append(copy.deepcopy(strategy.model.state_dict()))
    return states


def trained_from(state, number):
    """What fine-tuning makes of a state in domain ``number``."""
    strategy = build(FineTuning)
    strategy.model.load_state_dict(state)
    torch.manual_seed(number)
    strategy.train(DOMAINS[number], eval_streams=[], num_workers=0)
    return copy.deepcopy(strategy.model.state_dict())


def weights_in(state):
    return {name: value for name, value in state.items() if "running" not in name and "num_" not in name}


@pytest.mark.parametrize(
    ("constants", "shares"), [({"alpha": 0.3}, (0.3, 0.3)), ({"rule": "mean"}, (1 / 2, 1 / 3))]
)
def test_the_weights_after_a_domain_are_the_average_and_the_next_training_begins_there(constants, shares):
    states = learn(build(WeightAveraging, **constants), DOMAINS)
    assert states[0].keys() == trained_from(build(FineTuning).model.state_dict(), 0).keys()
    for number in (1, 2):
        trained = trained_from(states[number - 1], number)
        moves = []
        for name, value in weights_in(states[number]).items():
            old, new = states[number - 1][name], trained[name]
            torch.testing.assert_close(value, old + shares[number - 1] * (new - old), rtol=1e-6, atol=1e-7)
            moves.append(float((new - old).abs().max()))
        assert max(moves) > 1e-3
        assert states[number]["body.1.num_batches_tracked"] == trained["body.1.num_batches_tracked"]


def test_the_mean_is_that_of_the_models_which_the_domains_left():
    states = learn(build(WeightAveraging, rule="mean"), DOMAINS)
    models = [states[0], trained_from(states[0], 1), trained_from(states[1], 2)]
    for name, value in weights_in(states[2]).items():
        torch.testing.assert_close(value, sum(model[name] for model in models) / 3, rtol=1e-6, atol=1e-7)


def test_an_alpha_of_1_gives_the_bytes_of_fine_tuning():
    for ours, plain in zip(
        learn(build(WeightAveraging, alpha=1.0), DOMAINS), learn(build(FineTuning), DOMAINS), strict=True
    ):
        assert all(torch.equal(ours[name], value) for name, value in plain.items())


def test_an_alpha_of_0_leaves_the_model_of_the_first_domain():
    first, *later = learn(build(WeightAveraging, alpha=0.0), DOMAINS)
    for state in later:
        for name, value in first.items():
            assert torch.equal(state[name], value) or name.endswith("num_batches_tracked")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("alpha", [0.1, 1 / 3, 0.7])
def test_identical_models_merge_to_themselves_bit_for_bit(alpha, dtype):
    generator = torch.Generator().manual_seed(0)
    state = {
        "w": torch.randn(1000, generator=generator).to(dtype),
        "bn.running_mean": (100 * torch.randn(1000, generator=generator)).to(dtype),
        "bn.running_var": torch.rand(1000, generator=generator).pow(8).to(dtype),
        "bn.num_batches_tracked": torch.tensor(7),
    }
    state["w"][:2] = torch.tensor([0.0, -0.0])
    point = point_of(state, state)
    merged = state_of(interpolated(point, point_of(state, state), alpha), state, state)
    for name, value in state.items():
        assert merged[name].dtype == value.dtype
        assert torch.equal(merged[name], value)
    assert torch.equal(merged["w"].signbit(), state["w"].signbit())


def layer_of(values):
    """The state of a BatchNorm layer whose statistics are those of ``values``, one channel, biased variance."""
    return {
        "bn.running_mean": torch.stack([values.mean()]).float(),
        "bn.running_var": torch.stack([values.var(correction=0)]).float(),
    }


def test_merged_statistics_are_those_of_the_pooled_data():
    generator = torch.Generator().manual_seed(0)
    old = 3 + 2 * torch.randn(300, generator=generator, dtype=torch.float64)
    new = -5 + 0.5 * torch.randn(100, generator=generator, dtype=torch.float64)
    states = [layer_of(old), layer_of(new)]
    points = [point_of(state, states[0]) for state in states]
    # A quarter of the pool is new.
    merged = state_of(interpolated(*points, 0.25), states[0], states[1])
    pool = torch.cat([old, new])
    assert float(merged["bn.running_mean"]) == pytest.approx(float(pool.mean()), rel=1e-6)
    assert float(merged["bn.running_var"]) == pytest.approx(float(pool.var(correction=0)), rel=1e-6)
    mean_of_variances = 0.75 * float(old.var()) + 0.25 * float(new.var())
    assert float(merged["bn.running_var"]) > 3 * mean_of_variances


def test_a_merged_variance_is_at_least_the_smallest_of_the_two_whatever_the_means_are():
    old = {"bn.running_mean": torch.tensor([1e4, 0.0]), "bn.running_var": torch.tensor([1e-6, 1e-12])}
    new = {
        "bn.running_mean": torch.tensor([1e4 + 1e-3, 1e-3]),
        "bn.running_var": torch.tensor([2e-6, 1e-12]),
    }
    for alpha in (0.01, 0.5, 0.99):
        merged = state_of(interpolated(point_of(old, old), point_of(new, old), alpha), old, new)
        assert bool((merged["bn.running_var"] >= old["bn.running_var"]).all())


class Normed(nn.Module):
    """A layer, BatchNorm, dropout, and BatchNorm of two values that depend on it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())
        self.norm = nn.BatchNorm1d(4 * 4)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.norm(self.body(x)))


def test_measured_statistics_are_the_mean_and_unbiased_variance_of_all_that_enters_the_layers():
    torch.manual_seed(0)
    model = Normed()
    strategy = FineTuning(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), train_mb_size=5)
    experience = domain(0, 15, (3, 2, 2), torch.float32)
    before = copy.deepcopy(model.state_dict())
    entered = {"body.1": [], "norm": []}
    for x, _ in strategy.further_batches(experience):
        maps = model.body[0](x)
        entered["body.1"].append(maps.movedim(1, 3).reshape(-1, 4))
        mean, variance = maps.mean((0, 2, 3)), maps.var((0, 2, 3), correction=0)
        normed = (maps - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        entered["norm"].append(normed.flatten(1))
    measure_statistics(strategy, experience)
    after = model.state_dict()
    for name, parts in entered.items():
        pool = torch.cat(parts).double()
        assert len(parts) == 3
        torch.testing.assert_close(after[f"{name}.running_mean"].double(), pool.mean(0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(after[f"{name}.running_var"].double(), pool.var(0), rtol=1e-4, atol=1e-5)
    for name, value in weights_in(before).items():
        assert torch.equal(after[name], value)
    assert model.training


def test_statistics_are_measured_of_a_compiled_model_too_domain_after_domain(compiled_calls):
    models = {compiled: tiny_backbone() for compiled in (False, True)}
    models[True].load_state_dict(models[False].state_dict())
    compile_model(models[True])
    for compiled, model in models.items():
        strategy = FineTuning(
            model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), train_mb_size=5
        )
        with torch.no_grad():
            # Compiled in this mode already, before there are hooks.
            for layer in model.train().modules():
                layer.train(isinstance(layer, nn.BatchNorm2d))
            model(torch.zeros(5, 3, 8, 8))
        for number in range(2):
            measure_statistics(strategy, domain(number, 15, (3, 8, 8), torch.float32))
        assert bool(compiled_calls) == compiled
    for name, value in models[False].state_dict().items():
        torch.testing.assert_close(models[True].state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_the_choices_for_batchnorm_differ_in_the_statistics_alone():
    states = {
        rule: learn(build(WeightAveraging, batchnorm=rule), DOMAINS[:2])[1] for rule in ("merge", "start")
    }
    first = learn(build(WeightAveraging), DOMAINS[:1])[0]
    strategy = build(WeightAveraging, batchnorm="reestimate")
    states["reestimate"] = learn(strategy, DOMAINS[:2])[1]
    strategy.step = 1
    measure_statistics(strategy, DOMAINS[1])
    for name, value in states["merge"].items():
        if "running" not in name:
            assert torch.equal(states["start"][name], value)
            assert torch.equal(states["reestimate"][name], value)
            continue
        assert torch.equal(states["start"][name], first[name])
        assert torch.equal(states["reestimate"][name], strategy.model.state_dict()[name])
        assert not torch.equal(states["start"][name], value)
        assert not torch.equal(states["reestimate"][name], value)


def test_where_a_recipe_goes_back_to_an_earlier_epoch_that_epochs_weights_are_merged():
    from fretal_bench.benchmark.recipes.loop import KeepBest

    keeper = KeepBest()
    strategy = build(WeightAveraging, 3, plugins=[keeper])
    ends = []

    class Watch:
        supports_distributed = True

        def after_training_epoch(self, strategy, **_):
            ends.append(copy.deepcopy(strategy.model.state_dict()))

    strategy.plugins.insert(0, Watch())
    keeper.validations = (None,)
    qualities = iter([0.5, 0.6, 0.7, 0.5, 0.6, 0.4])
    keeper._merits = lambda *_: (next(qualities), 0.5, -1.0)
    learn(strategy, DOMAINS[:1])
    first = copy.deepcopy(strategy.model.state_dict())
    keeper.best, keeper.weights = (), {}
    strategy.train(DOMAINS[1], eval_streams=[], num_workers=0)
    for name, value in weights_in(strategy.model.state_dict()).items():
        torch.testing.assert_close(value, (first[name] + ends[4][name]) / 2)


def test_a_model_that_is_adopted_is_the_source_model_to_the_byte():
    source = learn(build(FineTuning), DOMAINS[:1])[0]
    strategy = build(WeightAveraging, batchnorm="reestimate")
    strategy.adopt(source, namespace())
    assert all(torch.equal(strategy.model.state_dict()[name], value) for name, value in source.items())
    assert strategy.extra_state() == {}
    assert isinstance(strategy, MergingStrategy)


@pytest.mark.parametrize(
    "constants", [{"alpha": 1.1}, {"alpha": -0.1}, {"rule": "median"}, {"batchnorm": "no"}]
)
def test_what_is_no_average_is_refused(constants):
    with pytest.raises(BenchError, match=next(iter(constants))):
        build(WeightAveraging, **constants)
