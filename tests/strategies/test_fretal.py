"""FReTAL's loss and gradient against a reference written straight from the formulas, sample by sample."""

import math

import pytest
import torch
from torch import nn

from fretal_bench.strategies.distillation.fretal import FReTAL, bin_membership
from fretal_bench.strategies.features import features_and_logits
from tests_support import experience_of, tiny_backbone

CONSTANTS = {"temperature": 20.0, "alpha": 0.5}


def reference_bin(logits, target):
    """Return the bin (0..4) of one sample or None, by comparing with the printed intervals."""
    p = float(torch.softmax(logits.double(), 0)[target])
    for k, (low, high) in enumerate([(0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)]):
        if low < p <= high:
            return k
    return None


def reference_means(features, logits, targets, feature):
    """Mean feature of every (class, bin), by a loop over samples."""
    groups = {}
    for f, z, y in zip(features, logits, targets, strict=True):
        k = reference_bin(z.detach(), int(y))
        if k is not None:
            groups.setdefault((int(y), k), []).append(f.mean() if feature == "scalar" else f)
    return {key: torch.stack(members).mean(0) for key, members in groups.items()}


def reference_loss(model, teacher, x, y, teacher_means, feature, temperature, alpha):
    maps = model.forward_features(x)
    pooled = maps.flatten(2).max(dim=2).values
    s, t = model.forward_head(maps), teacher(x).detach()
    log_s = torch.log_softmax(s, 1)
    ce = -torch.stack([log_s[i, y[i]] for i in range(len(y))]).mean()
    soft_s, soft_t = torch.log_softmax(s / temperature, 1), torch.log_softmax(t / temperature, 1)
    kl = torch.stack([(soft_t[i].exp() * (soft_t[i] - soft_s[i])).sum() for i in range(len(y))]).mean()
    kd = alpha * temperature**2 * kl + (1 - alpha) * ce
    student_means = reference_means(pooled, s, y, feature)
    fr = sum(
        ((student_means[key] - teacher_means[key]) ** 2).sum()
        for key in student_means
        if key in teacher_means
    )
    return (
        ce + kd + fr,
        len(set(student_means) & set(teacher_means)),
        len(set(student_means) ^ set(teacher_means)),
    )


@pytest.mark.parametrize("feature", ["scalar", "vector"])
@pytest.mark.parametrize("spread", [3.0, 6.0])
def test_loss_and_gradient_equal_the_formulas(feature, spread):
    torch.manual_seed(3)
    model = tiny_backbone(spread).double().eval()
    data = torch.randn(60, 3, 8, 8).double(), torch.randint(0, 2, (60,))
    strategy = FReTAL(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), feature=feature)
    strategy.experience = experience_of(*data)
    strategy.step = 1
    strategy.before_domain(strategy.experience)
    teacher = strategy.teacher
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    with torch.no_grad():
        maps = teacher.forward_features(data[0])
    teacher_means = reference_means(maps.flatten(2).max(2).values, teacher(data[0]), data[1], feature)
    x, y = data[0][:12], data[1][:12]
    expected, shared, one_sided = reference_loss(model, teacher, x, y, teacher_means, feature, **CONSTANTS)
    wanted_gradient = torch.autograd.grad(expected, list(model.parameters()))
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy.mb_output = strategy.forward()
    got = strategy.criterion() + strategy.penalty()
    got_gradient = torch.autograd.grad(got, list(model.parameters()))
    assert shared >= 1
    assert one_sided >= 1, "the case must hold bins that are empty on one side"
    assert float(got) == pytest.approx(float(expected), rel=1e-5, abs=1e-5)
    for g, w in zip(got_gradient, wanted_gradient, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-5, atol=1e-5)


def test_bins_hold_their_upper_edge_and_leave_out_misclassified_samples():
    for p, place in [
        (0.3, None),
        (0.5, None),
        (0.55, 0),
        (0.65, 1),
        (0.75, 2),
        (0.85, 3),
        (0.95, 4),
        (1.0, 4),
    ]:
        margin = math.log(p / (1 - p)) if p < 1 else 200.0
        for target in (0, 1):
            logits = torch.tensor([[0.0, margin]]) if target == 1 else torch.tensor([[margin, 0.0]])
            rows = bin_membership(logits, torch.tensor([target])).squeeze(1).nonzero().flatten().tolist()
            assert rows == ([] if place is None else [target * 5 + place])


def test_a_student_equal_to_its_teacher_pays_only_for_what_batch_and_set_differ_in():
    torch.manual_seed(0)
    model = tiny_backbone(3.0).eval()
    x, y = torch.randn(24, 3, 8, 8), torch.randint(0, 2, (24,))
    strategy = FReTAL(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    strategy.experience = experience_of(x, y)
    strategy.step = 1
    strategy.before_domain(strategy.experience)
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy.mb_output = strategy.forward()
    # The batch is the whole training set: same bins, same means, no divergence; half a cross-entropy stays.
    ce = nn.functional.cross_entropy(strategy.mb_output, y)
    assert float(strategy.penalty()) == pytest.approx(0.5 * float(ce), abs=1e-5)


def test_gradients_do_not_reach_the_teacher_and_it_stays_in_eval_mode():
    model = tiny_backbone(3.0)
    x, y = torch.randn(24, 3, 8, 8), torch.randint(0, 2, (24,))
    strategy = FReTAL(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), train_mb_size=8)
    strategy.train(experience_of(x, y, 0))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    strategy.train(experience_of(x, y, 1))
    assert not any(p.requires_grad for p in strategy.teacher.parameters())
    assert not any(m.training for m in strategy.teacher.modules())
    for key, value in strategy.teacher.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_the_source_model_goes_on_teaching_only_when_asked():
    data = [experience_of(torch.randn(16, 3, 8, 8), torch.randint(0, 2, (16,)), k) for k in range(3)]
    for kind in ("previous", "source"):
        torch.manual_seed(0)
        model = tiny_backbone(1.0)
        strategy = FReTAL(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), teacher=kind)
        strategy.train(data[0])
        first = {k: v.clone() for k, v in model.state_dict().items()}
        strategy.train(data[1])
        second = {k: v.clone() for k, v in model.state_dict().items()}
        strategy.train(data[2])
        expected = first if kind == "source" else second
        for key, value in strategy.teacher.state_dict().items():
            torch.testing.assert_close(value, expected[key], rtol=0, atol=0)


def test_features_are_pooled_over_space_where_the_channels_come_last():
    import timm

    torch.manual_seed(0)
    model = timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=2, img_size=64, depths=(1, 1, 1, 1)
    ).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features, logits = features_and_logits(model, x)
        maps = model.forward_features(x)
    expected = [
        [max(float(maps[b, i, j, c]) for i in range(2) for j in range(2)) for c in range(4)] for b in (0, 1)
    ]
    assert features.shape == (2, 768)
    torch.testing.assert_close(features[:, :4], torch.tensor(expected))
    torch.testing.assert_close(logits, model(x))
