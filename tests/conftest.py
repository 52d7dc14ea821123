"""One thread for numerical libraries, set before torch is imported; the whole command; a face data set and detector."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# A shell lets what it runs in the background ignore Ctrl-C, which tests send and wait for.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Modules that several test files share (tests_support, trees, ...) are imported by their plain names.
sys.path.insert(0, str(Path(__file__).parent))
import file_order  # noqa: E402

# A busy machine is no fault of the code that is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

PEOPLE = (0, 14, 28, 30)
"""Two pairs: 000 with 014 in train, 028 with 030 in val."""


def pytest_addoption(parser):
    parser.addoption("--renew-seconds", action="store_true", help="write down what each test file took")


def pytest_configure(config):
    # A process that is handed its tests by another one leaves it to that one.
    if config.getoption("renew_seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(file_order.Clock())


def pytest_collection_modifyitems(items):
    file_order.longest_first(items, file_order.seconds())


class Outcome(NamedTuple):
    """How a call of ``bench`` ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _without_plugin_files():
    """Leave no plugin file of a test to the next one of the process, whichever that is."""
    yield
    plugins = sys.modules.get("fretal_bench.plugins")
    if plugins is not None and plugins.plugin_files():
        plugins.forget()


@pytest.fixture
def compiled_calls(monkeypatch):
    """What runs compiled, one graph a call; compiles without a C++ compiler."""
    import torch

    from fretal_bench.benchmark.recipes.model import compiled_kind

    calls = []

    def backend(graph, _):
        def run(*inputs):
            calls.append(graph)
            return graph.forward(*inputs)

        return run

    compile_ = torch.compile
    # A module's own method calls it as well.
    monkeypatch.setattr(torch, "compile", lambda function, **_: compile_(function, backend=backend))
    compiled_kind.cache_clear()
    yield calls
    compiled_kind.cache_clear()
    torch._dynamo.reset()


@pytest.fixture
def bench(monkeypatch, capsys, tmp_path):
    """Call the whole ``bench`` command in this process, in the test's empty folder, as a new process would run it.

    ``bench("list", "strategies")`` returns (exit code, standard output, standard error). No plugin of an earlier call
    and no data folder of the user is known; lines are 200 columns wide.
    """
    from fretal_bench import plugins
    from fretal_bench.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        plugins.forget()
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Outcome(code, *capsys.readouterr())

    yield call
    plugins.forget()


NO_PICTURE = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>',
    "png": b"\x89PNG\r\n\x1a\n",
}


@pytest.fixture(scope="module")
def undrawn():
    """Let matplotlib lay out and render nothing, which is half of the time of a report; figures are still built.

    For files whose tests look at everything but the pictures: ``pytestmark = pytest.mark.usefixtures("undrawn")``.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.draw_without_rendering", lambda _: None)
        patch.setattr(
            "matplotlib.figure.Figure.savefig",
            lambda _, file, *, format, **__: file.write(NO_PICTURE[format]),
        )
        yield


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    """FF++-mini as a FaceForensics++ tree, read only: 4 people, 5 methods, c23."""
    from fretal_bench.datasets.ffpp_mini.tree import make_mini

    root = tmp_path_factory.mktemp("mini") / "ffpp"
    make_mini(root, ["c23"], PEOPLE)
    return root


@pytest.fixture
def tree(mini, tmp_path):
    """A copy of ``mini`` that a test may spoil."""
    return shutil.copytree(mini, tmp_path / "ffpp")


@pytest.fixture
def detector(monkeypatch):
    """Put a detector in MTCNN's place; ``answers`` is what it gives, picture by picture, the last for ever."""
    from faces_support import face

    class Scripted:
        name = "mtcnn"

        def __init__(self):
            self.answers = [[face(40, 40, 140)]]
            self.seen = []

        def detect(self, image):
            self.seen.append(image.copy())
            return self.answers[min(len(self.seen), len(self.answers)) - 1]

        @property
        def calls(self):
            return len(self.seen)

    scripted = Scripted()
    for module in ("unit", "prepare"):
        monkeypatch.setattr(f"fretal_bench.datasets.faces.{module}.open_detector", lambda *_: scripted)
    return scripted
