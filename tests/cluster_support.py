"""A Ray cluster of three machines on this one, strategies that kill their worker, and what tests ask of runs on it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

MORTAL = '''
import os
import signal
from pathlib import Path

from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.template import ContinualStrategy

PLACE = Path({place!r})


class Mortal(ContinualStrategy):
    """Fine-tuning; in the middle of a domain it takes an order, if there is one, and kills its worker or its machine."""

    def before_domain(self, experience):
        self.number, self.updates = experience.current_experience, 0
        with open(PLACE / "log", "a") as log:
            log.write(f"{{self.number}}\\n")

    def penalty(self):
        self.updates += 1
        if self.updates == 3:
            for order in sorted(PLACE.glob(f"{{self.number}}-*")):
                try:
                    order.unlink()
                except FileNotFoundError:
                    continue
                who = os.getppid() if order.name.endswith("machine") else os.getpid()
                os.kill(who, signal.SIGTERM if order.name.endswith("politely") else signal.SIGKILL)
        return 0.0


class Failing(ContinualStrategy):
    """It fails in its second domain."""

    def before_domain(self, experience):
        if experience.current_experience == 1:
            with open(PLACE / "failed", "a") as log:
                log.write("failed\\n")
            raise ValueError("on purpose")


STRATEGIES = [
    StrategyInfo("mortal", ":Mortal", "kills its worker", "none"),
    StrategyInfo("failing", ":Failing", "fails", "none"),
]
'''


def write_mortal(folder: Path) -> Path:
    """Write the plugin, which keeps its orders and its log in the same folder."""
    path = folder / "mortal.py"
    path.write_text(MORTAL.format(place=str(folder)))
    return path


def order_deaths(folder: Path, *orders: str) -> None:
    """Give orders: ``NUMBER-WORD`` kills the worker in domain NUMBER; ``NUMBER-WORD-machine`` its machine.

    ``NUMBER-WORD-politely`` kills the worker with SIGTERM.
    """
    for order in orders:
        (folder / order).touch()


def begun(folder: Path) -> Counter[int]:
    """How often each domain was begun since the log was last read."""
    log = folder / "log"
    lines = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return Counter(map(int, lines))


@contextlib.contextmanager
def three_machines(folder: Path, head: Path):
    """Start a head without processors and three machines of one processor, each with a cache of its own.

    Args:
        folder: For the caches, ``cache0`` to ``cache2``.
        head: The working folder of the head, which no other machine has: what is there is named /proc/self/cwd.
    """
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    before = Path.cwd()
    # The head takes it in this process, and does not give it back.
    takes_sigterm = signal.getsignal(signal.SIGTERM)
    os.chdir(head)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        os.chdir(folder)
        for number in range(3):
            cache = {"FRETAL_BENCH_CACHE": str(folder / f"cache{number}")}
            cluster.add_node(num_cpus=1, env_vars=cache, wait=False, **small)
        cluster.wait_for_nodes()
        os.chdir(before)
        yield cluster
    finally:
        os.chdir(before)
        session = Path(cluster.head_node.get_session_dir_path()) if cluster.head_node else None
        cluster.shutdown()
        signal.signal(signal.SIGTERM, takes_sigterm)
        if session is not None:
            shutil.rmtree(session, ignore_errors=True)


def contents(place: Path) -> dict[str, str]:
    """Hashes of all that two runs must have in common: states, scores and courses of steps, tables of cells."""
    kinds = ("checkpoint.pt", "scores.parquet", "validation.parquet", "course.parquet")
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.name in kinds
    }


def pretend(task, place, state, wanted, desk, *data):
    """In place of training: the state before with one letter more; on the way what the step's label orders.

    ``die-N`` kills the worker the first N times, ``rest`` waits for its end after a report, ``bury`` ends the desk.
    """
    import json
    import signal

    import ray

    from fretal_bench.benchmark.runner.pool import NewStep
    from fretal_bench.benchmark.runner.progress import Progress
    from fretal_bench.benchmark.runner.ray_engine import Blob, Landed
    from fretal_bench.benchmark.runner.task import Outcome

    step = task.step
    about = {"step": step.id, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"], "data": len(data)}
    about["gpus"] = ray.get_gpu_ids()
    log = Path(step.hyperparameters["log"])
    with log.open("a") as file:
        file.write(json.dumps(about) + "\n")
    ray.get(desk.begin.remote(step.id, "here"))
    word, _, times = step.label.partition("-")
    if word == "die" and log.read_text().count(step.id) <= int(times):
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "bury":
        ray.kill(desk, no_restart=False)
    ray.get(desk.tell.remote(Progress(step.id, step.label, "train", share=0.5)))
    if word == "rest":
        signal.pause()
    new = NewStep(step, b"", None, [], {}, {"size": 1, "margin": 1.0})
    before = b"" if state is None else bytes(state)
    return Landed((new,), (Blob(before + b"x"),), (), Outcome(trained=True), "here")


class Chains:
    """An agenda of chains of steps, none of which is ever trained."""

    def __init__(self, pool, labels, length, stream, log, recipe):
        from fretal_bench.benchmark.runner.graph import Step, trained_id
        from fretal_bench.benchmark.runner.task import Task

        self.pool, self.outcomes, self.waiting, self.steps = pool, {}, [], {}
        pool.create()
        order = tuple(f"D{number}" for number in range(length))
        for chain, label in enumerate(labels):
            before = None
            for number in range(-1, length):
                learned = {"chain": chain, "number": number} if number >= 0 else None
                id = trained_id(before.id, learned) if before else hashlib.sha256(b"").hexdigest()[:16]
                values = {"log": str(log)}
                before = Step(
                    id, number, before, "plain", label, values, recipe, 0, stream, order, learned=learned
                )
                if number >= 0:
                    self.steps[id] = before
                    self.waiting.append(Task(before))
        self.tasks = len(self.waiting)

    def take(self):
        for task in self.waiting:
            if task.needs is None or self.pool.has_state(task.needs):
                self.waiting.remove(task)
                return task
        return None

    def done(self, task, outcome):
        self.outcomes[task.step.id] = outcome
        return False

    def is_needed(self, id):
        return any(task.needs == id for task in self.waiting)

    def settle(self):
        """Nothing follows."""
