"""What is believed of a result folder: files that were written, in the place they were written to, and nothing else.

``older_results`` was written by commit a6ae0f4, which kept no checksums: two strategies, two seeds, two domains. Its
``values.csv`` is of the report that the same commit made of it.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.runner.inspection import inspect
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.errors import BenchError
from fretal_bench.reporting.report import write_report

pytestmark = pytest.mark.usefixtures("undrawn")

OLDER = Path(__file__).parent / "older_results"
FINETUNING, EWC = ("8402ef0c5265813d", "8acc7292d5b7e8d9"), ("1f991e0196317e12", "97d5cf13fb8ae0b3")
LABEL = "ewc(lambda_=1000000.0)"
"""Ids of seeds 0 and 1; see ``test_the_ids_are_those_of_the_plan``."""


@pytest.fixture
def older(tmp_path):
    """A folder of an earlier version, to be spoilt."""
    shutil.copytree(OLDER, tmp_path / "r")
    (tmp_path / "r" / "values.csv").unlink()
    return tmp_path / "r"


@pytest.fixture
def sealed(older):
    """The same with checksums, as this version writes them."""
    for folder in older.glob("cells/*"):
        seal(folder)
    return older


def plan_of(folder):
    return json.loads((folder / "plan.json").read_text())


def change_json(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def change_scores(folder, change, cell=EWC[0], name="scores.parquet"):
    path = folder / "cells" / cell / name
    frame = pd.read_parquet(path)
    changed = change(frame)
    (frame if changed is None else changed).to_parquet(path, index=False)


def swap(one, other):
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def refusal(folder):
    """The one line with which the folder is refused."""
    with pytest.raises(BenchError) as caught:
        load_results(folder)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    assert any(str(fault) == line for fault in inspect(folder).faults), "doctor says the same"
    return line


def test_the_ids_are_those_of_the_plan():
    cells = {(entry["strategy"], entry["seed"]): entry["id"] for entry in plan_of(OLDER)["cells"]}
    assert [cells["finetuning", seed] for seed in (0, 1)] == list(FINETUNING)
    assert [cells["ewc", seed] for seed in (0, 1)] == list(EWC)


def test_results_of_an_earlier_version_are_read_and_reported_the_same(older, tmp_path):
    results = load_results(older)
    assert not any(cell.sealed for cell in results.cells)
    report = write_report(results, tmp_path / "report")
    before = (OLDER / "values.csv").read_text("utf-8").splitlines()
    now = (tmp_path / "report" / "tables" / "values.csv").read_text("utf-8").splitlines()
    # Later versions report more quantities; what there was is the same, to the letter.
    quantities = {line.split(",")[-2] for line in before}
    assert [line for line in now if line.split(",")[-2] in quantities] == before
    assert any(note.startswith("4 cells were written without checksums") for note in report.verdict.notes)
    assert all(len(cell.validation()) == len(cell.scores) for cell in results.cells)


def test_results_with_checksums_say_nothing_of_them(sealed, tmp_path):
    notes = write_report(load_results(sealed), tmp_path / "report").verdict.notes
    assert not any("checksums" in note for note in notes)


def exchange_ids(plan):
    first, second = plan["cells"][0], plan["cells"][1]
    first["id"], second["id"] = second["id"], first["id"]


PLANS = {
    "not a table": (lambda plan: [], "expected a table"),
    "another format": (lambda plan: plan.update(format=99), "key 'format': expected 1 or 2, found 99"),
    "format true": (lambda plan: plan.update(format=True), "key 'format'"),
    "no stream": (lambda plan: [plan.pop("stream")].clear(), "key 'stream'"),
    "unknown key": (lambda plan: plan.update(colour="red"), "unknown key 'colour'"),
    "unknown key of a cell": (lambda plan: plan["cells"][0].update(seeds=1), "unknown key 'cells[0].seeds'"),
    "seed as text": (lambda plan: plan["cells"][1].update(seed="0"), "key 'cells[1].seed'"),
    "id as a path": (
        lambda plan: plan["cells"][0].update(id="../../etc"),
        "key 'cells[0].id': expected a hex",
    ),
    "absolute id": (
        lambda plan: plan["cells"][0].update(id="/etc/passwd"),
        "key 'cells[0].id': expected a hex",
    ),
    "a cell twice": (lambda plan: plan["cells"].append(plan["cells"][0]), "every cell once"),
    "two domains of one name": (
        lambda plan: plan["stream"]["domains"][0].update(name=plan["stream"]["domains"][1]["name"]),
        "all of different names",
    ),
    "bidirectional label": (lambda plan: plan["cells"][0].update(label="a\u202eb"), "key 'cells[0].label'"),
    "recipe without a name": (lambda plan: plan.update(recipe={}), "key 'recipe.name'"),
    "wrong recipe": (lambda plan: plan["recipe"].update(epochs=0), "recipe: key 'epochs'"),
}


@pytest.mark.parametrize(("change", "words"), PLANS.values(), ids=PLANS)
def test_a_plan_of_another_shape_is_refused_with_the_key(change, words, older):
    plan = plan_of(older)
    changed = change(plan)
    (older / "plan.json").write_text(json.dumps(plan if changed is None else changed))
    line = refusal(older)
    assert line.startswith(f"{older / 'plan.json'}: ")
    assert words in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"format": NaN}', "found NaN"),
        ('{"format": 1e999}', "found 1e999"),
        ('{"format": 1, "format": 1}', "is there twice"),
        ("[" * 100_000, "within each other"),
        ("\xff", "not UTF-8"),
    ],
)
@pytest.mark.parametrize(
    "name", ["plan.json", f"cells/{EWC[1]}/cell.json", f"cells/{EWC[1]}/environment.json"]
)
def test_what_is_no_json_is_refused_with_the_file(name, text, words, older):
    (older / name).write_bytes(text.encode("latin-1"))
    line = refusal(older)
    assert str(older / name) in line
    assert words in line


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop"])
@pytest.mark.parametrize(
    "name",
    ["plan.json", *(f"cells/{EWC[1]}/{name}" for name in ("cell.json", "scores.parquet", "checksums.json"))],
)
def test_what_is_no_file_is_refused_at_once(name, kind, older):
    path = older / name
    path.unlink(missing_ok=True)
    {"pipe": os.mkfifo, "folder": os.mkdir, "loop": lambda path: path.symlink_to(path)}[kind](path)
    signal.alarm(60)
    try:
        if kind == "loop" and name == "plan.json":
            with pytest.raises(BenchError):
                load_results(older)
        else:
            assert str(path) in refusal(older)
    finally:
        signal.alarm(0)


CELLS = {
    "crop": ("cell.json", lambda v: v.update(crop=3), "key 'crop'"),
    "missing": ("cell.json", lambda v: v.pop("strategy"), "key 'strategy'"),
    "unknown": ("cell.json", lambda v: v.update(better=True), "unknown key 'better'"),
    "hyperparameters": (
        "cell.json",
        lambda v: v["hyperparameters"].update(lambda_=1.0),
        "key 'hyperparameters'",
    ),
    "seed": ("cell.json", lambda v: v.update(seed=7), "key 'seed'"),
    "recipe": ("cell.json", lambda v: v["recipe"].update(lr=0.5), "not that of the id"),
    "origin": ("cell.json", lambda v: v.update(origin="mine 1.0"), "not that of the id"),
    "phases": ("environment.json", lambda v: v.update(phases={}), "key 'phases'"),
    "phase": ("environment.json", lambda v: v["phases"][0].update(seconds=-1), "key 'phases[0].seconds'"),
    "step": ("environment.json", lambda v: v["phases"][0].update(step=9), "key 'phases'"),
    "versions": ("environment.json", lambda v: v.update(versions=None), "key 'versions'"),
    "another seed": ("environment.json", lambda v: v.update(seed=0), "key 'seed'"),
}


@pytest.mark.parametrize(("name", "change", "words"), CELLS.values(), ids=CELLS)
def test_what_says_something_else_of_a_cell_is_refused(name, change, words, older):
    path = older / "cells" / EWC[1] / name
    change_json(path, change)
    line = refusal(older)
    assert str(path) in line
    assert words in line


def both_hyperparameters(folder):
    """Another value in cell.json and in the plan alike."""
    change_json(folder / "cells" / EWC[0] / "cell.json", lambda v: v["hyperparameters"].update(lambda_=3.0))

    def change(plan):
        entry = next(entry for entry in plan["cells"] if entry["id"] == EWC[0])
        entry["hyperparameters"]["lambda_"], entry["label"] = 3.0, "ewc(lambda_=3.0)"

    change_json(folder / "plan.json", change)


def scores_at(folder, cell):
    return folder / "cells" / cell / "scores.parquet"


FOREIGN = {
    "folders swapped": lambda r: swap(r / "cells" / EWC[0], r / "cells" / FINETUNING[0]),
    "ids swapped in the plan": lambda r: change_json(r / "plan.json", exchange_ids),
    "hyperparameters changed everywhere": both_hyperparameters,
    "label of another strategy": lambda r: change_json(
        r / "plan.json", lambda p: p["cells"][0].update(label="er")
    ),
    "label with another value": lambda r: change_json(
        r / "plan.json",
        lambda p: [e.update(label="ewc(lambda_=7.0)") for e in p["cells"] if e["strategy"] == "ewc"],
    ),
    "scores of another seed": lambda r: swap(scores_at(r, EWC[0]), scores_at(r, EWC[1])),
    "domains in another order": lambda r: change_json(
        r / "plan.json", lambda p: p["stream"]["domains"].reverse()
    ),
    "test rows of another stream": lambda r: change_json(
        r / "plan.json", lambda p: p["stream"]["domains"][0]["rows"].update(test="0" * 64)
    ),
    "validation scores as test scores": lambda r: shutil.copy(
        r / "cells" / EWC[0] / "validation.parquet", scores_at(r, EWC[0])
    ),
}


@pytest.mark.parametrize("spoil", FOREIGN.values(), ids=FOREIGN)
def test_a_report_never_mixes_what_does_not_belong_together(spoil, older):
    spoil(older)
    assert any(id in refusal(older) for id in (*EWC, *FINETUNING))


def at(frame, step):
    return frame["step"] == step


def mixed(frame):
    """The labels of one step turned around."""
    frame.loc[at(frame, 1), "label"] = 1 - frame["label"]


TABLES = {
    "labels of one step": (mixed, "column 'label': domain 'D0' has"),
    "labels of all steps": (lambda f: f.assign(label=1 - f["label"]), "column 'label': video"),
    "label 2": (lambda f: f.assign(label=np.int8(2)), "column 'label': expected 0"),
    "a step is missing": (lambda f: f[f["step"] != 0], "of step 0"),
    "the last step is missing": (lambda f: f[f["step"] < 1], "holds 0 scores of step 1"),
    "a step too many": (lambda f: f.assign(step=(f["step"] + 1).astype("int16")), "steps 0 to 2"),
    "steps in another order": (lambda f: f.iloc[::-1], "not in their order"),
    "a domain is missing": (lambda f: f[f["domain"] != "D1"], "no scores of domain 'D1'"),
    "another domain": (lambda f: f.assign(domain=f["domain"].replace("D1", "D7")), "domain 'D7', which"),
    "a row twice": (
        lambda f: f.assign(row=f["row"].where(f["row"] != f["row"].iloc[1], f["row"].iloc[0])),
        "rows of",
    ),
    "rows of one step": (lambda f: f.assign(row=f["row"] + at(f, 1)), "column 'row'"),
    "videos of one step": (
        lambda f: f.assign(video=f["video"] + at(f, 1).map({True: "x", False: ""})),
        "'video'",
    ),
    "half of it": (lambda f: f.iloc[: len(f) // 2], "every step has the same samples"),
    "empty": (lambda f: f.iloc[:0], "holds no scores"),
    "float64": (lambda f: f.astype({"score": "float64"}), "column 'score': expected float32, found"),
    "scores as text": (lambda f: f.astype({"score": "str"}), "column 'score'"),
    "steps as int64": (lambda f: f.astype({"step": "int64"}), "column 'step': expected int16, found int64"),
    "no video": (lambda f: f.drop(columns="video"), "expected the columns"),
    "one more column": (lambda f: f.assign(more=1), "expected the columns"),
    "a value is missing": (lambda f: f.assign(video=f["video"].where(f.index > 0)), "expected a value"),
}


@pytest.mark.parametrize(("change", "words"), TABLES.values(), ids=TABLES)
def test_scores_of_other_samples_are_refused(change, words, older):
    change_scores(older, change)
    line = refusal(older)
    assert str(scores_at(older, EWC[0])) in line
    assert words in line


def with_people(folder, cell=EWC[0]):
    """Say in a cell's scores who is in them, as this version does; who swaps is the next person."""

    def people(video):
        dataset, method, _, name = video.split("/")
        own = f"{dataset}/{name}"
        return own if method == "real" else f"{own}+{dataset}/p{int(name[1:]) + 1}"

    change_scores(folder, lambda f: f.assign(people=f["video"].map(people))[COLUMNS], cell)


COLUMNS = ["step", "domain", "row", "label", "video", "people", "score"]
PEOPLE = {
    "another person at one step": (
        lambda f: f.assign(people=f["people"].where(~at(f, 1), "tiny/px")),
        "column 'people': domain 'D0' has",
    ),
    "two people in a real video": (
        lambda f: f.assign(people="tiny/a+tiny/b"),
        "has 'tiny/a+tiny/b'; expected",
    ),
    "somebody of another data set": (lambda f: f.assign(people="toy/a"), "expected 'tiny/PERSON'"),
    "nobody's name": (lambda f: f.assign(people="tiny/"), "has 'tiny/'"),
    "a missing value": (
        lambda f: f.assign(people=f["people"].where(f.index > 0)),
        "column 'people': expected a value",
    ),
    "numbers": (lambda f: f.assign(people=1), "column 'people': expected string"),
    "the columns in another order": (
        lambda f: f[[*COLUMNS[:4], "people", "video", "score"]],
        "expected the columns",
    ),
}


@pytest.mark.parametrize(("change", "words"), PEOPLE.values(), ids=PEOPLE)
def test_people_who_cannot_be_those_of_the_samples_are_refused(change, words, older):
    with_people(older)
    load_results(older)
    change_scores(older, change)
    assert words in refusal(older)


def test_cells_that_say_who_is_in_their_samples_agree_and_older_ones_say_nothing(older):
    with_people(older)
    with_people(older, EWC[1])
    columns = {cell.id: list(cell.scores.columns) for cell in load_results(older).cells}
    assert columns[EWC[0]] == columns[EWC[1]] == COLUMNS
    assert "people" not in columns[FINETUNING[0]]
    change_scores(older, lambda f: f.assign(people=f["people"].str.partition("+")[0]), EWC[1])
    line = refusal(older)
    assert "its people are not those of" in line
    assert EWC[0] in line
    assert EWC[1] in line


def test_of_samples_that_name_nobody_the_people_are_empty(older):
    with_people(older)
    change_scores(older, lambda f: f.assign(people=""))
    (cell,) = (cell for cell in load_results(older).cells if cell.id == EWC[0])
    assert set(cell.scores["people"]) == {""}


def test_validation_scores_of_other_samples_are_refused_when_they_are_asked_for(older):
    shutil.copy(scores_at(older, EWC[0]), older / "cells" / EWC[0] / "validation.parquet")
    cell = next(cell for cell in load_results(older).cells if cell.id == EWC[0])
    with pytest.raises(BenchError, match="holds test rows of domain 'D0', not the validation rows"):
        cell.validation()
    assert any("not the validation rows" in fault for fault in inspect(older).faults)


def test_a_short_table_that_promises_much_is_refused_before_it_fills_memory(older):
    frame = pd.DataFrame({"step": np.zeros(30_000_000, np.int16)})
    for column, kind in (
        ("domain", "str"),
        ("row", "int64"),
        ("label", "int8"),
        ("video", "str"),
        ("score", "float32"),
    ):
        frame[column] = pd.Series(["a" if kind == "str" else 0], dtype=kind).repeat(len(frame)).to_numpy()
    frame.to_parquet(scores_at(older, EWC[0]), index=False)
    assert "promises 30,000,000 rows" in refusal(older)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.25, 1.5])
def test_a_cell_whose_scores_are_no_probabilities_is_left_out_and_named(value, older, bench):
    change_scores(older, lambda f: f.assign(score=f["score"].where(f.index > 3, np.float32(value))))
    results = load_results(older)
    assert len(results.cells) == 3
    (unusable,) = results.unusable
    assert (unusable.id, unusable.label, unusable.seed) == (EWC[0], LABEL, 0)
    assert "4 of " in unusable.reason
    code, out, err = bench("report", older, "--out", "report")
    assert code == 1
    assert f"unusable: {LABEL}, seed 0" in err
    assert "unusable" in out
    values = pd.read_csv("report/tables/values.csv")
    assert set(values["seed"][values["label"] == LABEL]) == {1}


def test_a_folder_in_which_all_cells_failed_ends_with_exit_code_1(older, bench):
    for cell in (*EWC, *FINETUNING):
        change_scores(older, lambda f: f.assign(score=np.float32("nan")), cell)
    code, _, err = bench("report", older, "--out", "report")
    assert code == 1
    assert "no cell has numbers, 4 failed" in err
    assert not os.path.exists("report")


SEALED = {
    "scores of another strategy and the same seed": (
        lambda r: swap(scores_at(r, EWC[0]), scores_at(r, FINETUNING[0])),
        "scores.parquet",
    ),
    "another time": (
        lambda r: change_json(
            r / "cells" / EWC[0] / "environment.json", lambda v: v["phases"][0].update(seconds=0)
        ),
        "environment.json",
    ),
    "another crop": (
        lambda r: change_json(r / "cells" / EWC[0] / "cell.json", lambda v: v["crop"].update(margin=2.0)),
        "cell.json",
    ),
    "scores with their checksums": (
        lambda r: [
            swap(r / "cells" / EWC[0] / name, r / "cells" / FINETUNING[0] / name)
            for name in ("scores.parquet", "checksums.json")
        ],
        "cell.json",
    ),
    "a score": (
        lambda r: change_scores(r, lambda f: f.assign(score=f["score"].where(f.index > 0, np.float32(0.5)))),
        "scores.parquet",
    ),
    "checksums of something else": (
        lambda r: change_json(r / "cells" / EWC[0] / "checksums.json", lambda v: v.update(files={})),
        "checksums.json",
    ),
    "checksums that are none": (
        lambda r: change_json(
            r / "cells" / EWC[0] / "checksums.json", lambda v: v["files"].update({"cell.json": "1234567"})
        ),
        "checksums.json",
    ),
    "checksums of a path": (
        lambda r: change_json(
            r / "cells" / EWC[0] / "checksums.json", lambda v: v["files"].update({"../x": "0" * 64})
        ),
        "checksums.json",
    ),
}


@pytest.mark.parametrize(("spoil", "name"), SEALED.values(), ids=SEALED)
def test_a_cell_with_checksums_is_believed_only_as_it_was_written(spoil, name, sealed):
    spoil(sealed)
    line = refusal(sealed)
    assert any(str(sealed / "cells" / id / name) in line for id in (EWC[0], FINETUNING[0]))


def test_checksums_that_were_removed_are_missed(sealed):
    folder = sealed / "cells" / EWC[0]
    change_json(folder / "cell.json", lambda values: values.update(revision=0))
    (folder / "checksums.json").unlink()
    assert f"{folder / 'checksums.json'}: expected a file, found none" in refusal(sealed)


def failure_of(folder, **changes):
    shutil.rmtree(folder / "cells" / EWC[0])
    (folder / "failures").mkdir()
    values = {"id": EWC[0], "label": LABEL, "seed": 0, "reason": "no", "traceback": ""}
    path = folder / "failures" / f"{EWC[0]}.json"
    path.write_text(json.dumps({**values, **changes}))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"label": "er"},
        {"id": EWC[1]},
        {"reason": 3},
        {"reason": "Traceback (most recent"},
        {"colour": "red"},
    ],
)
def test_a_failure_that_is_damaged_or_of_another_cell_is_refused(changes, older):
    path = failure_of(older, **changes)
    line = refusal(older)
    assert str(path) in line
    assert f"key '{next(iter(changes))}'" in line


def test_a_failure_is_read_with_its_reason(older):
    failure_of(older)
    (failure,) = load_results(older).failures
    assert (failure.label, failure.reason) == (LABEL, "no")


def test_doctor_finds_nothing_wrong_with_what_a_run_wrote(sealed, bench):
    code, out, _ = bench("doctor", sealed)
    assert code == 0
    assert "4 of 4 cells done, 0 failed, 0 faults" in out
    assert "4 done whose last checkpoint is not there" in out


def test_doctor_names_every_fault_of_a_folder(sealed, bench):
    (sealed / "cells" / EWC[0] / "checkpoint.pt").write_bytes(b"not what was written")
    change_scores(sealed, lambda f: f.assign(score=np.float32(0.5)), FINETUNING[1])
    (sealed / "cells" / "mine").mkdir()
    (sealed / "sources" / "abcdef01").mkdir(parents=True)
    (sealed / "notes.txt").write_text("precious")
    code, out, _ = bench("doctor", sealed, "--json")
    assert code == 1
    about = json.loads(out)
    for words in (
        f"{EWC[0]}/checksums.json: key 'files.checkpoint.pt'",
        f"{FINETUNING[1]}/scores.parquet: not the file",
        "cells/mine: expected a hexadecimal id",
        "abcdef01/checkpoint.pt",
    ):
        assert sum(words in fault for fault in about["faults"]) == 1, words
    assert len(about["faults"]) == 4
    assert any("notes.txt: not a file of a run" in note for note in about["notes"])
    code, out, _ = bench("doctor", sealed)
    assert code == 1
    assert out.count("!!") == 5


def test_doctor_refuses_what_is_no_result_folder(bench, tmp_path):
    code, _, err = bench("doctor", tmp_path)
    assert code == 2
    assert "is no result folder" in err
