"""DFIL: each term of the loss against loops, and which samples are kept."""

import math

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies.replay.dfil import DFIL, contrastive_loss, feature_distance, hard_and_central
from replay_cases import build, domain, learn
from tests_support import experience_of, tiny_backbone


def contrast_by_loops(features, targets, temperature):
    units = [f / f.norm() for f in features.double()]
    anchors = []
    for i in range(len(units)):
        partners = [p for p in range(len(units)) if p != i and targets[p] == targets[i]]
        if not partners:
            continue
        below = sum(math.exp(float(units[i] @ units[a]) / temperature) for a in range(len(units)) if a != i)
        anchors.append(
            -sum(math.log(math.exp(float(units[i] @ units[p]) / temperature) / below) for p in partners)
            / len(partners)
        )
    return sum(anchors) / len(anchors)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("targets", [[0, 1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1, 1]])
def test_the_contrastive_loss_is_that_of_a_double_loop(temperature, targets):
    features = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    actual = contrastive_loss(features, torch.tensor(targets), temperature)
    assert float(actual) == pytest.approx(contrast_by_loops(features, targets, temperature), rel=1e-5)


def test_the_contrastive_loss_is_zero_and_smooth_where_nobody_has_a_partner():
    for targets in ([0, 1], [1]):
        features = torch.randn(len(targets), 5, requires_grad=True)
        loss = contrastive_loss(features, torch.tensor(targets), 1.0)
        loss.backward()
        assert float(loss.detach()) == 0
        assert torch.equal(features.grad, torch.zeros_like(features))


def test_the_contrastive_loss_falls_when_classes_part():
    targets = torch.tensor([0, 0, 1, 1])
    mixed = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    apart = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert contrastive_loss(apart, targets, 0.5) < contrastive_loss(mixed, targets, 0.5)


def distance_by_loops(student, teacher):
    total = 0.0
    for s, t in zip(student.double(), teacher.double(), strict=True):
        for a, b in zip((s / s.norm()).tolist(), (t / t.norm()).tolist(), strict=True):
            total += (a - b) ** 2
    return total / student.numel()


def test_the_feature_distance_is_the_mean_square_between_unit_features():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(4, 6, generator=generator) for _ in range(2))
    assert float(feature_distance(student, teacher)) == pytest.approx(
        distance_by_loops(student, teacher), rel=1e-5
    )
    assert float(feature_distance(student, 7 * student)) == pytest.approx(0, abs=1e-12)


def distillation_by_loops(student, teacher, targets, temperature, alpha):
    total = 0.0
    for s, t, y in zip(student.double(), teacher.double(), targets, strict=True):
        p, q = (torch.softmax(z / temperature, 0).tolist() for z in (t, s))
        divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        total += alpha * temperature**2 * divergence - (1 - alpha) * math.log(torch.softmax(s, 0)[y])
    return total / len(targets)


def test_the_penalty_is_the_sum_of_its_three_terms():
    torch.manual_seed(2)
    constants = {
        "contrast": 0.4,
        "contrast_temperature": 0.5,
        "temperature": 3.0,
        "alpha": 0.3,
        "feature_weight": 2.0,
    }
    strategy = learn(build(DFIL, tiny_backbone(2.0), memory=8, **constants), [domain(0, side=8)])
    strategy.before_domain(domain(1))
    with torch.no_grad():
        for weight in strategy.model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    x, y = torch.randn(9, 3, 8, 8), torch.arange(9) % 2
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy.mb_output = strategy.forward()
    actual = strategy.penalty()
    strategy.model.train()
    student = strategy.model.body(x).mean((2, 3)).detach()
    with torch.no_grad():
        teacher = strategy.teacher.body(x).mean((2, 3))
        terms = (
            distillation_by_loops(strategy.model.head(student), strategy.teacher.head(teacher), y, 3.0, 0.3),
            0.4 * contrast_by_loops(student, y, 0.5),
            2.0 * distance_by_loops(student, teacher),
        )
    assert min(terms) > 1e-4
    assert float(actual.detach()) == pytest.approx(sum(terms), rel=1e-5)
    gradients = torch.autograd.grad(actual, list(strategy.model.parameters()))
    assert all(bool(g.abs().sum() > 0) for g in gradients)
    assert all(w.grad is None for w in strategy.teacher.parameters())


def test_ranking_takes_the_hardest_and_the_most_central_in_turn_and_none_twice():
    entropy = torch.tensor([0.1, 0.6, 0.3, 0.2, 0.5])
    distance = torch.tensor([1.0, 9.0, 2.0, 0.5, 8.0])
    # Hard: 1 4 2 3 0; central: 3 0 2 4 1.
    assert hard_and_central(entropy, distance).tolist() == [1, 3, 4, 0, 2]


def test_half_of_a_share_has_the_highest_entropy_and_half_is_nearest_to_its_class():
    experience = domain(0, 60, side=8)
    torch.manual_seed(1)
    strategy = learn(build(DFIL, tiny_backbone(2.0), memory=16, eval_mb_size=7), [experience])
    strategy.model.eval()
    with torch.no_grad():
        maps = strategy.model.body(strategy.transform.eval(experience.source.pixels))
        features = maps.mean((2, 3)).double()
        probabilities = torch.softmax(strategy.model.head(maps.mean((2, 3))), 1).double()
    for label in (0, 1):
        rows = [r for r in range(60) if int(experience.source.targets[r]) == label]
        mean = sum(features[r] for r in rows) / len(rows)
        entropy = {r: -sum(float(p) * math.log(float(p)) for p in probabilities[r]) for r in rows}
        away = {r: float((features[r] - mean).norm()) for r in rows}
        hard = sorted(rows, key=lambda r: -entropy[r])
        central = sorted(rows, key=lambda r: away[r])
        expected = []
        for pair in zip(hard, central, strict=True):
            expected += [r for r in dict.fromkeys(pair) if r not in expected]
        assert strategy.memory.rows[strategy.memory.labels == label].tolist() == expected[:8]


def test_the_memory_joins_the_new_domains_epochs():
    strategy = learn(build(DFIL, tiny_backbone(), memory=8, batch=38), [domain(0, side=8)])
    sizes = []
    strategy.plugins.append(_Sizes(sizes))
    learn(strategy, [domain(1, side=8)])
    assert sizes == [38]


class _Sizes:
    supports_distributed = True

    def __init__(self, sizes):
        self.sizes = sizes

    def after_training_iteration(self, strategy, **_):
        self.sizes.append(len(strategy.mb_y))


def test_a_plain_avalanche_script_trains_on_inputs_as_they_are():
    strategy = build(DFIL, tiny_backbone(), memory=8, batch=28)
    seen = []
    strategy.plugins.append(_Inputs(seen))
    data = [torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    for number, x in enumerate(data):
        strategy.train(experience_of(x, torch.arange(20) % 2, number), eval_streams=[], num_workers=0)
    assert [len(x) for x in seen] == [20, 28]
    everything = torch.cat(data)
    assert all(bool((everything == x).all(dim=(1, 2, 3)).any()) for x in seen[1])


class _Inputs:
    supports_distributed = True

    def __init__(self, seen):
        self.seen = seen

    def after_training_iteration(self, strategy, **_):
        self.seen.append(strategy.mb_x)


def test_constants_out_of_range_are_refused():
    for constants in (
        {"alpha": 1.1},
        {"temperature": 0.0},
        {"contrast": -1.0},
        {"contrast_temperature": 0.0},
    ):
        with pytest.raises(BenchError, match=next(iter(constants))):
            build(DFIL, tiny_backbone(), **constants)
