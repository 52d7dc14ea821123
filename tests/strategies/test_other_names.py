"""Strategies with several names: one row, found and changed by each, and shown under all of them."""

import dataclasses
from dataclasses import dataclass

import pytest

from fretal_bench import plugins
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.tuning.judged import Scored, Trial, Tuned
from fretal_bench.benchmark.tuning.trials import sentence
from fretal_bench.errors import BenchError
from fretal_bench.strategies.distillation import FRETAL
from fretal_bench.strategies.record import NoHyperparameters, StrategyInfo, check_info, fixed
from fretal_bench.strategies.registry import by_own_name, find_strategy, list_strategies, names, own_name

STREAM = {"name": "s", "protocol": {}, "domains": []}
PLUGIN = """
from fretal_bench.strategies import ContinualStrategy, StrategyInfo

class Own(ContinualStrategy):
    pass

STRATEGY = StrategyInfo({name!r}, ":Own", "nothing", "none", aliases={aliases!r})
"""


@pytest.fixture(autouse=True)
def no_plugins():
    plugins.forget()
    yield
    plugins.forget()


def cells(strategies, recipe=None, changes=None):
    return make_plan(strategies, "s", STREAM, recipe or open_recipe("mini"), (0,), changes).cells


def recipe_of(path, text):
    path.write_text(text)
    return open_recipe(path)


def test_cored_is_another_name_of_fretal_wherever_a_name_is_looked_up():
    assert find_strategy("cored") is find_strategy("fretal")
    assert own_name("cored") == "fretal"
    assert own_name("recipe") == "recipe"
    assert [info.name for info in list_strategies("cor*")] == ["fretal"]
    assert [info.name for info in list_strategies("*")].count("fretal") == 1
    assert "cored" not in names()
    assert "cored" in names(aliases=True)
    assert "cored" in names(aliases=True, plugins=False)
    with pytest.raises(BenchError, match="did you mean 'cored'"):
        find_strategy("corde")


def test_both_names_plan_one_cell_the_same_under_either():
    (cell,) = cells(("fretal", "cored"))
    assert cell.strategy == "fretal"
    assert cell.hyperparameters["teacher"] == "previous"
    assert [other.id for other in (*cells(("cored",)), *cells(("cored", "fretal")))] == [cell.id] * 2
    assert cell.names == ("fretal", "cored")


def test_values_may_be_set_under_either_name_and_one_value_not_under_both():
    expected = cells(("fretal",), changes={"fretal": {"temperature": "5", "alpha": "0.3"}})
    for changes in (
        {"cored": {"temperature": "5", "alpha": "0.3"}},
        {"cored": {"temperature": "5"}, "fretal": {"alpha": "0.3"}},
    ):
        assert [cell.id for cell in cells(("cored",), changes=changes)] == [expected[0].id]
    assert expected[0].names == ("fretal(temperature=5.0, alpha=0.3)", "cored(temperature=5.0, alpha=0.3)")
    with pytest.raises(BenchError) as error:
        cells(("fretal",), changes={"fretal": {"temperature": "1"}, "cored": {"temperature": "2"}})
    assert str(error.value) == (
        "--set fretal.temperature and --set cored.temperature are the same, since 'cored' is another name of 'fretal'; "
        "give one of them"
    )
    with pytest.raises(BenchError, match=r"--set cored\.alpha: 'cored' is not in this run"):
        cells(("ewc",), changes={"cored": {"alpha": "0.3"}})


def test_a_recipe_may_use_either_name_in_its_tables_and_not_both_for_one_key(tmp_path):
    text = '[hyperparameters.cored]\ntemperature = 7.0\n[tuning]\nstream = "s"\ndomains = ["a"]\nbudget = 3\n'
    text += 'seed = 0\nobjective = "o"\nstrategies = ["cored", "ewc", "fretal"]\n'
    recipe = recipe_of(tmp_path / "tuned.toml", text)
    assert recipe.hyperparameters == {"fretal": {"temperature": 7.0}}
    assert recipe.tuning["strategies"] == ["fretal", "ewc"]
    assert cells(("cored",), recipe)[0].hyperparameters["temperature"] == 7
    # Recipes that are made in Python too.
    assert Recipe(hyperparameters={"cored": {"alpha": 0.3}}).hyperparameters == {"fretal": {"alpha": 0.3}}
    more = "[hyperparameters.fretal]\ntemperature = 8.0\n"
    with pytest.raises(
        BenchError, match=r"both\.toml: temperature in \[hyperparameters\.cored\] and temperature in"
    ):
        recipe_of(tmp_path / "both.toml", "[hyperparameters.cored]\ntemperature = 7.0\n" + more)


def test_owners_that_are_no_strategies_stay_as_they_are():
    values = {"recipe": {"lr": 1}, "nobody": {"x": 2}}
    assert by_own_name({**values, "cored": {}}, "{}.{}".format) == {**values, "fretal": {}}


def test_results_are_shown_under_all_names_where_what_makes_the_method_has_its_default():
    values = dataclasses.asdict(FRETAL.hyperparameters())
    assert FRETAL.called(values) == "fretal/cored"
    assert FRETAL.called({**values, "temperature": 3.0}) == "fretal/cored"
    assert FRETAL.called({**values, "teacher": "source"}) == "fretal"
    # Of results that don't say it nothing is claimed.
    assert FRETAL.called({"temperature": 20.0}) == "fretal"
    assert find_strategy("ewc").called({}) == "ewc"


def test_a_strategy_without_fixed_values_is_always_called_by_all_its_names():
    @dataclass(frozen=True)
    class Constants:
        exact: bool = fixed(True)

    info = StrategyInfo("a", "m:A", "s", "p", aliases=("b", "c-d"))
    assert info.called({}) == "a/b/c-d"
    assert dataclasses.replace(info, constants=Constants).called({"exact": False}) == "a"
    assert check_info(info) is None
    assert info.constants is NoHyperparameters


def test_what_a_search_says_of_a_strategy_names_it_by_all_its_names():
    (cell,) = cells(("cored",))
    trial = Scored(Trial(cell.strategy, 1, {"alpha": 0.5}, cell), 0.9, 0.1)
    assert sentence(Tuned(cell.strategy, (trial,), trial, 1), 1).startswith(
        "fretal/cored: 1 trial; best is trial 1"
    )


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        (["b"], "aliases must be a tuple of names"),
        (("B",), "alias 'B': expected lower-case words"),
        ((3,), "alias 3: expected lower-case words"),
        (("a",), "alias 'a' is one of its names already"),
        (("b", "b"), "alias 'b' is one of its names already"),
    ],
)
def test_aliases_of_another_form_are_refused(aliases, message):
    assert message in check_info(StrategyInfo("a", "m:A", "s", "p", aliases=aliases))


@pytest.mark.parametrize(
    ("name", "aliases", "message"),
    [
        ("cored", (), "the name 'cored' is taken"),
        ("own", ("cored",), "the name 'cored' is taken"),
        ("own", ("ewc",), "the name 'ewc' is taken"),
        ("own", ("recipe",), "--set recipe.KEY=VALUE is of the recipe"),
        ("own", ("source",), "the source model's training is called so"),
    ],
)
def test_a_plugin_cannot_claim_a_name_or_another_name_that_is_taken(tmp_path, name, aliases, message):
    (tmp_path / "mine.py").write_text(PLUGIN.format(name=name, aliases=aliases))
    plugins.use_files([tmp_path / "mine.py"])
    with pytest.raises(BenchError, match=message):
        find_strategy("ewc")


def test_a_plugins_strategy_may_have_other_names(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN.format(name="own", aliases=("mine", "my-own")))
    plugins.use_files([tmp_path / "mine.py"])
    assert find_strategy("my-own") is not None
    assert find_strategy("my-own").name == find_strategy("mine").name == "own"
    assert find_strategy("mine").origin.startswith("mine.py sha256:")
    assert names().count("own") == 1
