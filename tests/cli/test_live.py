"""The display of training: counts that hold whatever order the messages come in, labels printed as they are."""

import io
import re
import threading

import pytest
from rich.console import Console

from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.cli.live import Live


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120)


@pytest.fixture
def pipe():
    return Console(file=io.StringIO(), width=120)


def trains(work="a", step=0, share=0.5, label="ewc"):
    return Progress(
        work, label, "train", "D0", step, 3, epoch=1, epochs=2, share=share, loss=0.5, images_per_second=9
    )


def ends(work="a", step=0, label="ewc"):
    return Progress(work, label, "done", step=step)


@pytest.mark.parametrize(
    "reports",
    [
        [trains(share=0.5), ends(), trains(share=1.0)],
        [ends(), trains(share=0.5), trains(share=1.0)],
        [
            trains(share=1.0),
            ends(),
            trains(share=1.0),
            trains(step=1, share=0.2),
            ends(step=1),
            trains(step=1),
        ],
    ],
)
def test_what_is_reported_of_a_step_after_its_end_is_ignored(terminal, reports):
    live = Live(terminal, 2)
    for report in reports:
        live(report)
    ended = sum(report.phase == "done" for report in reports)
    (overall,) = live.bars.tasks
    assert overall.completed == live.done == ended


def test_an_end_that_does_not_name_its_step_ends_the_last_one_that_was_heard_of(terminal):
    live = Live(terminal, 4)
    for report in (trains(step=2, share=0.5), ends(), trains(step=2, share=1.0)):
        live(report)
    assert live.bars.tasks[0].completed == 1
    live(trains(step=3, share=0.5))
    assert live.bars.tasks[0].completed == 1.5


def test_the_time_left_is_shown_until_all_is_done(terminal):
    live = Live(terminal, 2)
    for report in (trains(share=1.0), ends(), trains(share=1.0), trains("b", share=0.2)):
        live(report)
    assert re.search(r"1/2 steps, about \d+:\d\d left", live.bars.tasks[0].fields["detail"])
    live(ends("b"))
    assert live.bars.tasks[0].fields["detail"] == "2/2 steps"


def test_reports_of_many_threads_add_up(terminal):
    cells, steps = 8, 25
    live = Live(terminal, cells * steps)
    barrier = threading.Barrier(cells)

    def work(cell):
        barrier.wait(30)
        for step in range(steps):
            live(trains(cell, step, 0.5))
            live(ends(cell, step))
            live(trains(cell, step, 1.0))

    threads = [threading.Thread(target=work, args=(str(cell),)) for cell in range(cells)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (overall,) = live.bars.tasks
    assert overall.completed == live.done == cells * steps


def test_a_label_with_brackets_is_printed_as_it_is(terminal, pipe):
    label = "ewc lambda_=[red] [/x]"
    for console in (terminal, pipe):
        with Live(console, 2) as live:
            live(trains(share=1.0, label=label))
            live.bars.refresh()
            live(ends(label=label))
        assert label in console.file.getvalue()
