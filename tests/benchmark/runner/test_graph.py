"""Ids of steps and test sets: hashes of a history, recomputed here with ``hashlib`` alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import plan as plan_module
from fretal_bench.benchmark.runner.graph import set_id
from fretal_bench.benchmark.runner.plan import Cell, make_plan
from fretal_bench.strategies.registry import find_strategy
from tests_support import fingerprint_of, hash_of

NAMES = ("a", "b", "c")
STREAM = fingerprint_of(*NAMES)
STRATEGIES = ("ewc", "avalanche:naive")
"""One that adopts the source model, and one that trains all domains in one piece."""


def hashed(content: Mapping[str, Any]) -> str:
    """The first 16 digits of the SHA-256 of JSON with sorted keys and no spaces."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def learned(name: str) -> dict[str, str]:
    return {"store": hash_of(name, "store"), "train": hash_of(name, "train"), "val": hash_of(name, "val")}


def cell_of(
    strategy: str = "ewc",
    stream: Mapping[str, Any] = STREAM,
    recipe: Recipe | None = None,
    seed: int = 0,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Cell:
    (cell,) = make_plan([strategy], "s", stream, recipe or Recipe(), [seed], changes).cells
    return cell


def ids(cell: Cell) -> list[str]:
    return [step.id for step in cell.path]


def test_the_ids_of_an_adopting_strategy_are_the_source_models_and_then_its_own_chain() -> None:
    cell = cell_of("ewc", seed=3)
    root = {"recipe": Recipe().content(), "seed": 3}
    no_code = {"origin": "", "revision": 0}
    untrained = hashed({**root, "strategy": "source", "hyperparameters": {}, **no_code})
    source = hashed({"before": untrained, "domain": learned("a")})
    own = {
        "strategy": "ewc",
        "hyperparameters": dict(cell.hyperparameters),
        "origin": "",
        "revision": cell.revision,
    }
    adopted = hashed({"before": source, **own})
    first = hashed({"before": adopted, "domain": learned("b")})
    assert ids(cell) == [untrained, source, adopted, first, hashed({"before": first, "domain": learned("c")})]
    assert [step.number for step in cell.path] == [-1, 0, 0, 1, 2]
    assert [step.kind for step in cell.path] == ["untrained", "trained", "adopted", "trained", "trained"]


def test_the_ids_of_a_strategy_that_begins_by_itself_are_one_chain() -> None:
    cell = cell_of("avalanche:naive")
    own = {
        "strategy": "avalanche:naive",
        "hyperparameters": dict(cell.hyperparameters),
        "origin": cell.origin,
        "revision": cell.revision,
    }
    chain = [hashed({"recipe": Recipe().content(), "seed": 0, **own})]
    for name in NAMES:
        chain.append(hashed({"before": chain[-1], "domain": learned(name)}))
    assert ids(cell) == chain
    assert [step.kind for step in cell.path] == ["untrained", *["trained"] * 3]
    assert not any(step.resumable for step in cell.path)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "stream",
    [
        fingerprint_of(*NAMES, a={"test": hash_of("x")}, c={"test": hash_of("y")}),
        fingerprint_of(*NAMES, a={"name": "A"}, b={"name": "B"}),
        {**STREAM, "name": "another"},
        {**STREAM, "protocol": {**STREAM["protocol"], "seed": 5}},
    ],
    ids=["test rows", "names of domains", "name of the stream", "how the rows were chosen"],
)
def test_what_was_not_learned_from_is_no_part_of_a_step(strategy: str, stream: Mapping[str, Any]) -> None:
    assert ids(cell_of(strategy, stream)) == ids(cell_of(strategy))
    assert cell_of(strategy, stream).id != cell_of(strategy).id


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_of_later_domains_is_part_of_a_step(strategy: str) -> None:
    long = ids(cell_of(strategy))
    assert ids(cell_of(strategy, fingerprint_of("a", "b"))) == long[:-1]
    other = fingerprint_of(*NAMES, c={"store": hash_of("another"), "train": hash_of("rows")})
    assert ids(cell_of(strategy, other))[:-1] == long[:-1]
    assert ids(cell_of(strategy, other))[-1] != long[-1]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("key", ["store", "train", "val"])
def test_what_a_domain_taught_is_part_of_its_step_and_all_later_ones(strategy: str, key: str) -> None:
    before, after = (
        ids(cell_of(strategy)),
        ids(cell_of(strategy, fingerprint_of(*NAMES, b={key: hash_of("x")}))),
    )
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same == [True] * (len(before) - 2) + [False] * 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_order_of_the_domains_is_part_of_the_steps(strategy: str) -> None:
    before, after = ids(cell_of(strategy)), ids(cell_of(strategy, fingerprint_of("a", "c", "b")))
    assert before[:-2] == after[:-2]
    assert not set(before[-2:]) & set(after[-2:])


@pytest.mark.parametrize(
    "change",
    [
        lambda: cell_of(seed=1),
        lambda: cell_of(recipe=Recipe(epochs=11)),
        lambda: cell_of(stream=fingerprint_of(*NAMES, a={"train": hash_of("x")})),
    ],
    ids=["seed", "recipe", "first domain"],
)
def test_seed_recipe_and_first_domain_are_part_of_every_trained_step(change: Callable[[], Cell]) -> None:
    assert not set(ids(change())[1:]) & set(ids(cell_of()))


def test_strategies_and_hyperparameters_share_the_source_model_and_nothing_after_it() -> None:
    own = ids(cell_of())
    for other in (cell_of("lwf"), cell_of(changes={"ewc": {"lambda_": "7"}})):
        assert ids(other)[:2] == own[:2]
        assert not set(ids(other)[2:]) & set(own)


@pytest.mark.parametrize("code", [{"origin": "mine 1.0"}, {"revision": 9}])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_code_of_a_strategy_is_part_of_its_steps_and_not_of_the_source_model(
    strategy: str, code: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(cell_of(strategy))
    info = dataclasses.replace(find_strategy(strategy), **code)
    monkeypatch.setattr(plan_module, "find_strategy", lambda _: info)
    after = ids(cell_of(strategy))
    shared = 2 if info.shared_source and info.resumable else 0
    assert before[:shared] == after[:shared]
    assert not set(before[shared:]) & set(after)


def test_a_test_set_is_its_store_and_its_rows_whatever_it_is_called() -> None:
    (domain,) = fingerprint_of("a")["domains"]
    expected = hashed({"store": hash_of("a", "store"), "rows": hash_of("a", "test")})
    assert set_id(domain, "test") == expected
    assert set_id({**domain, "name": "b"}, "test") == expected
    assert set_id(domain, "val") == hashed({"store": hash_of("a", "store"), "rows": hash_of("a", "val")})
    (changed,) = fingerprint_of("a", a={"store": hash_of("another")})["domains"]
    assert set_id(changed, "test") != expected


def test_a_cell_is_judged_on_the_test_and_validation_samples_of_every_domain_that_has_some() -> None:
    from fretal_bench.datasets.streams.domain import NO_ROWS

    sets = cell_of(stream=fingerprint_of(*NAMES, b={"val": NO_ROWS})).sets
    assert [(of.split, of.domain) for of in sets] == [
        *(("test", name) for name in NAMES),
        ("val", "a"),
        ("val", "c"),
    ]


def test_orders_that_begin_alike_share_their_first_steps() -> None:
    orders = [fingerprint_of(*names) for names in ("bac", "abc", "acb")]
    made = make_plan(["ewc"], "s", orders[1], Recipe(), [0], orders=[orders[0], orders[2]])
    own, first, second = made.cells
    assert [cell.order for cell in made.cells] == [0, 1, 2]
    assert ids(own)[:3] == ids(second)[:3]
    assert ids(own)[:1] == ids(first)[:1]
    assert not set(ids(first)[1:]) & {*ids(own), *ids(second)}
    assert len({cell.id for cell in made.cells}) == 3
