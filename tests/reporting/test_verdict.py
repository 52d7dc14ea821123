"""The first sentence: who is named, when it is refused, and what its notes say."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.contents import summary_table
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict
from fretal_bench.strategies.stock import STOCK
from verdict_cases import having, inferred


@pytest.fixture(scope="module")
def base(make):
    """A summary of strategies over three seeds, whose forgetting the tests replace."""
    labels = ("ewc", "lwf", "fretal", "si", "er", "zero-shot", "joint")
    return summarize(make(dict.fromkeys(labels, (0.9, 0.05)), seeds=3, domains=("a", "b")))


def sentence(summary):
    return verdict(summary).sentence


def note(conclusion, words):
    """The one note that holds these words."""
    (found,) = [note for note in conclusion.notes if words in note]
    return found


def test_a_leader_told_apart_from_all_is_named_with_measure_price_and_the_next(base):
    conclusion = verdict(having(base, {"ewc": 0.22, "lwf": 0.118, "fretal": 0.31}))
    assert conclusion.leader == "lwf"
    assert conclusion.resolved
    assert conclusion.unresolved == ()
    assert re.fullmatch(
        r"lwf forgets least: 0\.118 \[0\.098, 0\.138\] \(-BWT by frame accuracy\), at learning accuracy 0\.9\d\d, and is "
        r"told apart from all 2 others; next is ewc, with 0\.102 more \[0\.082, 0\.122\]\.",
        conclusion.sentence,
    )


def test_a_group_that_forgets_less_than_all_others_is_named_together(base):
    forgets = {"er": 0.02, "ewc": 0.03, "lwf": 0.04, "fretal": 0.2, "si": 0.3}
    summary = having(base, forgets, open_=("er ewc", "er lwf", "ewc lwf"))
    conclusion = verdict(summary)
    assert conclusion.sentence == (
        "er, ewc and lwf forget less than fretal and si: 0.020 to 0.040 (-BWT by frame accuracy); which of them forgets "
        "least cannot be told."
    )
    assert not conclusion.resolved
    assert conclusion.unresolved == ("ewc", "lwf")


def test_a_group_within_the_margin_is_said_to_be_so(base):
    forgets = {"er": 0.02, "ewc": 0.03, "fretal": 0.2}
    summary = having(base, forgets, alike=("er ewc",))
    assert sentence(summary).endswith("; among them differences are within 0.05.")


def test_where_only_the_leader_is_told_from_some_the_sentence_claims_no_more(base):
    # lwf is not told from er, nor fretal from lwf: er, lwf | lwf, fretal.
    forgets = {"er": 0.02, "lwf": 0.1, "fretal": 0.2}
    conclusion = verdict(having(base, forgets, open_=("er lwf", "lwf fretal")))
    assert conclusion.sentence.startswith(
        "No strategy can be said to forget least: er has the lowest forgetting, 0.020 [0.000, 0.040] (-BWT by frame "
        "accuracy), at learning accuracy "
    )
    assert conclusion.sentence.endswith(", and forgets less than fretal, but is not told apart from lwf.")


def test_two_members_of_a_group_that_are_told_apart_make_it_no_group(base):
    # er ties with both, which differ from one another.
    forgets = {"er": 0.02, "lwf": 0.03, "fretal": 0.06, "si": 0.3}
    conclusion = verdict(having(base, forgets, open_=("er lwf", "er fretal")))
    assert conclusion.sentence.endswith(
        ", and forgets less than si, but is not told apart from lwf and fretal."
    )


def test_a_leader_told_from_nobody_ranks_nobody(base):
    three = having(base, {"ewc": 0.117, "lwf": 0.12, "fretal": 0.2}, open_=("all",))
    assert sentence(three).endswith("but none of the other 2 is told apart from it.")
    two = having(base, {"ewc": 0.117, "lwf": 0.12}, open_=("all",))
    assert sentence(two).endswith("but lwf is not told apart from it.")
    assert verdict(two).leader == "ewc"
    assert not verdict(two).resolved


def test_all_within_the_margin_forget_alike(base):
    summary = having(
        base, {"ewc": 0.1, "lwf": 0.11, "fretal": 0.12}, alike=("ewc lwf", "ewc fretal", "lwf fretal")
    )
    assert (
        sentence(summary)
        == "ewc, lwf and fretal forget alike within 0.05: 0.100 to 0.120 (-BWT by frame accuracy)."
    )


def test_every_pair_of_three_is_told_apart_alike_or_so_many_people_away(base):
    forgets = {"ewc": 0.1, "lwf": 0.126, "fretal": 0.13}
    summary = having(base, forgets, open_=("ewc lwf",), alike=("lwf fretal",), half=0.01)
    assert note(verdict(summary), "people would be needed") == (
        "ewc and lwf are not told apart (difference 0.026 [0.016, 0.036]): about 130 people would be needed, 40 "
        "were tested; ewc forgets less than fretal, by 0.030 [0.020, 0.040]; lwf and fretal forget alike within 0.05 "
        "(difference 0.004 [-0.006, 0.014])."
    )


def test_what_no_number_of_people_would_tell_is_said(base):
    summary = having(base, {"ewc": 0.1, "lwf": 0.1001}, open_=("all",), needed=None)
    assert "even 100,000 people would not tell, 40 were tested." in note(verdict(summary), "would not tell")


def test_of_many_strategies_the_notes_say_what_it_would_take_for_those_tied_with_the_leader(base):
    forgets = {"er": 0.02, "ewc": 0.1, "lwf": 0.126, "fretal": 0.13, "si": 0.2}
    conclusion = verdict(having(base, forgets, open_=("er ewc", "ewc lwf")))
    assert note(conclusion, "it would take") == (
        "How many people it would take to tell er from the others (40 were tested): ewc (about 130). "
        "The table of comparisons has every pair."
    )
    assert "for all 10 pairs: 8 are, and 0 are alike within 0.05." in note(conclusion, "Holm")


@pytest.mark.parametrize(
    ("of_inference", "words"),
    [
        (
            {},
            "over 40 people (each tested in one of 5 folds) and 5 seeds: they speak of other people and other trainings.",
        ),
        (
            {"clusters": 20, "folds": 1, "seeds": (0,)},
            "over 40 people (20 groups joined by fakes) and one seed of training: they speak of other people judged by "
            "these very models, not of what another training would change.",
        ),
        (
            {"clusters": 64, "people": 0, "unit": "videos", "folds": 1},
            "over 64 videos and 5 seeds: they speak of other videos and other trainings. Who is in a video is not known",
        ),
    ],
)
def test_the_first_note_says_what_intervals_are_over_and_speak_of(base, of_inference, words):
    summary = having(base, {"ewc": 0.1, "lwf": 0.2}, **of_inference)
    assert f"Brackets are 95% intervals {words}" in verdict(summary).notes[0]


def test_without_any_interval_nothing_is_told_apart_and_the_reason_is_given(base):
    summary = having(base, {"ewc": 0.1, "lwf": 0.5}, half=np.nan, reason="a single cluster")
    conclusion = verdict(summary)
    assert conclusion.sentence.endswith(
        ", and whether it would have it for others cannot be said: no interval exists (a single cluster)."
    )
    assert "[" not in conclusion.sentence
    assert not any("Brackets" in note for note in conclusion.notes)


def test_bounds_are_never_the_winner_and_are_named(base):
    conclusion = verdict(having(base, {"ewc": 0.2, "lwf": 0.4, "zero-shot": 0.0, "joint": -0.01}))
    assert conclusion.leader == "ewc"
    of_bounds = note(conclusion, "bounds")
    assert "zero-shot (-BWT 0.000; the source model as it is, never adapted)" in of_bounds
    assert "joint (-BWT -0.010" in of_bounds


def learning(summary, **values):
    """The same summary where strategies learned so much in every seed."""
    strategies = [
        dataclasses.replace(
            s,
            by_seed={**s.by_seed, "learning": dict.fromkeys(s.seeds, values[s.label])},
            values={**s.values, "learning": mean_interval([values[s.label]] * len(s.seeds))},
        )
        if s.label in values
        else s
        for s in summary.strategies
    ]
    return dataclasses.replace(summary, strategies=tuple(strategies))


def test_a_winner_that_learned_little_is_shown_up(base):
    summary = having(base, {"ewc": 0.01, "lwf": 0.2})
    modest = verdict(learning(summary, ewc=0.56))
    assert note(modest, "learned less").startswith(
        "ewc also learned less: learning accuracy 0.560 against 0.9"
    )
    assert not any("learned less" in note for note in verdict(summary).notes)


def test_with_error_rates_learning_less_means_a_higher_error(make):
    summary = summarize(make(dict.fromkeys(("ewc", "lwf"), (0.9, 0.05)), domains=("a", "b")), "eer")
    ranked = having(summary, {"ewc": 0.01, "lwf": 0.2})
    assert not any("learned less" in note for note in verdict(learning(ranked, ewc=0.05, lwf=0.3)).notes)
    worse = verdict(learning(ranked, ewc=0.3, lwf=0.05))
    assert "learning EER 0.300 against 0.050 of lwf" in note(worse, "learned less")


def test_max_based_forgetting_is_named_where_it_is_larger(base):
    summary = having(base, {"ewc": 0.01, "lwf": 0.2})
    assert not any("Max-based" in note for note in verdict(summary).notes)
    ewc, lwf = summary.strategies
    biased = dataclasses.replace(ewc, values={**ewc.values, "forgetting": mean_interval([0.027, 0.027])})
    conclusion = verdict(dataclasses.replace(summary, strategies=(biased, lwf)))
    assert "is up to 0.017 higher (ewc)" in note(conclusion, "Max-based")


def test_a_lone_strategy_has_nothing_to_be_compared_with(base):
    conclusion = verdict(having(base, {"ewc": 0.117, "joint": 0.0}))
    assert conclusion.sentence.startswith(
        "ewc forgets 0.117 [0.097, 0.137] (-BWT by frame accuracy), at learning"
    )
    assert conclusion.sentence.endswith("no other strategy was run to compare it with.")
    assert not conclusion.resolved


def test_bounds_alone_rank_nobody(base):
    conclusion = verdict(having(base, {"zero-shot": 0.0, "joint": 0.0}))
    assert conclusion.leader is None
    assert "none but bounds" in conclusion.sentence


def test_a_stream_of_one_domain_has_no_forgetting(make):
    conclusion = verdict(summarize(make(domains=("a",))))
    assert conclusion.sentence == "Forgetting does not exist on a stream of one domain."
    assert conclusion.leader is None


def test_a_strategy_whose_forgetting_does_not_exist_is_named_not_ranked(base):
    summary = having(base, {"ewc": 0.1, "lwf": 0.2, "fretal": 0.3})
    of = inferred({"ewc": -0.1, "fretal": -0.3})
    inference = {**summary.inference, "backward_transfer": of}
    conclusion = verdict(dataclasses.replace(summary, inference=inference))
    assert conclusion.leader == "ewc"
    assert any(
        note.startswith("lwf is not ranked: its forgetting does not exist") for note in conclusion.notes
    )


def test_lost_seeds_are_said_beside_the_verdict(make):
    conclusion = verdict(summarize(make(failed={("ewc", 3): "killed"})))
    assert "ewc has 3 of 4 seeds: seed 3 failed; the reasons are listed below." in conclusion.notes


def test_a_leader_with_a_memory_is_followed_by_the_best_of_those_without(base):
    forgets = {"er": 0.02, "ewc": 0.11, "lwf": 0.113, "fretal": 0.3, "joint": 0.0}
    conclusion = verdict(having(base, forgets, open_=("ewc lwf",)))
    assert conclusion.leader == "er"
    assert note(conclusion, "old training samples") == (
        "er keeps some old training samples. Of those that keep none ewc has the lowest forgetting, 0.110 [0.090, "
        "0.130], not told apart from lwf."
    )
    without = verdict(having(base, {"ewc": 0.11, "lwf": 0.2}))
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
    summary = having(summarize(results), {"er": 0.015, "ewc": 0.105, "esmer": 0.055})
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
    assert "Of those that keep none ewc has the lowest forgetting" in note


def test_what_a_plugin_that_is_gone_keeps_is_unknown_not_none(make):
    results = make({"er": (0.9, 0.01), "gone": (0.9, 0.02), "ewc": (0.9, 0.08)}, domains=("a", "b"))
    assert old_samples_note(results) == (
        "Old training samples kept: er (some); gone (unknown); the others keep none."
    )
    (note,) = [note for note in verdict(summarize(results)).notes if "old training samples" in note]
    assert "Of those that keep none ewc has the lowest forgetting" in note


def test_a_leader_whose_plugin_is_gone_is_not_said_to_keep_none(make):
    results = make({"gone": (0.9, 0.01), "ewc": (0.9, 0.08)}, domains=("a", "b"))
    (note,) = [note for note in verdict(summarize(results)).notes if "old training samples" in note]
    assert note.startswith("Whether gone keeps old training samples is unknown")
    assert "Of those that keep none ewc has the lowest forgetting" in note


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
