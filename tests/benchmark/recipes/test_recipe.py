import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe, list_recipes, open_recipe
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
    with pytest.raises(BenchError, match=r"unknown recipe key 'epoch'.*'epochs'"):
        open_recipe(own)


def test_a_users_file_overrides_defaults_and_is_named_by_its_stem(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('epochs = 3\nbackbone = "test_vit"\nlr = 1\n')
    recipe = open_recipe(own)
    assert (recipe.name, recipe.epochs, recipe.backbone, recipe.lr) == ("own", 3, "test_vit", 1.0)
    assert recipe.batch_size == Recipe().batch_size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "three"}, "recipe.epochs: expected int, found 'three'"),
        ({"epochs": "2.5"}, "expected int"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"flip": 1.5}, r"flip must be in \[0, 1\]"),
        ({"optimizer": "adamm"}, "did you mean .*'adamw'"),
        ({"balance": "maybe"}, "expected bool"),
        ({"lr": True}, "expected finite float"),
        ({"lr": "nan"}, "expected finite float"),
        ({"lr": "-1"}, "lr must be above 0"),
        ({"name": 3}, "expected str"),
    ],
)
def test_bad_values_are_refused_with_what_was_expected(changes, message):
    with pytest.raises(BenchError, match=message):
        Recipe().changed(changes)


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
