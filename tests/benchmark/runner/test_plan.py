import dataclasses

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import plan as plan_module
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.plan import make_plan, split_changes
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy
from tests_support import fingerprint_of, hash_of

STREAM = fingerprint_of("a")


def plan(strategies=("fretal", "ewc"), stream=STREAM, recipe=None, seeds=(0,), changes=None):
    return make_plan(strategies, "s", stream, recipe or Recipe(), seeds, changes)


def ids(made):
    return {(cell.strategy, cell.seed): cell.id for cell in made.cells}


def test_a_cells_id_does_not_depend_on_what_else_is_in_the_run():
    alone = ids(plan(("ewc",)))
    among = ids(plan(("fretal", "kd", "ewc"), seeds=(3, 0)))
    assert alone[("ewc", 0)] == among[("ewc", 0)]


@pytest.mark.parametrize(
    "changed",
    [
        {"stream": fingerprint_of("a", a={"store": hash_of("another")})},
        {"stream": fingerprint_of("a", "b")},
        {"recipe": Recipe(epochs=11)},
        {"seeds": (1,)},
        {"changes": {"ewc": {"lambda_": "11"}}},
    ],
)
def test_a_cells_id_changes_with_stream_recipe_seed_and_hyperparameters(changed):
    before = next(iter(ids(plan(("ewc",))).values()))
    after = next(iter(ids(plan(("ewc",), **changed)).values()))
    assert before != after


def test_names_of_recipes_and_written_out_defaults_do_not_change_ids():
    assert ids(plan(recipe=Recipe(name="x", description="y"))) == ids(plan())
    assert ids(plan(changes={"fretal": {"temperature": "20"}})) == ids(plan())


def test_every_recipe_key_that_is_content_changes_ids():
    flipped = {"bool": lambda v: not v, "int": lambda v: v + 8, "float": lambda v: v / 2 + 0.01}
    other = {"optimizer": "sgd", "schedule": "cosine", "precision": "bf16", "batchnorm": "frozen"}
    other |= {"select": "validation", "device": "cpu", "backbone": "other", "trainable": "norms"}
    other |= {"effort": "updates", "ties": "first"}
    together = {"lora_rank": {"trainable": "lora"}, "lora_alpha": {"trainable": "lora"}}
    together |= {"ties": {"select": "validation"}}
    for field in dataclasses.fields(Recipe):
        if field.name in ("name", "description", "hyperparameters", "tuning", "mean", "std"):
            continue
        value = getattr(Recipe(), field.name)
        new = other[field.name] if isinstance(value, str) else flipped[type(value).__name__](value)
        base = dataclasses.replace(Recipe(), **together.get(field.name, {}))
        changed = dataclasses.replace(base, **{field.name: new})
        assert ids(plan(recipe=changed)) != ids(plan(recipe=base)), field.name


def test_a_strategy_with_batches_of_its_own_is_refused_equal_updates_before_anything_is_begun():
    with pytest.raises(
        BenchError, match=r"'avalanche:replay'.*effort = 'updates'.*own loaders.*effort=epochs"
    ):
        plan(("er", "avalanche:replay"), recipe=Recipe(effort="updates"))
    assert plan(("er", "ncm", "joint"), recipe=Recipe(effort="updates")).cells


def test_source_models_are_shared_by_the_strategies_of_a_seed():
    made = plan(("fretal", "ewc", "zero-shot"), seeds=(0, 1))
    assert all(cell.adopts for cell in made.cells)
    assert len({cell.path[1].id for cell in made.cells}) == 2
    # Each adopts it as its own step 0.
    assert len({cell.path[2].id for cell in made.cells}) == len(made.cells)


def test_labels_show_changed_hyperparameters_only():
    made = plan(("fretal",), changes={"fretal": {"temperature": "10", "alpha": "0.5"}})
    assert made.cells[0].name == "fretal(temperature=10.0)"


@pytest.mark.parametrize(
    ("strategies", "changes", "message"),
    [
        (("fretel",), {}, "unknown strategy 'fretel'; did you mean 'fretal'"),
        (("ewc",), {"ewc": {"lambda": "1"}}, "ewc: unknown key 'lambda'.*'lambda_'"),
        (
            ("ewc",),
            {"lwf": {"lambda_": "1"}},
            r"--set lwf\.lambda_: 'lwf' is not in this run.*Add it to --strategies",
        ),
        (("ewc",), {"ewc": {"lambda_": "-1"}}, "lambda_.*of at least 0"),
        (("ewc",), {"ewc": {"fisher": "wrong"}}, "fisher.*'exact', 'empirical'"),
        ((), {}, "nothing to run"),
    ],
)
def test_what_is_wrong_with_a_run_is_said(strategies, changes, message):
    with pytest.raises(BenchError, match=message):
        plan(strategies, changes=changes)


def test_set_arguments_are_read_and_bad_ones_refused():
    assert split_changes(["ewc.lambda_=10", "recipe.lr=1e-3", "ewc.fisher=exact"]) == {
        "ewc": {"lambda_": "10", "fisher": "exact"},
        "recipe": {"lr": "1e-3"},
    }
    for bad in ("ewc.lambda_", "lambda_=3", "=3", "ewc.=3"):
        with pytest.raises(BenchError, match=r"expected STRATEGY\.KEY=VALUE"):
            split_changes([bad])
    with pytest.raises(BenchError, match="given twice"):
        split_changes(["ewc.lambda_=1", "ewc.lambda_=2"])


def test_content_ids_do_not_depend_on_the_order_of_keys():
    assert (
        content_id({"a": 1, "b": [1, 2]})
        == content_id({"b": [1, 2], "a": 1})
        != content_id({"a": 1, "b": [2, 1]})
    )


def test_a_strategys_revision_is_part_of_the_id_when_it_is_above_0(monkeypatch):
    def ids_at(revision):
        info = dataclasses.replace(find_strategy("ewc"), revision=revision)
        monkeypatch.setattr(plan_module, "find_strategy", lambda _: info)
        return ids(plan(("ewc",)))

    before = ids(plan(("ewc",)))
    assert ids_at(0) == before
    assert len({tuple(ids_at(revision).items()) for revision in (0, 1, 2)}) == 3


@pytest.mark.parametrize("seed", [2**32, -1, 2**70])
def test_a_seed_that_would_draw_the_batches_of_another_is_refused(seed):
    with pytest.raises(BenchError, match=f"seed {seed}: expected a whole number from 0 to 4294967295"):
        make_plan(["ewc"], "s", STREAM, Recipe(), [0, seed])
    assert make_plan(["ewc"], "s", STREAM, Recipe(), [0, 2**32 - 1]).cells
