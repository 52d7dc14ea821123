"""A source model that the user brings: runs that begin with it, old domains of which only test sets are left."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fretal_bench.benchmark.detectors.record import DetectorRecord, record_path, write_record
from fretal_bench.benchmark.prediction.detectors import open_detector
from fretal_bench.benchmark.prediction.exporting import export_trained
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
from fretal_bench.benchmark.runner.results import Results, load_results
from fretal_bench.benchmark.runner.run import execute, run
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.strategies.registry import find_strategy, list_strategies
from tests_support import NEEDING_ATTENTION, TINY, tiny_stream

RUNS = ("fretal", "kd", "lwf", "l2sp", "finetuning", "zero-shot")


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FReTAL along three domains, the ordinary way."""
    folder = tmp_path_factory.mktemp("brought")
    tiny_stream(folder, domains=3)
    run(
        ("fretal", "zero-shot"), str(folder / "tiny.toml"), changes={"recipe": TINY}, out=folder / "r" / "own"
    )
    _export_source(folder, folder / "detector.safetensors")
    return folder


def _export_source(folder: Path, file: Path) -> None:
    """Write the source model of a run as a file of weights with its record."""
    plan = json.loads((folder / "r" / "own" / "plan.json").read_text())
    step = plan["cells"][0]["steps"][1]
    state = torch.load(folder / "r" / "steps" / "steps" / step / "checkpoint.pt", weights_only=True)
    save_file({name: value.contiguous() for name, value in state["model"].items()}, file)
    recipe = plan["recipe"]
    half = (0.5, 0.5, 0.5)
    record = DetectorRecord(
        backbone=recipe["backbone"],
        mean=tuple(recipe.get("mean", half)),
        std=tuple(recipe.get("std", half)),
        image_size=recipe["image_size"],
        stem_stride=recipe["stem_stride"],
    )
    write_record(record_path(file), record)


def _stream(folder: Path, *splits: str, head: str = "", source: str = "detector.safetensors") -> Path:
    """The tiny stream with the splits of its domains stated, and a source model."""
    parts = (folder / "tiny.toml").read_text().split("[[domains]]")
    texts = [f"{part.rstrip()}\n{line}\n\n" for part, line in zip(parts[1:], splits, strict=True)]
    path = folder / "adapt.toml"
    brought = f'[source]\nweights = "{source}"\n\n' if source else ""
    path.write_text(parts[0] + head + "\n" + "[[domains]]".join([brought, *texts]))
    return path


def _scores(results: Results, strategy: str) -> dict[tuple[int, str], bytes]:
    (cell,) = [cell for cell in results.cells if cell.strategy == strategy]
    grouped = cell.scores.groupby(["step", "domain"], observed=True)
    return {(int(step), str(domain)): part["score"].to_numpy().tobytes() for (step, domain), part in grouped}


def _call(folder: Path, stream: Path, out: str, *strategies: str, **options: Any) -> Call:
    recipe = {key: value for key, value in TINY.items() if key not in ("backbone", "image_size")}
    values = {"jobs": 1, "changes": {"recipe": recipe}, "out": folder / "r" / out, **options}
    return Call(strategies or ("fretal",), str(stream), **values)


def _quiet(call: Call) -> Results:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BenchWarning)
        return execute(prepare(call))


def test_fretal_from_the_source_model_as_a_file_gives_the_bytes_of_the_ordinary_run(ordinary: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test", "val"]', "", "")
    brought = _scores(_quiet(_call(ordinary, stream, "file", "fretal", "zero-shot")), "fretal")
    own = _scores(load_results(ordinary / "r" / "own"), "fretal")
    names = sorted({domain for _, domain in own})
    assert len(names) == 3
    for name in names:
        for step in (0, 1, 2):
            assert brought[step, name] == own[step, name]
        # Before training there was the source model already.
        assert brought[-1, name] == own[0, name]
    assert own[1, names[0]] != own[0, names[0]]
    models = [_last_model(ordinary / "r" / name) for name in ("file", "own")]
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(weight, models[1][name]) for name, weight in models[0].items())


def _last_model(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights and statistics after the last domain of FReTAL's cell in a result folder."""
    (cell,) = [
        c for c in json.loads((folder / "plan.json").read_text())["cells"] if c["strategy"] == "fretal"
    ]
    path = folder.parent / "steps" / "steps" / cell["steps"][-1] / "checkpoint.pt"
    model: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["model"]
    return model


def test_every_strategy_of_the_registry_runs_or_says_why_not(ordinary: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test"]', "", "")
    able: list[str] = []
    for info in list_strategies():
        if info.without_old_data:
            with pytest.raises(BenchError) as error:
                prepare(_call(ordinary, stream, f"not-{info.name}", info.name))
            assert f"strategy {info.name!r} {info.without_old_data}" in str(error.value)
            assert "\n" not in str(error.value)
            assert not (ordinary / "r" / f"not-{info.name}").exists()
        elif info.name not in NEEDING_ATTENTION:
            able.append(info.name)
    assert set(RUNS) <= set(able)
    results = _quiet(_call(ordinary, stream, "able", *able))
    assert not results.failures
    assert {cell.strategy for cell in results.cells} == set(able)
    first = _scores(results, "zero-shot")
    for cell in results.cells:
        scores = _scores(results, cell.strategy)
        # All start from the model that was brought, and nobody learned its domain.
        assert {key: scores[key] for key in scores if key[0] < 1} == {
            key: first[key] for key in first if key[0] < 1
        }
        assert cell.strategy == "zero-shot" or scores[2, "D1"] != scores[0, "D1"]


@pytest.mark.parametrize(
    "name", ["ewc", "ewc-by-class", "online-ewc", "si", "mas", "er", "joint", "slda", "hdp"]
)
def test_what_needs_old_training_data_is_known(name: str) -> None:
    assert find_strategy(name).without_old_data


def test_a_strategy_that_reads_old_data_unsaid_is_told_so_by_name(
    ordinary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = find_strategy("ewc")
    monkeypatch.setattr(type(info), "without_old_data", "")
    results = _quiet(_call(ordinary, _stream(ordinary, 'splits = ["test"]', "", ""), "unsaid", "ewc"))
    assert "'ewc' reads the training data of the source model" in results.failures[0].reason


def test_one_source_model_serves_every_seed_and_is_judged_once(ordinary: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test"]', "", "")
    results = _quiet(_call(ordinary, stream, "seeds", "kd", "l2sp", seeds=(0, 1)))
    plan = json.loads((ordinary / "r" / "seeds" / "plan.json").read_text())
    assert len({cell["steps"][0] for cell in plan["cells"]}) == 1
    assert len({cell["steps"][1] for cell in plan["cells"]}) == 4
    of_kd = [cell.scores for cell in results.cells if cell.strategy == "kd"]
    before, after = ([part[part["step"] == step]["score"].to_numpy() for part in of_kd] for step in (-1, 2))
    np.testing.assert_array_equal(*before)
    assert (after[0] != after[1]).any()
    assert plan["stream"]["brought"]["backbone"] == TINY["backbone"]
    assert plan["stream"]["brought_from"] == str(ordinary / "detector.safetensors")
    about = json.loads((results.cells[0].path / "cell.json").read_text())
    assert about["brought"] == plan["stream"]["brought"]


def test_a_run_goes_on_without_the_file_and_another_file_is_another_run(ordinary: Path) -> None:
    weights = ordinary / "moving.safetensors"
    _export_source(ordinary, weights)
    stream = _stream(ordinary, 'splits = ["test"]', "", "", source=weights.name)
    _quiet(_call(ordinary, stream, "moving", "kd"))
    content = weights.read_bytes()
    weights.unlink()
    results = _quiet(_call(ordinary, stream, "moving", "kd", "l2sp"))
    assert len(results.cells) == 2
    with pytest.raises(BenchError, match="moving"):
        prepare(_call(ordinary, stream, "elsewhere", "kd"))
    weights.write_bytes(content)
    state = torch.load(io.BytesIO(_as_pt(weights)), weights_only=True)
    name = next(name for name, value in state.items() if value.is_floating_point())
    state[name] += 1e-3
    save_file(state, weights)
    with pytest.raises(BenchError, match=r"stream.brought.weights: there .*, now"):
        prepare(_call(ordinary, stream, "moving", "kd"))


def _as_pt(weights: Path) -> bytes:
    from safetensors.torch import load_file

    buffer = io.BytesIO()
    torch.save(load_file(weights), buffer)
    return buffer.getvalue()


def test_a_plan_whose_source_model_was_changed_is_not_believed(ordinary: Path, tmp_path: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test"]', "", "")
    results = _quiet(_call(ordinary, stream, "believed", "kd"))
    place = results.cells[0].path / "cell.json"
    about = json.loads(place.read_text())
    about["brought"]["weights"] = "0" * 64
    place.write_text(json.dumps(about))
    with pytest.raises(BenchError, match=r"cell\.json"):
        load_results(ordinary / "r" / "believed")


def test_old_domains_may_stand_anywhere_and_several_do(ordinary: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test"]', 'splits = ["test"]', "")
    scores = _scores(_quiet(_call(ordinary, stream, "two-old", "kd")), "kd")
    for name in ("D0", "D1", "D2"):
        assert scores[-1, name] == scores[0, name] == scores[1, name] != scores[2, name]
    last = _scores(
        _quiet(_call(ordinary, _stream(ordinary, "", "", 'splits = ["test"]'), "old-last", "kd")), "kd"
    )
    assert last[-1, "D0"] != last[0, "D0"] != last[1, "D0"]
    assert last[1, "D2"] == last[2, "D2"]


def test_the_first_of_new_domains_has_the_epochs_of_a_later_one(ordinary: Path) -> None:
    stream = _stream(ordinary, "", "", 'splits = ["test"]')
    call = _call(ordinary, stream, "epochs", "kd")
    values = dict(call.changes["recipe"])
    more = dataclasses.replace(
        call, changes={"recipe": {**values, "source_epochs": 7}}, out=ordinary / "r" / "more"
    )
    assert _scores(_quiet(call), "kd")[0, "D0"] == _scores(_quiet(more), "kd")[0, "D0"]


def test_a_domain_in_the_middle_that_nobody_learns_passes_the_model_on(ordinary: Path) -> None:
    stream = _stream(ordinary, "", 'splits = ["test"]', "", source="")
    results = run(("er", "finetuning"), str(stream), changes={"recipe": TINY}, out=ordinary / "r" / "middle")
    assert not results.failures
    for strategy in ("er", "finetuning"):
        scores = _scores(results, strategy)
        assert scores[0, "D1"] == scores[1, "D1"] != scores[2, "D1"]


def test_a_domain_without_a_test_set_is_learned_and_has_no_scores(ordinary: Path) -> None:
    stream = _stream(ordinary, "", 'splits = ["train", "val"]', "", source="")
    results = run(("finetuning",), str(stream), changes={"recipe": TINY}, out=ordinary / "r" / "untested")
    scores = _scores(results, "finetuning")
    assert {name for _, name in scores} == {"D0", "D2"}
    assert scores[0, "D0"] != scores[1, "D0"]


@pytest.mark.parametrize(
    ("splits", "source", "words"),
    [
        (['splits = ["test"]', "", ""], "", "'D0' comes first and has no training rows"),
        (['splits = ["test"]'] * 3, "detector.safetensors", "no domain has training rows"),
        (['splits = ["test"]', "", ""], "nothing.pt", "nothing.pt"),
    ],
)
def test_what_cannot_run_is_told_before_anything_is_written(
    ordinary: Path, splits: list[str], source: str, words: str
) -> None:
    stream = _stream(ordinary, *splits, source=source)
    with pytest.raises(BenchError, match=words):
        prepare(_call(ordinary, stream, "never", "kd"))
    assert not (ordinary / "r" / "never").exists()


def test_the_recipe_trains_the_backbone_that_was_brought_and_says_so(ordinary: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test"]', "", "")
    call = _call(ordinary, stream, "conflict", "kd")
    with pytest.warns(BenchWarning, match="the source model's, '.*', is trained"):
        prepared = prepare(dataclasses.replace(call, recipe="mini-vit"))
    assert prepared.plan.recipe.backbone == TINY["backbone"]
    with pytest.raises(BenchError, match=r"--set recipe\.backbone=resnet18"):
        prepare(_call(ordinary, stream, "conflict", "kd", changes={"recipe": {"backbone": "resnet18"}}))


def test_epochs_are_chosen_by_the_validation_samples_of_what_is_learned_alone(ordinary: Path) -> None:
    stream = _stream(ordinary, 'splits = ["test"]', "", "")
    recipe = dict(_call(ordinary, stream, "chosen", "kd").changes["recipe"])
    results = _quiet(
        _call(ordinary, stream, "chosen", "kd", changes={"recipe": {**recipe, "select": "validation"}})
    )
    assert not results.failures
    for_all = {"recipe": {**recipe, "select": "source-and-target"}}
    with pytest.raises(BenchError, match=r"domain 'D0' .* has no validation rows"):
        prepare(_call(ordinary, stream, "old-too", "kd", changes=for_all))


def test_a_call_may_bring_another_source_model_than_the_stream(
    ordinary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ordinary)
    stream = _stream(ordinary, 'splits = ["test"]', "", "", source="nothing.pt")
    results = _quiet(_call(ordinary, stream, "call", "kd", source=SourceTable("detector.safetensors")))
    assert len(results.cells) == 1
    kept = (ordinary / "r" / "call" / "stream.toml").read_text()
    assert str(ordinary / "detector.safetensors") in kept


OWN_NET = (
    "from torch import nn\n"
    "def build():\n"
    "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))\n"
)


@pytest.fixture(scope="module")
def own_code(ordinary: Path) -> Results:
    """A run that begins with code of the user's own, of one logit."""
    (ordinary / "net.py").write_text(OWN_NET)
    inside: dict[str, Any] = {}
    exec(OWN_NET, inside)
    torch.manual_seed(0)
    torch.save(inside["build"]().state_dict(), ordinary / "own.pt")
    stream = _stream(ordinary, 'splits = ["test"]', "", "")
    half = (0.5, 0.5, 0.5)
    table = SourceTable(
        str(ordinary / "own.pt"), model=str(ordinary / "net.py:build"), mean=half, std=half, image_size=0
    )
    return _quiet(_call(ordinary, stream, "code", "kd", "lwf", source=table))


def test_code_of_ones_own_is_trained_on(ordinary: Path, own_code: Results) -> None:
    assert not own_code.failures
    plan = json.loads((ordinary / "r" / "code" / "plan.json").read_text())
    assert plan["stream"]["brought"]["backbone"] == "net.py:build"
    assert len(plan["stream"]["brought"]["code"]) == 64


def test_what_was_trained_from_code_of_ones_own_judges_and_is_exported_where_that_code_is_named(
    ordinary: Path, own_code: Results
) -> None:
    cell, model = own_code.cells[0].path, str(ordinary / "net.py:build")
    crops = [*np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)]
    expected = open_detector(cell, {"model": model}).score(crops)
    assert len(set(expected.tolist())) == 3
    exported = export_trained(cell, ordinary / "own-kd", model=model)
    assert exported.content.model == "net.py:build"
    again = open_detector(exported.weights, {"model": model}).score(crops)
    np.testing.assert_allclose(again, expected, atol=1e-4)


def test_code_of_ones_own_is_scored_on_corrupted_sets_where_it_is_named(
    ordinary: Path, own_code: Results
) -> None:
    shutil.copytree(ordinary / "r" / "code", ordinary / "r" / "scored")
    call = ScoreCall(ordinary / "r" / "scored", corrupt="jpeg-30", jobs=1)
    with pytest.raises(
        BenchError, match=r"code of your own \(net.py:build\), which is run only where you name it"
    ):
        prepare_scoring(call)
    scoring = prepare_scoring(dataclasses.replace(call, model=str(ordinary / "net.py:build")))
    execute_scoring(scoring)
    assert not scoring.left_out
    scored = load_results(ordinary / "r" / "scored").cells[0].further
    assert scored is not None
    assert scored["domain"].nunique() == 3


def test_other_code_than_the_one_that_was_brought_is_not_run(
    ordinary: Path, own_code: Results, tmp_path: Path
) -> None:
    cell = own_code.cells[0].path
    (tmp_path / "net.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + OWN_NET)
    refusals = {
        "": "is code of your own (net.py:build), which is run only where you name it: --model FILE.py:FUNCTION",
        f"{tmp_path / 'net.py'}:build": "with which the source model was brought, found net.py:build with",
        f"{ordinary / 'net.py'}:other": "found net.py:other",
    }
    for model, words in refusals.items():
        for use in (lambda model: open_detector(cell, {"model": model or None}), _exported(cell, tmp_path)):
            with pytest.raises(BenchError) as error:
                use(model)
            assert words in str(error.value)
            assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def _exported(cell: Path, folder: Path) -> Callable[[str], object]:
    return lambda model: export_trained(cell, folder / "never", model=model)


def test_code_is_refused_where_none_was_brought(ordinary: Path, own_code: Results) -> None:
    own = load_results(ordinary / "r" / "own").cells[0].path
    with pytest.raises(
        BenchError, match=r"cell\.json: --model .*: no source model was brought; leave it out"
    ):
        open_detector(own, {"model": str(ordinary / "net.py:build")})
