"""Runs on a cluster of machines that share no disk: the bytes of one process, whatever is lost on the way."""

import json
import signal
import warnings
from collections import Counter
from types import SimpleNamespace

import psutil
import pytest

import cluster_support
from cluster_support import Chains, begun, contents, order_deaths, three_machines, write_mortal
from fretal_bench import plugins
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import ray_engine
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.ray_cluster import Cluster
from fretal_bench.benchmark.runner.ray_data import Setting, setting
from fretal_bench.benchmark.runner.ray_engine import MOST, run_ray
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError, BenchWarning, RunError
from tests_support import TINY, tiny_stream

STRATEGIES = ("mortal", "failing", "fretal")
STREAM = "/proc/self/cwd/tiny.toml"
LONG = 60
"""Seconds after which a process that was ended is surely gone."""


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """The head's own folder, with a stream and its store."""
    folder = tmp_path_factory.mktemp("head")
    tiny_stream(folder, domains=2)
    return folder


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    return tmp_path_factory.mktemp("machines")


@pytest.fixture(scope="module")
def cluster(head, machines):
    with three_machines(machines, head) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def at_the_head(head, monkeypatch):
    monkeypatch.chdir(head)


@pytest.fixture
def place(tmp_path):
    """The folder of the plugin, which is known while the test runs."""
    plugins.use_files([write_mortal(tmp_path)])
    yield tmp_path
    plugins.forget()


@pytest.fixture
def chains(tmp_path, monkeypatch):
    """Make an agenda of chains that workers pretend to train, and read what was begun."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(cluster_support)
    monkeypatch.setattr(ray_engine, "compute_on_a_node", cluster_support.pretend)

    def made(*labels, length=2, recipe=None):
        recipe = recipe or Recipe().changed({"device": "cpu"})
        return Chains(Pool(tmp_path / "pool"), labels, length, STREAM, tmp_path / "log", recipe)

    yield made
    cloudpickle.unregister_pickle_by_value(cluster_support)


def log_of(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def reasons(out):
    return [json.loads(path.read_text())["reason"] for path in sorted(out.glob("failures/*.json"))]


def test_a_lost_worker_costs_its_own_task_and_nothing_else(cluster, chains, tmp_path):
    agenda = chains("die-2", "die-1", "well", "well")
    with pytest.warns(BenchWarning, match="its worker was lost; begun again on here, attempt") as lost:
        run_ray(agenda, lambda _: None, Cluster(cluster.address))
    # Both steps of the chains die as often as they are told to.
    expected = {id: 1 + int(step.label.partition("-")[2] or 0) for id, step in agenda.steps.items()}
    assert Counter(line["step"] for line in log_of(tmp_path)) == expected
    assert sum(expected.values()) - len(expected) == 6
    assert 1 <= len(lost) <= 6
    assert all(outcome.trained for outcome in agenda.outcomes.values())
    assert {agenda.pool.state(id) for id in expected} == {b"x", b"xx"}
    assert {(line["threads"], line["data"]) for line in log_of(tmp_path)} == {("1", 1)}


def test_what_kills_its_worker_every_time_is_given_up(chains, monkeypatch):
    """The desk is asked which attempt it is; here it answers without a cluster."""
    monkeypatch.undo()
    (task,) = chains("well", length=1).waiting
    begin = SimpleNamespace(remote=lambda *_: MOST + 1)
    monkeypatch.setattr("ray.get", lambda answer, timeout: answer)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "here")
    before = signal.getsignal(signal.SIGTERM)
    try:
        landed = ray_engine.compute_on_a_node(task, "", None, setting(), SimpleNamespace(begin=begin))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert landed.outcome.reason.startswith("its worker was lost 20 times")


def test_training_does_not_depend_on_what_is_told(cluster, chains):
    agenda = chains("bury", "well")
    run_ray(agenda, lambda _: None, Cluster(cluster.address, jobs=1))
    assert all(outcome.trained for outcome in agenda.outcomes.values())


def test_a_run_that_is_stopped_leaves_no_task_and_no_lock_behind(cluster, chains, tmp_path):
    agenda = chains("rest", length=1)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ray(agenda, stop, Cluster(cluster.address))
    (line,) = log_of(tmp_path)
    if psutil.pid_exists(line["pid"]):
        psutil.Process(line["pid"]).wait(LONG)
    with agenda.pool.hold(line["step"], wait=0):
        assert not agenda.pool.has_step(line["step"])


def test_a_step_for_which_no_machine_has_room_is_refused_at_once(cluster, chains):
    agenda = chains("well", recipe=Recipe().changed({"device": "cuda", "threads": 2}))
    with pytest.raises(BenchError, match=r"no machine of the cluster has room .* takes 2 CPUs and 0\.5 GPU"):
        run_ray(agenda, lambda _: None, Cluster(cluster.address, gpus_per_step=0.5))


def test_two_steps_share_a_gpu_if_each_takes_half_of_it(cluster, chains, tmp_path):
    node = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=80 * 2**20, include_dashboard=False)
    try:
        agenda = chains("well", "well", length=1, recipe=Recipe().changed({"device": "cuda"}))
        run_ray(agenda, lambda _: None, Cluster(cluster.address, gpus_per_step=0.5))
        with pytest.warns(BenchWarning, match="the cluster has 1 GPU, and training on a CPU uses none"):
            run_ray(chains("well", length=2), lambda _: None, Cluster(cluster.address))
    finally:
        cluster.remove_node(node)
    assert [line["gpus"] for line in log_of(tmp_path)] == [[0], [0], []]


def test_a_machine_with_other_versions_computes_nothing(cluster, head, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "setting", lambda: Setting({"torch": "0.1"}, {}, ()))
    with pytest.raises(
        RunError, match=r"^machine .*: expected torch 0\.1, as where the run was started, found "
    ):
        run(["finetuning"], STREAM, changes={"recipe": TINY}, out=tmp_path / "r", ray=cluster.address)


def test_a_cluster_gives_the_bytes_of_one_process_though_a_worker_and_a_machine_are_lost(
    cluster, head, machines, place, capfd
):
    common = {"stream": STREAM, "changes": {"recipe": TINY}, "watch": 2}
    run(STRATEGIES, out=place / "one" / "r", **common)
    assert begun(place) == {1: 1}
    (place / "failed").unlink()

    order_deaths(place, "1-a-politely", "1-b-machine")
    capfd.readouterr()
    reports = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", BenchWarning)
        run(STRATEGIES, out=place / "many" / "r", ray=cluster.address, listener=reports.append, **common)
    assert capfd.readouterr() == ("", "")

    assert contents(place / "many") == contents(place / "one")
    assert any(name.startswith("steps/courses") for name in contents(place / "one"))
    # Only what was lost is begun again; what a strategy raises is not.
    assert begun(place) == {1: 3}
    assert (place / "failed").read_text() == "failed\n"
    assert reasons(place / "many" / "r") == reasons(place / "one" / "r") == ["ValueError: on purpose"]
    lost = [str(warning.message) for warning in said if "was lost" in str(warning.message)]
    assert [line.partition(":")[0] for line in lost] == ["mortal, seed 0, D1"] * 2
    # What is told arrives, and what is done is told of once.
    assert {report.phase for report in reports} == {"train", "done"}
    done = [(report.label, report.step) for report in reports if report.phase == "done"]
    assert len(done) == len(set(done))

    # The machines have none of the head's files: each that computed was sent the store.
    sent = list(machines.glob("cache*/stores/sent-*"))
    assert sent
    assert {CropStore.open(path).checksum for path in sent} == {CropStore.open(head / "store").checksum}
    assert list(machines.glob("cache*/plugins/*/mortal.py"))
