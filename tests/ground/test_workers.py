"""Worker processes: how many work by default."""

import os

import pytest

from fretal_bench import workers
from fretal_bench.workers import default_jobs


def test_one_process_a_core_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(workers, "_quota", lambda: float("inf"))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert default_jobs("cpu") == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert default_jobs("cpu") == 64


@pytest.mark.parametrize(("quota", "jobs"), [(2.5, 2), (0.5, 1), (100.0, 8)])
def test_a_containers_quota_is_kept(quota, jobs, monkeypatch):
    monkeypatch.setattr(workers, "_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert default_jobs("cpu") == jobs


def test_one_process_on_a_gpu_however_many_cores_there_are(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert default_jobs("cuda") == 1
