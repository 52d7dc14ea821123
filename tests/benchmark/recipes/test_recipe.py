import dataclasses
import json
import os

import pytest
import timm

from fretal_bench.benchmark.recipes.recipe import (
    HALF,
    Recipe,
    list_recipes,
    open_recipe,
    recorded_recipe,
    toml_of_recipe,
)
from fretal_bench.benchmark.runner.call import Call, check_names, resolved_recipe
from fretal_bench.errors import BenchError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


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


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("learning_rate", "lr"),
        ("Learning-Rate", "lr"),
        ("batch", "batch_size"),
        ("model", "backbone"),
        ("image", "image_size"),
        ("wd", "weight_decay"),
    ],
)
def test_words_that_others_have_for_a_key_are_understood(tmp_path, word, key):
    path = tmp_path / "mine.toml"
    path.write_text(f"{word} = 1\n")
    with pytest.raises(BenchError, match=f"unknown key '{word}'; did you mean '{key}'\\? Known: "):
        open_recipe(path)
    with pytest.raises(BenchError, match=f"did you mean '{key}'\\?"):
        Recipe().changed({word: "1"})


def test_other_words_are_no_keys_and_mean_keys():
    keys = {field.name for field in dataclasses.fields(Recipe)}
    assert set(Recipe.other_words.values()) <= keys
    assert not keys & set(Recipe.other_words)


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
            r"recipe 'mini': key 'epochs': expected a whole number in \[1, 1e\+06\], found 'three'",
        ),
        ({"epochs": "2.5"}, "'epochs'.*a whole number"),
        ({"epochs": 0}, r"'epochs'.*in \[1, "),
        ({"flip": 1.5}, r"'flip'.*in \[0, 1\]"),
        ({"optimizer": "adamm"}, "'optimizer'.*did you mean 'adam'"),
        ({"balance": "maybe"}, "'balance'.*true or false"),
        ({"lr": True}, r"'lr'.*number in \(0, 1000\], found True"),
        ({"lr": "nan"}, "'lr'.*finite number"),
        ({"lr": "-1"}, r"'lr'.*in \(0, "),
        ({"stem_stride": 2**62}, "'stem_stride'"),
        ({"image_size": 1}, "'image_size'"),
        ({"epochs": 2**70}, "'epochs'"),
        ({"batch_size": 2**70}, "'batch_size'"),
        ({"lr": 1e308}, "'lr'"),
        ({"momentum": 1.0}, "'momentum'"),
        ({"weight_decay": 1e300}, "'weight_decay'"),
        ({"shift": 10**18}, "'shift'"),
        ({"cutmix_alpha": 1e-320}, "'cutmix_alpha'"),
        ({"cutmix_alpha": 1e300}, "'cutmix_alpha'"),
        ({"threads": 10**9}, "'threads'"),
        ({"name": "../../x"}, "'name'.*it is a path"),
        ({"name": ""}, "'name'.*it is empty"),
        ({"name": "a\0b"}, "'name'.*cannot be seen"),
        ({"name": 3}, "'name'.*text"),
        ({"tuning": "x"}, r"'tuning'.*\[tuning\]"),
        ({"mean": 0.5}, "'std': expected a value, as 'mean' has one, found None"),
        ({"std": 0.5}, "'mean': expected a value, as 'std' has one"),
        ({"mean": 0.5, "std": 0}, r"'std': expected one or three numbers in \[0.001, 1\], found 0"),
        ({"mean": "0.4,0.5,1.1", "std": 0.5}, r"'mean': expected one or three numbers in \[0, 1\]"),
        ({"mean": "0.4,0.5", "std": 0.5}, "'mean': expected a list of numbers, found "),
        ({"mean": (0.5, 0.5, float("nan")), "std": 0.5}, r"'mean\[2\]'.*finite"),
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


@pytest.mark.parametrize("name", ["mini", "cddb", "deepfakebench"])
def test_a_written_recipe_scales_pixels_as_the_one_it_was_written_from(name, tmp_path):
    recipe, own = open_recipe(name), tmp_path / f"{name}.toml"
    own.write_text(toml_of_recipe(recipe))
    assert open_recipe(own) == recipe
    own.write_text(toml_of_recipe(recipe.settled()))
    assert open_recipe(own) == recipe.settled()


def test_texts_become_the_keys_types():
    recipe = Recipe().changed({"epochs": "4", "lr": "1e-3", "balance": "no", "backbone": "x"})
    assert (recipe.epochs, recipe.lr, recipe.balance, recipe.backbone) == (4, 0.001, False, "x")


def test_content_leaves_out_only_what_is_not_content():
    not_content = {"name", "description", "hyperparameters", "tuning"}
    recipe = Recipe(
        mean=0.4, std=0.5, trainable="lora", layer_decay=0.5, effort="updates", select="validation"
    )
    assert set(recipe.content()) == set(Recipe.__dataclass_fields__) - not_content
    # What is scaled by 0.5 is what there was before recipes said how pixels are scaled, and so is what learns whole.
    later = {"mean", "std", "trainable", "lora_rank", "lora_alpha", "layer_decay", "effort", "ties"}
    assert set(Recipe().content()) == set(recipe.content()) - later


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda recipe: recipe.name)
def test_pixels_are_scaled_as_the_backbones_published_weights_were_trained_or_by_half(recipe):
    """Independent: timm's own resolution of what a model's inputs are."""
    model = timm.create_model(recipe.backbone, pretrained=False, num_classes=2)
    published = timm.data.resolve_data_config(model=model)
    own = dataclasses.replace(recipe, mean=None, std=None, pretrained=True)
    assert own.normalisation == (published["mean"], published["std"])
    # Weights that begin at random have no scaling of their own.
    assert dataclasses.replace(own, pretrained=False).normalisation == (HALF, HALF)


def test_each_recipe_has_the_scaling_that_it_says():
    scaled = {recipe.name: recipe.normalisation for recipe in list_recipes()}
    assert scaled == {
        "cddb": IMAGENET,
        "clip-vit-b16": CLIP,
        "deepfakebench": (HALF, HALF),
        "dfil": (HALF, HALF),
        "dinov2-vit-s14": IMAGENET,
        "effnet-b4": IMAGENET,
        "mini": (HALF, HALF),
        "mini-vit": (HALF, HALF),
        "paper-cored": (HALF, HALF),
        "paper-fretal": (HALF, HALF),
        "xception-299": (HALF, HALF),
    }
    # As published, for every backbone.
    other = open_recipe("deepfakebench").changed({"backbone": "tf_efficientnet_b4"})
    assert other.normalisation == (HALF, HALF)


def test_the_scaling_can_be_given_as_one_number_or_three_and_follows_the_backbone_until_it_is():
    recipe = open_recipe("cddb")
    assert recipe.changed({"backbone": "legacy_xception"}).normalisation == (HALF, HALF)
    given = recipe.changed({"mean": "0.5", "std": "0.1,0.2,0.3"})
    assert given.normalisation == (HALF, (0.1, 0.2, 0.3))
    assert given.changed({"backbone": "legacy_xception"}).normalisation == given.normalisation
    assert recipe.settled().changed({"pretrained": False}).normalisation == IMAGENET


def test_the_recipe_of_a_run_has_its_scaling_written_out():
    recipe = check_names(Call(("ewc",), "ffpp-mini", "cddb", device="cpu"))
    assert (recipe.mean, recipe.std) == IMAGENET


def test_what_a_cell_recorded_is_read_as_it_was_trained_and_without_a_word_that_is_half():
    for name in ("cddb", "clip-vit-b16", "mini"):
        recipe = open_recipe(name)
        recorded = json.loads(json.dumps({"name": name, **recipe.content()}))
        assert recorded_recipe(recorded, "cell").normalisation == recipe.normalisation
    earlier = {
        key: value for key, value in open_recipe("cddb").content().items() if key not in ("mean", "std")
    }
    assert recorded_recipe(earlier, "cell").normalisation == (HALF, HALF)


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


def test_what_cannot_train_on_the_device_of_the_call_is_refused(tmp_path, monkeypatch):
    own = tmp_path / "own.toml"
    own.write_text('device = "cpu"\nprecision = "fp16"\n')
    with pytest.raises(BenchError, match=r"own.toml: key 'precision': .*CUDA.*recipe\.precision=fp32"):
        resolved_recipe(own, {}, None)
    with pytest.raises(BenchError, match=r"^--set recipe.precision: key 'precision'"):
        resolved_recipe("mini", {"recipe": {"precision": "fp16"}}, "cpu")
    with pytest.raises(
        BenchError, match=r"^--set recipe.batch_size: key 'batch_size': .*at least 2.*found 1"
    ):
        resolved_recipe("mini", {"recipe": {"batch_size": 1}}, "cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert resolved_recipe(own, {}, "cuda").device == "cuda"


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "ends in .toml", "no such file"])
def test_what_is_no_recipe_file_is_told_by_what_it_is(kind, tmp_path):
    path = tmp_path / ("own" if kind == "ends in .toml" else "own.toml")
    if kind == "a folder":
        path.mkdir()
        assert "found a folder" in refusal(tmp_path)
        assert "found a folder" in refusal(".")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "ends in .toml":
        path.write_text("epochs = 3")
    else:
        path = tmp_path / "none"
    assert kind in refusal(path)


def refusal(recipe):
    """The one line that refuses a recipe."""
    with pytest.raises(BenchError) as caught:
        open_recipe(recipe)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_how_equal_epochs_are_decided_is_content_where_it_is_not_what_it_was_before():
    for select in ("validation", "source-and-target"):
        assert Recipe(select=select).content()["ties"] == "auc"
        assert "ties" not in Recipe(select=select, ties="first").content()
    assert Recipe(ties="first").content() == Recipe().content()


def test_a_record_without_the_key_kept_the_first_of_equal_epochs_and_is_written_as_such(tmp_path):
    values = {"name": "own", **Recipe(select="validation").content()}
    del values["ties"]
    recipe, own = recorded_recipe(values, "cell"), tmp_path / "own.toml"
    assert recipe.ties == "first"
    own.write_text(toml_of_recipe(recipe))
    assert open_recipe(own) == recipe


@pytest.mark.parametrize("name", ["paper-fretal", "paper-cored"])
def test_recipes_of_released_code_keep_the_first_of_equal_epochs_as_it_does(name):
    assert (open_recipe(name).select, open_recipe(name).ties) == ("source-and-target", "first")
