"""Runs that lose workers, machines and heads, each brought to the bytes of one process: ``python -m clusters``."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from cluster_support import begun, order_deaths, three_machines
from clusters.runs import World, after_the_first_step, all_gone, end, has_done_a_step, tasks

STOPPED = {signal.SIGTERM: 143, signal.SIGINT: 130}
PARTS = ("heads", "signals", "workers", "local")


def lose_workers_and_a_machine(world: World, address: str) -> None:
    """Five workers and a machine are killed in the middle of training."""
    order_deaths(world.place, "1-a", "1-b-politely", "1-c-machine", "2-a", "2-b", "2-c")
    begun(world.place)
    begin = time.monotonic()
    code, errors = world.finish(world.on(address))
    attempts = begun(world.place)
    assert code == 0, errors
    assert attempts == {1: 4, 2: 4}, attempts
    world.check("workers and a machine lost")
    lost = errors.count("was lost")
    print(f"5 workers and 1 machine killed while they trained: {time.monotonic() - begin:.0f} s, the bytes of one "
          f"process; attempts {dict(attempts)}, {lost} lines say so")  # fmt: skip


def kill_heads(world: World, address: str, kills: int, seed: int) -> None:
    """The head is killed at random times, and the run gone on with, until enough were killed.

    Every second time is counted from a step that this run has kept: starting takes most of so small a run.
    """
    draw = random.Random(seed)
    begin = time.monotonic()
    code, errors = world.finish(world.on(address))
    assert code == 0, errors
    world.check("undisturbed")
    whole = time.monotonic() - begin
    print(f"undisturbed: {whole:.0f} s")
    done = runs = later = 0
    while done < kills:
        process = world.on(address)
        counted = bool(done % 2) and has_done_a_step(process)
        delay = draw.uniform(0, whole / 8 if counted else whole)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            at_it = tasks()
            process.kill()
            process.communicate()
            seconds = all_gone(at_it, "the head was killed")
            done += 1
            later += counted
            steps = len(list((world.out / "many" / "steps" / "steps").glob("*")))
            since = "a step" if counted else "its start"
            print(f"head killed {delay:.1f} s after {since}: {len(at_it)} tasks gone in {seconds:.1f} s, "
                  f"{steps} steps kept")  # fmt: skip
            continue
        assert process.returncode == 0
        world.check("heads killed")
        runs += 1
    code, errors = world.finish(world.on(address))
    assert code == 0, errors
    world.check("heads killed")
    print(
        f"{done} heads killed at random times (seed {seed}), {later} of them after a step of theirs was kept, in "
        f"{runs + 1} runs: the bytes of one process each time"
    )


def terminate_heads(world: World, address: str, what: str) -> None:
    """The head is sent SIGTERM, as Slurm does, and SIGINT."""
    for number, expected in STOPPED.items():
        process = world.on(address)
        after_the_first_step(process)
        at_it = [*tasks(), *psutil.Process(process.pid).children(recursive=True)]
        begin = time.monotonic()
        end(process, number)
        code, errors = world.finish(process)
        taken = time.monotonic() - begin
        *before, last = [line for line in errors.splitlines() if line]
        assert code == expected, (code, errors)
        # Ctrl-C is answered at once, and then again when all have ended.
        answers = ["stopping; what is finished is kept"] if number == signal.SIGINT else []
        assert len(before) == len(answers), errors
        assert all(answer in line for answer, line in zip(answers, before, strict=True)), errors
        assert "stopped" in last, errors
        all_gone(at_it, f"{what}: {number.name}")
        print(f"{what}: {number.name}: {taken:.1f} s, exit code {code}, {len(at_it)} processes gone: {last}")
    code, errors = world.finish(world.on(address))
    assert code == 0, errors
    world.check(what)


def kill_a_head_with_its_own_cluster(world: World) -> None:
    """What ``--ray local`` started ends with the head, however that ends."""
    process = world.on("local")
    after_the_first_step(process)
    at_it = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    seconds = all_gone(at_it, "--ray local, killed")
    print(f"--ray local: the head killed, {len(at_it)} processes of its cluster gone in {seconds:.1f} s")
    code, errors = world.finish(world.on("local"))
    assert code == 0, errors
    world.check("--ray local")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="heads killed at random times")
    parser.add_argument("--seed", type=int, default=0, help="of these times")
    parser.add_argument("--only", choices=PARTS, help="this part alone")
    arguments = parser.parse_args()
    parts = PARTS if arguments.only is None else (arguments.only,)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        machines = folder / "machines"
        machines.mkdir()
        world = World(folder)
        if parts != ("local",):
            begin = time.monotonic()
            with three_machines(machines, world.head) as cluster:
                print(f"a cluster of a head and three machines: {time.monotonic() - begin:.1f} s")
                if "heads" in parts:
                    kill_heads(world, cluster.address, arguments.kills, arguments.seed)
                if "signals" in parts:
                    terminate_heads(world, cluster.address, "on a cluster")
                if "workers" in parts:
                    lose_workers_and_a_machine(world, cluster.address)
        if "local" in parts:
            terminate_heads(world, "local", "--ray local")
            kill_a_head_with_its_own_cluster(world)


if __name__ == "__main__":
    main()
