import dataclasses

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe, list_recipes, open_recipe, toml_of_recipe
from fretal_bench.errors import BenchError


def test_every_built_in_recipe_opens_under_its_name():
    names = [recipe.name for recipe in list_recipes()]
    assert "mini" in names
    assert [open_recipe(name).name for name in names] == names


def test_an_unknown_recipe_and_key_name_the_nearest(tmp_path):
    with pytest.raises(BenchError, match="did you mean 'mini'"):
        open_recipe("mimi")
    own = tmp_path / "own.toml"
    own.write_text("epoch = 3\n")
    with pytest.raises(BenchError, match=r"own.toml: unknown key 'epoch'.*'epochs'"):
        open_recipe(own)


def test_what_a_users_file_leaves_out_is_as_in_mini_and_it_is_named_by_its_stem(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('epochs = 3\nbackbone = "test_vit"\nlr = 1\n')
    recipe = open_recipe(own)
    assert recipe.name == "own"
    assert recipe.content() == {
        **open_recipe("mini").content(),
        "epochs": 3,
        "backbone": "test_vit",
        "lr": 1.0,
    }


def test_a_recipe_made_in_python_without_a_word_is_mini():
    assert Recipe().name == "mini"
    assert Recipe().content() == open_recipe("mini").content()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"epochs": "three"},
            "recipe 'mini': key 'epochs': expected a whole number of at least 1, found 'three'",
        ),
        ({"epochs": "2.5"}, "'epochs'.*a whole number"),
        ({"epochs": 0}, "'epochs'.*at least 1"),
        ({"flip": 1.5}, r"'flip'.*in \[0, 1\]"),
        ({"optimizer": "adamm"}, "'optimizer'.*did you mean 'adam'"),
        ({"balance": "maybe"}, "'balance'.*true or false"),
        ({"lr": True}, "'lr'.*number above 0, found True"),
        ({"lr": "nan"}, "'lr'.*finite number"),
        ({"lr": "-1"}, "'lr'.*above 0"),
        ({"name": 3}, "'name'.*text"),
        ({"tuning": "x"}, r"'tuning'.*\[tuning\]"),
        ({"device": "cpu", "precision": "fp16"}, "'precision'.*CUDA"),
    ],
)
def test_bad_values_are_refused_with_what_was_expected(changes, message):
    with pytest.raises(BenchError, match=message):
        Recipe().changed(changes)


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Recipe)])
def test_every_key_is_checked_whoever_makes_the_recipe(key):
    with pytest.raises(BenchError, match=f"'{key}'"):
        Recipe(**{key: object()})


def test_a_recipe_file_of_hyperparameters_is_checked_with_its_name(tmp_path):
    own = tmp_path / "own.toml"
    for text, message in (
        ("[hyperparameters.ewk]\nlambda_ = 1", "unknown strategy 'ewk'"),
        ("[hyperparameters.ewc]\nlamda_ = 1", "'lamda_'.*'lambda_'"),
        ("[hyperparameters.ewc]\nlambda_ = -1", "lambda_"),
        ("[hyperparameters]\newc = 1", "'hyperparameters.ewc'.*a table"),
    ):
        own.write_text(text)
        with pytest.raises(BenchError, match=message) as caught:
            open_recipe(own)
        assert "own.toml" in str(caught.value)


def test_a_recipe_is_written_as_a_file_that_opens_as_the_same(tmp_path):
    recipe = Recipe(
        name="own",
        description='a "quoted"\ttext',
        lr=1e-5,
        hyperparameters={"ewc": {"lambda_": 2.5}, "avalanche:ewc": {}},
        tuning={
            "stream": "s",
            "domains": ["a", "b"],
            "budget": 3,
            "seed": 0,
            "objective": "accuracy",
            "strategies": ["ewc"],
        },
    )
    own = tmp_path / "own.toml"
    own.write_text(toml_of_recipe(recipe))
    assert open_recipe(own) == recipe


def test_texts_become_the_keys_types():
    recipe = Recipe().changed({"epochs": "4", "lr": "1e-3", "balance": "no", "backbone": "x"})
    assert (recipe.epochs, recipe.lr, recipe.balance, recipe.backbone) == (4, 0.001, False, "x")


def test_content_leaves_out_only_what_is_not_content():
    not_content = {"name", "description", "hyperparameters", "tuning"}
    assert set(Recipe().content()) == set(Recipe.__dataclass_fields__) - not_content


def test_files_that_are_no_recipe_are_named(tmp_path):
    with pytest.raises(BenchError, match="cannot be read"):
        open_recipe(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("epochs = = 3")
    with pytest.raises(BenchError, match="not valid TOML"):
        open_recipe(broken)
    latin = tmp_path / "latin.toml"
    latin.write_bytes('description = "mélange"'.encode("latin-1"))
    with pytest.raises(BenchError, match=r"latin.toml: not UTF-8 text \(byte 16\); save it as UTF-8"):
        open_recipe(latin)
