"""HDP: each term of the loss against loops, the making of a perturbation by hand, and what it may and may not hold."""

import io
import math

import pytest
import torch

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.model import compile_model
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import PlainTransform, TensorSource, pixel_range
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.distillation.hdp import HDP, perturbed
from fretal_bench.strategies.state import BadState
from replay_cases import build, domain, learn
from tests_support import experience_of, tiny_backbone

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def without_reals(number, count=12):
    """A domain of fakes alone."""
    experience = domain(number, count)
    experience.source.targets = torch.ones(count, dtype=torch.int64)
    return experience


class Recorder:
    """Keeps inputs, labels and loss of every update."""

    supports_distributed = True

    def __init__(self):
        self.updates = []

    def before_backward(self, strategy, **_):
        self.updates.append(
            (strategy.step, strategy.mb_x.clone(), strategy.mb_y.clone(), strategy.loss.detach().clone())
        )


def recorded(strategy, experiences):
    recorder = Recorder()
    strategy.plugins.append(recorder)
    learn(strategy, experiences)
    return recorder.updates


def test_black_and_white_are_what_the_recipes_scaling_makes_of_them():
    source = TensorSource(torch.randint(0, 255, (2, 6, 6, 3), dtype=torch.uint8))
    recipe = Recipe(flip=0, shift=0, brightness=0, contrast=0, image_size=8, **IMAGENET)
    for transform, low, high in (
        (PlainTransform(), [-1.0] * 3, [1.0] * 3),
        (
            Augmentation(recipe),
            [-m / s for m, s in zip(*IMAGENET.values(), strict=True)],
            [(1 - m) / s for m, s in zip(*IMAGENET.values(), strict=True)],
        ),
    ):
        black, white = pixel_range(source, transform)
        assert black.shape == white.shape == (1, 3, 1, 1)
        assert black.flatten().tolist() == pytest.approx(low, abs=1e-5)
        assert white.flatten().tolist() == pytest.approx(high, abs=1e-5)


def test_a_perturbation_counts_in_shares_of_full_scale_and_stays_inside_of_it():
    recipe = Recipe(flip=0, shift=0, brightness=0, contrast=0, **IMAGENET)
    images = torch.randint(
        0, 256, (5, 6, 6, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    images[0], images[1] = 0, 255
    u = 0.15 * torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1)) - 0.075
    ends = pixel_range(TensorSource(images), Augmentation(recipe))
    moved = perturbed(Augmentation(recipe).eval(images), u, *ends)
    for b, c, y, x in [(0, 0, 1, 1), (1, 1, 2, 3), (2, 2, 5, 0), (3, 0, 4, 4), (4, 1, 0, 5)]:
        pixel = min(1.0, max(0.0, float(images[b, y, x, c]) / 255 + float(u[c, y, x])))
        expected = (pixel - IMAGENET["mean"][c]) / IMAGENET["std"][c]
        assert float(moved[b, c, y, x]) == pytest.approx(expected, abs=1e-5)


def terms_by_loops(strategy, inputs, targets):
    """Cross-entropy and the four terms of distillation, sample by sample in double precision."""

    def outputs(model, x):
        with torch.no_grad():
            feature = model.body(x[None])[0]
            logits = model.head(feature[None])[0].double()
        return feature.double(), float(logits[1] - logits[0])

    student = [outputs(strategy.model, x) for x in inputs]
    teacher = [outputs(strategy.teacher, x) for x in inputs]
    cross = sum(math.log1p(math.exp(m if y == 0 else -m)) for (_, m), y in zip(student, targets, strict=True))
    new = strategy.new
    sets = {"R": [i for i in range(new) if targets[i] == 0], "P": list(range(new, len(inputs)))}
    features, divergence = [], []
    for members in sets.values():
        away, kl = 0.0, 0.0
        for i in members:
            away += float(((student[i][0] - teacher[i][0]) ** 2).mean())
            p, q = (1 / (1 + math.exp(-m)) for m in (teacher[i][1], student[i][1]))
            kl += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        features.append(away / len(members))
        divergence.append(kl / len(members))
    return cross / len(inputs), features, divergence


def test_an_update_is_cross_entropy_over_the_batch_and_pseudo_fakes_plus_four_terms_of_distillation():
    strategy = learn(build(HDP, feature_weight=3.0, kl=0.7), [domain(0)])
    strategy.before_domain(domain(1))
    with torch.no_grad():
        for weight in strategy.model.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)))
    second = domain(1)
    x, y = strategy.transform.eval(second.source.pixels[:7]), second.source.targets[:7]
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy._before_forward()
    # Every third of 7 samples is real.
    assert strategy.mb_y.tolist() == [0, 1, 1, 0, 1, 1, 0, 1, 1, 1]
    expected = (x[[0, 3, 6]] + 2 * strategy.perturbations[0]).clamp(-1, 1)
    torch.testing.assert_close(strategy.mb_x[7:], expected)
    assert torch.equal(strategy.mb_x[:7], x)
    strategy.mb_output = strategy.forward()
    cross, features, divergence = terms_by_loops(strategy, strategy.mb_x, strategy.mb_y.tolist())
    assert min(*features, *divergence) > 1e-4
    assert float(strategy.criterion().detach()) == pytest.approx(cross, rel=1e-5)
    penalty = strategy.penalty()
    assert float(penalty.detach()) == pytest.approx(3 * sum(features) + 0.7 * sum(divergence), rel=1e-4)
    gradients = torch.autograd.grad(penalty, list(strategy.model.parameters()))
    assert all(bool(g.abs().sum() > 0) for g in gradients)
    assert all(w.grad is None for w in strategy.teacher.parameters())


def test_with_no_perturbation_and_the_student_at_its_teacher_nothing_is_distilled():
    strategy = learn(build(HDP), [domain(0)])
    strategy.perturbations.zero_()
    strategy.before_domain(domain(1))
    x, y = strategy.transform.eval(domain(1).source.pixels[:7]), domain(1).source.targets[:7]
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy._before_forward()
    assert torch.equal(strategy.mb_x[7:], x[[0, 3, 6]])
    strategy.mb_output = strategy.forward()
    assert float(strategy.penalty().detach()) == 0


def test_the_perturbation_of_a_batch_is_drawn_among_those_of_all_past_domains():
    strategy = build(HDP, epochs=3)
    updates = [u for u in recorded(strategy, [domain(k) for k in range(3)]) if u[0] == 2]
    assert strategy.perturbed_domains.tolist() == [0, 1, 2]
    seen = set()
    for _, x, y, _ in updates:
        reals = (y == 0).nonzero().squeeze(1)
        fits = [
            torch.allclose(x[len(x) - len(reals) :], perturbed(x[reals], u, *strategy.range_of(domain(2))))
            for u in strategy.perturbations[:2]
        ]
        assert sum(fits) == 1
        seen.add(fits.index(True))
    assert seen == {0, 1}


def test_a_perturbation_is_made_by_signed_steps_until_four_fifths_of_a_batch_are_fooled():
    """The published loop, written out for one batch of all reals."""
    experience = domain(0)
    constants = {"epsilon": 0.2, "step_size": 0.05, "steps": 9, "passes": 2, "success": 0.9}
    strategy = learn(build(HDP, batch=10, **constants), [experience])
    reals = experience.source.pixels[experience.source.targets == 0]
    generator = draws.of(3, 0, "hdp: perturbation")
    u = 0.0005 * torch.rand(3, 4, 4, generator=generator)
    model = strategy.model.eval()
    taken = 0
    for _ in range(2):
        order = torch.randperm(10, generator=generator)
        x = strategy.transform.train(reals[order], torch.zeros(10), generator)
        first = None
        for _ in range(9):
            u = u.requires_grad_()
            logits = model((x + u * 2).clamp(-1, 1))
            fooled = float((logits[:, 1] >= logits[:, 0]).float().mean())
            first = fooled if first is None else first
            if fooled >= 0.9:
                break
            loss = torch.nn.functional.cross_entropy(logits, torch.ones(10, dtype=torch.int64))
            u = (u - 0.2 * 0.05 * torch.autograd.grad(loss, u)[0].sign()).clamp(-0.2, 0.2).detach()
            taken += 1
        if first >= 0.9:
            break
    assert taken > 2
    torch.testing.assert_close(strategy.perturbations, u.detach()[None])


def test_a_perturbation_fools_the_model_or_has_used_up_its_steps_and_keeps_its_bound():
    for epsilon, fooled in ((0.3, True), (0.01, False)):
        experience = domain(0, 60)
        strategy = learn(build(HDP, epochs=10, lr=0.1, steps=40, epsilon=epsilon), [experience])
        (u,) = strategy.perturbations
        assert u.dtype == torch.float32
        assert float(u.abs().max()) <= epsilon
        x = strategy.transform.eval(experience.source.pixels[experience.source.targets == 0])
        with torch.no_grad():
            logits = strategy.model(perturbed(x, u, *strategy.range_of(experience)))
            before = strategy.model(x)
        assert float((before[:, 1] > before[:, 0]).float().mean()) < 0.5
        share = float((logits[:, 1] > logits[:, 0]).float().mean())
        # Where it does not succeed it has gone as far as it may.
        assert share >= 0.75 if fooled else float((u.abs() >= 0.99 * epsilon).float().mean()) > 0.5


def test_a_batch_without_reals_has_its_cross_entropy_alone():
    strategy = build(HDP, batch=12)
    updates = recorded(strategy, [domain(0), without_reals(1), domain(2)])
    (_, x, y, loss) = next(u for u in updates if u[0] == 1)
    assert len(x) == 12
    assert y.tolist() == [1] * 12
    assert bool(loss.isfinite())
    # The domain of fakes left no perturbation, the others did.
    assert strategy.perturbed_domains.tolist() == [0, 2]
    assert len(strategy.perturbations) == 2


def test_before_any_perturbation_is_there_reals_are_distilled_without_pseudo_fakes():
    strategy = build(HDP, batch=30)
    (_, x, _, loss) = recorded(strategy, [without_reals(0, 30), domain(1)])[-1]
    assert len(x) == 30
    assert bool(loss.isfinite())
    assert strategy.perturbed_domains.tolist() == [1]


def test_no_sample_of_a_past_domain_is_read():
    experiences = [domain(k) for k in range(3)]
    strategy = build(HDP, epochs=2)
    for number, experience in enumerate(experiences):
        for past in experiences[:number]:
            past.source.read.clear()
        learn(strategy, [experience])
        assert not any(past.source.read for past in experiences[:number])


def test_its_batches_begin_with_those_of_fine_tuning():
    experiences = [domain(0), domain(1)]
    plain, own = (recorded(build(kind, epochs=2), experiences) for kind in (FineTuning, HDP))
    for (_, x, y, _), (_, more_x, more_y, _) in zip(plain, own, strict=True):
        assert torch.equal(more_x[: len(x)], x)
        assert torch.equal(more_y[: len(y)], y)


def test_inputs_of_a_plain_avalanche_experience_range_from_their_smallest_to_their_largest():
    x = (
        torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        * torch.tensor([1.0, 2, 3])[:, None, None]
    )
    strategy = build(HDP, tiny_backbone())
    black, white = strategy.range_of(experience_of(x, torch.arange(20) % 2))
    assert torch.equal(black.flatten(), x.amin(dim=(0, 2, 3)))
    assert torch.equal(white.flatten(), x.amax(dim=(0, 2, 3)))


def test_perturbations_of_a_damaged_state_are_refused():
    strategy = learn(build(HDP), [domain(0)])
    file = io.BytesIO()
    torch.save(strategy.state_dict(), file)

    def changed(**values):
        file.seek(0)
        state = torch.load(file, weights_only=True)
        state["extra"].update(values)
        return state

    build(HDP).load_state_dict(changed())
    u = strategy.perturbations
    for values, message in (
        ({"perturbations": u + 1}, "perturbations: expected .* of at most 0.075"),
        ({"perturbations": u * torch.nan}, "perturbations: expected"),
        ({"perturbations": u.double()}, "perturbations: expected"),
        ({"perturbations": u[:, :2]}, "perturbations: expected"),
        ({"perturbed_domains": torch.tensor([3])}, "perturbed_domains: expected some of the 1 domains"),
        ({"perturbed_domains": torch.tensor([0, 0])}, "perturbed_domains: expected some"),
    ):
        with pytest.raises(BadState, match=message):
            build(HDP).load_state_dict(changed(**values))


def test_constants_out_of_range_are_refused():
    for constants in ({"epsilon": 0.0}, {"success": 1.1}, {"steps": 0}, {"kl": -1.0}, {"step_size": 0.0}):
        with pytest.raises(BenchError, match=next(iter(constants))):
            build(HDP, **constants)


@pytest.mark.slow
def test_of_a_compiled_model_the_same_is_learned(compiled_calls):
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = tiny_backbone()
        if compiled:
            compile_model(model)
        strategy = learn(build(HDP, model, epochs=2), [domain(k, 12, side=8) for k in range(2)])
        ends.append(strategy.state_dict())
    for name, value in ends[0]["model"].items():
        torch.testing.assert_close(ends[1]["model"][name], value, rtol=1e-4, atol=1e-5)
