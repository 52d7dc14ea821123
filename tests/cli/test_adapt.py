"""``bench adapt`` as it is typed: the answer, numbers recomputed by hand, what is recommended, and wrong calls."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from fretal_bench.benchmark.prediction.exporting import export_trained
from fretal_bench.benchmark.runner.results import Results, load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.cli.main import main
from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import accuracy, auc
from fretal_bench.strategies.registry import list_strategies
from tests_support import TINY, recipe_options, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")

OWN = ("--backbone", TINY["backbone"], "--mean", "0.5", "--std", "0.5", "--size", "0")
SETTINGS = [
    word
    for word in recipe_options()
    if word != "--set" and not word.startswith(("recipe.backbone", "recipe.image_size"))
]
SET = [word for value in SETTINGS for word in ("--set", value)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three kinds of fake, and weights that know the first two, with no record beside or in them."""
    folder = tmp_path_factory.mktemp("adapt")
    stream = tiny_stream(folder, domains=2)
    tiny_stream(folder / "all", domains=3)
    run(("finetuning",), str(stream), changes={"recipe": TINY}, out=folder / "r" / "old")
    cell = load_results(folder / "r" / "old").cells[0].path
    weights = export_trained(cell, folder / "exported").weights
    save_file(load_file(weights), folder / "mine.safetensors")
    return folder


@pytest.fixture(scope="module")
def adapted(home: Path) -> tuple[dict[str, Any], Results]:
    """Two strategies, few videos, two seeds, with validation samples."""
    words = call(
        home, "--videos-per-class", 2, "--strategies", "finetuning,lwf", "--seeds", "0,1", "--validation"
    )
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(home)
        patch.setattr(sys, "argv", ["bench", *words, "--jobs", "1", "--json"])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 0
    answer = json.loads(out.getvalue())
    return answer, load_results(home / answer["results"])


def call(home: Path, *more: object, test: tuple[str, ...] = ("m0", "m1"), recipe: bool = True) -> list[str]:
    store = home / "all" / "store"
    named = [word for method in test for word in ("--test", f"{store}:{method}")]
    words = ["adapt", "--weights", home / "mine.safetensors", *OWN, "--new", f"{store}:m2", *named]
    return [str(word) for word in (*words, *(("--recipe", "mini", *SET) if recipe else ()), *more)]


def test_the_answer_is_that_of_the_scores(adapted: tuple[dict[str, Any], Results]) -> None:
    answer, results = adapted
    assert (answer["old"], answer["new"]) == (["m0", "m1"], ["m2"])
    assert [of["label"] for of in answer["detectors"]] == ["before", "finetuning", "lwf"]
    assert [of["seeds"] for of in answer["detectors"]] == [[0], [0, 1], [0, 1]]
    for of in answer["detectors"]:
        cells = [cell for cell in results.cells if cell.label == of["label"]] or results.cells[:1]
        step = -1 if of["label"] == "before" else 2
        for name, values in of["values"].items():
            parts = [_at(cell.scores, step, name) for cell in cells]
            for measure, function in BY_HAND.items():
                expected = np.mean(
                    [function(part["label"].to_numpy(), part["score"].to_numpy()) for part in parts]
                )
                assert values[measure]["mean"] == pytest.approx(expected, abs=1e-9), (
                    of["label"],
                    name,
                    measure,
                )
    before, after = (answer["detectors"][place]["values"] for place in (0, 1))
    for group, names in (("old", ("m0", "m1")), ("new", ("m2",))):
        change = np.mean(
            [after[name]["accuracy"]["mean"] - before[name]["accuracy"]["mean"] for name in names]
        )
        assert answer["detectors"][1]["changes"][group]["mean"] == pytest.approx(change)


def _at(scores: Any, step: int, name: str) -> Any:
    return scores[(scores["step"] == step) & (scores["domain"] == name)]


BY_HAND = {
    "accuracy": accuracy,
    "auc": auc,
    "missed_fakes": lambda label, score: np.mean(score[label == 1] < 0.5),
    "false_alarms": lambda label, score: np.mean(score[label == 0] >= 0.5),
}


def test_the_recommended_strategy_is_chosen_by_validation_samples(
    adapted: tuple[dict[str, Any], Results],
) -> None:
    answer, results = adapted
    values = {"before": 0.0}
    for label in ("finetuning", "lwf"):
        cells = [cell for cell in results.cells if cell.label == label]
        values[label] = np.mean([_validated(cell.validation(), 2) for cell in cells])
        values["before"] = _validated(cells[0].validation(), -1)
    assert {of["label"]: of["validation"] for of in answer["detectors"]} == pytest.approx(values)
    assert answer["recommended"] == max(values, key=lambda label: values[label])
    name = answer["recommended"].replace("before", "the detector as it is")
    assert any(sentence.startswith(f"Recommended: {name}. It has") for sentence in answer["verdict"])


def _validated(frame: Any, step: int) -> float:
    """Half the new kind's accuracy, half the mean of the old kinds'."""
    at = frame[frame["step"] == step]
    of = {
        name: accuracy(part["label"].to_numpy(), part["score"].to_numpy())
        for name, part in at.groupby("domain")
    }
    return float(of["m2"] / 2 + (of["m0"] + of["m1"]) / 4)


def test_seeds_learn_from_other_videos_and_from_as_many(adapted: tuple[dict[str, Any], Results]) -> None:
    _, results = adapted
    plan = results.plan
    assert plan["stream"]["protocol"] == {"videos_per_class": 2, "shared_reals": True, "seed": 0, "draws": 10}
    drawn = {of["domains"][2]["rows"]["train"] for of in plan["folds"]} | {
        plan["stream"]["domains"][2]["rows"]["train"]
    }
    assert len(drawn) > 3
    assert [cell.fold for cell in results.cells] == [0, 0, 1, 1] or {cell.fold for cell in results.cells} == {
        0,
        1,
    }


def test_the_command_that_is_printed_takes_the_adapted_detector_home(
    bench: Any, home: Path, tmp_path: Path
) -> None:
    code, out, err = bench(*call(home, "--strategies", "finetuning,lwf", "--jobs", 1))
    assert code == 0, err
    lines = out.splitlines()
    assert next(line for line in lines if line).startswith("Before and after")
    assert any(line.startswith("No strategy is recommended") for line in lines)
    assert "Recipe: mini" in err
    commands = [shlex.split(line) for line in lines if line.startswith("  bench export ")]
    assert [words[2].rpartition("/")[2] for words in commands] == ["adapt-m2:finetuning:0", "adapt-m2:lwf:0"]
    code, out, err = bench(*commands[1][1:])
    assert code == 0, err
    assert (tmp_path / "lwf-seed0.safetensors").exists()
    record = json.loads((tmp_path / "lwf-seed0.json").read_text())
    assert [part["domain"] for part in record["trained_on"]] == [
        "unknown (the source model was brought)",
        "m2",
    ]
    # Another strategy is added to what is there; nothing is trained again.
    code, _, err = bench(*call(home, "--strategies", "finetuning,lwf", "--jobs", 1))
    assert code == 0
    assert "nothing to train" in err
    assert (tmp_path / "reports" / "adapt-m2" / "tables" / "adaptation.csv").exists()


def test_all_strategies_that_need_no_old_data_are_found_by_asking_them() -> None:
    from fretal_bench.benchmark.adaptation.chosen import USUAL, chosen
    from fretal_bench.benchmark.recipes.recipe import Recipe

    names = chosen(("all",), Recipe())
    assert set(USUAL) == set(chosen((), Recipe())) <= set(names)
    for info in list_strategies():
        able = not info.without_old_data and info.name != "zero-shot" and not info.backbone
        assert (info.name in names) == able
    assert "feature-distillation" not in chosen((), Recipe(trainable="head"))
    assert chosen(("ewc", "kd"), Recipe()) == ("ewc", "kd")
    distilling = {"fretal", "kd", "lwf", "feature-distillation", "hdp"}
    assert set(chosen(("@distillation", "ewc"), Recipe())) == {"ewc"} | distilling & set(names)
    with pytest.raises(BenchError, match="none of them adapts a detector without its old training data"):
        chosen(("@replay",), Recipe())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--weights": "nothing.pt"}, "weights nothing.pt: cannot be read"),
        (
            {"--new": "nowhere"},
            "--new nowhere: expected a crop store (STORE or STORE:METHOD,METHOD), found nothing",
        ),
        ({"--new": "{store}:m7"}, "has no method 'm7'; did you mean 'm2'"),
        ({"--new": "{folder}"}, "--out stores/all --size 32 --margin"),
        ({"--test": "{store}:m2"}, "is what --new names; name what must still be caught"),
        ({"--strategies": "fretl"}, "unknown strategy 'fretl'; did you mean 'fretal'"),
        ({"--strategies": "ewc"}, "strategy 'ewc' needs old training data for the Fisher information"),
        ({"--seeds": "a"}, "--seeds 'a': expected whole numbers"),
        ({"--recipe": "minni"}, "unknown recipe 'minni'"),
        ({"--videos-per-class": "0"}, "--videos-per-class: expected at least 1"),
        ({"--set": "lwf.temprature=3"}, "temprature"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_call_is_one_line(bench: Any, home: Path, change: dict[str, str], words: str) -> None:
    places = {"store": home / "all" / "store", "folder": home / "all"}
    more = [word.format(**places) for pair in change.items() for word in pair]
    typed = call(home, "--strategies", "lwf", test=("m0",), recipe=False)
    # The last of two values counts, but for options that may be given again.
    option = more[0]
    if option == "--test":
        typed = [word for at, word in enumerate(typed) if "--test" not in (word, typed[at - 1])]
    code, out, err = bench(*typed, *more)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not Path("results").exists()


def test_what_names_and_places_show_is_said_before_torch_is_imported(home: Path, tmp_path: Path) -> None:
    words = call(home, "--strategies", "fretl")
    script = (
        "import sys\n"
        f"sys.argv = {['bench', *words]!r}\n"
        "from fretal_bench.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=True
    )
    assert shown.stdout.split() == ["2", "False"]


def test_a_new_kind_without_a_test_set_is_learned_and_only_the_old_ones_are_measured(
    bench: Any, home: Path, tmp_path: Path
) -> None:
    import pandas as pd

    from fretal_bench.datasets.store.store import CropStore, CropStoreWriter

    store = CropStore.open(home / "all" / "store")
    rows = np.flatnonzero((store.index["split"] != "test").to_numpy())
    with CropStoreWriter(tmp_path / "fresh", size=store.size, name="fresh") as writer:
        writer.add(store.crops[rows], pd.DataFrame(store.index.iloc[rows]))
        writer.finish()
    # Its outputs are taken the wrong way round, too, which is asked about.
    words = call(home, "--strategies", "finetuning", "--jobs", 1, "--json", "--fake", 0, test=("m0",))
    words[words.index("--new") + 1] = f"{tmp_path / 'fresh'}:m2"
    code, out, err = bench(*words)
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["old"], answer["new"]) == (["m0"], [])
    assert list(answer["detectors"][1]["changes"]) == ["old"]
    assert answer["detectors"][0]["values"]["m0"]["auc"]["mean"] < 0.5
    (doubt,) = answer["doubts"]
    assert f"bench: {doubt}\n" in err
    assert "on m0, which is below 0.5: are its outputs swapped?" in doubt
