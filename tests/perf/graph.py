"""Overhead of the graph: planning 1,000 cells that are new or done, and choosing among the tasks of up to 12,000."""

from __future__ import annotations

import dataclasses
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fretal_bench.benchmark.runner.call import Call
from fretal_bench.benchmark.runner.task import Outcome
from fretal_bench.strategies.registry import list_strategies
from perf.made_up import call_of, finished, stream_of
from perf.simulation import AgendaInMemory, FolderInMemory, PoolInMemory, plan_of
from perf.steps import Row

STRATEGIES = 20
SEEDS = 5
ORDERS = 10
_SECONDS = 5
_MEGABYTES = 500
_LONGEST = 600
# In a process of its own, which imports what a command does and whose peak of memory is that of the plan alone.
_MEASURED = """
import ast, sys, time, warnings
from pathlib import Path
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.run import train
warnings.simplefilter("ignore")
begun = time.process_time()
ready = prepare(Call(**ast.literal_eval(sys.argv[1])))
if not ready.agenda.cells:
    train(ready)
# Not ru_maxrss, which begins at what the parent had.
memory = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(ready.agenda.tasks, time.process_time() - begun, int(memory) / 1024)
"""


def measure_graph(strategies: int = STRATEGIES, seeds: int = SEEDS, orders: int = ORDERS) -> list[Row]:
    """Measure the plan of ``strategies`` x ``seeds`` x ``orders`` cells of four domains, and the choice of tasks."""
    cells = f"{strategies * seeds * orders:,} cells"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stream_of(folder, people={"train": 4, "val": 2, "test": 2})
        names = [info.name for info in list_strategies()[:strategies]]
        call = call_of(folder, names, range(seeds), str(orders))
        rows = _planned(f"{cells} planned, all new", call)
        shutil.rmtree(folder / "results")
        ready = finished(call, linked=True)
        rows += _planned(f"{cells} planned and found done", call)
        size = (ready.folder.path / "plan.json").stat().st_size
        print(f"plan.json: {size / len(ready.plan.cells):.0f} bytes a cell", flush=True)
        shutil.rmtree(folder / "results" / "cells")
        rows += _planned(f"{cells} planned, all of their steps found done", call)
    return [*rows, _choosing()]


def _planned(what: str, call: Call) -> list[Row]:
    values = {**dataclasses.asdict(call), "out": str(call.out), "seeds": list(call.seeds)}
    begun, before = time.perf_counter(), _children()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, repr(values)],
        capture_output=True,
        text=True,
        check=True,
        timeout=_LONGEST,
    )
    seconds, cpu = time.perf_counter() - begun, _children() - before
    tasks, planning, megabytes = map(float, done.stdout.split())
    what = f"{what} ({tasks:.0f} tasks)"
    return [
        Row(
            f"{what}: {seconds:.1f} s, {cpu:.1f} of CPU, {planning:.1f} without start-up",
            f"{_SECONDS} s",
            [seconds / _SECONDS],
            "at most 1",
        ),
        Row(f"{what}: {megabytes:.0f} MB", f"{_MEGABYTES} MB", [megabytes / _MEGABYTES], "at most 1"),
    ]


def _children() -> float:
    """Seconds of CPU that ended child processes took: on a busy machine they say more than the clock."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _choosing() -> Row:
    """Seconds of CPU to take a task and to take in its outcome, on 32 workers: 12,000 cells against 1,000."""
    seconds = {}
    # Of 24 orders each.
    for seeds in (2, 6, 25):
        plan = plan_of([info.name for info in list_strategies()[:20]], seeds)
        begun = time.process_time()
        agenda = AgendaInMemory(plan, FolderInMemory(), PoolInMemory())
        made = time.process_time() - begun
        begun = time.process_time()
        _do_all(agenda)
        chosen = time.process_time() - begun
        seconds[len(plan.cells)] = (made + chosen) / agenda.tasks
        print(
            f"agenda of {len(plan.cells):,} cells, {agenda.tasks:,} tasks: made in {made:.2f} s of CPU, "
            f"{1000 * chosen / agenda.tasks:.3f} ms a task",
            flush=True,
        )
    few, *_, many = seconds.values()
    counts = list(seconds)
    return Row(
        f"agenda of {counts[-1]:,} cells: {1000 * many:.2f} ms a task",
        f"{counts[0]:,} cells",
        [many / few],
        "at most 3: it does not look at all tasks",
    )


def _do_all(agenda: Any, workers: int = 32) -> None:
    out: list[Any] = []
    while True:
        while len(out) < workers and (task := agenda.take()) is not None:
            out.append(task)
        if not out:
            break
        agenda.done(out.pop(0), Outcome(trained=True))
        agenda.settle()
