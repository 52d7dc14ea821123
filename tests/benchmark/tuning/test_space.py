"""The search space of a strategy: what is searched, and seeded draws that cover it evenly."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from fretal_bench.benchmark.tuning.space import Choices, search_space, trials
from fretal_bench.errors import BenchError
from fretal_bench.strategies.record import Range, StrategyInfo, fixed, tunable
from fretal_bench.strategies.registry import find_strategy


@dataclass(frozen=True)
class Constants:
    """One hyperparameter of each kind."""

    strength: float = tunable(1.0, 0.01, 100)
    share: float = tunable(0.5, 0.2, 0.6, log=False)
    layers: int = tunable(3, 1, 4, log=False)
    size: int = tunable(8, 1, 64)
    kind: Literal["a", "b", "c"] = "a"
    exact: bool = True
    memory: int = 200


@dataclass(frozen=True)
class Few:
    """Six values in all, one of which is refused."""

    kind: Literal["a", "b", "c"] = "a"
    exact: bool = True

    def __post_init__(self):
        if self.kind == "c" and not self.exact:
            raise ValueError("c is always exact")


def info_of(constants, name="made-up"):
    return StrategyInfo(name, "nowhere:Nothing", "", "", constants=constants)


def test_numbers_literals_and_bools_are_searched_and_a_budget_of_memory_is_not():
    assert search_space(info_of(Constants)) == {
        "strength": Range(0.01, 100),
        "share": Range(0.2, 0.6, log=False),
        "layers": Range(1, 4, log=False),
        "size": Range(1, 64),
        "kind": Choices(("a", "b", "c")),
        "exact": Choices((False, True)),
    }
    assert search_space(find_strategy("finetuning")) == {}
    # Types of inherited fields are read where they were declared.
    assert search_space(find_strategy("fretal"))["feature"] == Choices(("scalar", "vector"))


def test_what_is_declared_fixed_is_not_searched_and_can_be_set_all_the_same():
    @dataclass(frozen=True)
    class Partly:
        kind: Literal["a", "b"] = fixed("a")
        exact: bool = fixed(True)
        strength: float = tunable(1.0, 0.01, 100)

    info = info_of(Partly)
    assert list(search_space(info)) == ["strength"]
    assert info.hyperparameters({"kind": "b"}) == Partly("b")
    assert {frozenset(values) for values in trials(info, 9, 0, {})[1:]} == {frozenset({"strength"})}


@pytest.mark.parametrize("name", ["fretal", "kd"])
def test_no_trial_changes_the_teacher_which_tells_variants_apart(name):
    info = find_strategy(name)
    assert len(trials(info, 20, 0, {})) == 20
    for values in trials(info, 20, 0, {}):
        assert info.hyperparameters(values).teacher == "previous"


def test_draws_cover_their_ranges_evenly_in_the_declared_scale():
    draws = trials(info_of(Constants), 601, 0, {})[1:]
    assert len(draws) == 600

    def shares(key, edges):
        return np.histogram([values[key] for values in draws], edges)[0] / len(draws)

    # 0.08 is more than four standard errors of any of these shares.
    assert shares("strength", [0.01, 0.1, 1, 10, 100]) == pytest.approx([0.25] * 4, abs=0.08)
    assert shares("share", [0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx([0.25] * 4, abs=0.08)
    assert shares("layers", [0.5, 1.5, 2.5, 3.5, 4.5]) == pytest.approx([0.25] * 4, abs=0.08)
    assert shares("size", [1, 2, 4, 8, 16, 32, 65]) == pytest.approx(
        np.diff(np.log([1, 2, 4, 8, 16, 32, 65])) / np.log(65), abs=0.08
    )
    for key, count in (("kind", 3), ("exact", 2)):
        counted = Counter(values[key] for values in draws)
        assert len(counted) == count
        assert min(counted.values()) / len(draws) == pytest.approx(1 / count, abs=0.08)
    for values in draws:
        assert {key: type(value) for key, value in values.items()} == {
            "strength": float,
            "share": float,
            "layers": int,
            "size": int,
            "kind": str,
            "exact": bool,
        }
        assert float(f"{values['strength']:.3g}") == values["strength"]


def test_draws_depend_on_the_seed_the_name_and_the_trial_alone():
    ewc = trials(find_strategy("ewc"), 8, 0, {})
    assert ewc[0] == {}
    assert trials(find_strategy("ewc"), 3, 0, {}) == ewc[:3]
    assert trials(find_strategy("ewc"), 8, 1, {})[1:] != ewc[1:]
    assert (
        trials(info_of(Constants, "one"), 5, 0, {})[1:] != trials(info_of(Constants, "other"), 5, 0, {})[1:]
    )
    # The numbers themselves: another version of numpy, scipy or this suite must not change them unseen.
    assert trials(info_of(Constants), 2, 0, {})[1] == {
        "strength": 6.82,
        "share": 0.252,
        "layers": 4,
        "size": 53,
        "kind": "b",
        "exact": True,
    }


def test_a_strategy_with_few_values_is_tried_at_each_valid_one_once():
    draws = trials(info_of(Few), 50, 0, {})
    assert draws[0] == {}
    assert len(draws) == 5
    assert {tuple({"kind": "a", "exact": True, **values}.values()) for values in draws} == {
        ("a", True),
        ("a", False),
        ("b", True),
        ("b", False),
        ("c", True),
    }
    assert trials(find_strategy("finetuning"), 50, 0, {}) == [{}]


def test_a_range_that_cannot_be_drawn_from_names_its_key():
    @dataclass(frozen=True)
    class Zero:
        lambda_: float = tunable(1.0, 0, 10)

    with pytest.raises(BenchError, match=r"made-up.lambda_: its range is 0 to 10; declare 0 < low < high"):
        search_space(info_of(Zero))
