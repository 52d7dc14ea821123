"""The display of training: counts that hold whatever order the messages come in, labels printed as they are."""

import io
import re
import threading

import pytest
from rich.console import Console

from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.cli.grid import Grid
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
            live.refresh()
            live(ends(label=label))
        assert label in console.file.getvalue()


class _Step:
    kind = "trained"

    def __init__(self, id, domain):
        self.id, self.domain = id, domain


class _Cell:
    def __init__(self, label, *ids):
        self.label = label
        self.path = tuple(_Step(id, f"D{place}") for place, id in enumerate(ids))


def _lines(grid, rows=10):
    console = Console(file=io.StringIO(), width=120)
    console.print(grid.drawn(rows))
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def test_the_grid_shows_what_every_cell_has_learned_and_a_shared_step_in_each():
    grid = Grid([_Cell("ewc", "s", "e1"), _Cell("kd", "s", "k1")], {"s", "e1", "k1"})
    assert _lines(grid) == [["D0", "D1"], ["ewc", "·", "·"], ["kd", "·", "·"]]
    grid.take(trains("s", share=0.25))
    assert _lines(grid) == [["D0", "D1"], ["ewc", "25%", "·"], ["kd", "25%", "·"]]
    for report in (ends("s"), trains("k1", share=0.5)):
        grid.take(report)
    # What is under way comes first.
    assert _lines(grid) == [["D0", "D1"], ["kd", "done", "50%"], ["ewc", "done", "·"]]
    for report in (ends("k1"), trains("k1", share=0.9)):
        grid.take(report)
    assert _lines(grid) == [["D0", "D1"], ["ewc", "done", "·"], ["1", "cells", "done"]]


def test_cells_that_do_not_fit_are_counted():
    grid = Grid([_Cell(f"c{number}", f"x{number}") for number in range(50)], {f"x{n}" for n in range(50)})
    lines = _lines(grid, rows=4)
    assert len(lines) == 1 + 4 + 1
    assert lines[-1] == ["46", "more", "waiting"]


def test_the_grid_is_drawn_above_the_bars(terminal):
    with Live(terminal, 1, Grid([_Cell("[red] ewc", "e")], {"e"})) as live:
        live(trains("e", share=0.5))
        live.refresh()
    text = terminal.file.getvalue()
    assert "[red] ewc" in text
    assert "50%" in text
    assert "all steps" in text
