"""Which cluster is meant: one line for each that cannot be, and how many steps one has room for."""

import builtins
import signal
import socket
import sys
from types import SimpleNamespace

import pytest

from fretal_bench.benchmark.runner import ray_cluster
from fretal_bench.benchmark.runner.ray_cluster import Cluster, asked_for, connected, slots
from fretal_bench.errors import BenchError


@pytest.fixture
def closed_port():
    """A port of this machine at which nothing answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def refusal(address):
    with pytest.raises(BenchError) as error:
        asked_for(address, None, 1.0)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_address_at_which_nothing_answers_is_refused_at_once(closed_port):
    line = refusal(f"127.0.0.1:{closed_port}")
    assert line.startswith(f"--ray 127.0.0.1:{closed_port}: nothing answers at ")
    assert "ray start" in line


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ray://127.0.0.1:10001", "expected auto, local or HOST:PORT"),
        ("nonsense", "no running cluster (Invalid address format: nonsense)"),
        ("", "no running cluster"),
        ("127.0.0.1:port", "nothing answers"),
        ("no-such-host.invalid:6379", "nothing answers"),
    ],
)
def test_what_is_no_address_is_refused(address, reason):
    assert reason in refusal(address)


def test_the_command_refuses_a_cluster_before_anything_is_written(bench, closed_port, tmp_path):
    for command in ("run", "tune"):
        code, out, err = bench(command, "--strategies", "ewc", "--ray", f"127.0.0.1:{closed_port}")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "nothing answers" in err
    assert list(tmp_path.iterdir()) == []


def test_auto_means_what_ray_says_it_does(monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    assert str(closed_port) in refusal("auto")


def test_without_ray_the_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refusal("auto") == "--ray needs Ray: pip install 'fretal-bench[ray]'"


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_a_share_of_a_gpu_is_above_0_and_at_most_1(share):
    with pytest.raises(BenchError, match="--gpus-per-step: expected a number above 0 and at most 1"):
        Cluster("local", None, share)


def test_a_share_of_a_gpu_without_a_cluster_is_refused():
    with pytest.raises(BenchError, match="--gpus-per-step is for a cluster"):
        asked_for(None, None, 0.5)
    assert asked_for(None, None, 1.0) is None


def fake(**resources):
    """Ray's module, connected to machines with these resources."""
    nodes = [
        {"Alive": True, "Resources": {"CPU": 3.0}},
        {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"memory": 1.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    return SimpleNamespace(nodes=lambda: nodes)


@pytest.mark.parametrize(
    ("processors", "share", "room"),
    [(1, 0, 7), (2, 0, 3), (5, 0, 0), (1, 1, 2), (1, 0.5, 4), (1, 0.3, 4), (2, 0.5, 2)],
)
def test_room_is_counted_machine_by_machine_and_gpu_by_gpu(processors, share, room):
    assert slots(fake(), processors, share) == room


class FakeRay(SimpleNamespace):
    """Ray's module as far as connecting goes; ``init`` sets a handler of its own for SIGTERM, as Ray's does."""

    def __init__(self, init):
        stream = SimpleNamespace(print_to_stdstream=builtins.print)
        super().__init__(
            _private=SimpleNamespace(worker=stream),
            exceptions=SimpleNamespace(RayError=type("RayError", (Exception,), {})),
            init=init,
            is_initialized=lambda: False,
            shutdown=lambda: self.ended.append(True),
            ended=[],
        )


def take_sigterm(**_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))


@pytest.fixture
def sigterm():
    """Set what takes SIGTERM, and put back at the end what took it before."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda handler: signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGTERM, before)


def left_behind(*_):
    """Stand for Ray's handler, which outlives its connection."""
    sys.exit(1)


left_behind.__module__ = "ray._private.node"


@pytest.mark.parametrize("before", [signal.SIG_DFL, left_behind], ids=["nobody's", "left behind by Ray"])
def test_sigterm_is_ctrl_c_while_connected_and_as_before_afterwards(before, sigterm, monkeypatch):
    ray = FakeRay(take_sigterm)
    monkeypatch.setattr(ray_cluster, "_ray", lambda _: ray)
    sigterm(before)
    with pytest.raises(KeyboardInterrupt), connected(Cluster("local")):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert ray.ended == [True]


def test_whoever_takes_sigterm_keeps_it_while_connected(sigterm, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_ray", lambda _: FakeRay(take_sigterm))
    taken = []
    sigterm(lambda *_: taken.append(True))
    with connected(Cluster("local")):
        signal.raise_signal(signal.SIGTERM)
    assert taken == [True]


def test_sigterm_while_ray_starts_is_ctrl_c_too(sigterm, monkeypatch):
    sigterm(signal.SIG_DFL)

    def start(**more):
        take_sigterm()
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(ray_cluster, "_ray", lambda _: FakeRay(start))
    with pytest.raises(KeyboardInterrupt), connected(Cluster("local")):
        pytest.fail("connected")


def test_another_version_of_ray_is_one_line_with_both(monkeypatch):
    def mismatch(**_):
        raise RuntimeError(
            "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
            "This process on node 10.0.0.1 was started with:\n    Ray: 2.59.0\n    Python: 3.11.7\n"
        )

    monkeypatch.setattr(ray_cluster, "_ray", lambda _: FakeRay(mismatch))
    with pytest.raises(BenchError) as error, connected(Cluster("local")):
        pytest.fail("connected")
    assert "Ray: 2.60.0 Python: 3.12.1" in str(error.value)
    assert "Ray: 2.59.0" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_ray_says_of_workers_is_kept_off_the_screen(monkeypatch, capfd):
    ray = FakeRay(lambda **_: None)
    monkeypatch.setattr(ray_cluster, "_ray", lambda _: ray)
    with connected(Cluster("local")) as given:
        given._private.worker.print_to_stdstream("(raylet) A worker died")
    assert capfd.readouterr() == ("", "")
    assert ray._private.worker.print_to_stdstream is builtins.print
