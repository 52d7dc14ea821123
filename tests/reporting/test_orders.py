"""Orders of the domains: spread, best and worst, rankings; every number computed a second time from the scores."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import statistics

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import friedmanchisquare, kendalltau, spearmanr

from fretal_bench.benchmark.runner.results import CellFailure, MissingCell
from fretal_bench.errors import BenchError
from fretal_bench.reporting.order_tables import order_table, order_tables, ranking_words
from fretal_bench.reporting.orders import common_seeds
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.rankings import kendalls_w, rank
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict

pytestmark = pytest.mark.usefixtures("undrawn")

DOMAINS = ("a", "b", "c")
ORDERS = tuple(itertools.permutations(DOMAINS))


def named(domains):
    return " → ".join(domains)


def in_orders(make, strategies, orders=ORDERS, seeds=2):
    """A run in these orders, the first being the stream's own; ``strategies(order)`` says who learns and loses what."""
    first, *others = (make(strategies(order), seeds=seeds, domains=order) for order in orders)
    return dataclasses.replace(first, in_other_orders=tuple(others))


def swapping(order):
    """Ewc forgets less than lwf where c is not last, finetuning always most; the order changes all of them."""
    lost = 0.02 + 0.01 * ORDERS.index(order)
    return {
        "finetuning": (0.95, 0.16),
        "ewc": (0.90, lost if order[-1] != "c" else 0.14),
        "lwf": (0.91, lost + 0.01),
        "joint": (0.94, 0.0),
    }


@pytest.fixture(scope="module")
def results(make):
    return in_orders(make, swapping)


@pytest.fixture(scope="module")
def summary(results):
    return summarize(results)


def r_of(cell, domains):
    """R of a cell from its scores, in pandas: the share of right answers by step and domain."""
    scores = cell.scores
    right = (scores["score"] >= 0.5) == (scores["label"] == 1)
    table = right.groupby([scores["step"], scores["domain"]]).mean().unstack()
    return table.loc[list(range(len(domains))), list(domains)].to_numpy()


def forgetting_of(cell, domains):
    r = r_of(cell, domains)
    last = len(domains) - 1
    return statistics.fmean(max(r[i][j] for i in range(j, last)) - r[last][j] for j in range(last))


def average_of(cell, domains):
    return statistics.fmean(r_of(cell, domains)[-1])


FORMULAS = {"forgetting": forgetting_of, "average": average_of}


def by_order(results, label, quantity, seeds=(0, 1)):
    """Order -> mean over seeds, from the scores."""
    values = {}
    for of in (results, *results.in_other_orders):
        domains = [domain["name"] for domain in of.plan["stream"]["domains"]]
        cells = [cell for cell in of.cells if cell.label == label and cell.seed in seeds]
        if len(cells) == len(seeds):
            values[named(domains)] = statistics.fmean(FORMULAS[quantity](cell, domains) for cell in cells)
    return values


def row_of(summary, quantity, label):
    table = order_table(summary, summary.orders, summary.quantities[quantity])
    row = next(row for row in table.rows if row.cells[0] == label)
    return dict(zip((column.key for column in table.columns), row.cells, strict=True))


@pytest.mark.parametrize("quantity", ["forgetting", "average"])
@pytest.mark.parametrize("label", ["ewc", "lwf", "finetuning", "joint"])
def test_the_spread_is_that_of_the_means_over_seeds(results, summary, label, quantity):
    values = by_order(results, label, quantity)
    assert list(values) == [named(order) for order in ORDERS]
    row = row_of(summary, quantity, label)
    assert row["orders"].value == 6
    assert row["mean"].value == pytest.approx(statistics.fmean(values.values()))
    # All orders that there are: the standard deviation of a population.
    assert row["deviation"].value == pytest.approx(statistics.pstdev(values.values()), abs=1e-12)
    assert row["lowest"].value == pytest.approx(min(values.values()))
    assert row["highest"].value == pytest.approx(max(values.values()))
    assert all(np.isnan(row[key].half) for key in ("mean", "deviation", "lowest", "highest"))


def test_the_best_and_the_worst_order_are_named(results, summary):
    values = by_order(results, "lwf", "forgetting")
    row = row_of(summary, "forgetting", "lwf")
    assert (row["best_order"], row["worst_order"]) == (named(ORDERS[0]), named(ORDERS[-1]))
    assert min(values, key=values.get) == row["best_order"]
    row = row_of(summary, "average", "lwf")
    values = by_order(results, "lwf", "average")
    assert max(values, key=values.get) == row["best_order"]
    assert min(values, key=values.get) == row["worst_order"]
    assert row_of(summary, "forgetting", "finetuning")["best_order"] == "no difference"


def test_orders_with_the_same_value_are_counted(summary):
    row = row_of(summary, "forgetting", "ewc")
    assert row["worst_order"] == f"{named(('a', 'b', 'c'))} and 1 more"


def test_of_some_orders_the_deviation_is_that_of_a_sample(make):
    results = in_orders(make, swapping, ORDERS[:4])
    summary = summarize(results)
    values = by_order(results, "lwf", "average").values()
    assert row_of(summary, "average", "lwf")["deviation"].value == pytest.approx(statistics.stdev(values))
    notes = order_tables(summary)[0].notes
    assert "Orders: 4 of the 6 that 3 domains have." in notes
    assert any("SD (divided by m - 1)" in note for note in notes)


def test_the_ranking_of_each_order_is_counted(results, summary):
    values = {label: by_order(results, label, "forgetting") for label in ("finetuning", "ewc", "lwf")}
    winners = [min(values, key=lambda label: values[label][named(order)]) for order in ORDERS]
    assert (winners.count("ewc"), winners.count("lwf")) == (4, 2)
    rankings = summary.orders.rankings["forgetting"]
    assert rankings.alone == {"ewc": 4, "lwf": 2, "finetuning": 0}
    assert rankings.firsts == rankings.alone
    assert rankings.mean_ranks["finetuning"] == 3
    ranks = [[sorted(values, key=lambda v: values[v][named(o)]).index(x) + 1 for x in values] for o in ORDERS]
    expected = friedmanchisquare(*np.array(ranks).T).statistic / (6 * 2)
    assert rankings.agreement == pytest.approx(expected)
    words = ranking_words(summary.orders, summary.quantities["forgetting"], rankings)
    assert words == "By max-based forgetting ewc is first in 4 of 6 orders, lwf in 2."
    assert np.isnan(row_of(summary, "forgetting", "joint")["first_in"].value)
    assert row_of(summary, "forgetting", "ewc")["first_in"].value == 4


def test_a_ranking_that_holds_is_said_to_hold(make):
    def alike(order):
        lost = 0.01 * ORDERS.index(order)
        return {"finetuning": (0.95, 0.14), "ewc": (0.9, 0.02 + lost), "lwf": (0.9, lost)}

    for orders, scope in ((ORDERS, "all 6 orders"), (ORDERS[:3], "the 3 orders that have numbers")):
        summary = summarize(in_orders(make, alike, orders))
        rankings = summary.orders.rankings["forgetting"]
        assert rankings.same
        assert rankings.agreement == pytest.approx(1)
        words = ranking_words(summary.orders, summary.quantities["forgetting"], rankings)
        assert words == f"By max-based forgetting the ranking is the same in {scope}: lwf, ewc, finetuning."
        assert any(words in note for note in verdict(summary).notes)


def test_strategies_that_tie_share_the_first_place(make):
    def tied(order):
        return {"ewc": (0.9, 0.05), "lwf": (0.9, 0.05 if order[0] == "a" else 0.09), "kd": (0.9, 0.12)}

    # With one seed both are shifted alike.
    results = in_orders(make, tied, seeds=1)
    others = tuple(of_one(of, tied) for of in results.in_other_orders)
    results = dataclasses.replace(results, in_other_orders=others)
    summary = summarize(of_one(results, tied))
    rankings = summary.orders.rankings["forgetting"]
    assert rankings.firsts == {"ewc": 5.0, "lwf": 1.0, "kd": 0.0}
    words = ranking_words(summary.orders, summary.quantities["forgetting"], rankings)
    assert words == "By max-based forgetting ewc is first in 4 of 6 orders, several tie for it in 2."


def of_one(results, strategies):
    """The scores of ewc for every strategy that is as good."""
    domains = tuple(domain["name"] for domain in results.plan["stream"]["domains"])
    known = strategies(domains)
    ewc = next(cell for cell in results.cells if cell.label == "ewc")
    cells = tuple(
        dataclasses.replace(cell, scores=ewc.scores) if known[cell.label] == known["ewc"] else cell
        for cell in results.cells
    )
    return dataclasses.replace(results, cells=cells)


@pytest.mark.parametrize("higher", [True, False])
def test_kendalls_w_is_the_mean_rank_correlation_and_friedmans_statistic(higher):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(7, 5)) + np.arange(5)
    rankings = rank({f"s{k}": values[:, k] for k in range(5)}, (0,), higher_is_better=higher)
    pairs = [spearmanr(values[a], values[b]).statistic for a, b in itertools.combinations(range(7), 2)]
    # With mean Spearman correlation r of m rankings without ties W = (r (m - 1) + 1) / m.
    assert rankings.agreement == pytest.approx((statistics.fmean(pairs) * 6 + 1) / 7)
    assert rankings.agreement == pytest.approx(friedmanchisquare(*values.T).statistic / (7 * 4))
    assert rankings.labels[0] == ("s4" if higher else "s0")


def test_kendalls_w_with_ties_is_friedmans_statistic():
    values = np.array([[1, 1, 2, 3], [2, 2, 2, 1], [1, 2, 3, 3], [4, 3, 2, 1]])
    rankings = rank({f"s{k}": values[:, k] for k in range(4)}, (0,), higher_is_better=False)
    assert rankings.agreement == pytest.approx(friedmanchisquare(*values.T).statistic / (4 * 3))


def test_kendalls_w_of_two_strategies_and_of_none_that_differ():
    # 3 of 4 orders agree: rank sums 5 and 7 about 6, W = 12 * 2 / (16 * 6).
    assert kendalls_w([[1, 2], [1, 2], [1, 2], [2, 1]]) == pytest.approx(0.25)
    assert kendalls_w([[1, 2], [2, 1]]) == 0
    assert kendalltau([1, 2], [2, 1]).statistic == -1
    for ranks in ([[1.5, 1.5], [1.5, 1.5]], [[1, 2]], [[1], [1]]):
        assert np.isnan(kendalls_w(ranks))


def test_rounding_is_no_rank():
    values = {"x": [0.1 + 0.2, 0.3], "y": [0.3, 0.1 + 0.2], "z": [0.4, 0.4]}
    rankings = rank(values, (0,), higher_is_better=False)
    assert rankings.same
    assert rankings.ranks.tolist() == [[1.5, 1.5, 3]] * 2


@pytest.mark.parametrize(
    ("seeds", "chosen"),
    [
        ([{0, 1, 2}] * 6, (0, 1, 2)),
        ([{0, 1, 2}, {0, 2}, {0, 1, 2}], (0, 2)),
        ([{0, 1}, {0, 1}, set()], (0, 1)),
        # Half finished: the first seed is there in all orders.
        ([{0, 1}, {0, 1}, {0}], (0,)),
        ([{0, 1}, {0, 1}, {2}], (0, 1)),
        ([{1}, {0, 2}, {0, 2}, {1}], (0, 2)),
    ],
)
def test_the_seeds_compared_are_those_of_as_many_orders_as_can_be(seeds, chosen):
    assert common_seeds([frozenset(of_order) for of_order in seeds]) == chosen


def cut(results, lost, kind="missing"):
    """The same run without some cells: (order, label, seed)."""

    def without(of):
        name = named(domain["name"] for domain in of.plan["stream"]["domains"])
        gone = [(label, seed) for order, label, seed in lost if order == name]
        kept = tuple(cell for cell in of.cells if (cell.label, cell.seed) not in gone)
        if kind == "failed":
            failures = tuple(CellFailure("id", label, seed, "killed", "") for label, seed in gone)
            return dataclasses.replace(of, cells=kept, failures=failures)
        return dataclasses.replace(of, cells=kept, missing=tuple(MissingCell(*cell) for cell in gone))

    others = tuple(without(of) for of in results.in_other_orders)
    return dataclasses.replace(without(results), in_other_orders=others)


def test_a_seed_that_one_order_lacks_counts_in_none(results):
    gone = cut(results, [(named(ORDERS[3]), "ewc", 1)])
    summary = summarize(gone)
    row = row_of(summary, "forgetting", "ewc")
    values = by_order(results, "ewc", "forgetting", seeds=(0,))
    assert row["orders"].value == 6
    assert row["seeds"] == "0"
    assert row["mean"].value == pytest.approx(statistics.fmean(values.values()))
    assert row_of(summary, "forgetting", "lwf")["seeds"] == "0, 1"
    notes = order_tables(summary)[0].notes
    assert f"Not there: ewc, seed 1 in 1 of 6 orders ({named(ORDERS[3])})." in notes
    # All strategies are ranked over the seed that all of them have in every order.
    rankings = summary.orders.rankings["forgetting"]
    assert rankings.seeds == (0,)
    values = {label: by_order(results, label, "forgetting", (0,)) for label in ("finetuning", "ewc", "lwf")}
    for order, ranks in zip(ORDERS, rankings.ranks, strict=True):
        expected = sorted(rankings.labels, key=lambda label: values[label][named(order)])
        assert [rankings.labels[at] for at in np.argsort(ranks)] == expected


def test_a_strategy_that_an_order_lacks_takes_no_part_in_rankings(results):
    summary = summarize(cut(results, [(named(ORDERS[3]), "ewc", seed) for seed in (0, 1)]))
    row = row_of(summary, "forgetting", "ewc")
    values = by_order(results, "ewc", "forgetting")
    values.pop(named(ORDERS[3]))
    assert row["orders"].value == 5
    assert row["mean"].value == pytest.approx(statistics.fmean(values.values()))
    assert row["deviation"].value == pytest.approx(statistics.stdev(values.values()))
    assert np.isnan(row["first_in"].value)
    assert not row["mean"].best
    assert set(summary.orders.rankings["forgetting"].labels) == {"finetuning", "lwf"}


def test_the_best_mean_is_marked_among_the_same_orders_and_seeds_only(results):
    assert row_of(summarize(results), "forgetting", "lwf")["mean"].best
    summary = summarize(cut(results, [(named(ORDERS[3]), "lwf", seed) for seed in (0, 1)]))
    row = row_of(summary, "forgetting", "lwf")["mean"]
    assert row.value < row_of(summary, "forgetting", "ewc")["mean"].value
    assert not row.best
    assert row_of(summary, "forgetting", "ewc")["mean"].best


def test_where_no_two_strategies_are_there_in_every_order_nobody_is_ranked(results):
    lost = [(named(ORDERS[1]), "ewc", s) for s in (0, 1)] + [(named(ORDERS[2]), "lwf", s) for s in (0, 1)]
    summary = summarize(cut(results, lost))
    assert summary.orders.rankings["forgetting"] is None
    assert any("strategies are not ranked" in note for note in verdict(summary).notes)
    assert any("strategies are not ranked" in note for note in order_tables(summary)[0].notes)


def test_where_one_order_alone_has_numbers_there_is_nothing_to_compare(results):
    lost = [(named(o), label, s) for o in ORDERS[1:] for label in swapping(o) for s in (0, 1)]
    summary = summarize(cut(results, lost))
    assert order_tables(summary) == ()
    assert not [plot for plot in plots(summary) if plot.section == "orders"]
    words = (
        "This is of one order of the domains, a → b → c. One of the 6 orders that were asked for has numbers."
    )
    assert words in verdict(summary).notes
    assert len(summary.progress) == 12


def test_seeds_that_the_same_orders_lack_are_named_together(results):
    lost = [(named(o), label, s) for o in ORDERS[3:] for label in ("ewc", "lwf") for s in (0, 1)]
    assert summarize(cut(results, lost)).orders.lacking == (
        f"Not there: ewc, lwf, seeds 0, 1 in 3 of 6 orders ({named(ORDERS[3])}, {named(ORDERS[4])} and 1 more).",
    )


def test_orders_that_are_not_begun_are_counted_as_missing_and_not_ranked(results):
    lost = [(named(o), label, s) for o in ORDERS[4:] for label in swapping(o) for s in (0, 1)]
    summary = summarize(cut(results, lost))
    assert summary.orders.ranked_orders == 4
    assert len(summary.orders.rankings["forgetting"].ranks) == 4
    assert "This run is not finished: 32 of 48 cells are done (16 missing)." in verdict(summary).notes
    assert [(part.order, part.seed, part.done, part.missing) for part in summary.progress] == [
        (named(o), seed, *((4, 0) if o in ORDERS[:4] else (0, 4))) for o in ORDERS for seed in (0, 1)
    ]


def test_gaps_of_other_orders_are_no_gaps_of_the_verdict(results):
    summary = summarize(cut(results, [(named(ORDERS[3]), "ewc", 1)], kind="failed"))
    assert [(p.label, p.seed, p.kind, p.order) for p in summary.problems] == [
        ("ewc", 1, "failed", named(ORDERS[3]))
    ]
    assert not [note for note in verdict(summary).notes if "ewc has" in note]
    summary = summarize(cut(results, [(named(ORDERS[0]), "ewc", 1)], kind="failed"))
    assert [note for note in verdict(summary).notes if note.startswith("ewc has 1 of 2 seeds: seed 1 failed")]


def test_a_cell_of_another_order_whose_scores_cannot_be_used_is_named_with_its_order(results):
    other = results.in_other_orders[0]
    broken = dataclasses.replace(other.cells[0], scores=other.cells[0].scores.iloc[:-1])
    other = dataclasses.replace(other, cells=(broken, *other.cells[1:]))
    summary = summarize(dataclasses.replace(results, in_other_orders=(other, *results.in_other_orders[1:])))
    (problem,) = summary.problems
    assert (problem.kind, problem.order, problem.label) == ("unusable", named(ORDERS[1]), "finetuning")


def test_an_order_of_other_domains_is_refused(make, results):
    other = make(swapping(ORDERS[0]), seeds=2, domains=("a", "b", "d"))
    with pytest.raises(BenchError, match="a → b → d is not one of the stream's domains a, b, c"):
        summarize(dataclasses.replace(results, in_other_orders=(other,)))


def test_every_order_stands_in_a_file_with_its_seeds_and_numbers(results, tmp_path):
    gone = cut(results, [(named(ORDERS[3]), "ewc", 1)])
    report = write_report(gone, tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables/orders.csv").open()))
    assert len(rows) == 6 * 4
    for row in rows:
        seeds = tuple(map(int, row["seeds"].split()))
        assert seeds == ((0,) if (row["order"], row["strategy"]) == (named(ORDERS[3]), "ewc") else (0, 1))
        assert row["own"] == str(row["order"] == named(ORDERS[0]))
        for quantity in FORMULAS:
            expected = by_order(gone, row["strategy"], quantity, seeds)[row["order"]]
            assert float(row[quantity]) == pytest.approx(expected)
    values = list(csv.DictReader((tmp_path / "tables/order-values.csv").open()))
    assert len(values) == (6 * 4 * 2 - 1) * len(report.summary.orders.quantities)
    names = {str(path.relative_to(tmp_path)) for path in report.files}
    assert {"plots/orders.png", "tables/orders-forgetting.tex", "tables/orders-average.csv"} <= names


def test_a_report_of_one_order_says_nothing_of_orders_and_keeps_no_file_of_them(make, results, tmp_path):
    write_report(results, tmp_path)
    report = write_report(dataclasses.replace(results, in_other_orders=()), tmp_path)
    assert not list(tmp_path.rglob("orders*"))
    assert "orders" not in report.to_dict()
    assert "Orders" not in report.page.read_text()


def test_the_report_shows_orders_everywhere(results, tmp_path):
    report = write_report(results, tmp_path)
    console = Console(width=100, file=io.StringIO(), color_system=None)
    print_summary(results, report.summary, report.verdict, console)
    words = "By max-based forgetting ewc is first in 4 of 6 orders, lwf in 2."
    for text in (console.file.getvalue(), (tmp_path / "summary.md").read_text(), report.page.read_text()):
        assert words in " ".join(text.split())
        assert "Orders: all 6 that 3 domains have." in " ".join(text.split())
        assert "Average accuracy over orders of the domains" in text
    assert '<a href="#orders">' in report.page.read_text()
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))["orders"]
    assert plain["orders"][1] == list(ORDERS[1])
    ewc = next(s for s in plain["forgetting"]["strategies"] if s["label"] == "ewc")
    assert ewc["values"] == pytest.approx(list(by_order(results, "ewc", "forgetting").values()))
    assert plain["forgetting"]["same_ranking"] is False


@pytest.mark.parametrize("width", [60, 100])
def test_the_tables_of_orders_keep_within_the_terminal(results, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    summary = summarize(results)
    print_summary(results, summary, verdict(summary), console)
    assert max(len(line.rstrip()) for line in console.file.getvalue().splitlines()) <= width


def test_the_plot_holds_a_dot_for_every_order_of_every_strategy(results, summary):
    (plot,) = [plot for plot in plots(summary) if plot.section == "orders"]
    figure = plot.draw(summary)
    for panel, quantity in zip(figure.axes, ("forgetting", "average"), strict=True):
        labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert labels == [spread.label for spread in summary.orders.spreads[quantity]]
        dots = [line for line in panel.lines if line.get_marker() == "o"]
        diamonds = [line for line in panel.lines if line.get_marker() == "D"]
        for label, others, own in zip(labels, dots, diamonds, strict=True):
            values = by_order(results, label, quantity)
            assert own.get_xdata()[0] == pytest.approx(values.pop(named(ORDERS[0])))
            assert sorted(others.get_xdata()) == pytest.approx(sorted(values.values()))


def test_an_error_rate_is_ranked_from_the_lowest(results):
    summary = summarize(results, "eer")
    row = row_of(summary, "average", "lwf")
    spread = next(s for s in summary.orders.spreads["average"] if s.label == "lwf")
    assert row["best_order"].startswith(min(spread.values, key=spread.values.get))
    assert summary.orders.rankings["average"].labels[-1] == "finetuning"
