"""What results were made with: which code, and on which machines."""

import math
import subprocess
import sys

import pytest

from fretal_bench.benchmark.runner import environment as module
from fretal_bench.benchmark.runner.environment import environment, joined_environments, made_by_other_code


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository in the place of the suite's own; gives a function that commits a file and returns the commit."""

    def git(*words):
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *names, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        git("add", ".")
        git("commit", "-qm", "x")
        return git("rev-parse", "--short=12", "HEAD")

    git("init", "-q")
    monkeypatch.setattr(module, "_checkout", lambda: tmp_path)
    return commit


def made_at(commit):
    return {"versions": {}, "commit": commit}


def test_a_commit_that_changes_what_trains_is_said_and_one_that_does_not_is_not(checkout, monkeypatch):
    first = checkout("src/fretal_bench/strategies/ewc.py", "1")
    second = checkout("README.md", "1")
    third = checkout("src/fretal_bench/strategies/ewc.py", "2")
    now = second
    monkeypatch.setattr(module, "commit", lambda: now)
    assert made_by_other_code(made_at(first)) == ""
    assert made_by_other_code(made_at(f"{second}+")) == ""
    now = third
    assert made_by_other_code(made_at(first)) == f"commit {first}"
    assert made_by_other_code(made_at("0123456789ab")) == "commit 0123456789ab", "no commit of this checkout"
    assert made_by_other_code(made_at(None)) == ""
    now = None
    assert made_by_other_code(made_at(first)) == ""


def test_environments_that_are_equal_are_named_once_and_others_with_their_steps():
    here, there = {"processor": "A"}, {"processor": "B"}
    assert joined_environments({"source": here, "step 0": here}) == here
    assert joined_environments({"source": here, "step 0": there, "step 1": here}) == {
        "processor": "A",
        "environments": [
            {"steps": ["source", "step 1"], "processor": "A"},
            {"steps": ["step 0"], "processor": "B"},
        ],
    }
    assert joined_environments({}) == {}


def test_an_environment_is_plain_data_of_versions_and_machine():
    made_with = environment("cpu")
    assert made_with["device"] == "cpu"
    assert {"python", "torch", "fretal-bench"} <= set(made_with["versions"])


def test_where_neither_proc_nor_resource_is_there_the_peak_is_not_known(monkeypatch):
    def no_file(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", no_file)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(module._peak_mb())
