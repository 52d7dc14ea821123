"""SUR-LID: each term of the loss against loops, the heads, what is kept, and what is drawn from it."""

import copy
import io
import itertools
import math

import pytest
import torch
from torch import nn

from fretal_bench.benchmark.recipes.loop import KeepBest
from fretal_bench.benchmark.recipes.model import compile_model
from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.replay.domain_heads import turn
from fretal_bench.strategies.replay.sparse_uniform import sparse_uniform, tile_order, tile_shuffled
from fretal_bench.strategies.replay.sur_lid import SURLID, refilled
from fretal_bench.strategies.state import BadState
from replay_cases import SmoothNet, build, domain, learn
from tests_support import tiny_backbone

LABELS = (0, 1)


class Recorder:
    """Keeps what an update saw, and the heads after it."""

    supports_distributed = True

    def __init__(self):
        self.updates = []

    def before_backward(self, strategy, **_):
        self.seen = (
            strategy.step,
            strategy.mb_x.clone(),
            strategy.mb_y.clone(),
            strategy.loss.detach().clone(),
        )

    def after_training_iteration(self, strategy, **_):
        self.updates.append((*self.seen, strategy.model.head.weight.detach().clone()))


def recorded(strategy, experiences):
    recorder = Recorder()
    strategy.plugins.append(recorder)
    learn(strategy, experiences)
    return recorder.updates


def opened(number=2, **constants):
    """A strategy with two past domains that has begun its third, with a mini-batch of seven new samples."""
    values = {"memory": 24, "memory_batch": 2, "lr": 0.2, "epochs": 3, **constants}
    strategy = learn(build(SURLID, **values), [domain(k) for k in range(number)])
    third = domain(number)
    strategy.before_domain(third)
    strategy.is_training = True
    x, y = strategy.transform.eval(third.source.pixels[:7]), third.source.targets[:7]
    strategy.mbatch = [x, y, torch.zeros_like(y)]
    strategy._before_forward()
    with torch.no_grad():
        for weight in strategy.model.body.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)))
    strategy.mb_output = strategy.forward()
    return strategy


def unit(vector):
    return vector / vector.norm()


# The batch


def test_a_batch_has_samples_of_each_class_of_each_past_domain_augmented_anew():
    strategy = opened()
    assert strategy.mb_y.tolist() == [0, 1, 1, 0, 1, 1, 0] + [0, 0, 1, 1] * 2
    generator = draws.of(3, 2, "sur-lid: memory")
    memory, places = strategy.memory, []
    for number in (0, 1):
        for label in LABELS:
            members = [
                i for i in range(len(memory)) if (memory.domains[i], memory.labels[i]) == (number, label)
            ]
            places += [members[i] for i in torch.randperm(len(members), generator=generator)[:2]]
    assert len(set(places)) == 8
    sources = [domain(k).source for k in range(3)]
    images = torch.stack([sources[memory.domains[i]].pixels[memory.rows[i]] for i in places])
    expected = strategy.transform.train(images, torch.tensor([0, 0, 1, 1] * 2), generator)
    torch.testing.assert_close(strategy.mb_x[7:], expected)


def test_a_group_with_fewer_samples_gives_all_it_has():
    updates = recorded(build(SURLID, memory=5, memory_batch=3), [domain(0), domain(1)])
    # Three reals and two fakes are kept.
    assert {tuple(y[6:].tolist()) for step, _, y, *_ in updates if step == 1} == {(0, 0, 0, 1, 1)}


# The loss


def supcon_by_loops(features, groups, temperature):
    units = [unit(f) for f in features]
    anchors = []
    for i in range(len(units)):
        partners = [p for p in range(len(units)) if p != i and groups[p] == groups[i]]
        if partners:
            below = sum(
                math.exp(float(units[i] @ units[a]) / temperature) for a in range(len(units)) if a != i
            )
            shares = [math.exp(float(units[i] @ units[p]) / temperature) / below for p in partners]
            anchors.append(-sum(map(math.log, shares)) / len(partners))
    return sum(anchors) / len(anchors)


@pytest.mark.parametrize("real_groups", ["per-domain", "shared"])
def test_an_update_is_isolation_feature_distance_and_cross_entropy_through_each_domains_head(real_groups):
    weights = {"isolation": 0.5, "isolation_temperature": 0.3, "feature_weight": 2.0, "detection": 0.25}
    strategy = opened(real_groups=real_groups, **weights)
    generator = torch.Generator()
    generator.set_state(strategy.memory_draws.get_state())
    penalty = strategy.penalty()
    with torch.no_grad():
        student = strategy.model.body(strategy.mb_x).double()
        teacher = strategy.teacher.body(strategy.mb_x).double()
    domains, labels = [2] * 7 + [0] * 4 + [1] * 4, strategy.mb_y.tolist()
    # Cross-entropy, each sample through its own head.
    cross = 0.0
    for f, d, y in zip(student, domains, labels, strict=True):
        w, b = (
            (strategy.model.head.weight, strategy.model.head.bias)
            if d == 2
            else (strategy.heads.weights[d], strategy.heads.biases[d])
        )
        logits = w.detach().double() @ f + b.detach().double()
        cross -= float(logits[y] - logits.exp().sum().log()) / 15
    assert float(strategy.criterion().detach()) == pytest.approx(0.25 * cross, rel=1e-5)
    # The distance to the teacher, on the memory's samples alone.
    away = (
        sum(float(((unit(s) - unit(t)) ** 2).sum()) for s, t in zip(student[7:], teacher[7:], strict=True))
        / 8
    )
    # Re-filled features: pairs of two, so that each one's partner is the other.
    ahead = torch.rand(8, generator=generator)
    assert ahead.shape == (8,)
    a, b = torch.rand(2, 8, generator=generator).double()
    features = [unit(f) for f in student[:7]]
    for i in range(8):
        mine, other = unit(student[7 + i]), unit(student[7 + (i ^ 1)])
        keep = 0.5 + float(b[i]) / 2
        centre = unit(strategy.centres[domains[7 + i], labels[7 + i]].double())
        features.append(keep * (a[i] * mine + (1 - a[i]) * other) + (1 - keep) * centre)
    if real_groups == "shared":
        groups = [0 if y == 0 else (d, y) for d, y in zip(domains, labels, strict=True)]
    else:
        groups = list(zip(domains, labels, strict=True))
    apart = supcon_by_loops(features, groups, 0.3)
    assert min(apart, away, cross) > 1e-3
    assert float(penalty.detach()) == pytest.approx(0.5 * apart + 2 * away, rel=1e-4)
    assert all(w.grad is None for w in strategy.teacher.parameters())


def test_the_first_domain_has_cross_entropy_alone_at_its_full_weight():
    step, x, y, loss, _ = recorded(build(SURLID, memory=8, lr=0.0), [domain(0)])[0]
    with torch.no_grad():
        logits = build(SURLID, memory=8).model(x)
    assert step == 0
    assert float(loss) == pytest.approx(float(nn.functional.cross_entropy(logits, y)), rel=1e-5)


def test_each_sample_teaches_the_head_of_its_own_domain_alone():
    strategy = opened()
    per_sample = nn.functional.cross_entropy(strategy.mb_output, strategy.mb_y, reduction="none")
    for part, head in ((slice(0, 7), 2), (slice(7, 11), 0), (slice(11, 15), 1)):
        wanted = [strategy.model.head.weight, strategy.heads.weights]
        newest, old = torch.autograd.grad(
            per_sample[part].sum(), wanted, retain_graph=True, allow_unused=True
        )
        moved = {d for d in (0, 1) if old is not None and bool(old[d].abs().sum() > 0)}
        if newest is not None and bool(newest.abs().sum() > 0):
            moved.add(2)
        assert moved == {head}


def test_refilling_mixes_a_feature_with_a_partner_and_with_the_centre():
    f = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    c = torch.tensor([[0.0, -1.0]]).expand(3, 2)
    actual = refilled(
        f, torch.tensor([1, 2, 2]), torch.tensor([0.25, 1.0, 0.5]), torch.tensor([0.8, 1.0, 0.5]), c
    )
    torch.testing.assert_close(actual, torch.tensor([[0.2, 0.4], [0.0, 1.0], [0.5, -0.5]]))


def test_a_partner_is_another_of_the_same_group_or_itself_where_it_is_alone():
    for memory, most in ((24, 3), (4, 3)):
        strategy = opened(memory=memory, memory_batch=most)
        groups = strategy.groups
        keys = list(zip(groups.domains.tolist(), groups.labels.tolist(), strict=True))
        seen = set()
        for _ in range(40):
            for i, j in enumerate(groups.draw_partners(torch.Generator().manual_seed(len(seen))).tolist()):
                assert keys[j] == keys[i]
                assert (j == i) == (keys.count(keys[i]) == 1)
                seen.add((i, j))
        pairs = sum(1 if keys.count(k) == 1 else keys.count(k) - 1 for k in keys)
        assert len(seen) == pairs


# The heads


def test_turning_keeps_the_length_of_each_row_and_goes_a_share_of_the_way():
    newest, previous = torch.randn(2, 5), torch.randn(2, 5)
    expected = []
    for w, v in zip(newest.double(), previous.double(), strict=True):
        towards = 0.7 * unit(w) + 0.3 * unit(v)
        expected.append(w.norm() * unit(towards))
    turn(newest, previous, 0.3)
    torch.testing.assert_close(newest.double(), torch.stack(expected), atol=1e-6, rtol=1e-5)


def test_the_newest_head_turns_to_the_one_before_it_after_every_update():
    values = {"memory": 8, "lr": 0.0, "alignment": 0.1}
    strategy = learn(build(SURLID, **values), [domain(0)])
    previous = strategy.heads.weights[0].clone()
    updates = [head for step, *_, head in recorded(strategy, [domain(1)]) if step == 1]
    assert len(updates) == 5
    for before, after in itertools.pairwise(updates):
        turned = before.clone()
        turn(turned, previous, 0.1)
        torch.testing.assert_close(after, turned)
    angles = nn.functional.cosine_similarity(torch.stack(updates), previous, dim=2)
    assert bool((angles.diff(dim=0) > 0).all())


def test_after_a_domain_the_model_gives_the_mean_of_the_logits_of_all_heads():
    strategy = build(SURLID, memory=8)
    for number in range(3):
        learn(strategy, [domain(number)])
        assert strategy.heads.weights.shape == (number + 1, 2, 6)
        x = strategy.transform.eval(domain(number).source.pixels)
        with torch.no_grad():
            f = strategy.model.body(x)
            heads = zip(strategy.heads.weights, strategy.heads.biases, strict=True)
            logits = torch.stack([f @ w.T + b for w, b in heads])
            torch.testing.assert_close(strategy.model(x), logits.mean(dim=0))
        torch.testing.assert_close(
            torch.from_numpy(strategy.score(domain(number).source)),
            torch.softmax(logits.mean(dim=0), 1)[:, 1],
        )


def test_old_heads_go_on_learning_and_the_optimiser_has_each_weight_once():
    strategy = learn(build(SURLID, memory=8), [domain(0)])
    before = strategy.heads.weights.clone()
    counts = []

    class Counter:
        supports_distributed = True

        def after_training_iteration(self, strategy, **_):
            weights = [id(w) for group in strategy.optimizer.param_groups for w in group["params"]]
            counts.append((len(weights), len(set(weights))))

    strategy.plugins.append(Counter())
    learn(strategy, [domain(1)])
    own = len(list(strategy.model.parameters()))
    assert set(counts) == {(own + 2, own + 2)}
    assert not torch.equal(strategy.heads.weights[0], before[0])
    assert sum(len(group["params"]) for group in strategy.optimizer.param_groups) == own


def test_while_a_domain_is_learned_scores_are_those_of_the_mean_of_the_heads():
    strategy = opened()
    f = strategy.model.body(strategy.mb_x[:7])
    weights = torch.cat([strategy.heads.weights, strategy.model.head.weight[None]])
    biases = torch.cat([strategy.heads.biases, strategy.model.head.bias[None]])
    expected = torch.einsum("bd,tcd->tbc", f, weights).mean(dim=0) + biases.mean(dim=0)
    torch.testing.assert_close(strategy.probabilities(strategy.mb_x[:7]), torch.softmax(expected, 1))
    strategy.is_training = False
    strategy.mbatch = [part[:7] for part in strategy.mbatch]
    torch.testing.assert_close(strategy.forward(), expected)


def test_a_recipe_that_goes_back_to_its_best_epoch_takes_the_old_heads_back_too():
    strategy = learn(build(SURLID, memory=8, epochs=4, lr=0.3), [domain(0)])
    kept = []

    class Snapshots:
        supports_distributed = True

        def after_training_epoch(self, strategy, **_):
            kept.append((copy.deepcopy(strategy.heads), copy.deepcopy(strategy.model.state_dict())))

    class First(KeepBest):
        @staticmethod
        def _merits(strategy, validation):
            return -float(len(kept)), 0.5, -1.0

    strategy.plugins += [First(domain(1).source), Snapshots()]
    learn(strategy, [domain(1)])
    heads, model = kept[0]
    assert not torch.equal(kept[-1][0].weights, heads.weights)
    assert torch.equal(strategy.heads.weights[0], heads.weights[0].detach())
    assert torch.equal(strategy.heads.weights[1], model["head.weight"])
    assert sum(len(g["params"]) for g in strategy.optimizer.param_groups) == len(
        list(strategy.model.parameters())
    )


def test_with_one_head_for_all_nothing_is_drawn_turned_or_kept():
    strategy = learn(build(SURLID, memory=8, heads="shared", lr=0.0), [domain(0)])
    head = strategy.model.head.weight.detach().clone()
    learn(strategy, [domain(1)])
    assert torch.equal(strategy.model.head.weight, head)
    assert strategy.heads.weights.shape == (0, 2, 0)
    assert build(SURLID, WithNorm(), memory=8, heads="shared").heads.weights.shape == (0, 2, 0)


class WithNorm(SmoothNet):
    """A model whose head is more than a linear layer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 2))


def test_a_head_that_is_not_linear_is_refused_before_anything_is_trained():
    with pytest.raises(
        BenchError, match=r"one linear layer.*WithNorm has Sequential.*--set sur-lid\.heads=shared"
    ):
        build(SURLID, WithNorm(), memory=8)


def test_a_frozen_head_is_refused():
    model = SmoothNet()
    model.head.requires_grad_(False)
    strategy = learn(build(SURLID, model, memory=8), [domain(0)])
    with pytest.raises(BenchError, match=r"the model's head is frozen.*heads=shared"):
        learn(strategy, [domain(1)])


# The memory


def test_the_memory_holds_the_sparse_uniform_samples_of_each_class_and_the_plain_means_are_the_centres():
    experience = domain(0, 60)
    strategy = learn(build(SURLID, memory=20), [experience])
    order = tile_order(draws.of(3, 0, "sur-lid: tiles"))
    x = strategy.transform.eval(experience.source.pixels)
    with torch.no_grad():
        f, shuffled = strategy.model.body(x), strategy.model.body(tile_shuffled(x, order))
    stability = nn.functional.cosine_similarity(f, shuffled)
    for label in LABELS:
        rows = (experience.source.targets == label).nonzero().squeeze(1)
        chosen = rows[sparse_uniform(f[rows], stability[rows], 10)]
        assert strategy.memory.rows[strategy.memory.labels == label].tolist() == chosen.tolist()
        torch.testing.assert_close(strategy.centres[0, label], f[rows].mean(dim=0))


def test_a_budget_is_of_all_past_domains_together_and_older_ones_keep_the_first_of_their_order():
    strategy, held = build(SURLID, memory=16), []
    for number in range(3):
        learn(strategy, [domain(number, 60)])
        assert len(strategy.memory) == 16
        of_first = strategy.memory.rows[(strategy.memory.domains == 0) & (strategy.memory.labels == 1)]
        held.append(of_first.tolist())
    assert [len(rows) for rows in held] == [8, 4, 3]
    assert held[1] == held[0][:4]
    assert held[2] == held[0][:3]


def test_a_class_that_a_domain_lacks_is_kept_of_none_and_trained_on_all_the_same():
    fakes = domain(1, 12)
    fakes.source.targets = torch.ones(12, dtype=torch.int64)
    strategy = build(SURLID, memory=12, epochs=2)
    updates = recorded(strategy, [domain(0), fakes, domain(2)])
    assert all(bool(loss.isfinite()) for _, _, _, loss, _ in updates)
    assert bool((strategy.centres[1, 0] == 0).all())
    groups = set(zip(strategy.memory.domains.tolist(), strategy.memory.labels.tolist(), strict=True))
    assert groups == {(0, 0), (0, 1), (1, 1), (2, 0), (2, 1)}


def test_one_sample_a_group_is_no_anchor_and_no_fault():
    updates = recorded(build(SURLID, memory=2, memory_batch=1), [domain(0), domain(1), domain(2)])
    assert all(bool(loss.isfinite()) for _, _, _, loss, _ in updates)


def test_no_more_than_the_budget_of_old_samples_is_read():
    strategy = build(SURLID, memory=7, epochs=3)
    experiences = [domain(k) for k in range(4)]
    for number, experience in enumerate(experiences):
        for past in experiences[:number]:
            past.source.read.clear()
        learn(strategy, [experience])
        read = sum(len(set(past.source.read)) for past in experiences[:number])
        assert read <= 7
        assert number == 0 or read > 0


# The state


def test_a_state_of_other_domains_or_another_model_is_refused():
    strategy = learn(build(SURLID, memory=8), [domain(0), domain(1)])
    file = io.BytesIO()
    torch.save(strategy.state_dict(), file)

    def changed(**values):
        file.seek(0)
        state = torch.load(file, weights_only=True)
        state["extra"].update(values)
        return state

    build(SURLID, memory=8).load_state_dict(changed())
    for values, message in (
        ({"head_weights": torch.zeros(1, 2, 6)}, r"head_weights: expected \[2, 2, 6\]"),
        ({"head_weights": torch.zeros(2, 2, 5)}, r"head_weights: expected \[2, 2, 6\]"),
        ({"head_biases": torch.full((2, 2), torch.nan)}, r"head_biases: expected \[2, 2\], finite"),
        ({"centres": torch.zeros(1, 2, 6)}, r"centres: expected \[2, 2, 6\]"),
        ({"centres": torch.zeros(2, 2, 6).double()}, r"centres: expected"),
    ):
        with pytest.raises(BadState, match=message):
            build(SURLID, memory=8).load_state_dict(changed(**values))


def test_it_keeps_the_first_domain_better_than_fine_tuning():
    first, second = domain(0, 60), domain(1, 60)
    # The second domain says the opposite about the same kind of images.
    second.source.pixels = first.source.pixels.flip(0).clone()
    second.source.targets = 1 - first.source.targets.flip(0)
    accuracy = {}
    for kind, constants in ((FineTuning, {}), (SURLID, {"memory": 60, "heads": "shared", "detection": 1.0})):
        strategy = learn(build(kind, lr=0.2, epochs=15, **constants), [first, second])
        scores = torch.from_numpy(strategy.score(first.source))
        accuracy[kind] = float(((scores > 0.5).long() == first.source.targets).float().mean())
    assert accuracy[SURLID] > accuracy[FineTuning] + 0.1


def test_constants_out_of_range_are_refused():
    for constants in (
        {"isolation": -1.0},
        {"isolation_temperature": 0.0},
        {"alignment": 1.1},
        {"memory_batch": 0},
        {"heads": "two"},
    ):
        with pytest.raises(BenchError, match=next(iter(constants))):
            build(SURLID, **constants)


@pytest.mark.slow
def test_of_a_compiled_model_the_same_is_learned(compiled_calls):
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = tiny_backbone()
        if compiled:
            compile_model(model)
        strategy = learn(build(SURLID, model, memory=8, epochs=2), [domain(k, 12, side=8) for k in range(2)])
        ends.append(strategy.state_dict())
    for name, value in ends[0]["model"].items():
        torch.testing.assert_close(ends[1]["model"][name], value, rtol=1e-4, atol=1e-5)
