"""LwF's and KD's losses and gradients against their textbook forms."""

import pytest
import torch

from fretal_bench.strategies.distillation.kd import KD, distillation_loss
from fretal_bench.strategies.distillation.lwf import LwF
from tests_support import experience_of, tiny_backbone


def logits_and_targets(seed=0):
    generator = torch.Generator().manual_seed(seed)
    s = 5 * torch.randn(32, 2, generator=generator, dtype=torch.float64)
    t = 5 * torch.randn(32, 2, generator=generator, dtype=torch.float64)
    return s.requires_grad_(), t, torch.randint(0, 2, (32,), generator=generator)


@pytest.mark.parametrize(("temperature", "alpha"), [(20.0, 0.5), (2.0, 0.9), (1.0, 0.0)])
def test_kd_gradient_has_the_textbook_form(temperature, alpha):
    s, t, y = logits_and_targets()
    (gradient,) = torch.autograd.grad(distillation_loss(s, t, y, temperature, alpha), s)
    soft = torch.softmax(s / temperature, 1) - torch.softmax(t / temperature, 1)
    hard = torch.softmax(s, 1) - torch.nn.functional.one_hot(y, 2)
    expected = (alpha * temperature * soft + (1 - alpha) * hard) / len(y)
    torch.testing.assert_close(gradient, expected, rtol=1e-7, atol=1e-9)


def test_kd_total_is_one_and_a_half_cross_entropies_and_two_hundred_divergences():
    s, t, y = logits_and_targets(1)
    ce = torch.nn.functional.cross_entropy(s, y)
    p, q = torch.softmax(t / 20, 1), torch.softmax(s / 20, 1)
    kl = (p * (p.log() - q.log())).sum(1).mean()
    total = ce + distillation_loss(s, t, y, 20.0, 0.5)
    assert float(total.detach()) == pytest.approx(float((1.5 * ce + 200 * kl).detach()), rel=1e-9)


@pytest.mark.parametrize("kind", [KD, LwF])
def test_penalty_uses_the_frozen_model_of_before_the_domain(kind):
    torch.manual_seed(0)
    model = tiny_backbone(2.0)
    x, y = torch.randn(32, 3, 8, 8), torch.randint(0, 2, (32,))
    strategy = kind(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.05), train_mb_size=8)
    strategy.train(experience_of(x, y, 0))
    old = model.eval()(x).detach().clone()
    strategy.train(experience_of(x, 1 - y, 1))
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    torch.testing.assert_close(strategy.teacher_logits(), old, rtol=0, atol=0)
    assert (model.eval()(x) - old).abs().max() > 1e-3


def test_lwf_gradient_is_that_of_a_cross_entropy_of_softened_outputs():
    torch.manual_seed(0)
    model = tiny_backbone(2.0)
    x, y = torch.randn(16, 3, 8, 8), torch.randint(0, 2, (16,))
    strategy = LwF(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), lambda_=3.0)
    strategy.step = 1
    strategy.before_domain(experience_of(x, y))
    s = torch.randn(16, 2, requires_grad=True)
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy.mb_output = s
    (got,) = torch.autograd.grad(strategy.penalty(), s)
    soft_teacher = torch.softmax(strategy.teacher_logits() / 2, 1)
    wanted_loss = -(soft_teacher * torch.log_softmax(s / 2, 1)).sum(1).mean()
    (expected,) = torch.autograd.grad(3.0 * wanted_loss, s)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)
