"""Runs on a tiny stream: same bytes however they are made, whole results or none, one line for what is wrong."""

import contextlib
import errno
import json
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from fretal_bench import files
from fretal_bench.benchmark.runner import step as step_module
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.inspection import inspect, inspect_pool
from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import execute, run
from fretal_bench.errors import BenchError, RunError
from tests_support import TINY, recipe_options, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")

STRATEGIES = ("fretal", "ewc", "joint")
LONG = 300
"""Seconds that no run here takes."""


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def reference(stream, tmp_path_factory):
    """One undisturbed run of all strategies, in this process."""
    out = tmp_path_factory.mktemp("reference") / "r"
    results = run(STRATEGIES, stream, changes={"recipe": TINY}, jobs=1, out=out)
    assert not results.failures
    return out


def state_of(out, at=-1):
    """The checkpoint of a step of the only cell of a folder, in the pool beside it; 1 is the source model."""
    (about,) = (json.loads(path.read_text()) for path in out.glob("cells/*/cell.json"))
    return out.parent / "steps" / "steps" / about["steps"][at] / "checkpoint.pt"


def cells(out):
    """Bytes of every cell's test and validation scores by cell id and file."""
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in out.glob("cells/*/*.parquet")}


def test_every_test_sample_of_every_domain_is_scored_at_every_step(reference):
    results = load_results(reference)
    assert [cell.strategy for cell in results.cells] == list(STRATEGIES)
    for cell in results.cells:
        scores = cell.scores
        assert list(scores.columns) == ["step", "domain", "row", "label", "video", "people", "score"]
        assert set(scores["people"]) == {"tiny/p10", "tiny/p11"}
        assert (scores["people"].str.rpartition("/")[2] == scores["video"].str.rpartition("/")[2]).all()
        assert list(cell.validation().columns) == list(scores.columns)
        assert sorted(scores["step"].unique()) == [-1, 0, 1, 2]
        assert scores.groupby(["step", "domain"]).size().eq(2 * 2 * 3).all()
        assert scores["score"].dtype == np.float32
        assert scores["score"].between(0, 1).all()
        assert set(scores["video"]) >= {"tiny/real/none/p10", "tiny/m0/none/p11"}
        assert len(cell.validation()) == len(scores)
        phases = {(p["phase"], p["step"]) for p in cell.environment["phases"]}
        assert {("train", 0), ("train", 2), ("evaluate test", -1), ("evaluate test", 2)} <= phases
        assert all(p["peak_memory_mb"] > 0 for p in cell.environment["phases"])


def test_strategies_share_the_source_model_and_differ_afterwards(reference):
    by_name = {cell.strategy: cell.scores for cell in load_results(reference).cells}
    first = [frame[frame["step"] <= 0]["score"].to_numpy() for frame in by_name.values()]
    later = [frame[frame["step"] == 2]["score"].to_numpy() for frame in by_name.values()]
    for k in range(1, len(first)):
        assert np.array_equal(first[0], first[k])
        assert not np.array_equal(later[0], later[k])


@pytest.mark.parametrize("how", ["again", "another order", "two processes"])
def test_scores_are_the_same_bytes_however_they_are_made(how, stream, reference, tmp_path):
    strategies = STRATEGIES[::-1] if how == "another order" else STRATEGIES
    jobs = 2 if how == "two processes" else 1
    torch.rand(7)
    run(strategies, stream, changes={"recipe": TINY}, jobs=jobs, out=tmp_path / "r")
    assert cells(tmp_path / "r") == cells(reference)


def test_a_done_run_trains_nothing_and_a_larger_one_only_what_is_missing(stream, reference, tmp_path):
    shutil.copytree(reference.parent, tmp_path / "both")
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "both" / "r"}
    reports = []
    run(STRATEGIES, stream, listener=reports.append, **common)
    assert reports == []
    results = run((*STRATEGIES, "kd"), stream, listener=reports.append, **common)
    assert {report.label for report in reports} == {"kd, seed 0"}
    assert [cell.strategy for cell in results.cells] == [*STRATEGIES, "kd"]


def test_a_failing_strategy_is_kept_with_its_reason_and_stops_no_other(
    stream, reference, tmp_path, monkeypatch
):
    from fretal_bench.strategies.penalties.ewc import EWC

    def broken(self):
        raise ZeroDivisionError("no penalty today")

    monkeypatch.setattr(EWC, "penalty", broken)
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}
    results = run(STRATEGIES, stream, **common)
    assert [cell.strategy for cell in results.cells] == ["fretal", "joint"]
    (failure,) = results.failures
    assert (failure.label, failure.reason) == ("ewc", "ZeroDivisionError: no penalty today")
    assert "in broken" in failure.traceback
    monkeypatch.undo()
    assert not run(STRATEGIES, stream, **common).failures
    assert cells(tmp_path / "r") == cells(reference)


def test_a_folder_of_another_plan_or_of_something_else_is_refused(stream, reference, tmp_path):
    with pytest.raises(BenchError, match=r"another plan: recipe\.epochs: there 1, now 2; give another --out"):
        prepare(Call(STRATEGIES, stream, changes={"recipe": {**TINY, "epochs": 2}}, out=reference))
    other = tiny_stream(tmp_path, domains=2)
    with pytest.raises(
        BenchError, match=r"another plan: stream\.domains\[0\]\.store: there '.*, now '.*; give"
    ):
        prepare(Call(STRATEGIES, str(other), changes={"recipe": TINY}, out=reference))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BenchError, match="not empty and no result folder"):
        prepare(Call(STRATEGIES, stream, changes={"recipe": TINY}, out=tmp_path / "mine"))
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(stream, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", "/proc/results"):
        with pytest.raises(BenchError, match=r"cannot be written .*give another --out"):
            prepare(Call(STRATEGIES, stream, changes={"recipe": TINY}, out=out))


def test_a_store_with_a_wrong_checksum_is_refused(tmp_path):
    path = tiny_stream(tmp_path)
    crops = tmp_path / "store" / "crops.npy"
    content = bytearray(crops.read_bytes())
    content[-1] ^= 1
    crops.write_bytes(content)
    with pytest.raises(BenchError, match=r"crops.npy: damaged crop store: expected sha256"):
        prepare(Call(STRATEGIES, str(path), changes={"recipe": TINY}, out=tmp_path / "r"))
    assert not (tmp_path / "r").exists()


def test_a_run_opens_each_store_once(stream, tmp_path, monkeypatch):
    from fretal_bench.datasets.store.store import CropStore

    real, opened = CropStore.open.__func__, []

    def counting(cls, path, *more, **options):
        opened.append(path)
        return real(cls, path, *more, **options)

    monkeypatch.setattr(CropStore, "open", classmethod(counting))
    run(("finetuning",), stream, changes={"recipe": TINY}, jobs=1, out=tmp_path / "r")
    assert len(opened) == 1


def test_checkpoints_hold_nothing_that_must_be_executed(reference):
    paths = list(reference.parent.rglob("checkpoint.pt"))
    # The source model, and the three steps of each strategy.
    assert len(paths) == 1 + 3 * 3
    for path in paths:
        state = torch.load(path, weights_only=True)
        assert {"step", "model", "extra"} <= set(state)


def test_a_step_that_another_run_finished_is_done(stream, tmp_path):
    common = {"changes": {"recipe": TINY}, "out": tmp_path / "r", "jobs": 1}
    ready = prepare(Call(("ewc", "lwf"), stream, **common))
    run(("ewc", "lwf"), stream, **common)
    reports = []
    results = execute(ready, reports.append)
    assert [cell.label for cell in results.cells] == ["ewc", "lwf"]
    assert {report.phase for report in reports} == {"done"}
    assert len(reports) == ready.total


def test_a_run_does_other_steps_while_another_run_is_at_one(stream, tmp_path):
    ready = prepare(
        Call(("finetuning",), stream, seeds=(0, 1), changes={"recipe": TINY}, out=tmp_path / "r", jobs=1)
    )
    source = ready.plan.cells[0].path[1]
    done = []

    def listen(report):
        if report.phase == "done":
            done.append(report.label)
            if len(done) == 3:
                # All of seed 1 is there: the other run lets go of its step, without having done it.
                other.close()

    def late(*_):
        raise TimeoutError

    monitor = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONG)
    try:
        with contextlib.ExitStack() as other:
            other.enter_context(ready.agenda.pool.hold(source.id))
            results = execute(ready, listen)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, monitor)
    assert len(results.cells) == 2
    assert done[:3] == ["source model, seed 1", *["finetuning, seed 1"] * 2]
    assert done[3:] == ["source model, seed 0", *["finetuning, seed 0"] * 2]


def test_a_cell_that_was_made_on_several_machines_says_which_step_was_made_on_which(
    stream, tmp_path, monkeypatch
):
    # Asked for whenever a step is saved or judged; what adopts the source model is not judged.
    processors = iter([*("A", "A", "A", "A"), *("B", "B", "B", "B")])
    real = step_module.environment
    monkeypatch.setattr(
        step_module, "environment", lambda device: {**real(device), "processor": next(processors)}
    )
    (cell,) = run(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r", jobs=1).cells
    assert cell.environment["processor"] == "B"
    made = [(entry["steps"], entry["processor"]) for entry in cell.environment["environments"]]
    assert made == [(["source", "step 0"], "A"), (["step 1", "step 2"], "B")]


def test_a_cell_made_on_one_machine_names_it_once(reference):
    for cell in load_results(reference).cells:
        assert set(cell.environment) == {
            *("versions", "system", "machine", "processor", "cores", "device", "commit", "seed", "phases")
        }


def test_every_option_of_the_recipe_runs(tmp_path):
    stream = str(tiny_stream(tmp_path, domains=2, people=8))
    changes = {
        **TINY,
        "batchnorm": "frozen",
        "select": "validation",
        "optimizer": "sgd",
        "schedule": "cosine",
        "precision": "bf16",
        "cutmix": 0.5,
        "image_size": 48,
        "stem_stride": 1,
        "channels_last": False,
        "balance": False,
    }
    results = run(("fretal", "lwf"), stream, changes={"recipe": changes}, out=tmp_path / "r")
    assert not results.failures
    assert len(results.cells) == 2


def test_frozen_batchnorm_keeps_its_statistics_after_the_first_domain(stream, tmp_path):
    for mode, same in (("frozen", True), ("adapt", False)):
        out = tmp_path / mode
        run(("finetuning",), stream, changes={"recipe": {**TINY, "batchnorm": mode}}, out=out)
        old, new = (torch.load(state_of(out, at), weights_only=True)["model"] for at in (1, -1))
        statistics = [key for key in old if key.endswith(("running_mean", "running_var"))]
        assert statistics
        assert all(torch.equal(old[key], new[key]) for key in statistics) is same
        assert not all(torch.equal(old[key], new[key]) for key in old if key.endswith("weight"))


def test_progress_is_reported_with_all_that_a_watcher_needs(stream, tmp_path):
    reports: list[Progress] = []
    ready = prepare(Call(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r", jobs=1))
    assert ready.total == 3
    execute(ready, reports.append)
    trained = [report for report in reports if report.phase == "train"]
    assert {report.domain for report in trained} == {"D0", "D1", "D2"}
    assert all(0 < report.share <= 1 for report in trained)
    assert sum(report.share == 1 for report in trained) == 3, "each domain's training is reported to its end"
    assert all(report.images_per_second > 0 and np.isfinite(report.loss) for report in trained)
    assert sum(report.phase == "done" for report in reports) == 3


def test_a_source_model_that_was_damaged_is_named_and_made_again_once_it_is_removed(stream, tmp_path):
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}
    run(("finetuning",), stream, **common)
    checkpoint = state_of(tmp_path / "r", at=1)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    (failure,) = run(("ewc",), stream, **common).failures
    assert str(checkpoint) in failure.reason
    assert "not the file that was written" in failure.reason
    assert "delete its folder and run the same command again" in failure.reason
    assert any(str(checkpoint) in fault for fault in inspect_pool(tmp_path / "steps").faults)
    shutil.rmtree(checkpoint.parent)
    assert not run(("ewc",), stream, **common).failures
    assert not inspect_pool(tmp_path / "steps").faults


def test_a_cell_that_was_stopped_before_it_was_put_together_is_put_together(
    stream, reference, tmp_path, monkeypatch, bench
):
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}

    def stopped(*_):
        raise RunError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("fretal_bench.benchmark.runner.agenda.finish_cell", stopped)
        with pytest.raises(RunError, match="stopped"):
            run(("joint",), stream, **common)
    assert len(list((tmp_path / "steps").glob("steps/*/checkpoint.pt"))) == 1 + 3
    assert not inspect(tmp_path / "r").faults
    call = ["--strategies", "joint", "--stream", stream, "--out", tmp_path / "r", "--jobs", 1]
    code, _, err = bench("run", *call, *recipe_options())
    assert code == 0, err
    assert cells(tmp_path / "r").items() <= cells(reference).items()


def test_a_finished_folder_that_cannot_be_written_is_reported(stream, reference, tmp_path, monkeypatch):
    shutil.copytree(reference, tmp_path / "r")

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files, "move", read_only)
    monkeypatch.setattr("filelock.FileLock.acquire", read_only)
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}
    assert [cell.strategy for cell in run(STRATEGIES, stream, **common).cells] == list(STRATEGIES)
    with pytest.raises(BenchError, match=r"cannot be written .*give another --out"):
        run((*STRATEGIES, "kd"), stream, **common)


def test_what_a_run_wrote_has_no_fault(reference):
    about = inspect(reference)
    assert (about.faults, about.notes, about.unsealed) == ([], [], 0)
    assert (about.cells, about.done) == (3, 3)


def test_results_that_are_damaged_or_missing_are_named(reference, tmp_path):
    with pytest.raises(BenchError, match="is no result folder"):
        load_results(tmp_path)
    shutil.copytree(reference, tmp_path / "r")
    (path, *_) = (tmp_path / "r").glob("cells/*/scores.parquet")
    path.write_bytes(b"no parquet")
    with pytest.raises(BenchError, match=r"scores.parquet: not the file that was written.*delete .* run"):
        load_results(tmp_path / "r")


def test_plan_lists_every_cell_that_was_asked_for(stream, reference):
    plan = json.loads((reference / "plan.json").read_text())
    assert [cell["strategy"] for cell in plan["cells"]] == list(STRATEGIES)
    assert plan["recipe"]["device"] == "cpu"
    assert [domain["name"] for domain in plan["stream"]["domains"]] == ["D0", "D1", "D2"]
    assert pd.read_parquet(next(reference.glob("cells/*/scores.parquet"))).shape[0] > 0


def test_step_0_is_scored_anew_only_if_the_strategy_says_something_else_than_the_source_model():
    import timm

    from fretal_bench.benchmark.runner.step import judges_otherwise
    from fretal_bench.strategies.bounds.finetuning import FineTuning
    from fretal_bench.strategies.frozen.ncm import NCM

    torch.manual_seed(0)
    weights = timm.create_model("test_resnet", num_classes=2).state_dict()

    class Pruner(FineTuning):
        """Sets small weights to 0 after a domain."""

        def after_domain(self, experience):
            with torch.no_grad():
                for weight in self.model.parameters():
                    weight[weight.abs() < 0.01] = 0

    for kind, otherwise in ((FineTuning, False), (NCM, True), (Pruner, True)):
        model = timm.create_model("test_resnet", num_classes=2)
        strategy = kind(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
        strategy.model.load_state_dict(weights)
        if kind is Pruner:
            strategy.after_domain(None)
        assert judges_otherwise(strategy, weights) is otherwise
