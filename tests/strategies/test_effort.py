"""Updates and images of every strategy's training against counts by hooks, and training of equally many updates."""

import pytest
import torch

from fretal_bench.benchmark.recipes.loop import LearningRate
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import BatchLoader, PlainTransform, TensorSource
from fretal_bench.strategies.registry import find_strategy, names
from fretal_bench.testing import TinyConvNet, tiny_benchmark, tiny_transformer
from fretal_bench.testing.world import SIZES, TinyAugmentation, seeded
from tests_support import NEEDING_ATTENTION

BATCH, EPOCHS = 8, 2
UPDATES = EPOCHS * (2 * max(SIZES["train"]) // BATCH)
"""Fine-tuning's on a domain: both classes as often as the larger one, a last smaller batch dropped."""
UNTRAINED_LATER = {"zero-shot", "ncm", "slda", "ranpac"}
"""They update nothing after the first domain, whatever the effort is."""
OTHER_EPOCHS = {"joint", "gdumb", "icarl", "dfil"}
"""Their epochs run over old samples, or over nothing but a memory."""


class Counts:
    """Counts, in the epochs alone, the optimiser's steps, and images that enter the first layer with gradients on.

    Copies of the model (teachers, averages) run without gradients.
    """

    supports_distributed = True

    def __init__(self):
        self.running, self.updates, self.images = False, 0, 0

    def watch(self, model, optimizer):
        first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
        first.register_forward_pre_hook(self._entered)
        step = optimizer.step

        def counted(*arguments, **keywords):
            self.updates += 1
            return step(*arguments, **keywords)

        optimizer.step = counted

    def _entered(self, layer, inputs):
        if self.running and torch.is_grad_enabled():
            self.images += len(inputs[0])

    def before_training_epoch(self, strategy, **_):
        self.running = True

    def after_training_epoch(self, strategy, **_):
        self.running = False


def trained(name, effort="epochs", plugins=()):
    """Updates and images that a strategy says of every domain of the tiny stream, and what was counted."""
    info = find_strategy(name)
    model = seeded(tiny_transformer if name in NEEDING_ATTENTION else TinyConvNet, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    counts = Counts()
    counts.watch(model, optimizer)
    given = {field for field in info.constants.__dataclass_fields__ if field == "memory"}
    strategy = life.build(
        info,
        model,
        optimizer,
        values=dict.fromkeys(given, 8),
        batch_size=BATCH,
        epochs=EPOCHS,
        transform=TinyAugmentation(),
        plugins=[*plugins, counts],
        balance=True,
        effort=effort,
    )
    said, counted = [], []
    for experience in tiny_benchmark().train_stream:
        counts.updates = counts.images = 0
        life.train(strategy, experience)
        said.append((strategy.updates_taken, strategy.images_seen))
        counted.append((counts.updates, counts.images))
    return said, counted


@pytest.mark.parametrize("name", names(stock=True, plugins=False))
def test_updates_and_images_are_those_that_hooks_count(name):
    said, counted = trained(name)
    assert [updates for updates, _ in said] == [updates for updates, _ in counted]
    if name.startswith("avalanche:"):
        # A plugin's own passes are not known to the suite.
        assert {images for _, images in said} == {None}
    else:
        assert said == counted
    assert counted[0][0] > 0


@pytest.mark.parametrize("name", names(plugins=False))
def test_with_equal_updates_every_strategy_takes_those_of_fine_tuning(name):
    said, counted = trained(name, "updates")
    later = 0 if name in UNTRAINED_LATER else UPDATES
    assert [updates for updates, _ in counted] == [UPDATES, later, later]
    assert said == counted


@pytest.mark.parametrize("name", sorted(OTHER_EPOCHS))
def test_with_equal_epochs_some_take_other_numbers_of_updates(name):
    _, counted = trained(name)
    assert counted[2][0] != UPDATES


@pytest.mark.parametrize("name", names(stock=True, plugins=False))
def test_whoever_cannot_take_equal_updates_says_so_in_its_row(name):
    assert ("updates" in dict(find_strategy(name).refuses)) == name.startswith("avalanche:")


def test_a_strategy_that_loads_its_own_batches_is_refused_equal_updates():
    with pytest.raises(BenchError, match=r"expected 4 batches an epoch.*found 8: GDUMB loads its own"):
        trained("avalanche:gdumb", "updates")


def test_the_schedule_ends_with_the_updates():
    rates = []

    class Rates:
        supports_distributed = True

        def before_training_iteration(self, strategy, **_):
            rates.append(strategy.optimizer.param_groups[0]["lr"])

    trained("joint", "updates", [LearningRate(Recipe(lr=0.1, schedule="cosine")), Rates()])
    assert len(rates) == 3 * UPDATES
    for of_domain in (rates[start : start + UPDATES] for start in range(0, len(rates), UPDATES)):
        assert of_domain[0] == 0.1
        assert 0 < of_domain[-1] < 0.1 * 0.2


def rows(loader):
    """The rows of each batch, by their first pixel."""
    return [((x[:, 0, 0, 0] + 1) * 127.5).round().int().tolist() for x, _, _ in loader]


def source(count):
    images = torch.zeros(count, 2, 2, 3, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count)
    return TensorSource(images, torch.arange(count) % 2)


def test_shorter_epochs_go_on_where_the_last_one_ended_and_show_every_sample_equally_often():
    loader = BatchLoader(source(20), 4, PlainTransform(), seed=5, step=1, batches=3)
    assert len(loader) == 3
    batches = [batch for _ in range(5) for batch in rows(loader)]
    assert len(batches) == 15
    for start in (0, 5, 10):
        of_pass = [row for batch in batches[start : start + 5] for row in batch]
        assert sorted(of_pass) == list(range(20))
    assert batches[:5] != batches[5:10] != batches[10:]
    # The same without what ran before.
    again = BatchLoader(source(20), 4, PlainTransform(), seed=5, step=1, batches=3)
    again.epoch = 3
    assert rows(again) == batches[9:12]


def test_longer_epochs_run_over_a_small_source_several_times():
    batches = rows(BatchLoader(source(9), 4, PlainTransform(), batches=7))
    assert len(batches) == 7
    assert all(len(set(batches[at] + batches[at + 1])) == 8 for at in (0, 2, 4))
    assert rows(BatchLoader(source(3), 4, PlainTransform(), batches=2)) != [[0, 1, 2]] * 2


def test_where_passes_are_as_long_as_epochs_nothing_changes():
    for balance in (False, True):
        plain = BatchLoader(source(20), 4, PlainTransform(), seed=5, balance=balance)
        equal = BatchLoader(source(20), 4, PlainTransform(), seed=5, balance=balance, batches=5)
        assert [rows(plain), rows(plain)] == [rows(equal), rows(equal)]
