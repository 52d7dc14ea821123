"""A run that is not finished: what is there, what is not, and that nothing is compared over other seeds."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.contents import final_table, quantity_tables, summary_table
from fretal_bench.reporting.inference import Family
from fretal_bench.reporting.inputs import Problem, seed_words
from fretal_bench.reporting.pairing import means_in_common
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.progress import Progress, problem_table, progress_table
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.tables import Column, Number, Row, Table, mark_best
from fretal_bench.reporting.verdict import verdict

pytestmark = pytest.mark.usefixtures("undrawn")

STRATEGIES = {"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "lwf": (0.92, 0.08)}


def without(results, *cells):
    """The same run before these cells, by label and seed, were finished."""
    from fretal_bench.benchmark.runner.results import MissingCell

    kept = tuple(cell for cell in results.cells if (cell.label, cell.seed) not in cells)
    return dataclasses.replace(results, cells=kept, missing=tuple(MissingCell(*cell) for cell in cells))


@pytest.fixture(scope="module")
def halfway(make):
    """Three strategies with three seeds asked for: one cell failed, two are not there yet."""
    results = make(STRATEGIES, seeds=3, domains=("a", "b"), failed={("mas", 1): "killed"})
    return without(results, ("ewc", 2), ("lwf", 2))


def of_seeds(strategy, quantity="forgetting", **values):
    """A strategy with these values by seed (``s0=0.1``)."""
    by_seed = {int(seed[1:]): value for seed, value in values.items()}
    return dataclasses.replace(
        strategy,
        seeds=tuple(by_seed),
        by_seed={**strategy.by_seed, quantity: by_seed},
        values={**strategy.values, quantity: mean_interval(list(by_seed.values()))},
    )


@pytest.mark.parametrize(
    ("seeds", "words"),
    [((0,), "0"), ((1, 0), "0, 1"), ((0, 1, 2), "0 to 2"), ((0, 1, 2, 5, 7, 8, 9, 10), "0 to 2, 5, 7 to 10")],
)
def test_seeds_are_named_in_few_words(seeds, words):
    assert seed_words(seeds) == words


def test_cells_are_counted_by_seed(halfway):
    assert summarize(halfway).progress == (
        Progress("", 0, done=3),
        Progress("", 1, done=3, failed=1),
        Progress("", 2, done=1, missing=2),
    )


def test_a_cell_whose_scores_cannot_be_used_is_not_done(make):
    results = make({"ewc": (0.9, 0.05)}, seeds=2)
    broken = dataclasses.replace(results.cells[1], scores=results.cells[1].scores.iloc[:-1])
    summary = summarize(dataclasses.replace(results, cells=(results.cells[0], broken)))
    assert summary.progress == (Progress("", 0, 1), Progress("", 1, 0, unusable=1))
    assert [column.title for column in progress_table(summary.progress).columns][-1] == "unusable"


def test_the_report_says_first_how_far_the_run_is_and_counts_cells_by_seed(halfway, tmp_path):
    report = write_report(halfway, tmp_path)
    sentence = "This run is not finished: 7 of 10 cells are done (1 failed, 2 missing)."
    assert sentence in report.verdict.notes
    rows = list(csv.DictReader((tmp_path / "tables/progress.csv").open()))
    assert [tuple(map(int, row.values())) for row in rows] == [
        (0, 3, 3, 0, 0, 0),
        (1, 4, 3, 1, 0, 0),
        (2, 3, 1, 0, 2, 0),
    ]
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["progress"][2] == {"seed": 2, "done": 1, "failed": 0, "missing": 2, "unusable": 0}
    console = Console(width=100, file=io.StringIO(), color_system=None)
    print_summary(halfway, report.summary, report.verdict, console)
    texts = (console.file.getvalue(), (tmp_path / "summary.md").read_text(), report.page.read_text())
    for text in texts:
        assert "What is there: 7 of 10 cells" in text
        assert sentence in " ".join(text.split())


def test_a_run_in_which_nothing_is_missing_says_nothing_of_progress(make, tmp_path):
    report = write_report(make(seeds=1, domains=("a", "b")), tmp_path)
    assert not (tmp_path / "tables/progress.csv").exists()
    assert "progress" not in report.to_dict()
    for path in (report.page, tmp_path / "summary.md"):
        assert "What is there" not in path.read_text()
    failed = summarize(make(failed={("ewc", 3): "killed"}))
    assert not [note for note in verdict(failed).notes if "not finished" in note]


def test_a_report_of_a_run_that_was_finished_keeps_no_count_of_the_unfinished_one(make, halfway, tmp_path):
    write_report(halfway, tmp_path)
    write_report(make(STRATEGIES, domains=("a", "b")), tmp_path)
    assert not (tmp_path / "tables/progress.csv").exists()


def test_missing_seeds_of_a_strategy_stand_in_one_row():
    advice = "run again"
    problems = [
        *(Problem("ewc", seed, "missing", advice) for seed in (2, 3, 4)),
        Problem("ewc", 1, "failed", "killed"),
    ]
    assert [row.cells for row in problem_table(problems).rows] == [
        ("ewc", "2 to 4", "missing", advice),
        ("ewc", "1", "failed", "killed"),
    ]


def test_strategies_that_lack_the_same_cells_stand_in_one_row():
    problems = [Problem(f"s{k}", seed, "missing", "why") for k in range(5) for seed in (1, 2)]
    problems += [Problem("s0", 3, "missing", "why"), Problem("s1", 3, "missing", "why")]
    problems += [Problem("s0", 4, "failed", "killed"), Problem("s1", 4, "failed", "full")]
    assert [row.cells[:3] for row in problem_table(problems).rows] == [
        ("s0, s1", "1 to 3", "missing"),
        ("s2, s3, s4", "1, 2", "missing"),
        ("s0", "4", "failed"),
        ("s1", "4", "failed"),
    ]
    many = problem_table([Problem(f"s{k}", 0, "missing", "why") for k in range(24)])
    assert [row.cells[0] for row in many.rows] == ["s0, s1 and 22 more"]


def test_problems_that_orders_share_stand_in_one_row():
    problems = [Problem("ewc", seed, "missing", "why", order) for order in ("x", "y") for seed in (0, 1)]
    problems.append(Problem("ewc", 1, "missing", "why", "z"))
    table = problem_table(problems)
    assert [column.title for column in table.columns] == ["strategy", "seed", "what", "order", "reason"]
    assert [row.cells for row in table.rows] == [
        ("ewc", "0, 1", "missing", "2 orders", "why"),
        ("ewc", "1", "missing", "z", "why"),
    ]


def test_orders_with_the_same_counts_stand_in_one_row():
    parts = [
        *(Progress(order, 0, done=2) for order in ("x", "y", "z")),
        Progress("x", 1, done=2),
        Progress("y", 1, done=1, missing=1),
        Progress("z", 1, done=0, missing=2),
        *(Progress(order, 2, done=0, missing=2) for order in ("x", "y", "z")),
    ]
    table = progress_table(parts)
    shown = [
        tuple(cell if isinstance(cell, str) else int(cell.value) for cell in row.cells) for row in table.rows
    ]
    assert table.title == "What is there: 9 of 18 cells"
    assert shown == [
        ("0", 2, 2, 0, 0, "all 3"),
        ("1", 2, 2, 0, 0, "x"),
        ("1", 2, 1, 0, 1, "y"),
        ("1", 2, 0, 0, 2, "z"),
        ("2", 2, 0, 0, 2, "all 3"),
    ]


def test_strategies_that_lack_the_same_seeds_are_named_together(halfway):
    notes = verdict(summarize(halfway)).notes
    assert "ewc and lwf each have 2 of 3 seeds: seed 2 missing; the reasons are listed below." in notes


def test_tables_say_which_seeds_each_row_is_of_where_they_differ(make, halfway):
    for table in quantity_tables(summarize(halfway)):
        assert [row.cells[:2] for row in table.rows] == [
            ("finetuning", "0 to 2"),
            ("ewc", "0, 1"),
            ("lwf", "0, 1"),
        ]
    for table in quantity_tables(summarize(make(STRATEGIES, domains=("a", "b")))):
        assert "seeds" not in [column.key for column in table.columns]


def test_a_strategy_is_not_marked_for_a_seed_that_the_others_lack(halfway):
    # On two of three seeds finetuning is last; on the third it has the best values of all.
    third = next(cell for cell in halfway.cells if (cell.label, cell.seed) == ("finetuning", 2))
    perfect = third.scores.assign(score=third.scores["label"].astype(float))
    cells = tuple(
        dataclasses.replace(cell, scores=perfect) if cell is third else cell for cell in halfway.cells
    )
    summary = summarize(dataclasses.replace(halfway, cells=cells))
    table = final_table(summary)
    values = {row.cells[0]: row.cells[3] for row in table.rows}
    assert values["finetuning"].value > max(values["ewc"].value, values["lwf"].value)
    # Over the seeds that two have nothing tells them apart, so nobody is bold, and least of all for the seed alone.
    assert not any(number.best for number in values.values())
    forgetting = {row.cells[0]: row.cells[2].best for row in summary_table(summary).rows}
    assert not forgetting["finetuning"]


def test_of_groups_as_large_the_one_over_more_seeds_is_compared():
    values = [(0.9, (0,)), (0.8, (0,)), (0.7, (0, 1)), (0.6, (0, 1)), (0.99, (0, 1, 2))]
    rows = tuple(Row((Number(value, over=over),)) for value, over in values)
    marked = mark_best(Table("t", "t", (Column("x", "x", "higher"),), rows))
    assert [row.cells[0].best for row in marked.rows] == [False, False, True, False, False]


@pytest.fixture(scope="module")
def three(make):
    return summarize(make(STRATEGIES, domains=("a", "b"))).strategies


def ranked(strategies):
    """Labels as an inference ranks strategies of which every seed tests the same two clusters, alike."""
    cells = [
        SimpleNamespace(
            label=strategy.label,
            seed=seed,
            value=value,
            clusters=SimpleNamespace(numbers=np.arange(2), values=np.full(2, value)),
        )
        for strategy in strategies
        for seed, value in strategy.by_seed["forgetting"].items()
    ]
    family = Family(cells, lambda cell: cell.value, lambda of: of.values, ())
    return list(family.ranked(higher_is_better=False))


def test_with_the_same_seeds_the_lower_mean_is_first(three):
    given = [
        of_seeds(three[0], s0=0.3, s1=0.1),
        of_seeds(three[1], s0=0.1, s1=0.2),
        of_seeds(three[2], s0=0, s1=0.5),
    ]
    assert ranked(given) == ["ewc", "finetuning", "lwf"]


def test_a_strategy_is_not_first_because_it_lacks_the_hard_seed(three):
    easy = of_seeds(three[0], s0=0.10, s1=0.11)
    whole = of_seeds(three[1], s0=0.05, s1=0.06, s2=0.90)
    assert easy.values["forgetting"].mean < whole.values["forgetting"].mean
    assert ranked([easy, whole]) == ["ewc", "finetuning"]
    assert means_in_common(easy, whole, "forgetting") == pytest.approx((0.105, 0.055))


def test_the_ranking_over_common_seeds_is_that_of_all_pairs(three):
    rng = np.random.default_rng(0)
    sets = [(0, 1, 2), (1, 2, 3), (0, 2, 3)]
    for _ in range(50):
        values = [{s: float(rng.normal()) for s in seeds} for seeds in sets]
        given = [
            of_seeds(strategy, **{f"s{s}": value for s, value in of.items()})
            for strategy, of in zip(three, values, strict=True)
        ]
        wins = dict.fromkeys((s.label for s in given), 0)
        for (one, a), (_, b) in itertools.permutations(zip(given, values, strict=True), 2):
            common = a.keys() & b.keys()
            wins[one.label] += sum(a[s] for s in common) < sum(b[s] for s in common)
        counts = [wins[label] for label in ranked(given)]
        assert counts == sorted(wins.values(), reverse=True)


def lacking(results, label, seed):
    """The same results without one cell."""
    cells = tuple(cell for cell in results.cells if (cell.label, cell.seed) != (label, seed))
    return dataclasses.replace(results, cells=cells)


def test_the_verdict_compares_over_common_seeds_and_says_so(make):
    results = make(STRATEGIES, domains=("a", "b", "c"))
    conclusion = verdict(summarize(lacking(results, "finetuning", 2)))
    assert conclusion.leader == "ewc"
    expected = "ewc, lwf: 0 to 2; finetuning: 0, 1"
    assert any(f"Not all strategies have the same seeds ({expected})" in note for note in conclusion.notes)


def test_a_leader_over_common_seeds_is_named_with_how_many_they_are(make):
    results = make({"finetuning": (0.95, 0.14), "ewc": (0.9, 0.02)}, seeds=4, domains=("a", "b", "c"))
    conclusion = verdict(summarize(lacking(results, "finetuning", 3)))
    assert conclusion.resolved
    assert conclusion.sentence.startswith("ewc forgets least: 0.0")
    assert "; next is finetuning, with 0." in conclusion.sentence
    assert conclusion.sentence.endswith("] over the 3 seeds that both have.")


def test_who_learned_more_is_asked_of_common_seeds_too(make):
    summary = summarize(make({"finetuning": (0.95, 0.14), "ewc": (0.9, 0.06)}, domains=("a", "b")))
    finetuning, ewc = summary.strategies
    leader = of_seeds(of_seeds(ewc, s0=0.05, s1=0.06), "learning", s0=0.9, s1=0.9)
    other = of_seeds(of_seeds(finetuning, s0=0.1, s1=0.11, s2=0.12), "learning", s0=0.9, s1=0.9, s2=1.2)
    assert other.values["learning"].mean > leader.values["learning"].mean + 0.05
    notes = verdict(dataclasses.replace(summary, strategies=(leader, other))).notes
    assert not [note for note in notes if "learned less" in note]


def test_plots_mark_a_strategy_that_has_fewer_seeds(halfway):
    summary = summarize(halfway)
    drawn = {plot.name: plot.draw(summary) for plot in plots(summary)}
    names = {"finetuning", "ewc (2 of 3 seeds)", "lwf (2 of 3 seeds)"}
    texts = {text.get_text() for text in drawn["forgetting-against-learning"].axes[0].texts}
    assert {text for text in texts if not text.startswith("average ")} == names
    (legend,) = drawn["domain-courses"].legends
    assert {text.get_text() for text in legend.get_texts()} == names
    titles = {text.get_text() for text in drawn["accuracy-matrices"].axes[0].texts}
    assert names <= titles
