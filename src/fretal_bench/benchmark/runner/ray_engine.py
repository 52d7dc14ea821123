"""The engine that computes the tasks of an agenda on a Ray cluster: Ray places, repeats and moves, the head writes.

What a task needs goes to it as objects: the state of the step before, streams, plugins. What it makes comes back as one,
and is kept by this process alone, which holds the lock of the step while its task is out. A worker or machine that is
lost costs the tasks that it was at: Ray begins them again elsewhere. What a strategy raises fails its cell, as in every
engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import signal
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from fretal_bench import guard
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.engine import TakeIn, Work, keep_scores, keep_step, what_is_left
from fretal_bench.benchmark.runner.environment import made_by_other_code
from fretal_bench.benchmark.runner.locks import Busy
from fretal_bench.benchmark.runner.opened import Place
from fretal_bench.benchmark.runner.pool import Computed, NewScores, NewStep
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.ray_cluster import Cluster, connected, gpus, slots
from fretal_bench.benchmark.runner.ray_data import (
    Begun,
    Desk,
    Sent,
    Setting,
    fetch_from,
    needs,
    open_here,
    sent,
    setting,
    settle,
)
from fretal_bench.benchmark.runner.task import Outcome, Task, failed, is_trained
from fretal_bench.errors import BenchError, BenchWarning, RunError, first_line
from fretal_bench.workers import THREADS

_LOOK: Final = 2.0
"""Seconds after which the machines are looked at again while nothing is told."""
_ANSWER: Final = 30.0
"""Seconds that a task waits to hear which attempt it is."""
MOST: Final = 20
"""Attempts at a task: what kills its worker every time would otherwise go on for ever."""
_WHY_LOST: Final = "it ended by itself, or was killed, e.g. for want of memory"
_CALLS: Final = 10_000
"""Reports of one process that may wait for the desk."""


def run_ray(agenda: Work, listener: Listener, cluster: Cluster) -> None:
    """Run all tasks on a cluster; this process puts finished cells together.

    Args:
        agenda: What is to be computed.
        listener: Told how training goes, and what is done.
        cluster: Where.

    Raises:
        BenchError: There is no such cluster, or none of its machines has room for a step.
        RunError: A machine cannot compute what the head would, or Ray failed; what is finished is kept.
    """
    with connected(cluster) as ray:
        head = _Head(ray, agenda, listener, cluster)
        try:
            head.run()
        except ray.exceptions.RayError as error:
            raise RunError(
                f"Ray: {_words(error)}; run the same command again to go on where it stopped"
            ) from error
        finally:
            head.leave()


class Blob:
    """Bytes that travel through Ray's object store without being copied into a message."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Blob, (pickle.PickleBuffer(self.content),)

    def __bytes__(self) -> bytes:
        return bytes(self.content)


@dataclass(frozen=True)
class Landed:
    """What comes back of a task.

    Attributes:
        steps: The steps that it made, their states apart.
        states: These states.
        scores: The scores.
        outcome: What became of it.
        machine: Where it was.
        refusal: Why the machine cannot compute anything; empty if it can.
    """

    steps: tuple[NewStep, ...] = ()
    states: tuple[Blob, ...] = ()
    scores: tuple[NewScores, ...] = ()
    outcome: Outcome = field(default_factory=Outcome)
    machine: str = ""
    refusal: str = ""


def compute_on_a_node(
    task: Task, place: str, state: Blob | None, wanted: Setting, desk: Any, *data: Sent
) -> Landed:
    """Compute a task in a worker of Ray's; arguments as ``compute``, besides where the state is kept on the head."""
    import ray

    machine = str(ray.util.get_node_ip_address())
    # Ray's handler raises SystemExit, which would pass for the strategy's own: a killed worker is no failed cell.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def tell(report: Any) -> None:
        # Nothing depends on what is told: training goes on without the desk.
        with contextlib.suppress(Exception):
            desk.tell.remote(report)

    attempt = 1
    with contextlib.suppress(Exception):
        attempt = ray.get(desk.begin.remote(task.step.id, machine), timeout=_ANSWER)
    if attempt > MOST:
        return Landed(
            outcome=Outcome(reason=f"its worker was lost {MOST} times: {_WHY_LOST}"), machine=machine
        )
    made: list[NewStep] = []
    try:
        with guard.guarded():
            settle(wanted)
            open_here(data, fetch_from(ray, desk))
    except Exception as error:
        return Landed(refusal=f"machine {machine}: {_words(error)}")
    from fretal_bench.benchmark.runner.step import compute
    from fretal_bench.strategies import life

    try:
        # A strategy may end in any way, and must not end the others.
        with guard.guarded(), life.naming(f"{place}/checkpoint.pt", f"delete {place} and run again"):
            computed = compute(task, None if state is None else bytes(state), tell, made.append)
    except RunError as error:
        return Landed(refusal=f"machine {machine}: {error}")
    except Exception as error:
        return _landed(made, (), failed(error), machine)
    return _landed(made, computed.scores, Outcome(trained=is_trained(task)), machine)


def _landed(made: Iterable[NewStep], scores: tuple[NewScores, ...], outcome: Outcome, machine: str) -> Landed:
    made = tuple(made)
    apart = tuple(dataclasses.replace(new, state=b"") for new in made)
    return Landed(apart, tuple(Blob(new.state) for new in made), scores, outcome, machine)


@dataclass
class _Flight:
    """A task that is out: what is left of it, and the lock of its step."""

    task: Task
    left: Task
    lock: contextlib.ExitStack = field(repr=False)


class _Head:
    """What is out, and what is done when it comes back."""

    def __init__(self, ray: Any, agenda: Work, listener: Listener, cluster: Cluster) -> None:
        self.ray, self.agenda, self.pool, self.listener = ray, agenda, agenda.pool, listener
        self.take_in = TakeIn(agenda, listener)
        self.cluster = cluster
        self._recipe: Recipe | None = None
        self.flights: dict[Any, _Flight] = {}
        self._states: dict[str, Any] = {}
        self._data: dict[str | Place, Any] = {}
        self._setting = ray.put(setting())
        self._desk = self._opened_desk()
        self._news = self._desk.news.remote()
        self._compute = ray.remote(compute_on_a_node)
        self._said_full = False
        self._other_code: dict[str, set[str]] = {}

    def _opened_desk(self) -> Any:
        """Start the desk on this machine, where the stores are; it takes no processor from the steps."""
        here = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self.ray.get_runtime_context().get_node_id(), soft=False
        )
        desk = self.ray.remote(Desk).options(
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
            max_pending_calls=_CALLS,
            scheduling_strategy=here,
        )
        return desk.remote(_LOOK)

    def run(self) -> None:
        """Send out what can begin, take in what comes back, until nothing is left.

        Raises:
            BenchError: No machine has room for a step.
            RunError: A machine cannot compute what the head would; the disk is full.
        """
        self.agenda.settle()
        while True:
            more, full = self._send()
            if self.flights or full:
                self._receive()
            elif not more:
                break

    def leave(self) -> None:
        """Let go of the locks; Ray ends what is out when this process disconnects.

        Nothing is cancelled: Ray 2.60 ends the process that cancels a task at the moment at which it is done.
        """
        for flight in self.flights.values():
            flight.lock.close()
        self.flights.clear()

    @property
    def _processors(self) -> int:
        """Of a step."""
        return self._recipe.threads if self._recipe is not None else 1

    @property
    def _share(self) -> float:
        """Of a GPU, of a step."""
        on_gpu = self._recipe is not None and self._recipe.device == "cuda"
        return self.cluster.gpus_per_step if on_gpu else 0.0

    def _room(self) -> int:
        """Return how many steps can be out at once."""
        room = slots(self.ray, self._processors, self._share)
        return room if self.cluster.jobs is None else min(room, self.cluster.jobs)

    def _wants(self) -> str:
        processors = f"{self._processors} CPU{'s' if self._processors > 1 else ''}"
        return f"{processors} and {self._share:g} GPU" if self._share else processors

    def _check_room(self, task: Task) -> None:
        """Find out from the first task what a step takes, and whether a machine has that.

        Raises:
            BenchError: None has.
        """
        if self._recipe is None:
            self._recipe = task.step.recipe
            if not self._share and (idle := gpus(self.ray)):
                warnings.warn(
                    f"the cluster has {idle} GPU{'s' if idle > 1 else ''}, and training on a CPU uses none; give "
                    "--device cuda to use them",
                    BenchWarning,
                    stacklevel=2,
                )
            if not self._room():
                raise BenchError(
                    f"no machine of the cluster has room for a step, which takes {self._wants()}; add one, or change "
                    "--device, --gpus-per-step or recipe.threads"
                )

    def _send(self) -> tuple[bool, bool]:
        """Send out tasks; return whether there may be more to send, and whether there is no room for them."""
        room = self._room()
        if not room and not self._said_full:
            warnings.warn(
                f"no machine of the cluster has room for a step ({self._wants()}) any more: waiting for one",
                BenchWarning,
                stacklevel=2,
            )
        self._said_full = not room
        while len(self.flights) < room or self._recipe is None:
            task = self.agenda.take()
            if task is None:
                return False, False
            self._check_room(task)
            outcome = self._begin(task)
            if outcome is not None:
                self.take_in(task, outcome)
                if outcome.busy and task.wait:
                    return True, False
        return True, True

    def _begin(self, task: Task) -> Outcome | None:
        """Send out a task, or return its outcome where there is nothing to send."""
        try:
            with contextlib.ExitStack() as lock:
                # What is out must not wait for what another run is at.
                lock.enter_context(self.pool.hold(task.step.id, 0.0 if self.flights else task.wait))
                left = what_is_left(self.pool, task)
                if left is None:
                    return Outcome()
                self.flights[self._submitted(left)] = _Flight(task, left, lock.pop_all())
                return None
        except Busy:
            return Outcome(busy=True)
        except RunError:
            raise
        except BenchError as error:
            return failed(error)

    def _submitted(self, task: Task) -> Any:
        step = task.step
        place = self.pool.step(task.needs or step.id)
        seconds = os.environ.get(guard.VARIABLE)
        variables = dict.fromkeys(THREADS, "1") | ({guard.VARIABLE: seconds} if seconds else {})
        compute = self._compute.options(
            name=f"{step.label}, {step.domain}",
            num_cpus=self._processors,
            num_gpus=self._share,
            # Of the system's failures; what a strategy raises is returned.
            max_retries=-1,
            retry_exceptions=False,
            runtime_env={"env_vars": variables},
        )
        data = [self._sent(name) for name in needs(task)]
        return compute.remote(task, str(place), self._state(task.needs), self._setting, self._desk, *data)

    def _state(self, id: str | None) -> Any:
        """Return a state as an object of Ray's, of which there is one as long as a task that is left begins with it."""
        if id is None:
            return None
        if id not in self._states:
            self._states[id] = self.ray.put(Blob(self.pool.state(id)))
        return self._states[id]

    def _sent(self, name: str | Place) -> Any:
        """Return a stream or further test sets as an object of Ray's."""
        if name not in self._data:
            self._data[name] = self.ray.put(sent(name))
        return self._data[name]

    def _receive(self) -> None:
        """Wait for something to come back or to be told, for a while."""
        ready, _ = self.ray.wait([*self.flights, self._news], timeout=_LOOK)
        for ref in ready:
            if ref == self._news:
                self._hear()
            else:
                self._land(ref)

    def _hear(self) -> None:
        """Pass on what was told of tasks that are out."""
        out = {
            step.id for flight in self.flights.values() for step in (flight.task.step, *flight.left.within)
        }
        for report in self.ray.get(self._news):
            if isinstance(report, Progress) and report.work in out:
                self.listener(report)
            elif isinstance(report, Begun) and report.attempt > 1:
                self._say_lost(report)
        self._news = self._desk.news.remote()

    def _say_lost(self, report: Begun) -> None:
        for flight in self.flights.values():
            step = flight.task.step
            if step.id == report.step:
                warnings.warn(
                    f"{step.label}, {step.domain or 'untrained'}: its worker was lost; begun again on "
                    f"{report.machine}, attempt {report.attempt}",
                    BenchWarning,
                    stacklevel=2,
                )

    def _land(self, ref: Any) -> None:
        """Keep what came back."""
        flight = self.flights[ref]
        landed: Landed = self.ray.get(ref)
        if landed.refusal:
            raise RunError(f"{landed.refusal}; what is finished is kept")
        outcome = landed.outcome
        self._say_other_code(landed)
        try:
            for new, state in zip(landed.steps, landed.states, strict=True):
                keep_step(self.pool, flight.task, dataclasses.replace(new, state=bytes(state)))
            keep_scores(self.pool, flight.task, Computed((), landed.scores))
        except RunError:
            raise
        except BenchError as error:
            outcome = failed(error)
        self._done(ref, outcome)

    def _say_other_code(self, landed: Landed) -> None:
        """Say, once a machine, that its checkout of the suite is another; packages were compared there."""
        makers = {made_by_other_code(new.environment) for new in landed.steps} - {""}
        for maker in makers - self._other_code.get(landed.machine, set()):
            self._other_code.setdefault(landed.machine, set()).add(maker)
            warnings.warn(
                f"machine {landed.machine}: its steps are made by {maker} of the suite, whose code differs from the code "
                "here; check out the same on all machines",
                BenchWarning,
                stacklevel=2,
            )

    def _done(self, ref: Any, outcome: Outcome) -> None:
        flight = self.flights.pop(ref)
        flight.lock.close()
        self.take_in(flight.task, outcome)
        begun_with = flight.left.needs
        out = {other.left.needs for other in self.flights.values()}
        if begun_with is not None and begun_with not in out and not self.agenda.is_needed(begun_with):
            self._states.pop(begun_with, None)


def _words(error: BaseException) -> str:
    """Say in one line what went wrong, of Ray's errors the cause."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return _words(cause)
    if isinstance(error, BenchError | guard.Ended):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"
