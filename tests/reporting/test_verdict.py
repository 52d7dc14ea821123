"""The first sentence: who is named, when it is refused, and what its notes say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.contents import summary_table
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict
from fretal_bench.strategies.stock import STOCK


@pytest.fixture(scope="module")
def base(make):
    """A summary of six strategies over three seeds, whose forgetting the tests replace."""
    labels = ("ewc", "lwf", "fretal", "zero-shot", "joint")
    return summarize(make(dict.fromkeys(labels, (0.9, 0.05)), seeds=3, domains=("a", "b")))


def having(summary, quantity="forgetting", **values):
    """Give a summary only the strategies named, with these values over the seeds."""
    chosen = []
    for strategy in summary.strategies:
        key = strategy.label.replace("-", "_")
        if key in values:
            by_seed = dict(enumerate(values[key]))
            chosen.append(
                dataclasses.replace(
                    strategy,
                    seeds=tuple(by_seed),
                    by_seed={**strategy.by_seed, quantity: by_seed},
                    values={**strategy.values, quantity: mean_interval(list(by_seed.values()))},
                )
            )
        elif quantity != "forgetting":
            chosen.append(strategy)
    return dataclasses.replace(summary, strategies=tuple(chosen))


def test_a_resolved_winner_is_named_with_its_price_and_the_runner_up(base):
    conclusion = verdict(
        having(base, ewc=[0.20, 0.22, 0.24], lwf=[0.10, 0.12, 0.135], fretal=[0.30, 0.31, 0.33])
    )
    assert conclusion.leader == "lwf"
    assert conclusion.resolved
    assert conclusion.sentence.startswith("lwf forgets least: 0.118 (95% interval ")
    assert "3 seeds" in conclusion.sentence
    assert "average accuracy 0." in conclusion.sentence
    assert "learning accuracy 0." in conclusion.sentence
    assert "next is ewc with 0.220, paired difference +0.102 [+" in conclusion.sentence


def test_a_lead_that_seeds_do_not_separate_is_refused_and_says_from_whom(base):
    conclusion = verdict(
        having(base, ewc=[0.10, 0.20, 0.05], lwf=[0.12, 0.10, 0.16], fretal=[0.60, 0.71, 0.58])
    )
    assert conclusion.sentence.startswith(
        "No strategy can be said to forget least: ewc has the lowest mean, 0.117"
    )
    assert "do not separate it from lwf (paired difference" in conclusion.sentence
    assert not conclusion.resolved
    assert conclusion.unresolved == ("lwf",)


def test_the_leader_must_be_separated_from_all_not_from_the_runner_up_alone(base):
    # The runner-up is always 0.05 worse; the third is worse on average and all over the place.
    conclusion = verdict(
        having(base, ewc=[0.10, 0.11, 0.12], lwf=[0.15, 0.16, 0.171], fretal=[0.05, 0.20, 0.60])
    )
    assert conclusion.leader == "ewc"
    assert conclusion.unresolved == ("fretal",)
    assert not conclusion.resolved


def test_one_seed_never_ranks(base):
    conclusion = verdict(having(base, ewc=[0.10], lwf=[0.50]))
    assert conclusion.sentence.startswith("ewc forgot least in one seed, 0.100, ")
    assert (
        "before lwf with 0.500; one seed cannot tell strategies apart, so this is no ranking."
        in conclusion.sentence
    )
    assert not conclusion.resolved


def test_strategies_without_a_common_seed_are_not_ranked(base):
    summary = having(base, ewc=[0.10, 0.11], lwf=[0.50, 0.51])
    other = summary.strategies[1]
    moved = dataclasses.replace(
        other, by_seed={**other.by_seed, "forgetting": {7: 0.5, 8: 0.51}}, seeds=(7, 8)
    )
    conclusion = verdict(dataclasses.replace(summary, strategies=(summary.strategies[0], moved)))
    assert not conclusion.resolved
    assert conclusion.unresolved == ("lwf",)


def test_equal_strategies_are_not_ranked(base):
    conclusion = verdict(having(base, ewc=[0.1, 0.2, 0.3], lwf=[0.1, 0.2, 0.3]))
    assert conclusion.sentence.startswith("No strategy can be said to forget least")


def test_a_difference_of_rounding_is_no_difference(base):
    nearly = [0.1 + 1e-16, 0.2 + 3e-17, 0.3 + 6e-17]
    conclusion = verdict(having(base, ewc=[0.1, 0.2, 0.3], lwf=nearly))
    assert not conclusion.resolved


def test_bounds_are_never_the_winner_and_are_named(base):
    conclusion = verdict(
        having(base, ewc=[0.2, 0.21, 0.22], lwf=[0.4, 0.41, 0.43], zero_shot=[0, 0, 0], joint=[0, 0, 0])
    )
    assert conclusion.leader == "ewc"
    note = next(note for note in conclusion.notes if "bounds" in note)
    assert "zero-shot (forgetting 0.000; the source model as it is, never adapted)" in note
    assert "joint (forgetting 0.000" in note


def test_a_winner_that_learned_little_is_shown_up(base):
    summary = having(base, ewc=[0.01, 0.011, 0.012], lwf=[0.2, 0.21, 0.22])
    modest = having(summary, "learning", ewc=[0.55, 0.56, 0.57])
    note = verdict(modest).notes[0]
    assert note.startswith("ewc also learned less: learning accuracy 0.560 against 0.9")
    assert not any("learned less" in note for note in verdict(summary).notes)


def test_with_error_rates_learning_less_means_a_higher_error(make):
    summary = summarize(make(dict.fromkeys(("ewc", "lwf"), (0.9, 0.05)), domains=("a", "b")), "eer")
    ranked = having(summary, ewc=[0.01, 0.011, 0.012], lwf=[0.2, 0.21, 0.22])
    better = having(ranked, "learning", ewc=[0.05, 0.05, 0.05], lwf=[0.3, 0.3, 0.3])
    worse = having(ranked, "learning", ewc=[0.3, 0.3, 0.3], lwf=[0.05, 0.05, 0.05])
    assert not any("learned less" in note for note in verdict(better).notes)
    assert "learning EER 0.300 against 0.050 of lwf" in verdict(worse).notes[0]


def test_a_lone_strategy_has_nothing_to_be_compared_with(base):
    conclusion = verdict(having(base, ewc=[0.1, 0.12, 0.13], joint=[0, 0, 0]))
    assert conclusion.sentence.startswith("ewc forgets 0.117 (95% interval")
    assert conclusion.sentence.endswith("no other strategy was run to compare it with.")
    assert not conclusion.resolved


def test_bounds_alone_rank_nobody(base):
    conclusion = verdict(having(base, zero_shot=[0, 0], joint=[0, 0]))
    assert conclusion.leader is None
    assert "none but bounds" in conclusion.sentence


def test_a_stream_of_one_domain_has_no_forgetting(make):
    conclusion = verdict(summarize(make(domains=("a",))))
    assert conclusion.sentence == "Forgetting does not exist on a stream of one domain."
    assert conclusion.leader is None


def test_a_strategy_whose_forgetting_does_not_exist_is_named_not_ranked(base):
    conclusion = verdict(
        having(base, ewc=[0.1, 0.11, 0.12], lwf=[np.nan, 0.01, 0.01], fretal=[0.2, 0.22, 0.23])
    )
    assert conclusion.leader == "ewc"
    assert any(note.startswith("lwf is not ranked") for note in conclusion.notes)


def test_lost_seeds_are_said_beside_the_verdict(make):
    conclusion = verdict(summarize(make(failed={("ewc", 3): "killed"})))
    assert "ewc has 3 of 4 seeds: seed 3 failed; the reasons are listed below." in conclusion.notes


def test_a_leader_with_a_memory_is_followed_by_the_best_of_those_without(make):
    labels = ("er", "ewc", "lwf", "fretal", "joint")
    summary = summarize(make(dict.fromkeys(labels, (0.9, 0.05)), seeds=3, domains=("a", "b")))
    summary = having(
        summary,
        er=[0.01, 0.02, 0.03],
        ewc=[0.10, 0.11, 0.12],
        lwf=[0.11, 0.10, 0.13],
        fretal=[0.30, 0.31, 0.33],
        joint=[0.0, 0.0, 0.0],
    )
    conclusion = verdict(summary)
    (note,) = [note for note in conclusion.notes if "old training samples" in note]
    assert conclusion.leader == "er"
    assert note.startswith(
        "er keeps some old training samples. Of those that keep none ewc has the lowest mean, 0.110"
    )
    assert note.endswith("the seeds do not separate it from lwf.")
    without = verdict(having(summary, ewc=[0.10, 0.11, 0.12], lwf=[0.11, 0.10, 0.13]))
    assert not [note for note in without.notes if "old training samples" in note]


def with_strategies(results, names, hyperparameters=None):
    """The same cells as if other strategies had made them, by label."""
    return dataclasses.replace(
        results,
        cells=tuple(
            dataclasses.replace(
                cell,
                strategy=names[cell.label],
                hyperparameters=(hyperparameters or {}).get(cell.label, cell.hyperparameters),
            )
            for cell in results.cells
        ),
    )


def old_samples_note(results):
    (note,) = [note for note in summary_table(summarize(results)).notes if "ld training samples" in note]
    return note


def test_the_first_table_says_who_keeps_old_samples(make):
    results = make({"er": (0.9, 0.05), "ewc": (0.9, 0.05), "joint": (0.9, 0.0)})
    names = {label: label for label in ("er", "ewc", "joint")}
    results = with_strategies(results, names, {"er": {"memory": 500}})
    assert old_samples_note(results) == (
        "Old training samples kept: er (up to 500); joint (all); the others keep none."
    )


def holding(results, counts):
    """The same cells, after whose domains so many training samples were counted, by label: one count a seed."""
    cells, taken = [], {label: list(of_seeds) for label, of_seeds in counts.items()}
    for cell in results.cells:
        held = taken[cell.label].pop(0)
        phases = [{"phase": "train", "step": step, "seconds": 1.0, "samples": held} for step in (0, 1)]
        cells.append(dataclasses.replace(cell, environment={**cell.environment, "phases": phases}))
    return dataclasses.replace(results, cells=tuple(cells))


def test_samples_are_counted_and_not_budgeted_where_the_budget_is_larger_than_the_data(make):
    results = make({"er": (0.9, 0.01), "esmer": (0.9, 0.05), "ewc": (0.9, 0.09)}, seeds=2, domains=("a", "b"))
    names = {label: label for label in ("er", "esmer", "ewc")}
    results = with_strategies(results, names, {"er": {"memory": 500}, "esmer": {"memory": 500}})
    results = holding(results, {"er": (40, 40), "esmer": (31, 38), "ewc": (0, 0)})
    assert old_samples_note(results) == (
        "Old training samples kept: er (40); esmer (31 to 38); the others keep none."
    )
    summary = having(summarize(results), er=[0.01, 0.02], ewc=[0.10, 0.11], esmer=[0.05, 0.06])
    (note,) = [note for note in verdict(summary).notes if "old training samples" in note]
    assert note.startswith("er keeps 40 old training samples.")


STOCK_MEMORIES = [info.name for info in STOCK if info.memory == "budget"]


def test_the_memories_of_avalanches_strategies_are_known():
    assert {f"avalanche:{name}" for name in ("replay", "gdumb", "der", "agem", "gem")} == set(STOCK_MEMORIES)


@pytest.mark.parametrize("name", STOCK_MEMORIES)
def test_a_strategy_of_avalanche_with_a_memory_is_not_the_best_of_those_that_keep_none(make, name):
    results = make({"er": (0.9, 0.01), name: (0.9, 0.02), "ewc": (0.9, 0.08)}, domains=("a", "b"))
    assert old_samples_note(results) == f"Old training samples kept: er, {name} (some); the others keep none."
    (note,) = [note for note in verdict(summarize(results)).notes if "old training samples" in note]
    assert "Of those that keep none ewc has the lowest mean" in note


def test_what_a_plugin_that_is_gone_keeps_is_unknown_not_none(make):
    results = make({"er": (0.9, 0.01), "gone": (0.9, 0.02), "ewc": (0.9, 0.08)}, domains=("a", "b"))
    assert old_samples_note(results) == (
        "Old training samples kept: er (some); gone (unknown); the others keep none."
    )
    (note,) = [note for note in verdict(summarize(results)).notes if "old training samples" in note]
    assert "Of those that keep none ewc has the lowest mean" in note


def test_a_leader_whose_plugin_is_gone_is_not_said_to_keep_none(make):
    results = make({"gone": (0.9, 0.01), "ewc": (0.9, 0.08)}, domains=("a", "b"))
    (note,) = [note for note in verdict(summarize(results)).notes if "old training samples" in note]
    assert note.startswith("Whether gone keeps old training samples is unknown")
    assert "Of those that keep none ewc has the lowest mean" in note


def test_where_everybody_keeps_old_samples_there_are_no_others(make):
    assert old_samples_note(make({"er": (0.9, 0.01)})) == "Old training samples kept: er (some)."


def of_versions(results, *versions):
    """The same cells, made by these versions and commits in turn."""
    cells = []
    for number, cell in enumerate(results.cells):
        version, commit = versions[number % len(versions)]
        environment = {**cell.environment, "commit": commit}
        environment["versions"] = {**environment["versions"], "fretal-bench": version}
        cells.append(dataclasses.replace(cell, environment=environment))
    return dataclasses.replace(results, cells=tuple(cells))


def test_cells_of_several_versions_or_commits_are_counted_in_one_note(make):
    results = make({"ewc": (0.9, 0.05), "lwf": (0.8, 0.05)}, seeds=2)
    mixed = of_versions(results, ("0.1.0", "337fdbcd2ff3"), ("0.1.0", "a08dd8376b9b+"), ("0.2.0", None))
    notes = [note for note in verdict(summarize(mixed)).notes if "versions" in note]
    assert notes == [
        "Cells were made by 3 versions of fretal-bench: 0.1.0 at 337fdbcd2ff3 (2), "
        "0.1.0 at a08dd8376b9b+ (1), 0.2.0 (1)."
    ]


def test_a_cell_whose_steps_were_made_by_two_versions_counts_for_both(make):
    results = of_versions(make({"ewc": (0.9, 0.05)}, seeds=2), ("0.1.0", "337fdbcd2ff3"))
    first, second = results.cells
    earlier = {**first.environment, "steps": ["step 0"], "commit": "a08dd8376b9b"}
    later = {**first.environment, "steps": ["step 1"]}
    both = dataclasses.replace(first, environment={**first.environment, "environments": [earlier, later]})
    notes = verdict(summarize(dataclasses.replace(results, cells=(both, second)))).notes
    assert notes[-1] == (
        "Cells were made by 2 versions of fretal-bench: 0.1.0 at a08dd8376b9b and 0.1.0 at 337fdbcd2ff3 (1), "
        "0.1.0 at 337fdbcd2ff3 (1)."
    )


def test_cells_of_one_version_say_nothing_of_it(make):
    results = of_versions(make(), ("0.1.0", "337fdbcd2ff3"))
    assert not [note for note in verdict(summarize(results)).notes if "versions" in note]
