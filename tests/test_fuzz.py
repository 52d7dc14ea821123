"""The fuzzer's fast share over every reader, and that it sees faults of each kind; all of it is ``tox -e fuzz``."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fuzz.campaign import cases, share
from fuzz.readers.all import READERS

TESTS = Path(__file__).parent
LONG = 600
"""Seconds that no share takes."""


def fuzz(module, *words):
    """Run the fuzzer in a process of its own: it forks, which a process with threads should not."""
    path = os.pathsep.join([str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=LONG,
    )


def test_a_run_makes_a_thousand_files_over_all_readers_and_kinds_of_damage():
    counts = Counter(case.reader.name for case in cases(list(READERS.values()), 0, 1200))
    assert counts.total() >= 1000
    assert set(counts) == set(READERS)
    missed = [name for name, count in counts.items() if count < len(READERS[name].damages) // 2]
    assert not missed


@pytest.mark.slow
def test_damaged_files_of_every_reader_are_refused_in_one_line_or_read_as_they_were_written():
    chosen = share(list(READERS.values()), 1, 1)
    assert {case.reader.name for case in chosen} == {
        reader.name for reader in READERS.values() if reader.quick
    }
    assert len(chosen) >= 40
    run = fuzz("fuzz", "--quick", "1", "--seed", "1", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"seed 1, {len(chosen)} cases" in run.stdout


@pytest.mark.slow
def test_the_fuzzer_sees_a_fault_of_every_kind_and_none_where_there_is_none():
    run = fuzz("fuzz.planted")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ok ") >= 16
