"""Runs on a tiny stream: same bytes however they are made, whole results or none, one line for what is wrong."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.benchmark.runner.results import ResultFolder, load_results
from fretal_bench.benchmark.runner.run import execute, prepare, run
from fretal_bench.errors import BenchError, RunError
from tests_support import TINY, tiny_stream

STRATEGIES = ("fretal", "ewc", "joint")


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


def cells(out):
    """Bytes of every cell's scores by cell id."""
    found = {path.parent.name: path.read_bytes() for path in sorted(out.glob("cells/*/*.parquet"))}
    return found | {path.parent.name + path.name: path.read_bytes() for path in out.glob("cells/*/*.parquet")}


def test_every_test_sample_of_every_domain_is_scored_at_every_step(reference):
    results = load_results(reference)
    assert [cell.label for cell in results.cells] == list(STRATEGIES)
    for cell in results.cells:
        scores = cell.scores
        assert list(scores.columns) == ["step", "domain", "row", "label", "video", "score"]
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
    by_label = {cell.label: cell.scores for cell in load_results(reference).cells}
    first = [frame[frame["step"] <= 0]["score"].to_numpy() for frame in by_label.values()]
    later = [frame[frame["step"] == 2]["score"].to_numpy() for frame in by_label.values()]
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
    shutil.copytree(reference, tmp_path / "r")
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}
    reports = []
    run(STRATEGIES, stream, listener=reports.append, **common)
    assert reports == []
    results = run((*STRATEGIES, "kd"), stream, listener=reports.append, **common)
    assert {report.label for report in reports} == {"kd, seed 0"}
    assert [cell.label for cell in results.cells] == [*STRATEGIES, "kd"]


def _forked(target, *arguments):
    """Run in a forked child, which starts at once since everything is imported."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def _run_quietly(stream, out):
    run(STRATEGIES, stream, changes={"recipe": TINY}, jobs=1, out=out)


def _run_until_rename(stream, out, number, after):
    """Kill this process right before or after it puts its ``number``-th file or folder in place."""
    import fretal_bench.benchmark.runner.results as module

    count = [0]
    real = os.replace

    def replace(source, target):
        count[0] += 1
        if count[0] == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    module.os.replace = replace
    _run_quietly(stream, out)


def test_a_run_killed_at_random_points_ends_with_the_same_bytes(stream, reference, tmp_path):
    out = tmp_path / "r"
    begun = time.monotonic()
    process = _forked(_run_quietly, stream, tmp_path / "whole")
    process.join()
    whole = time.monotonic() - begun
    assert cells(tmp_path / "whole") == cells(reference)
    chance, kills, rounds = random.Random(4), 0, 0
    while kills < 10:
        rounds += 1
        assert rounds < 100
        process = _forked(_run_quietly, stream, out)
        process.join(chance.uniform(0.02, 0.5) * whole)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
        elif (out / "cells").is_dir():
            shutil.rmtree(out)
    _run_quietly(stream, out)
    assert cells(out) == cells(reference)
    assert not list(out.glob("progress/*/*"))


@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_at_each_rename_ends_with_the_same_bytes(after, stream, reference, tmp_path):
    out = tmp_path / "r"
    kills = 0
    for _ in range(60):
        # The plan is written again at every start; the rename after it is the first that makes progress.
        process = _forked(_run_until_rename, stream, out, 1 if kills == 0 else 2, after)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        if not after and kills > 1:
            # Killed before the rename, nothing moved on: let this one step happen.
            process = _forked(_run_until_rename, stream, out, 2, True)
            process.join()
    assert kills >= 10
    assert cells(out) == cells(reference)


def test_two_runs_on_one_folder_at_once_share_the_work_and_spoil_nothing(stream, reference, tmp_path):
    out = tmp_path / "r"
    both = [_forked(_run_quietly, stream, out) for _ in range(2)]
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert cells(out) == cells(reference)


def test_a_failing_strategy_is_kept_with_its_reason_and_stops_no_other(
    stream, reference, tmp_path, monkeypatch
):
    from fretal_bench.strategies.penalties.ewc import EWC

    def broken(self):
        raise ZeroDivisionError("no penalty today")

    monkeypatch.setattr(EWC, "penalty", broken)
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}
    results = run(STRATEGIES, stream, **common)
    assert [cell.label for cell in results.cells] == ["fretal", "joint"]
    (failure,) = results.failures
    assert (failure.label, failure.reason) == ("ewc", "ZeroDivisionError: no penalty today")
    assert "in broken" in failure.traceback
    monkeypatch.undo()
    assert not run(STRATEGIES, stream, **common).failures
    assert cells(tmp_path / "r") == cells(reference)


def test_a_folder_of_another_plan_or_of_something_else_is_refused(stream, reference, tmp_path):
    with pytest.raises(
        BenchError, match=r"another plan: recipe .* has epochs=1 there, epochs=2 now; give another --out"
    ):
        prepare(STRATEGIES, stream, changes={"recipe": {**TINY, "epochs": 2}}, out=reference)
    other = tiny_stream(tmp_path, domains=2)
    with pytest.raises(BenchError, match="another plan: stream tiny has"):
        prepare(STRATEGIES, str(other), changes={"recipe": TINY}, out=reference)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BenchError, match="not empty and no result folder"):
        prepare(STRATEGIES, stream, changes={"recipe": TINY}, out=tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(stream, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", "/proc/results"):
        with pytest.raises(BenchError, match=r"cannot be written there .*give another --out"):
            prepare(STRATEGIES, stream, changes={"recipe": TINY}, out=out)


def test_a_store_with_a_wrong_checksum_is_refused(tmp_path):
    path = tiny_stream(tmp_path)
    crops = tmp_path / "store" / "crops.npy"
    content = bytearray(crops.read_bytes())
    content[-1] ^= 1
    crops.write_bytes(content)
    with pytest.raises(BenchError, match=r"crops.npy: damaged crop store: expected sha256"):
        prepare(STRATEGIES, str(path), changes={"recipe": TINY}, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_full_disk_stops_the_run_with_one_line_and_leaves_nothing_half_written(
    stream, reference, tmp_path, monkeypatch
):
    import errno

    import fretal_bench.benchmark.runner.step as module

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.torch, "save", full)
    common = {"changes": {"recipe": TINY}, "jobs": 1, "out": tmp_path / "r"}
    with pytest.raises(
        RunError, match="no space left to write results; free some and run the same command again"
    ):
        run(STRATEGIES, stream, **common)
    assert not [path for path in (tmp_path / "r").rglob("*") if "part-" in path.name]
    monkeypatch.undo()
    run(STRATEGIES, stream, **common)
    assert cells(tmp_path / "r") == cells(reference)


def test_checkpoints_hold_nothing_that_must_be_executed(reference):
    paths = list(reference.rglob("checkpoint.pt"))
    assert len(paths) == 4
    for path in paths:
        state = torch.load(path, weights_only=True)
        assert {"step", "model", "extra"} <= set(state)


def test_every_option_of_the_recipe_runs(stream, tmp_path):
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
        (source,) = out.glob("sources/*/checkpoint.pt")
        (final,) = out.glob("cells/*/checkpoint.pt")
        old, new = (torch.load(path, weights_only=True)["model"] for path in (source, final))
        statistics = [key for key in old if key.endswith(("running_mean", "running_var"))]
        assert statistics
        assert all(torch.equal(old[key], new[key]) for key in statistics) is same
        assert not all(torch.equal(old[key], new[key]) for key in old if key.endswith("weight"))


def test_progress_is_reported_with_all_that_a_watcher_needs(stream, tmp_path):
    reports: list[Progress] = []
    ready = prepare(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r", jobs=1)
    assert ready.total == 4
    execute(ready, reports.append)
    trained = [report for report in reports if report.phase == "train"]
    assert {report.domain for report in trained} == {"D0", "D1", "D2"}
    assert all(report.share == 1 or report.share < 1 for report in trained)
    assert all(report.images_per_second > 0 and np.isfinite(report.loss) for report in trained)
    assert sum(report.phase == "done" for report in reports) == 4


def test_results_that_are_damaged_or_missing_are_named(reference, tmp_path):
    with pytest.raises(BenchError, match="is no result folder"):
        load_results(tmp_path)
    shutil.copytree(reference, tmp_path / "r")
    (path, *_) = (tmp_path / "r").glob("cells/*/scores.parquet")
    path.write_bytes(b"no parquet")
    with pytest.raises(BenchError, match=r"scores.parquet: cannot be read; delete .* and run again"):
        load_results(tmp_path / "r")


def test_plan_lists_every_cell_that_was_asked_for(stream, reference):
    plan = json.loads((reference / "plan.json").read_text())
    assert [cell["strategy"] for cell in plan["cells"]] == list(STRATEGIES)
    assert plan["recipe"]["device"] == "cpu"
    assert [domain["name"] for domain in plan["stream"]["domains"]] == ["D0", "D1", "D2"]
    assert isinstance(ResultFolder(reference).cell(plan["cells"][0]["id"]) / "x", os.PathLike)
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
