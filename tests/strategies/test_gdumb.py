"""GDumb: a balanced memory, and training from scratch on it alone."""

import copy

import torch

from fretal_bench.strategies.batches import BatchLoader
from fretal_bench.strategies.replay.gdumb import GDumb
from replay_cases import SmoothNet, avalanche, build, domain, learn, weights
from tests_support import experience_of


def counts(memory):
    return {
        (c, k): int(((memory.labels == c) & (memory.domains == k)).sum())
        for c in (0, 1)
        for k in range(int(memory.domains.max()) + 1)
    }


def test_the_memory_is_balanced_by_class_and_by_domain_within_the_class():
    strategy = build(GDumb, memory=18)
    for number in range(3):
        learn(strategy, [domain(number)])
        actual = counts(strategy.memory)
        assert (
            sum(actual[0, k] for k in range(number + 1)) == sum(actual[1, k] for k in range(number + 1)) == 9
        )
        assert max(actual.values()) - min(actual.values()) <= 1


def test_what_is_kept_is_drawn_at_random_and_depends_on_the_seed_alone():
    def rows(seed):
        return learn(build(GDumb, memory=18, seed=seed), [domain(0), domain(1)]).memory.rows.tolist()

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)
    assert rows(1)[:4] != sorted(rows(1))[:4]


def test_every_domain_is_trained_from_the_initial_weights_on_the_memory_alone():
    experiences = [domain(k) for k in range(3)]
    strategy = build(GDumb, memory=12, epochs=3)
    start = copy.deepcopy(strategy.model)
    for number, experience in enumerate(experiences):
        learn(strategy, [experience])
        memory = strategy.memory
        source = _Kept(
            torch.stack(
                [experiences[k].source.pixels[r] for k, r in zip(memory.domains, memory.rows, strict=True)]
            ),
            memory.labels.clone(),
        )
        model = copy.deepcopy(start)
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        loader = BatchLoader(source, 6, strategy.transform, seed=3, step=number)
        for _ in range(3):
            for x, y, _ in loader:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
        torch.testing.assert_close(weights(strategy.model), weights(model), rtol=1e-6, atol=1e-7)


class _Kept:
    def __init__(self, pixels, targets):
        self.pixels, self.targets = pixels, targets

    def __len__(self):
        return len(self.targets)

    def images(self, index):
        return self.pixels[index]


def test_no_image_outside_the_memory_is_read_not_even_of_the_new_domain():
    experiences = [domain(k) for k in range(4)]
    strategy = build(GDumb, memory=8, epochs=4)
    for number, experience in enumerate(experiences):
        for seen in experiences:
            seen.source.read.clear()
        learn(strategy, [experience])
        read = {(k, row) for k, seen in enumerate(experiences) for row in seen.source.read}
        held = set(zip(strategy.memory.domains.tolist(), strategy.memory.rows.tolist(), strict=True))
        assert read == held
        assert len(held) == 8
        assert number in strategy.memory.domains.tolist()


def test_what_the_model_became_before_does_not_matter_nor_does_the_optimisers_momentum():
    ends = []
    for disturb in (False, True):
        strategy = build(GDumb, memory=12, epochs=2)
        strategy.optimizer = torch.optim.SGD(strategy.model.parameters(), 0.05, momentum=0.9)
        learn(strategy, [domain(0)])
        if disturb:
            with torch.no_grad():
                for weight in strategy.model.parameters():
                    weight.mul_(-3)
            for state in strategy.optimizer.state.values():
                state["momentum_buffer"].add_(5)
        learn(strategy, [domain(1)])
        ends.append(weights(strategy.model))
    assert torch.equal(*ends)


def test_a_run_resumed_on_a_model_of_other_initial_weights_ends_the_same():
    experiences = [domain(k) for k in range(3)]
    whole = learn(build(GDumb, memory=12), experiences)
    stopped = learn(build(GDumb, memory=12), experiences[:2])
    torch.manual_seed(77)
    resumed = build(GDumb, SmoothNet(), memory=12)
    resumed.load_state_dict(stopped.state_dict())
    resumed.past = [avalanche(past) for past in experiences[:2]]
    learn(resumed, experiences[2:])
    assert torch.equal(weights(whole.model), weights(resumed.model))


def test_gdumb_works_in_a_plain_avalanche_script():
    strategy = build(GDumb, memory=6)
    for number in range(3):
        x = torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(number))
        strategy.train(experience_of(x, torch.arange(20) % 2, number), eval_streams=[], num_workers=0)
        assert counts(strategy.memory)[0, number] > 0
    assert len(strategy.memory) == 6
