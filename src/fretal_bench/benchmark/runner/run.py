"""A prepared run executed, and a whole run from Python in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.agenda import Keep
from fretal_bench.benchmark.runner.call import Call, Prepared, prepare
from fretal_bench.benchmark.runner.engine import done
from fretal_bench.benchmark.runner.engines import run_agenda
from fretal_bench.benchmark.runner.plan import Changes
from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.results import Results, load_results
from fretal_bench.errors import RunError


def execute(prepared: Prepared, listener: Listener = lambda _: None) -> Results:
    """Train what is missing and return everything in the folder; errors as ``train`` and ``load_results``."""
    train(prepared, listener)
    return load_results(prepared.folder.path)


def train(prepared: Prepared, listener: Listener = lambda _: None) -> None:
    """Train what is missing, and put together the cells of which every step is done already.

    Raises:
        RunError: The disk is full, a worker process was killed, or a done cell could not be given its course; what is
            finished is kept.
    """
    from fretal_bench.benchmark.runner.opened import use_stream

    agenda = prepared.agenda
    use_stream(prepared.opened.reference, prepared.opened.stream)
    run_agenda(agenda, listener, prepared.jobs, prepared.cluster)
    agenda.settle()
    for task in agenda.passed_over:
        listener(done(task))
    if agenda.without_course:
        label, reason = next(iter(agenda.without_course.items()))
        count = len(agenda.without_course)
        cells = "1 done cell has" if count == 1 else f"{count} done cells have"
        raise RunError(f"{cells} no course ({label}): {reason}")


def run(
    strategies: Sequence[str],
    stream: str = "ffpp-mini",
    recipe: str | os.PathLike[str] | Recipe = "mini",
    seeds: Sequence[int] = (0,),
    changes: Changes | None = None,
    *,
    jobs: int | None = 1,
    device: str | None = None,
    out: str | os.PathLike[str] | None = None,
    data: Sequence[str | os.PathLike[str]] = (),
    orders: str | None = None,
    pool: str | os.PathLike[str] | None = None,
    keep: Keep = "all",
    ray: str | None = None,
    gpus_per_step: float = 1.0,
    watch: int | None = None,
    listener: Listener = lambda _: None,
) -> Results:
    """Run strategies along a stream and return the results; ``bench run`` from Python. Arguments as ``Call``.

    ``jobs`` above 1 starts processes, which needs the caller's script to be importable (an
    ``if __name__ == "__main__":`` around the call).
    """
    call = Call(
        strategies,
        stream,
        recipe,
        seeds,
        changes or {},
        device=device,
        jobs=jobs,
        out=out,
        data=data,
        orders=orders,
        pool=pool,
        keep=keep,
        ray=ray,
        gpus_per_step=gpus_per_step,
        watch=watch,
    )
    return execute(prepare(call), listener)
