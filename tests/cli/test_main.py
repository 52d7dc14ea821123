"""The command as a person types it, in this process: output, exit codes, one line for what is wrong."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from fretal_bench.benchmark.runner.run import run
from fretal_bench.cli import doctor
from fretal_bench.errors import RunError
from tests_support import TINY, recipe_options, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")

# What the package holds besides Python files.
DATA = {".toml", ".csv", ".css", ".j2", ".js", ".npz", ".txt"}


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def trained(stream, tmp_path_factory):
    """A folder in which fine-tuning has been run."""
    folder = tmp_path_factory.mktemp("trained")
    run(("finetuning",), stream, changes={"recipe": TINY}, jobs=1, out=folder / "results" / "tiny-mini")
    return folder


@pytest.mark.parametrize(
    ("option", "message"), [("--metric=acuracy", "did you mean 'accuracy'"), ("--level=clip", "level 'clip'")]
)
def test_what_the_report_of_a_run_cannot_be_of_is_refused_before_anything_is_trained(
    bench, stream, tmp_path, option, message
):
    code, out, err = bench("run", "--strategies", "ewc", "--stream", stream, option)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "results").exists()


def test_a_run_ends_with_the_answer_and_leaves_a_report(bench, stream, tmp_path):
    call = ("run", "--strategies", "fretal,ewc", "--stream", stream, "--jobs", "1", *recipe_options())
    code, out, err = bench(*call)
    assert (code, err) == (0, "")
    answer = out.splitlines()[-1]
    for word in ("fretal", "ewc", "forgetting", "missed", "alarms", "index.html", "bench report"):
        assert word in out
    assert answer in json.loads(bench("report", "results/tiny-mini", "--json").out)["verdict"]["sentence"]
    full = bench("report", "results/tiny-mini", "--full").out
    for word in ("frame accuracy", "fretal", "ewc", "D0", "D2", "index.html"):
        assert word in full
    for name in ("index.html", "summary.md"):
        assert (tmp_path / "reports" / "tiny-mini" / name).stat().st_size > 0
    assert (tmp_path / "results" / "tiny-mini" / "plan.json").exists()
    code, out, _ = bench(*call)
    assert code == 0
    assert "nothing to train" in out
    code, out, _ = bench("report", "results/tiny-mini", "--out", "elsewhere", "--json")
    assert code == 0
    assert json.loads(out)
    assert (tmp_path / "elsewhere" / "index.html").exists()


def test_a_run_of_several_seeds_says_what_each_came_to_before_the_next(bench, stream, tmp_path):
    call = ("run", "ewc", "kd", "--stream", stream, "--seeds", "0,1", "--jobs", "1", *recipe_options())
    code, out, _ = bench(*call)
    assert code == 0
    (line,) = [line for line in out.splitlines() if "is done; forgetting:" in line]
    cells = json.loads(bench("cells", "results/tiny-mini", "--json").out)["cells"]
    of_seed = sorted((cell for cell in cells if cell["seed"] == 0), key=lambda cell: cell["forgetting"])
    told = [f"{cell['label']} {cell['forgetting']:.3f} (learned {cell['learning']:.3f})" for cell in of_seed]
    assert line == f"seed 0 is done; forgetting: {', '.join(told)}; untested, more seeds follow"
    assert out.index("is done; forgetting") < out.index("[7/10]"), "after the next step at the latest"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--strategies", "fretel"], "unknown strategy 'fretel'; did you mean 'fretal'"),
        (["run", "--strategies", "mine"], "one of your own: --plugin FILE.py"),
        (
            ["run", "--strategies", "ewc", "--stream", "ffpp-mimi"],
            "unknown stream 'ffpp-mimi'; did you mean 'ffpp-mini'",
        ),
        (["run", "--strategies", "ewc", "--recipe", "mimi"], "unknown recipe 'mimi'; did you mean 'mini'"),
        (
            ["run", "--strategies", "ewc", "--set", "recipe.epoch=3"],
            "unknown key 'epoch'; did you mean 'epochs'",
        ),
        (["run", "--strategies", "ewc", "--set", "ewc.lambda=3"], "ewc: unknown key 'lambda'"),
        (["run", "--strategies", "ewc", "--set", "lambda_"], "expected STRATEGY.KEY=VALUE"),
        (["run", "--strategies", "ewc", "--seeds", "one"], "--seeds 'one': expected whole numbers"),
        (["run", "--strategies", "ewc", "--jobs", "0"], "--jobs must be at least 1"),
        (["run", "--strategies", "ewc", "--device", "gpu"], "found 'gpu'"),
        (["run", "--strategies", ""], "name at least one strategy"),
        (["run", "--strategies", "ewc", "--stream", "none.toml"], "none.toml"),
        (["report", "nowhere"], "nowhere is no result folder"),
        (["list", "strategy"], "unknown list 'strategy'; did you mean 'strategies'"),
        (["list", "streams", "x*"], "no streams fit 'x*'"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_line_with_exit_code_2(bench, words, message, tmp_path):
    code, out, err = bench(*words)
    assert code == 2
    assert out == ""
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


def test_a_folder_of_result_folders_names_them(bench, tmp_path):
    for name in ("results/two", "results/one"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "plan.json").write_text("{}")
    (tmp_path / "results" / "steps").mkdir()

    code, _, err = bench("report", "results")
    assert (code, err) == (
        2,
        "bench: results is no result folder (it has no plan.json); found in results: one, two\n",
    )
    for number in range(10):
        (tmp_path / "results" / f"x{number}").mkdir()
        (tmp_path / "results" / f"x{number}" / "plan.json").write_text("{}")
    assert bench("report", "results").err.endswith("one, two, x0, x1, x2, x3, x4, x5, x6, x7 and 2 more\n")
    assert bench("report", "results/steps").err.endswith("; `bench run` makes one\n")


def test_a_backbone_that_does_not_exist_is_refused_and_the_corrected_call_runs(bench, stream, tmp_path):
    call = ("run", "--strategies", "finetuning", "--stream", stream, "--jobs", "1", *recipe_options())
    wrong = ["recipe.backbone=resnet5" if word.startswith("recipe.backbone=") else word for word in call]
    code, out, err = bench(*wrong)
    assert (code, out) == (2, "")
    start = (
        "bench: --set recipe.backbone: key 'backbone': unknown backbone 'resnet5'; did you mean 'resnet50'"
    )
    assert err.startswith(start)
    assert re.search(r", \.\.\. and \d+ more\n$", err)
    assert len(err) < 600
    assert list(tmp_path.iterdir()) == [], "no plan is written that the corrected call would not fit"
    code, _, err = bench(*call)
    assert (code, err) == (0, "")


def test_a_finished_run_is_shown_without_asking_timm_for_its_backbone(
    bench, stream, trained, tmp_path, monkeypatch
):
    from fretal_bench.benchmark.recipes import model as models

    call = ("run", "--strategies", "finetuning", "--stream", stream, "--jobs", "1", *recipe_options())
    shutil.copytree(trained / "results", tmp_path / "results")
    monkeypatch.setattr(models, "check_backbone", lambda *_: 1 / 0)
    code, out, _ = bench(*call)
    assert code == 0
    assert "nothing to train" in out


def test_a_cell_that_was_stopped_before_its_steps_were_put_together_is_put_together(
    bench, stream, tmp_path, monkeypatch
):
    def stopped(*_):
        raise RunError("stopped")

    call = ("run", "--strategies", "finetuning", "--stream", stream, "--jobs", "1", *recipe_options())
    with monkeypatch.context() as late:
        late.setattr("fretal_bench.benchmark.runner.agenda.finish_cell", stopped)
        assert bench(*call).code == 1
    assert not (tmp_path / "results" / "tiny-mini" / "cells").exists()
    code, out, err = bench(*call)
    assert (code, err) == (0, "")
    assert "nothing to train" in out
    assert len(list((tmp_path / "results" / "tiny-mini" / "cells").iterdir())) == 1


def test_paths_are_printed_as_they_are(bench, stream, tmp_path):
    call = ("run", "--strategies", "finetuning", "--stream", stream, "--jobs", "1", *recipe_options())
    call += ("--out", "re [red]s")
    for line in ("to train into re [red]s", "all done already in re [red]s"):
        code, out, _ = bench(*call)
        assert code == 0
        assert line in " ".join(out.split())
        assert "reports/re [red]s/index.html" in " ".join(out.split())
    code, out, err = bench("new", "strategy", "q9", "--into", "[/x]")
    assert (code, err) == (0, "")
    assert "[/x]/q9: 6 files" in out
    assert "pip install -e '[/x]/q9[dev]'" in out


def test_cuda_that_is_not_there_is_refused(bench, monkeypatch, tmp_path):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = bench("run", "--strategies", "ewc", "--device", "cuda")
    assert code == 2
    assert "torch sees no CUDA device here; use --device cpu" in err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_cell_is_named_with_exit_code_1_and_the_others_are_reported(bench, stream, monkeypatch):
    from fretal_bench.strategies.penalties.ewc import EWC

    monkeypatch.setattr(EWC, "penalty", lambda self: 1 / 0)
    code, out, err = bench(
        "run", "--strategies", "kd,ewc", "--stream", stream, "--jobs", "1", *recipe_options()
    )
    assert code == 1
    assert "bench: failed: ewc, seed 0: ZeroDivisionError: division by zero" in err
    assert "kd" in out


def test_listings_name_everything_and_come_as_json_too(bench):
    for what, name in [("strategies", "fretal"), ("streams", "ffpp-mini"), ("recipes", "mini")]:
        code, out, _ = bench("list", what)
        assert code == 0
        assert name in out
        code, out, _ = bench("list", what, "--json")
        assert name in [row["name"] for row in json.loads(out)]


def test_help_and_listings_import_nothing_slow(tmp_path):
    script = (
        "import sys\nfrom fretal_bench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'avalanche', 'timm', 'matplotlib', 'cv2', 'scipy', 'numpy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    lists = [["list", what] for what in ("strategies", "streams", "recipes")]
    helps = [[*words, "--help"] for words in ([], ["run"], ["data"], ["data", "prepare"], ["paper", "run"])]
    for words in (*lists, *helps):
        done = subprocess.run(
            [sys.executable, "-c", script, *words], capture_output=True, text=True, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_says_how_to_go_on(jobs, stream, tmp_path):
    script = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from fretal_bench.cli.main import main\nmain()"
    )
    # More epochs than anyone waits for: the run cannot end by itself.
    words = ["run", "--strategies", "finetuning,kd", "--stream", stream, "--jobs", str(jobs)]
    words += recipe_options(epochs=10**6, source_epochs=10**6)
    with subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    ) as run:
        deadline = threading.Timer(120, run.kill)
        deadline.start()
        try:
            assert "to train into" in run.stdout.readline(), "the command ended before it trained"
            # As a terminal does: to the command and its workers.
            os.killpg(run.pid, signal.SIGINT)
            _, err = run.communicate()
        finally:
            deadline.cancel()
            run.kill()
    assert run.returncode == 130
    first, last = err.splitlines()
    assert first == "bench: stopping; what is finished is kept (Ctrl-C again ends at once)"
    assert last.startswith("bench: stopped after 0 of ")
    assert last.endswith(f"; what is done is kept; go on with: bench {shlex.join(words)}")


def test_doctor_says_what_is_there(bench):
    code, out, _ = bench("doctor", "--json")
    conditions = {condition["what"]: condition for condition in json.loads(out)}
    assert code == 0
    assert conditions["torch with torchvision"]["ok"]
    assert conditions["H.264 encoder"]["found"] == "libx264"


def test_doctor_says_what_is_missing_and_how_to_get_it(bench, monkeypatch):
    def broken(name):
        raise RuntimeError(f"operator {name}::nms does not exist\nmore")

    monkeypatch.setattr(doctor, "import_module", broken)
    code, out, _ = bench("doctor")
    (line,) = [line for line in out.splitlines() if line.startswith("!!")]
    assert code == 1
    assert "operator torchvision::nms does not exist" in line
    assert "pip install -c constraints.txt torch torchvision" in line


def test_doctor_looks_at_every_package_that_the_suite_requires():
    root = Path(__file__).parents[2]
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg")
    required = setup["options"]["install_requires"].split("\n")
    names = [re.split("[<>=]", line)[0] for line in required if line and ";" not in line]
    assert list(doctor.PACKAGES) == names


def test_a_report_by_another_metric_says_so_in_its_tables(bench, trained, tmp_path):
    shutil.copytree(trained / "results", tmp_path / "results")
    for metric in ("auc", "eer"):
        code, out, err = bench("report", "results/tiny-mini", "--metric", metric, "--out", metric, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["metric"] == metric
        assert f"finetuning: {metric.upper()}" in (tmp_path / metric / "summary.md").read_text("utf-8")
    assert "finetuning: AUC" in bench("report", "results/tiny-mini", "--metric", "auc", "--full").out
    code, _, err = bench("report", "results/tiny-mini", "--metric", "aoc")
    assert code == 2
    assert "'aoc'" in err
    assert "auc" in err


def test_a_wheel_installs_exactly_one_package(tmp_path):
    root = Path(__file__).parents[2]
    if not (root / "setup.cfg").exists():
        pytest.skip("not run from a source tree")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"fretal_bench"}
    data = {
        path.relative_to(root / "src").as_posix()
        for path in (root / "src" / "fretal_bench").rglob("*")
        if path.suffix in DATA or path.name == "py.typed"
    }
    assert len(data) > 30
    assert data <= set(names)
