"""``bench new strategy``: the package that it writes installs, is found, passes its own tests, and runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fretal_bench.cli.scaffold import write_strategy_package
from fretal_bench.errors import BenchError, RunError
from tests_support import recipe_options, tiny_stream

BENCH = "import sys; from fretal_bench.cli.main import main; sys.argv[0] = 'bench'; main()"


def python(*words, cwd, path):
    """Run Python with ``path`` on the module path; it must end well."""
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return write_strategy_package("near-weights", tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def site(package, tmp_path_factory):
    """Where pip has installed the package; no network, no dependencies."""
    target = tmp_path_factory.mktemp("site")
    words = ("-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    python(*words, "--target", target, package, cwd=target, path="")
    return target


def test_the_installed_package_is_listed_and_a_run_uses_it(site, tmp_path):
    rows = python("-c", BENCH, "list", "strategies", "--json", cwd=tmp_path, path=site)
    assert "near-weights" in [row["name"] for row in json.loads(rows)]

    stream = tiny_stream(tmp_path, domains=2)
    words = ("run", "--strategies", "near-weights", "--stream", stream, "--jobs", "1", "--json")
    words += tuple(recipe_options())
    summary = json.loads(python("-c", BENCH, *words, cwd=tmp_path, path=site))

    assert [row["label"] for row in summary["strategies"]] == ["near-weights"]
    (cell,) = (tmp_path / "results" / "tiny-mini" / "cells").iterdir()
    assert json.loads((cell / "cell.json").read_text())["origin"] == "near-weights 0.1.0"
    assert json.loads((cell / "environment.json").read_text())["versions"]["near-weights"] == "0.1.0"


@pytest.mark.slow
def test_the_package_passes_its_own_tests_and_checks(package, site):
    output = python("-m", "pytest", "-q", cwd=package, path=site)
    assert "passed" in output
    assert "failed" not in output
    python("-m", "ruff", "check", ".", cwd=package, path=site)
    python("-m", "ruff", "format", "--check", ".", cwd=package, path=site)
    python("-m", "mypy", cwd=package, path=package / "src")


@pytest.mark.slow
def test_its_own_tests_fail_when_the_penalty_is_wrong(package, tmp_path):
    broken = tmp_path / "near-weights"
    shutil.copytree(package, broken, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    strategy = broken / "src" / "near_weights" / "strategy.py"
    strategy.write_text(strategy.read_text().replace(".detach().clone()", ".detach()"))

    with pytest.raises(AssertionError) as caught:
        python("-m", "pytest", "-q", cwd=broken, path=broken / "src")

    assert "reacts_to_lambda_" in str(caught.value)
    assert "test_the_penalty_is_half_lambda" in str(caught.value)


def test_the_command_says_what_to_do_next_and_refuses_a_folder_that_is_there(bench, tmp_path):
    code, out, _ = bench("new", "strategy", "my-method", "--into", tmp_path)
    assert code == 0
    assert f"pip install -e '{tmp_path / 'my-method'}[dev]'" in out
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "my-method/pyproject.toml",
        "my-method/README.md",
        "my-method/src/my_method/__init__.py",
        "my-method/src/my_method/strategy.py",
        "my-method/tests/test_my_method.py",
    } <= files
    for path in files:
        assert not re.search("@[A-Z]+@", (tmp_path / path).read_text()), path

    code, _, err = bench("new", "strategy", "my-method", "--into", tmp_path)
    assert code == 2
    assert "exists; choose another name, another --into, or remove it" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lambda", "a word of Python's own"),
        ("match", "a word of Python's own"),
        ("ewc", "is taken"),
        ("recipe", "is taken"),
        ("torch", "a module 'torch' is installed here"),
        ("My-Method", "expected lower-case words joined by '-'"),
        ("my_method", "expected lower-case words joined by '-'"),
        ("3d", "expected lower-case words joined by '-'"),
        ("../up", "expected lower-case words joined by '-'"),
        ("", "expected lower-case words joined by '-'"),
        ("a" * 300, "300 characters; give one of at most 60"),
    ],
)
def test_names_that_cannot_be_are_refused_and_nothing_is_written(name, message, tmp_path):
    with pytest.raises(BenchError, match=message.replace("(", r"\(")):
        write_strategy_package(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    write = Path.write_text

    def full(path, *rest):
        if path.name == "strategy.py":
            raise OSError(28, "No space left on device")
        return write(path, *rest)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RunError, match=r"my-method: no space left"):
        write_strategy_package("my-method", tmp_path)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.undo()
    write_strategy_package("my-method", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my-method"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BenchError, match=r"file/my-method: cannot be written .* give another --into"):
        write_strategy_package("my-method", Path(tmp_path / "file"))
