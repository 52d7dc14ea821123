"""EWC: Fisher information against single backward passes, closed form against the sum over past domains."""

import pytest
import torch

from fretal_bench.strategies.penalties.ewc import EWC, fisher_diagonal
from tests_support import experience_of, namespace, tiny_backbone


def batches(count, size=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(size, 3, 8, 8, generator=generator), torch.randint(0, 2, (size,), generator=generator))
        for _ in range(count)
    ]


def fisher_by_single_passes(model, data, kind):
    """One backward pass a sample (and, for the exact Fisher, a class), squared and averaged."""
    model.eval()
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    count = 0
    for xs, ys in data:
        for x, y in zip(xs, ys, strict=True):
            count += 1
            p = torch.softmax(model(x[None]), 1)[0].detach()
            classes = [(c, float(p[c])) for c in range(2)] if kind == "exact" else [(int(y), 1.0)]
            for c, weight in classes:
                model.zero_grad()
                torch.log_softmax(model(x[None]), 1)[0, c].backward()
                for name, parameter in model.named_parameters():
                    total[name] += weight * parameter.grad**2
    model.zero_grad()
    return {name: value / count for name, value in total.items()}


@pytest.mark.parametrize("kind", ["exact", "empirical"])
def test_fisher_equals_a_loop_of_single_backward_passes(kind):
    torch.manual_seed(1)
    model = tiny_backbone(2.0).double()
    data = [(x.double(), y) for x, y in batches(3)]
    got = fisher_diagonal(model, data, kind)
    expected = fisher_by_single_passes(model, data, kind)
    assert max(float(v.max()) for v in expected.values()) > 1e-4
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-6, atol=1e-10)


def test_fisher_does_not_depend_on_the_batch_size_nor_move_the_model():
    torch.manual_seed(1)
    model = tiny_backbone(2.0).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x, y = batches(1, size=24)[0]
    whole = fisher_diagonal(model, [(x, y)])
    parts = fisher_diagonal(model, list(zip(x.split(5), y.split(5), strict=True)))
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-5, atol=1e-9)
    assert model.training
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_closed_form_equals_the_sum_over_past_domains():
    torch.manual_seed(2)
    model = tiny_backbone(2.0).double()
    strategy = EWC(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), lambda_=7.0)
    snapshots = []
    for domain in range(4):
        x, y = batches(1, size=9, seed=domain)[0]
        data = experience_of(x.double(), y, domain)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.2 * torch.randn_like(p))
        strategy.after_domain(data)
        fisher = fisher_diagonal(model, [(x.double(), y)])
        snapshots.append((fisher, {n: p.detach().clone() for n, p in model.named_parameters()}))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    expected = sum(
        3.5 * (fisher[n] * (p - weights[n]) ** 2).sum()
        for fisher, weights in snapshots
        for n, p in model.named_parameters()
    )
    got = strategy.penalty()
    assert float(expected.detach()) > 1e-3
    assert float(got.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    for g, w in zip(
        torch.autograd.grad(got, list(model.parameters())),
        torch.autograd.grad(expected, list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(g, w, rtol=1e-8, atol=1e-12)


def test_a_stronger_penalty_keeps_the_weights_nearer():
    away = []
    for strength in (0.0, 3.0, 30.0):
        torch.manual_seed(0)
        model = tiny_backbone(1.0)
        strategy = EWC(
            model=model, optimizer=torch.optim.SGD(model.parameters(), 0.05), lambda_=strength, train_epochs=5
        )
        x, y = batches(1, size=64)[0]
        strategy.train(experience_of(x, y, 0))
        old = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        weight = torch.cat([strategy.importance[n].flatten() for n, _ in model.named_parameters()])
        strategy.train(experience_of(x, 1 - y, 1))
        new = torch.cat([p.detach().flatten() for p in model.parameters()])
        away.append(float((weight * (new - old) ** 2).sum()))
    assert away[0] > away[1] > away[2]


def test_a_cap_on_samples_uses_that_many_of_them():
    model = tiny_backbone(1.0)
    x, y = batches(1, size=40)[0]
    strategy = EWC(
        model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), fisher_samples=11, eval_mb_size=16
    )
    parts = list(strategy.fisher_batches(experience_of(x, y, 0)))
    assert sum(len(targets) for _, targets in parts) == 11


class Counted:
    """A batch source of 40 images that notes which are read."""

    def __init__(self):
        self.targets = torch.arange(40) % 2
        self.pixels = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8)
        self.read = []

    def __len__(self):
        return 40

    def images(self, index):
        self.read += index.tolist()
        return self.pixels[index]


def test_a_cap_reads_no_more_than_its_samples_and_draws_them_from_seed_and_step():
    drawn = {}
    for seed, step in [(0, 0), (0, 0), (1, 0), (0, 1)]:
        source = Counted()
        model = tiny_backbone(1.0)
        strategy = EWC(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
            fisher_samples=3,
            eval_mb_size=2,
            seed=seed,
        )
        strategy.step = step
        torch.rand(len(drawn))
        strategy.after_domain(namespace(source=source))
        assert len(set(source.read)) == len(source.read) == 3
        assert drawn.setdefault((seed, step), source.read) == source.read
    assert len({tuple(rows) for rows in drawn.values()}) == 3
