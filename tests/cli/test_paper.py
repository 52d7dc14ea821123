"""``bench paper`` as a person types it: output, files, exit codes, one line for what is wrong."""

import contextlib
import csv
import errno
import json
import math
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from fretal_bench import files
from fretal_bench.papers.published import COLUMNS
from tests_support import recipe_options, tiny_stream

LABEL = "not the paper's data: differences mean nothing about the paper"
FAST = recipe_options(source_epochs=1)


def test_the_list_names_every_table_and_whether_it_can_run(bench):
    code, out, _ = bench("paper", "list")
    assert code == 0
    assert "cored-task1-ffpp" in out
    assert "lacks ffpp at c23" in out
    code, listed, _ = bench("list", "tables", "--json")
    rows = {row["name"]: row for row in json.loads(listed)}
    assert rows["dfil"]["values"] == 84
    assert rows["dfil"]["confidence"] == "read from text; averages recomputed"
    assert "dmp, devfd" in rows["dfil"]["runs here"]
    assert rows["fretal-headline"]["runs here"].startswith("none of 1 values: a value without a protocol")
    assert rows["cored-task2"]["commands"]
    assert bench("paper", "list", "--json")[1] == listed
    for words in ([], ["--json"]):
        code, out, err = bench("paper", "list", "x*", *words)
        assert (code, out) == (2, "")
        assert "no table fits 'x*'" in err


def test_a_table_that_has_its_data_can_run(bench, tmp_path):
    from toy_stores import toy_rows, toy_store

    methods = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
    toy_store(tmp_path / "store", toy_rows(methods, "ffpp"))
    rows = json.loads(bench("paper", "list", "*", "--data", "store", "--json")[1])
    state = {row["name"]: row["runs here"] for row in rows}
    assert state["cored-task1-ffpp"] == "yes"
    assert state["cored-task4"].startswith("4 of 12 values: lacks ffpp at c40")
    assert state["deepfakebench"].startswith("10 of 28 values: lacks ")


def test_a_shown_table_has_its_values_and_their_sources(bench):
    code, out, _ = bench("paper", "show", "cored-task1-ffpp")
    assert code == 0
    for text in ("trained on DF", "99.41", "imgs/task1_ff.png", "read from figure", "README says AUC"):
        assert text in out
    values = json.loads(bench("paper", "show", "cored-task1-ffpp", "--json")[1])
    assert len(values) == 16
    assert values[0]["value"] == 99.41


def test_listing_imports_nothing_slow(tmp_path):
    script = (
        "import sys; from fretal_bench.cli import main as cli; sys.argv = ['bench', *sys.argv[1:]]; cli.main();"
        "slow = {'torch', 'avalanche', 'timm', 'matplotlib', 'cv2', 'scipy', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    for words in (["paper", "list"], ["list", "tables"]):
        subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True, cwd=tmp_path)


def test_a_table_on_a_stand_in_is_printed_and_written_with_the_label_everywhere(bench, tmp_path):
    stream = str(tiny_stream(tmp_path))
    call = ("paper", "run", "cored-task1-ffpp", "--stream-as", stream, "--seeds", "0,1", "--jobs", "1", *FAST)
    code, out, err = bench(*call)
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert LABEL in flat
    assert "trained on DF" in out
    assert "Not measured: NT, trained on NT: tiny has no stand-in for NeuralTextures" in flat
    report = tmp_path / "reports" / "paper-cored-task1-ffpp-as-tiny"
    for name in ("summary.md", "comparison.tex", "side-by-side.tex"):
        assert LABEL in (report / name).read_text(), name
    with (report / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert {row["measured_on"] for row in rows} == {"tiny, not the paper's data"}
    assert rows[0]["recipe"].startswith("mini with recipe.backbone=test_byobnet, recipe.epochs=1")
    row = next(row for row in rows if (row["method"], row["column"]) == ("trained on F2F", "FS"))
    assert float(row["published"]) == 50.55
    cells = sorted(
        (tmp_path / "results" / "paper-cored-task1-ffpp-as-tiny").glob("*face2face-deepfakes*/cells/*")
    )
    assert len(cells) == 2
    values = []
    for cell in cells:
        scores = pd.read_parquet(cell / "scores.parquet")
        part = scores[(scores["step"] == 0) & (scores["domain"] == "FaceSwap")]
        values.append(100 * ((part["score"] >= 0.5) == (part["label"] == 1)).mean())
    mean = sum(values) / 2
    # Student's t of one degree of freedom at 95%: 12.706; s of two values is |a - b| / sqrt(2).
    half = 12.706205 * abs(values[0] - values[1]) / math.sqrt(2) / math.sqrt(2)
    assert float(row["measured"]) == pytest.approx(mean, abs=1e-5)
    assert float(row["difference"]) == pytest.approx(mean - 50.55, abs=1e-5)
    assert float(row["measured_high"]) - float(row["measured"]) == pytest.approx(half, abs=1e-3)

    before = (report / "comparison.csv").read_bytes()
    code, out, _ = bench(*call)
    assert code == 0
    assert "nothing to train" in out
    assert (report / "comparison.csv").read_bytes() == before
    plain = json.loads(bench(*call, "--json")[1])
    assert LABEL in plain["label"]
    value = next(v for v in plain["values"] if (v["method"], v["column"]) == ("trained on F2F", "FS"))
    assert value["measured"] == pytest.approx(mean, abs=1e-5)
    assert sorted(value["by_seed"].values()) == pytest.approx(sorted(values), abs=1e-5)
    nothing = next(v for v in plain["values"] if v["column"] == "NT")
    assert (nothing["measured"], nothing["difference"]) == (None, None)
    assert nothing["reason"]


def test_a_users_own_rows_and_table_are_run_too(bench, tmp_path):
    stream = str(tiny_stream(tmp_path))
    row = dict.fromkeys(COLUMNS, "x")
    with (tmp_path / "own.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow({**row, "table": "mine", "method": "ours", "column": "AA", "value": "77.5"})
        writer.writerow({**row, "table": "mine", "method": "Theirs", "column": "AA", "value": "78.5"})
    text = f'streams.all = "{stream}"\nrows.ours.strategy = "ewc"\ncolumns.AA.quantity = "average"\n'
    (tmp_path / "mine.toml").write_text(text)
    code, _, err = bench("paper", "run", "mine.toml", *FAST)
    assert code == 2
    assert (
        "mine.toml: no value of a table 'mine' stands in the suite's own tables; give its values with --published"
        in err
    )
    code, _, err = bench("paper", "run", "mine", "--published", "own.csv", *FAST)
    assert code == 2
    assert "no file says which cells it needs" in err
    code, out, err = bench("paper", "run", "mine.toml", "--published", "own.csv", "--jobs", "1", *FAST)
    assert (code, err) == (0, "")
    assert "77.5" in out
    assert "Theirs is no strategy of the suite" in " ".join(out.split())
    assert LABEL not in " ".join(out.split())


def own_table(folder, toml, **fields):
    row = {**dict.fromkeys(COLUMNS, "x"), "table": "mine", "method": "ours", "column": "AA", "value": "77.5"}
    with (folder / "own.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow({**row, **fields})
    (folder / "mine.toml").write_text(toml)
    return ("paper", "run", "mine.toml", "--published", "own.csv", "--jobs", "1", *FAST)


ONE = 'streams.all = "{}"\nrows.ours.strategy = "finetuning"\ncolumns.AA.quantity = "average"\n'


def test_a_plugins_metric_can_stand_in_a_table(bench, tmp_path):
    (tmp_path / "share.py").write_text(
        "from fretal_bench.metrics.registry import Metric\n"
        "METRIC = Metric('called_fake', 'called fake', True, 'share of score >= 0.5',\n"
        "                lambda labels, scores: float((scores >= 0.5).mean()))\n"
    )
    table = 'metric = "called_fake"\nscale = 1\n' + ONE.format(tiny_stream(tmp_path))
    call = own_table(tmp_path, table.replace('quantity = "average"', 'domain = "D0"'))
    code, out, err = bench(*call, "--plugin", "share.py", "--json")
    assert code == 0, err
    comparison = json.loads(out)
    assert comparison["measures"].startswith("called fake (share of score >= 0.5)")
    (cell,) = (tmp_path / "results" / "paper-mine").glob("*/cells/*")
    scores = pd.read_parquet(cell / "scores.parquet")
    last = scores[(scores["step"] == scores["step"].max()) & (scores["domain"] == "D0")]
    assert comparison["values"][0]["measured"] == pytest.approx((last["score"] >= 0.5).mean())
    code, _, err = bench(*call)
    assert code == 2
    assert "unknown metric 'called_fake'" in err


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_diverged_run_is_valid_json_with_the_reason_and_exit_code_1(bench, tmp_path):
    call = own_table(tmp_path, ONE.format(tiny_stream(tmp_path)))
    # Every update takes a million times a weight off it.
    fast = ["recipe.lr=1000" if word.startswith("recipe.lr=") else word for word in call]
    code, out, err = bench(*fast, "--set", "recipe.weight_decay=1000", "--json")
    assert code == 1, err
    (value,) = strict(out)["values"]
    assert (value["measured"], value["by_seed"]) == (None, {})
    assert value["reason"].startswith("failed: finetuning, seed 0: ")
    assert "diverged" in value["reason"]
    assert "bench: failed: finetuning, seed 0: " in err


class Killed(BaseException):
    """Ends a command as a signal does: nothing catches it."""


def test_a_run_of_a_table_killed_at_each_rename_ends_with_the_same_bytes(bench, tmp_path, monkeypatch):
    call = own_table(tmp_path, ONE.format(tiny_stream(tmp_path)))
    assert bench(*call).code == 0
    kept = ("results", "reports")
    whole = {folder: files_of(tmp_path / folder) for folder in kept}
    for folder in kept:
        shutil.rmtree(tmp_path / folder)
    real, killed = files.move, []

    def move(part, final):
        if final not in killed:
            killed.append(final)
            raise Killed
        real(part, final)

    monkeypatch.setattr(files, "move", move)
    for _ in range(40):
        with contextlib.suppress(Killed):
            assert bench(*call).code == 0
            break
    else:
        pytest.fail("the run never ended")
    assert {"plan.json", "tiny.toml", "summary.md"} <= {path.name for path in killed}
    for folder in kept:
        again = files_of(tmp_path / folder)
        assert [path for path in whole[folder] | again if whole[folder].get(path) != again.get(path)] == []


def files_of(folder):
    """Every file but locks, and what was measured of time and memory with its checksums, with its bytes."""
    measured = ("environment.json", "phases.json", "judged.json", "checksums.json")
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name not in measured
    }


def test_a_full_disk_ends_the_run_of_a_table_with_one_line(bench, tmp_path, monkeypatch):
    call = own_table(tmp_path, ONE.format(tiny_stream(tmp_path)))

    def full(part, final):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "move", full)
    code, _, err = bench(*call)
    assert (code, err.count("\n")) == (1, 1)
    assert "no space left" in err


def test_paths_and_texts_in_brackets_are_printed_as_they_are(bench, tmp_path):
    call = own_table(tmp_path, ONE.format(tiny_stream(tmp_path)), paper="[red]Ours", quantity="mean [bold]%")
    code, out, _ = bench(*call, "--out", "re [red]s")
    assert code == 0
    flat = " ".join(out.split())
    assert "steps to train into re [red]s" in flat
    assert "Report: reports/re [red]s/index.html" in flat
    assert "mean [bold]%" in flat
    assert "nothing to train" in bench(*call, "--out", "re [red]s")[1]


def test_the_report_folder_is_checked_before_anything_trains(bench, tmp_path):
    call = own_table(tmp_path, ONE.format(tiny_stream(tmp_path)))
    (tmp_path / "reports").write_text("in the way")
    code, out, err = bench(*call)
    assert (code, out) == (2, "")
    assert "reports/paper-mine/summary.md: cannot be written" in err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "cored-task5"], "unknown table 'cored-task5'; did you mean 'cored-task"),
        (["show", "dfill"], "unknown table 'dfill'; did you mean 'dfil'"),
        (["run", "dfil"], "lacks ffpp at c23, dfdc-preview, dfd at c23, celeb-df-v2"),
        (["run", "fretal-headline", "--stream-as", "ffpp-mini"], "a value without a protocol"),
        (["run", "dfil", "--stream-as", "ffpp-mimi"], "unknown stream 'ffpp-mimi'; did you mean 'ffpp-mini'"),
        (["run", "dfil", "--stream-as", "ffpp-mini", "--recipe", "mimi"], "unknown recipe 'mimi'"),
        (
            ["run", "dfil", "--stream-as", "ffpp-mini", "--seeds", "one"],
            "--seeds 'one': expected whole numbers",
        ),
        (["run", "dfil", "--stream-as", "ffpp-mini", "--seeds", ""], "name at least one seed"),
        (["run", "dfil", "--stream-as", "ffpp-mini", "--data", "x"], "leave --data out"),
        (["run", "dfil", "--stream-as", "ffpp-mini", "--jobs", "0"], "--jobs must be at least 1"),
        (
            ["run", "cored-task1-ffpp", "--stream-as", "ffpp-mini", "--recipe", "paper", "--device", "cpu"],
            "fp16 needs CUDA to train (--set recipe.precision=fp32)",
        ),
        (["run", "dfil", "--published", "none.csv"], "none.csv: cannot be read"),
        (["run", "nope.toml"], "nope.toml: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_line_with_exit_code_2(bench, words, message, tmp_path):
    code, out, err = bench("paper", *words)
    assert code == 2
    assert out == ""
    assert ("--stream-as ffpp-mini" in err) is (words == ["run", "dfil"]), (
        "advice where data are missing only"
    )
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


def test_a_failed_cell_is_named_with_exit_code_1_and_the_others_are_shown(bench, tmp_path, monkeypatch):
    from fretal_bench.strategies.distillation.kd import KD

    monkeypatch.setattr(KD, "penalty", lambda self: 1 / 0)
    stream = str(tiny_stream(tmp_path))
    code, out, err = bench("paper", "run", "cored-task2", "--stream-as", stream, "--jobs", "1", *FAST)
    assert code == 1
    assert "bench: failed: kd, seed 0: ZeroDivisionError: division by zero" in err
    assert "CoReD" in out
    assert "Not measured: KD-only" in " ".join(out.split())
