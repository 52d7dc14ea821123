"""Seeds that take the folds of a stream in turn: planned, trained, reported and judged, each on its own people."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from fretal_bench.benchmark.runner import opened
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.inspection import inspect
from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
from fretal_bench.benchmark.runner.opened import the_stream
from fretal_bench.benchmark.runner.ray_data import fetch_from, open_here, sent
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.errors import BenchError
from fretal_bench.reporting.contents import size_table
from fretal_bench.reporting.report import write_report
from fretal_bench.reporting.summary import summarize
from tests_support import TINY
from toy_stores import paired_rows, toy_store

pytestmark = pytest.mark.usefixtures("undrawn")

FOLDS, SEEDS, PEOPLE = 4, range(5), 16
METHODS = ("Deepfakes", "FaceSwap")
CHANGES = {"recipe": {**TINY, "source_epochs": 1}}


def write_stream(folder, name, store="store", keys=f"folds = {FOLDS}"):
    domains = "".join(
        f'\n[[domains]]\nname = "{method}"\nstore = "{store}"\nmethods = ["{method}"]\n' for method in METHODS
    )
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\n{keys}\n{domains}')
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of five seeds on a stream of four folds, and stores of the same people at another compression."""
    folder = tmp_path_factory.mktemp("folds")
    rows = paired_rows(10, 2, 4)
    toy_store(folder / "store", rows, size=32)
    toy_store(folder / "c40", rows.assign(compression="c40"), size=32)
    for name, store, keys in (
        ("mine", "store", f"folds = {FOLDS}"),
        ("whole", "store", ""),
        ("coarse", "c40", f"folds = {FOLDS}"),
        ("coarse-whole", "c40", ""),
    ):
        write_stream(folder, name, store, keys)
    results = run(
        ("finetuning", "zero-shot"),
        str(folder / "mine.toml"),
        seeds=SEEDS,
        changes=CHANGES,
        out=folder / "results" / "r",
    )
    assert not results.failures
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of it that may be changed."""
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


def people_of(frame):
    return {person for key in frame["people"].unique() for person in key.split("+")}


def test_over_the_folds_everybody_is_tested_once(trained):
    results = load_results(trained / "results" / "r")
    assert [cell.fold for cell in results.cells] == [seed % FOLDS for seed in SEEDS for _ in range(2)]
    tested = {seed: set() for seed in SEEDS}
    for cell in results.cells:
        tested[cell.seed] |= people_of(cell.scores)
        assert people_of(cell.scores).isdisjoint(people_of(cell.validation()))
        assert cell.scores.groupby("step")["people"].agg(set).map(len).nunique() == 1
    assert tested[4] == tested[0]
    assert sum(len(tested[seed]) for seed in range(FOLDS)) == PEOPLE
    assert set.union(*tested.values()) == {f"toy/{number:03}" for number in range(PEOPLE)}


def test_every_step_learned_the_training_people_of_its_fold_alone(trained):
    stream = open_stream(trained / "mine.toml")
    for cell in load_results(trained / "results" / "r").cells:
        about = json.loads((cell.path / "cell.json").read_text())
        learned = [
            json.loads((trained / "results" / "steps" / "steps" / id / "step.json").read_text())["learned"]
            for id in about["steps"][1:]
        ]
        folded = stream.in_fold(cell.seed % FOLDS)
        trains = [domain.content("train", "val")["rows"]["train"] for domain in folded]
        assert [step["train"] for step in learned if step is not None][: len(trains)] == trains
        index = folded[0].store.index.iloc[folded[0].rows["train"]]
        assert people_of(cell.scores).isdisjoint("toy/" + index["target"])


def test_cells_of_the_first_fold_are_those_of_the_stream_without_folds(trained, tmp_path):
    whole = prepare(
        Call(("finetuning", "zero-shot"), str(trained / "whole.toml"), changes=CHANGES, out=tmp_path / "r")
    )
    first = [cell for cell in load_results(trained / "results" / "r").cells if cell.seed == 0]
    # A cell's id names its stream too.
    assert [cell.path[-1].id for cell in whole.plan.cells] == [
        json.loads((cell.path / "cell.json").read_text())["steps"][-1] for cell in first
    ]


def test_the_report_counts_the_people_of_all_folds(trained, tmp_path):
    results = load_results(trained / "results" / "r")
    summary = summarize(results)
    assert [(size.reals, size.fakes, size.folds) for size in summary.sizes] == [(32, 32, FOLDS)] * 2
    assert "Of 4 folds together" in " ".join(size_table(summary).notes)
    assert "folds=4" in summary.stream
    write_report(results, tmp_path / "report")
    assert not inspect(results.path).faults


def test_a_plan_without_folds_goes_on_as_the_first_alone(trained, tmp_path):
    stream = shutil.copytree(trained / "store", tmp_path / "store").parent
    whole = write_stream(stream, "mine", keys="")
    run(["zero-shot"], whole, seeds=[0], changes=CHANGES, out=tmp_path / "r")
    assert "folds" not in json.loads((tmp_path / "r" / "plan.json").read_text())
    folded = write_stream(stream, "mine")
    run(["zero-shot"], folded, seeds=[0, 1], changes=CHANGES, out=tmp_path / "r")
    assert len(json.loads((tmp_path / "r" / "plan.json").read_text())["folds"]) == FOLDS - 1
    with pytest.raises(BenchError, match="4 folds there, 1 now; give another --out"):
        prepare(
            Call(["zero-shot"], write_stream(stream, "mine", keys=""), changes=CHANGES, out=tmp_path / "r")
        )
    with pytest.raises(BenchError, match="4 folds there, 3 now; give another --out"):
        prepare(
            Call(
                ["zero-shot"],
                write_stream(stream, "mine", keys="folds = 3"),
                changes=CHANGES,
                out=tmp_path / "r",
            )
        )


def test_seeds_that_all_tested_the_same_people_are_not_mixed_with_folds(trained, tmp_path):
    stream = shutil.copytree(trained / "store", tmp_path / "store").parent
    out = tmp_path / "r"
    prepare(
        Call(["zero-shot"], write_stream(stream, "mine", keys=""), seeds=(0, 1), changes=CHANGES, out=out)
    )
    with pytest.raises(BenchError, match="cells of seed 1 those people are tested who are in fold 0"):
        prepare(Call(["zero-shot"], write_stream(stream, "mine"), seeds=(0,), changes=CHANGES, out=out))


def test_every_fold_has_every_order_also_those_that_are_added_later(trained, tmp_path):
    path, out = str(trained / "mine.toml"), tmp_path / "r"
    run(["zero-shot"], path, seeds=[1, 2], changes=CHANGES, out=out, orders="Deepfakes,FaceSwap")
    results = run(["zero-shot"], path, seeds=[1, 2], changes=CHANGES, out=out, orders="all")
    (other,) = results.in_other_orders
    assert [domain["name"] for domain in other.plan["stream"]["domains"]] == list(METHODS[::-1])
    stream = open_stream(path)
    for of, order in ((results, METHODS), (other, METHODS[::-1])):
        for cell in of.cells:
            expected = stream.in_fold(cell.seed).in_order(order)
            assert [domain.rows.test for domain in cell.stream.domains] == [
                domain.content("test")["rows"]["test"] for domain in expected
            ]
    write_report(results, tmp_path / "report")
    assert not inspect(out).faults


def test_a_fold_in_the_plan_that_is_another_again_is_refused(folder):
    path = folder / "results" / "r" / "plan.json"
    plan = json.loads(path.read_text())
    plan["folds"][1] = plan["folds"][0]
    plan.pop("checksum")
    path.write_text(json.dumps(plan))
    with pytest.raises(BenchError, match="key 'folds': expected folds of different people"):
        load_results(path.parent)


def test_cells_of_two_folds_in_each_others_places_are_refused(folder):
    first, second = (
        cell.path
        for cell in load_results(folder / "results" / "r").cells
        if cell.strategy == "zero-shot" and cell.seed in (1, 2)
    )
    for name in ("scores.parquet", "checksums.json"):
        shutil.copy(first / name, second / name)
    with pytest.raises(BenchError, match=r"cell\.json|rows of domain"):
        load_results(folder / "results" / "r")


def judged(folder, **values):
    values = {"stream": str(folder / "mine.toml"), "jobs": 1, **values}
    scoring = prepare_scoring(ScoreCall(folder / "results" / "r", **values))
    execute_scoring(scoring)
    assert not scoring.left_out
    return load_results(folder / "results" / "r")


def test_cells_are_judged_on_the_further_test_people_of_their_own_fold(folder):
    results = judged(folder, on=str(folder / "coarse.toml"))
    for cell in results.cells:
        assert set(cell.further["domain"]) == {f"{method} (c40)" for method in METHODS}
        assert people_of(cell.further) == people_of(cell.scores)
    plan = json.loads((folder / "results" / "r" / "plan.json").read_text())
    assert [entry.get("fold", 0) for entry in plan["further"]] == [0, 0, 1, 1, 2, 2, 3, 3]
    further = summarize(results).further
    assert [(size.reals, size.folds) for size in further.sets] == [(32, FOLDS)] * 2
    assert not inspect(results.path).faults


def test_people_that_other_folds_were_trained_on_are_refused(folder):
    for on in ("coarse-whole.toml", "c40"):
        with pytest.raises(BenchError, match=r"cells of fold 1 of 4 .*were trained or chosen on.*folds = 4"):
            judged(folder, on=str(folder / on))


def test_corrupted_test_people_are_those_of_the_fold(folder):
    results = judged(folder, corrupt="jpeg-30")
    for cell in results.cells:
        assert people_of(cell.further) == people_of(cell.scores)
        assert len(cell.further) == (cell.scores["step"] == 0).sum()
    summary = summarize(results)
    assert summary.robustness is not None


def test_scores_of_another_folds_test_set_are_refused(folder):
    results = judged(folder, on=str(folder / "coarse.toml"))
    of_one, of_two = (next(cell for cell in results.cells if cell.seed == seed) for seed in (1, 2))
    place = next((results.path / "further").glob(f"*/{of_one.id}"))
    shutil.copytree(place, place.with_name(of_two.id))
    with pytest.raises(
        BenchError, match="expected a test set of fold 2, of which the cell is, found one of fold 1"
    ):
        load_results(results.path)


def test_a_process_opens_the_fold_of_a_step_and_keeps_no_more_than_one_besides_the_first(trained):
    path = str(trained / "mine.toml")
    expected = open_stream(path)
    opened.use_stream(path, open_stream(path))
    for fold in (0, 1, 3, 1):
        for order in ((), METHODS[::-1]):
            folded = expected.in_fold(fold)
            of = folded.in_order(order) if order else folded
            assert the_stream(path, order, fold).fingerprint() == of.fingerprint()
        assert the_stream(path, (), fold) is the_stream(path, (), fold)
        assert {key[1] for key in opened._orders} <= {0, fold}


def test_a_stream_that_is_sent_to_another_machine_has_its_folds(trained):
    path = str(trained / "mine.toml")
    prints = [open_stream(path, fold=fold).in_order(METHODS[::-1]).fingerprint() for fold in range(FOLDS)]
    of = sent(path)
    opened.use_stream("another", open_stream(path))
    open_here([of], fetch_from(None, None))
    for fold, expected in enumerate(prints):
        assert the_stream(path, METHODS[::-1], fold).fingerprint() == expected


def test_no_person_is_in_two_splits_of_a_cell(trained):
    """Of the tables alone: nobody who chose an epoch is tested."""
    for cell in load_results(trained / "results" / "r").cells:
        frames = [cell.scores.assign(of="test"), cell.validation().assign(of="val")]
        people = pd.concat(frames).assign(person=lambda f: f["people"].str.split("+")).explode("person")
        assert people.groupby("person")["of"].nunique().max() == 1
