"""iCaRL: herding, nearest mean of exemplars and loss against loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from fretal_bench.strategies.replay.icarl import ICaRL, herd, sigmoid_loss
from replay_cases import build, domain, learn
from tests_support import experience_of, tiny_backbone


def units(count, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64) + 0.5, dim=1)


def herd_by_loops(features, count):
    """The paper's equation, every mean divided by its length, every candidate tried."""
    mean = sum(features) / len(features)
    mean = mean / mean.norm()
    chosen = []
    for k in range(1, count + 1):
        best, least = None, math.inf
        for candidate in range(len(features)):
            if candidate in chosen:
                continue
            running = (features[candidate] + sum(features[j] for j in chosen)) / k
            distance = float((mean - running / running.norm()).norm())
            if distance < least:
                best, least = candidate, distance
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_herding_is_the_brute_force_greedy_choice(seed):
    features = units(25, 6, seed)
    assert herd(features, 12).tolist() == herd_by_loops(features, 12)


def test_herding_for_fewer_is_the_beginning_of_herding_for_more_and_never_repeats():
    features = units(25, 6)
    order = herd(features, 40).tolist()
    assert sorted(order) == list(range(25))
    assert herd(features, 7).tolist() == order[:7]


def test_the_mean_of_herded_samples_is_nearer_than_that_of_random_ones():
    features = units(200, 16)
    mean = F.normalize(features.mean(0), dim=0)

    def away(rows):
        return float((F.normalize(features[rows].mean(0), dim=0) - mean).norm())

    at_random = [
        away(torch.randperm(200, generator=torch.Generator().manual_seed(s))[:10]) for s in range(30)
    ]
    assert away(herd(features, 10)) < min(at_random)


def test_the_loss_is_binary_cross_entropy_summed_over_outputs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 2, generator=generator)
    expected = torch.rand(5, 2, generator=generator)
    total = 0.0
    for row, target in zip(logits.tolist(), expected.tolist(), strict=True):
        for s, w in zip(row, target, strict=True):
            g = 1 / (1 + math.exp(-s))
            total -= w * math.log(g) + (1 - w) * math.log(1 - g)
    assert float(sigmoid_loss(logits, expected)) == pytest.approx(total / 5, rel=1e-5)


class Losses:
    """Keeps what an update's loss was made of."""

    supports_distributed = True

    def __init__(self):
        self.updates = []

    def before_backward(self, strategy, **_):
        with torch.no_grad():
            teacher = strategy.teacher(strategy.mb_x) if strategy.step else None
        self.updates.append((strategy.mb_output.detach(), strategy.mb_y, teacher))

    def after_backward(self, strategy, **_):
        self.updates[-1] += (float(strategy.loss.detach()),)


def test_an_update_has_the_labels_and_the_old_models_sigmoid_outputs_as_targets():
    strategy = build(ICaRL, memory=8, lambda_=0.6)
    losses = Losses()
    strategy.plugins.append(losses)
    learn(strategy, [domain(0), domain(1)])
    later = 0
    for logits, targets, teacher, loss in losses.updates:
        expected = 0.0
        for i in range(len(logits)):
            for c in range(2):
                g = 1 / (1 + math.exp(-float(logits[i, c])))
                y = float(targets[i] == c)
                expected -= y * math.log(g) + (1 - y) * math.log(1 - g)
                if teacher is not None:
                    q = 1 / (1 + math.exp(-float(teacher[i, c])))
                    expected -= 0.6 * (q * math.log(g) + (1 - q) * math.log(1 - g))
        later += teacher is not None
        assert loss == pytest.approx(expected / len(logits), rel=1e-5)
    assert later == 6  # 30 new samples and 8 exemplars, in batches of 6


def trained(memory=12, domains=3):
    experiences = [domain(k, side=8) for k in range(domains)]
    torch.manual_seed(5)
    return learn(build(ICaRL, tiny_backbone(), memory=memory, epochs=2), experiences), experiences


def feature_of(strategy, image):
    """phi of one image: what enters the head, by its own path, divided by its length."""
    with torch.no_grad():
        pooled = strategy.model.body(strategy.transform.eval(image[None])).mean((2, 3))[0]
    return pooled / pooled.norm()


def test_scores_are_the_softmax_of_minus_squared_distances_to_the_exemplars_means():
    strategy, experiences = trained()
    strategy.model.eval()
    means = []
    for label in (0, 1):
        features = [
            feature_of(strategy, experiences[k].source.pixels[row])
            for k, row, y in zip(
                strategy.memory.domains, strategy.memory.rows, strategy.memory.labels, strict=True
            )
            if y == label
        ]
        mean = sum(features) / len(features)
        means.append(mean / mean.norm())
    actual = strategy.score(experiences[0].source)
    for score, image in zip(actual, experiences[0].source.pixels, strict=True):
        feature = feature_of(strategy, image)
        real, fake = (math.exp(-float(((feature - mean) ** 2).sum())) for mean in means)
        assert score == pytest.approx(fake / (real + fake), abs=1e-5)
        nearer = float((feature - means[1]).norm()) < float((feature - means[0]).norm())
        assert (score > 0.5) == nearer


def test_exemplars_of_a_domain_are_herded_among_its_samples_of_each_class():
    strategy, experiences = trained(memory=10, domains=1)
    strategy.model.eval()
    targets = experiences[0].source.targets
    for label in (0, 1):
        rows = (targets == label).nonzero().squeeze(1).tolist()
        features = torch.stack([feature_of(strategy, experiences[0].source.pixels[r]) for r in rows])
        expected = [rows[i] for i in herd_by_loops(features.double(), 5)]
        assert strategy.memory.rows[strategy.memory.labels == label].tolist() == expected


def test_old_exemplars_keep_the_order_in_which_they_were_herded():
    first, _ = trained(domains=1)
    later, _ = trained(domains=3)
    for label in (0, 1):
        before = first.memory.rows[first.memory.labels == label].tolist()
        kept = later.memory.rows[(later.memory.labels == label) & (later.memory.domains == 0)].tolist()
        assert kept == before[: len(kept)]
        assert len(kept) == 2
    assert len(later.memory) == 12


def test_every_exemplar_joins_an_epoch_once():
    experiences = [domain(0), domain(1)]
    strategy = learn(build(ICaRL, memory=6, batch=36), experiences[:1])
    exemplars = sorted(strategy.memory.rows.tolist())
    for experience in experiences:
        experience.source.read.clear()
    strategy.plugins.append(_ReadsAtTheEnd(experiences, actual := []))
    learn(strategy, experiences[1:])
    assert sorted(actual[0]) == exemplars
    assert sorted(actual[1]) == list(range(30))


class _ReadsAtTheEnd:
    supports_distributed = True

    def __init__(self, experiences, actual):
        self.experiences, self.actual = experiences, actual

    def after_training_epoch(self, strategy, **_):
        self.actual += [list(experience.source.read) for experience in self.experiences]


def test_while_a_domain_is_learned_scores_are_the_softmax_of_the_logits():
    strategy, experiences = trained(domains=1)
    by_means = strategy.score(experiences[0].source)
    strategy.before_domain(experiences[0])
    with torch.no_grad():
        strategy.model.eval()
        logits = strategy.model(strategy.transform.eval(experiences[0].source.pixels))
    by_logits = strategy.score(experiences[0].source)
    assert by_logits == pytest.approx(torch.softmax(logits, 1)[:, 1].numpy(), abs=1e-6)
    assert abs(by_logits - by_means).max() > 1e-3


def test_a_class_without_exemplars_is_never_chosen():
    strategy = build(ICaRL, memory=6)
    x = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    strategy.train(experience_of(x, torch.ones(12, dtype=torch.int64)), eval_streams=[], num_workers=0)
    with torch.inference_mode():
        assert strategy.probabilities(x)[:, 1].tolist() == [1.0] * 12


def test_scores_after_reading_a_checkpoint_are_those_before_without_any_training_data():
    strategy, experiences = trained()
    other = build(ICaRL, tiny_backbone(), memory=12)
    other.load_state_dict(strategy.state_dict())
    assert (other.score(experiences[1].source) == strategy.score(experiences[1].source)).all()
