"""Avalanche's own as shipped: every fault that the suite states of them, and that they run along a stream."""

import inspect
import json
import warnings

import pytest
import torch
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from torch import nn

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError, RunError
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.stock import STOCK
from fretal_bench.strategies.stock import shipped as avalanche_stock
from tests_support import TINY, experience_of, fingerprint_of, tiny_backbone, tiny_stream

NAMES = [info.name for info in STOCK]
WITHOUT_DEFAULT = {
    ("avalanche:ewc", "ewc_lambda"),
    ("avalanche:si", "si_lambda"),
    ("avalanche:agem", "patterns_per_experience"),
    ("avalanche:gem", "patterns_per_experience"),
    # These two only Avalanche's strategies of that name have, its plugins don't.
    ("avalanche:agem", "sample_size"),
    ("avalanche:gem", "memory_strength"),
}
NOT_OFFERED = {"keep_importance_data", "verbose", "task_balanced_dataloader"}
"""Plain parameters that cannot change a result here."""


def data(seed, count=32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 8, 8, generator=generator)
    y = torch.arange(count) % 2
    return x + y[:, None, None, None] * 0.5, y


def build(name, model=None, **options):
    torch.manual_seed(0)
    model = tiny_backbone() if model is None else model
    settings = {"train_mb_size": 8, "train_epochs": 2, **options}
    kind = load(find_strategy(name))
    return kind(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.05), **settings)


def train(strategy, *numbers, shift=3.0):
    for number in numbers:
        torch.manual_seed(number)
        x, y = data(number)
        experience = task_aware(experience_of(x + shift * number, y, number))
        strategy.train(experience, eval_streams=[], reset_optimizer_state=True)
    return strategy


def task_aware(experience):
    """The same with the kind of dataset that Avalanche's own benchmarks have, which its LwF needs."""
    experience._dataset = TaskAwareSupervisedClassificationDataset([experience.dataset])
    return experience


def weights(strategy):
    return torch.cat([value.flatten().double() for value in strategy.model.state_dict().values()])


def plugin_of(strategy):
    (actual,) = [p for p in strategy.plugins if isinstance(p, type(strategy).plugin)]
    return actual


# The faults that are stated


def test_stock_si_is_stock_naive_to_the_byte_whatever_its_lambda():
    naive = train(build("avalanche:naive"), 0, 1, 2)
    for strength in (1.0, 1e6):
        assert torch.equal(weights(naive), weights(train(build("avalanche:si", si_lambda=strength), 0, 1, 2)))
    assert not torch.equal(weights(naive), weights(train(build("avalanche:ewc"), 0, 1, 2)))


def test_stock_lwfs_teacher_is_in_train_mode_and_its_batchnorm_moves_while_the_student_learns():
    strategy = train(build("avalanche:lwf"), 0)
    teacher = plugin_of(strategy).lwf.prev_model
    assert teacher.training
    before = teacher.body[1].running_mean.clone()
    kept = []

    class Keep(avalanche_stock.ContinualStrategy.PLUGIN_CLASS):
        def before_training_epoch(self, *_, **__):
            kept.append(teacher.body[1].running_mean.clone())

    strategy.plugins.insert(0, Keep())
    train(strategy, 1)
    assert torch.equal(kept[0], before)
    assert not torch.equal(kept[1], before)


def test_stock_lwfs_teacher_drops_out():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 2))
    strategy = train(build("avalanche:lwf", model), 0)
    teacher = plugin_of(strategy).lwf.prev_model
    x, _ = data(1)
    assert not torch.equal(teacher(x), teacher(x))


def test_stock_ewcs_fisher_information_shrinks_as_the_batch_grows():
    total = {}
    for size in (1, 32):
        strategy = train(build("avalanche:ewc"), 0)
        plugin, x_y = plugin_of(strategy), experience_of(*data(0))
        criterion = nn.CrossEntropyLoss()
        actual = plugin.compute_importances(
            strategy.model, criterion, strategy.optimizer, x_y.dataset, "cpu", size
        )
        total[size] = float(sum(value.data.sum() for value in actual.values()))
    # The mean of independent gradients has a variance 32 times smaller; they aren't quite independent.
    assert total[1] / total[32] > 5


def test_stock_mas_moves_batchnorms_statistics_in_its_pass_for_the_importance():
    strategy = train(build("avalanche:mas"), 0)
    plugin = plugin_of(strategy)
    strategy.experience = experience_of(data(0)[0] + 50, data(0)[1])
    before = strategy.model.body[1].running_mean.clone()
    plugin._get_importance(strategy)
    assert not torch.equal(before, strategy.model.body[1].running_mean)


def test_stock_mas_stops_when_a_loss_is_exactly_0():
    strategy = train(build("avalanche:mas"), 0)
    strategy.loss = torch.zeros(())
    with pytest.raises(ValueError, match="Loss is not available"):
        plugin_of(strategy).before_backward(strategy)


def test_stock_rwalk_leaves_the_model_in_eval_mode():
    strategy = train(build("avalanche:rwalk"), 0)
    assert not strategy.model.training
    assert not strategy.model.body[1].running_mean.any()


def test_stock_agem_reads_its_memory_in_one_fixed_order():
    strategy = train(build("avalanche:agem", patterns_per_experience=24, sample_size=8), 0)
    plugin = plugin_of(strategy)
    rounds = [torch.cat([plugin.sample_from_memory()[0] for _ in range(3)]) for _ in range(3)]
    assert len(rounds[0]) == 24
    assert torch.equal(rounds[0], rounds[1])
    assert torch.equal(rounds[0], rounds[2])


def test_stock_der_stores_logits_of_the_trained_model_in_eval_mode():
    strategy = train(build("avalanche:der", mem_size=16), 0)
    buffer = strategy.storage_policy.buffer
    strategy.model.eval()
    for x, *_, logits in (buffer[k] for k in range(len(buffer))):
        torch.testing.assert_close(strategy.model(x[None])[0], logits, rtol=1e-5, atol=1e-5)
    assert len(buffer) == 16


# What the suite adds


@pytest.mark.parametrize("info", STOCK, ids=lambda info: info.name)
def test_defaults_are_avalanches_where_it_has_one(info):
    kind = load(info)
    shipped = kind.plugin or (avalanche_stock.ShippedDER if info.name == "avalanche:der" else None)
    parameters = inspect.signature(shipped).parameters if shipped else {}
    declared = vars(info.hyperparameters())
    for key, value in declared.items():
        default = parameters[key].default
        if (info.name, key) in WITHOUT_DEFAULT:
            assert default is inspect.Parameter.empty
        else:
            assert value == default
    if kind.plugin:
        plain = {k for k, p in parameters.items() if type(p.default) in (bool, int, float)}
        assert plain - NOT_OFFERED <= set(declared)


def test_names_are_found_in_any_case_and_near_names_are_told():
    assert find_strategy("avalanche:EWC") is find_strategy("avalanche:ewc")
    with pytest.raises(
        BenchError, match="unknown strategy of Avalanche 'avalanche:ecw'; did you mean 'avalanche:ewc'"
    ):
        find_strategy("avalanche:ecw")
    with pytest.raises(BenchError, match="avalanche:lwf: unknown key 'lambda_'"):
        find_strategy("avalanche:lwf").hyperparameters({"lambda_": 1})


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


SMALL = {
    "recipe": {**TINY, "source_epochs": 1, "cutmix": 0.5},
    "avalanche:replay": {"mem_size": 12},
    "avalanche:gdumb": {"mem_size": 12},
    "avalanche:der": {"mem_size": 12},
    "avalanche:agem": {"patterns_per_experience": 12, "sample_size": 8},
    "avalanche:gem": {"patterns_per_experience": 12},
    # A domain has six updates here; of fewer than delta_t its loss is NaN.
    "avalanche:rwalk": {"delta_t": 2},
}


@pytest.fixture(scope="module")
def reference(stream, tmp_path_factory):
    """All of them along a tiny stream, undisturbed."""
    out = tmp_path_factory.mktemp("stock") / "r"
    probabilities = []
    results = run(NAMES, stream, changes=SMALL, out=out, listener=probabilities.append)
    assert [(f.label, f.reason) for f in results.failures] == []
    return out, results, probabilities


def test_every_one_runs_along_a_stream_and_is_scored_at_every_step(reference):
    _, results, probabilities = reference
    assert [cell.strategy for cell in results.cells] == NAMES
    for cell in results.cells:
        assert sorted(cell.scores["step"].unique()) == [-1, 0, 1, 2]
        assert cell.scores.groupby(["step", "domain"]).size().eq(2 * 2 * 3).all()
    last = {
        cell.strategy: cell.scores.query("step == 2")["score"].to_numpy().tobytes() for cell in results.cells
    }
    # SI is fine-tuning; every other one does something of its own.
    assert last.pop("avalanche:si") == last["avalanche:naive"]
    assert len(set(last.values())) == len(last)
    # Trained in one piece: one task for three domains, each of which is reported to its end.
    assert sum(report.phase == "done" for report in probabilities) == len(NAMES)
    ends = [(report.label, report.domain) for report in probabilities if report.share == 1]
    assert sorted(ends) == sorted(
        (f"{cell.label}, seed 0", f"D{k}") for cell in results.cells for k in range(3)
    )


def test_a_run_that_was_stopped_begins_the_cell_again_and_ends_with_the_same_bytes(
    stream, reference, tmp_path, monkeypatch
):
    import fretal_bench.benchmark.runner.engine as module

    out, _, _ = reference
    names, common = (
        ("avalanche:replay", "avalanche:agem"),
        {"changes": {k: SMALL[k] for k in ("recipe", "avalanche:replay", "avalanche:agem")}},
    )
    real, calls = module.keep_step, []

    def stopped(*arguments):
        if len(calls) == 2:
            raise RunError("stopped")
        calls.append(arguments)
        real(*arguments)

    monkeypatch.setattr(module, "keep_step", stopped)
    with pytest.raises(RunError, match="stopped"):
        run(names, stream, out=tmp_path / "r", **common)
    monkeypatch.undo()
    kept = {path: path.read_bytes() for path in (tmp_path / "steps").glob("steps/*/*")}
    assert len({path.parent for path in kept}) == 2
    # Both as a whole, whatever is kept of the first.
    assert prepare(Call(names, stream, out=tmp_path / "r", **common)).total == 2
    assert not run(names, stream, out=tmp_path / "r", **common).failures
    for name in ("scores.parquet", "validation.parquet"):
        ours = {path.parent.name: path.read_bytes() for path in (tmp_path / "r").glob(f"cells/*/{name}")}
        assert len(ours) == 2
        assert all((out / "cells" / id / name).read_bytes() == content for id, content in ours.items())
    assert {path: path.read_bytes() for path in kept} == kept


def test_known_faults_are_told_once_when_a_run_is_planned(stream, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run(
            ("avalanche:si", "avalanche:naive"),
            stream,
            changes={"recipe": SMALL["recipe"]},
            out=tmp_path / "r",
            jobs=1,
        )
    probabilities = [str(w.message) for w in caught if "avalanche:" in str(w.message)]
    assert probabilities == [
        "avalanche:si: on a CPU old and new weights share memory, so its penalty is exactly 0 and it is fine-tuning"
    ]


def test_samples_reach_avalanche_as_the_recipe_transforms_them(stream):
    from fretal_bench.benchmark.recipes.augmentation import Augmentation
    from fretal_bench.datasets.streams.stream import open_stream

    experience = open_stream(stream, verify=False).as_avalanche().train_stream[0]
    strategy = build("avalanche:naive", transform=Augmentation(Recipe(image_size=48, flip=1.0, shift=0)))
    given = strategy.loadable(experience)
    assert not hasattr(given, "source")
    assert hasattr(experience, "source")
    pixels = experience.source.images(torch.arange(5))
    clean = torch.stack([given.dataset.eval()[k][0] for k in range(5)])
    torch.testing.assert_close(clean, strategy.transform.eval(pixels), rtol=0, atol=1e-6)
    plain = Augmentation(Recipe(image_size=48))
    seen = torch.stack([given.dataset[k][0] for k in range(5)])
    assert not torch.allclose(seen, clean, atol=0.1)
    # Whatever brightness and contrast do, a sample is most like its own mirror image.
    mirrored = plain.eval(pixels.flip(2))
    for k in range(5):
        rows = torch.stack([seen[k].flatten(), mirrored[k].flatten(), clean[k].flatten()])
        assert torch.corrcoef(rows)[0, 1] > 0.95 > torch.corrcoef(rows)[0, 2]


def test_cells_of_them_have_no_shared_source_and_plain_hyperparameters():
    plan = make_plan(NAMES, "s", fingerprint_of("a", "b"), Recipe(), (0,))
    assert not any(cell.adopts for cell in plan.cells)
    assert json.loads(json.dumps([dict(cell.hyperparameters) for cell in plan.cells]))
