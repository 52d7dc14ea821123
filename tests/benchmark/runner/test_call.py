"""The preparer that run, tune and paper share: what it checks and when, and what it writes down."""

import dataclasses
import json

import pytest

import fretal_bench.benchmark.recipes.model as model_module
import fretal_bench.datasets.streams.stream as stream_module
from fretal_bench import parsing
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import call as call_module
from fretal_bench.benchmark.runner.call import STREAM_FILE, Call, check_names, check_validation, prepare
from fretal_bench.benchmark.runner.run import execute
from fretal_bench.benchmark.runner.seals import CHECKSUMS, seal
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.errors import BenchError, BenchWarning
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


def test_names_keys_and_values_are_checked_before_a_stream_is_opened(stream, tmp_path, monkeypatch):
    def opened(*_, **__):
        raise AssertionError("the stream was opened")

    monkeypatch.setattr(stream_module, "open_located", opened)
    right = Call(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r")
    for wrong, message in (
        ({"strategies": ("ewk",)}, "unknown strategy 'ewk'"),
        ({"strategies": ()}, "nothing to run"),
        ({"stream": "ffpp-minni"}, "unknown stream"),
        ({"recipe": "minni"}, "unknown recipe"),
        ({"seeds": ()}, "nothing to run"),
        ({"changes": {"ewc": {"lamda_": 1}}}, "lamda_"),
        ({"changes": {"ewc": {"lambda_": -1}}}, "lambda_"),
        ({"changes": {"lwf": {"temperature": 1}}}, "lwf"),
        ({"changes": {"recipe": {"epoch": 1}}}, "epoch"),
        ({"device": "tpu"}, "tpu"),
        ({"jobs": 0}, "--jobs"),
    ):
        with pytest.raises(BenchError, match=message):
            prepare(dataclasses.replace(right, **wrong))
    assert not (tmp_path / "r").exists()
    assert check_names(right).epochs == 1


def test_a_caution_is_said_whoever_made_the_cells(stream, tmp_path, monkeypatch):
    info = dataclasses.replace(call_module.find_strategy("ewc"), caution="mind the step")
    monkeypatch.setattr(call_module, "find_strategy", lambda _: info)
    call = Call(("ewc", "lwf"), stream, changes={"recipe": TINY}, out=tmp_path / "r")
    with pytest.warns(BenchWarning, match="ewc: mind the step"):
        prepare(call, cells=lambda opened: opened.cells(["ewc"], [3]))


def test_cells_may_be_others_than_every_strategy_with_every_seed(stream, tmp_path):
    call = Call(("ewc", "lwf"), stream, changes={"recipe": TINY}, out=tmp_path / "r")
    prepared = prepare(call, cells=lambda opened: [*opened.cells(["ewc"], [3]), *opened.cells(["lwf"], [4])])
    assert [cell.label for cell in prepared.plan.cells] == ["ewc, seed 3", "lwf, seed 4"]
    entries = json.loads((tmp_path / "r" / "plan.json").read_text())["cells"]
    assert [entry["id"] for entry in entries] == [cell.id for cell in prepared.plan.cells]
    # Two source models, and two domains of each cell after the first, whose model is adopted.
    assert prepared.total == 2 + 2 * 2


def test_an_altered_stream_is_written_where_every_process_opens_it(stream, tmp_path):
    def shorter(file):
        return dataclasses.replace(file, first=2, withhold_test=True)

    call = Call(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r")
    prepared = prepare(call, stream=shorter)
    (cell,) = prepared.plan.cells
    assert cell.stream == str(tmp_path / "r" / STREAM_FILE)
    opened = open_stream(cell.stream)
    assert opened.fingerprint() == prepared.plan.stream
    assert len(opened) == 2
    assert not any(len(domain.rows["test"]) for domain in opened)


def test_a_recipe_that_chooses_by_validation_is_refused_where_a_domain_has_none(tmp_path):
    # 9 people leave one split of 1 train, 2 validation and 2 test pairs; without validation rows no epoch can be chosen.
    opened = open_stream(tiny_stream(tmp_path, people=9))
    check_validation(opened, "this needs", "do without")
    opened[1].rows["val"] = opened[1].rows["val"][:0]
    with pytest.raises(BenchError, match=r"'D1'.*no validation rows, which this needs; .*or do without"):
        check_validation(opened, "this needs", "do without")


def test_a_recipe_that_chooses_by_validation_asks_for_it(stream, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        call_module, "check_validation", lambda stream, use, remedy, learned: asked.append(use)
    )
    prepare(Call(("ewc",), stream, Recipe().changed(TINY), out=tmp_path / "a"))
    assert asked == []
    prepare(Call(("ewc",), stream, Recipe().changed({**TINY, "select": "validation"}), out=tmp_path / "b"))
    assert len(asked) == 1
    assert "select=validation" in asked[0]


def test_done_cells_of_another_version_are_said_in_one_line_and_others_are_not(stream, tmp_path, recwarn):
    call = Call(("finetuning", "joint"), stream, changes={"recipe": TINY}, out=tmp_path / "r", jobs=1)
    execute(prepare(call))
    prepare(call)
    assert not [warning for warning in recwarn if issubclass(warning.category, BenchWarning)]
    for path in (tmp_path / "r").glob("cells/*/environment.json"):
        environment = json.loads(path.read_text())
        environment["versions"]["fretal-bench"] = "0.0.7"
        path.write_text(json.dumps(environment))
        (path.parent / CHECKSUMS).unlink()
        seal(path.parent)
    with pytest.warns(BenchWarning) as said:
        prepare(call)
    (warning,) = said
    assert "2 cells were made by version 0.0.7" in str(warning.message)
    assert str(tmp_path / "r" / "cells") in str(warning.message)


@pytest.mark.parametrize(("methods", "shared"), [(("m0", "m1", "m0"), True), (("m0", "m1", "m2"), False)])
def test_a_domain_whose_fakes_were_learned_before_is_said(methods, shared, tmp_path, recwarn):
    tiny_stream(tmp_path, people=6)
    again = tmp_path / "again.toml"
    domains = [
        {"name": f"{place}", "store": "store", "methods": [method]} for place, method in enumerate(methods)
    ]
    again.write_text(parsing.to_toml({"name": "again", "domains": domains}))
    prepare(Call(("er",), str(again), changes={"recipe": TINY}, out=tmp_path / "r"))
    said = [str(warning.message).partition(": memories")[0] for warning in recwarn]
    expected = "stream 'again': 6 of the 6 fakes that domain '2' trains on are those of domain '0'"
    assert said.count(expected) == (1 if shared else 0)
    assert not any("trains on are those" in line for line in said if line != expected)


def test_a_backbone_that_stays_random_is_said_once_and_one_that_learns_or_knows_something_is_not(
    stream, tmp_path, recwarn, monkeypatch
):
    monkeypatch.setattr(model_module, "check_trainable", lambda *_: None)
    for name, values in (("a", {}), ("b", {"trainable": "norms", "pretrained": True})):
        prepare(Call(("finetuning",), stream, changes={"recipe": {**TINY, **values}}, out=tmp_path / name))
    assert not [warning for warning in recwarn if issubclass(warning.category, BenchWarning)]
    with pytest.warns(BenchWarning, match=r"trainable = 'head' leaves the backbone at weights .* random"):
        prepare(Call(("ewc",), stream, changes={"recipe": {**TINY, "trainable": "head"}}, out=tmp_path / "c"))


def test_what_cannot_learn_as_the_recipe_says_is_refused_before_anything_is_written(stream, tmp_path):
    lora = {"recipe": {**TINY, "trainable": "lora"}}
    for names, reason in (
        (("finetuning",), r"^--set recipe\.trainable: .*attention blocks"),
        (("domain-lora",), r"^strategy 'domain-lora' does not train with trainable = 'lora'"),
    ):
        with pytest.raises(BenchError, match=reason):
            prepare(Call(names, stream, changes=lora, out=tmp_path / "r"))
    assert not (tmp_path / "r").exists()
