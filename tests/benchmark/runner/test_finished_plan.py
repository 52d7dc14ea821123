"""A plan of which everything is done: found so without what only training needs."""

import dataclasses
import subprocess
import sys

from fretal_bench.benchmark.runner.call import prepare
from perf.made_up import call_of, finished, stream_of

PLANNED = """
import ast, sys
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.run import train
ready = prepare(Call(**ast.literal_eval(sys.argv[1])))
train(ready)
print(len(ready.plan.cells), ready.agenda.tasks, "torch" in sys.modules)
"""


def test_on_a_cpu_it_is_planned_without_torch(tmp_path):
    stream_of(tmp_path, people={"train": 2, "val": 2, "test": 2})
    call = call_of(tmp_path, ["finetuning", "si"], [0], "2")
    finished(call)
    assert not prepare(call).agenda.cells
    values = {**dataclasses.asdict(call), "out": str(call.out)}
    done = subprocess.run(
        [sys.executable, "-c", PLANNED, repr(values)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["4", "0", "False"]
