"""The verdict on awkward test sets: it ranks only what can be ranked, says by what, and reads sensibly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fretal_bench.reporting.report import print_summary
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import Verdict, verdict
from hard_cases import Videos, results_on

THREE = {"er": (4.0, 0.1), "lwf": (4.0, 1.0), "ewc": (4.0, 1.4)}
IMBALANCED = dict.fromkeys("abc", Videos(80, 8))
EVEN = dict.fromkeys("ab", Videos(40, 40))


def text(conclusion: Verdict) -> str:
    return "\n".join((conclusion.sentence, *conclusion.notes))


def of(sets, strategies, metric=None, **more) -> Verdict:
    return verdict(summarize(results_on(sets, strategies, **more), metric))


def test_with_ten_reals_for_a_fake_the_verdict_is_by_balanced_accuracy_and_says_why():
    conclusion = of(IMBALANCED, THREE)
    assert conclusion.leader == "er"
    assert "(-BWT by frame balanced accuracy), at learning balanced accuracy 0.9" in conclusion.sentence
    assert (
        "Always 'real' would have 0.909 accuracy, so everything here is by balanced accuracy, where it has 0.500."
        in conclusion.notes
    )


def test_whoever_asks_for_accuracy_gets_it_and_is_told_what_always_real_would_have():
    conclusion = of(IMBALANCED, THREE, "accuracy")
    assert "(-BWT by frame accuracy)" in conclusion.sentence
    assert (
        "Always 'real' would have 0.909 accuracy: read accuracies against that; --metric balanced_accuracy counts both "
        "classes alike." in conclusion.notes
    )


def test_only_the_domain_that_is_imbalanced_is_named():
    conclusion = of({"a": Videos(20, 20), "b": Videos(6, 30)}, THREE)
    assert "Always 'fake' would have 0.833 accuracy on b, so everything here is by balanced accuracy" in text(
        conclusion
    )


@pytest.mark.parametrize("metric", [None, "accuracy", "auc", "f1"])
def test_detectors_that_call_everything_real_learned_nothing_whatever_the_metric(metric):
    # By accuracy they have 0.909, and forget nothing.
    conclusion = of(IMBALANCED, {"er": (0.0, 0.0), "lwf": (0.05, 0.0)}, metric, threshold=3.0)
    assert conclusion.leader is None
    assert conclusion.sentence.startswith(
        "Nothing was learned, so nobody is ranked: right after learning no strategy is shown to be above chance (0.500): "
    )


def test_a_good_detector_is_not_at_chance_because_always_real_has_more_accuracy():
    # Its threshold is off: accuracy 0.6, where always "real" has 0.9; what it learned shows in its AUC.
    conclusion = of(IMBALANCED, {"er": (4.0, 0.1), "lwf": (4.0, 1.0)}, "accuracy", threshold=-2.2)
    assert conclusion.leader is not None


def test_one_strategy_at_chance_is_not_ranked_and_the_others_are():
    conclusion = of(EVEN, {"er": (0.0, 0.0), "lwf": (4.0, 1.0), "ewc": (4.0, 2.0)})
    assert conclusion.leader == "lwf"
    assert "er" not in conclusion.sentence.split()
    (note,) = [note for note in conclusion.notes if note.startswith("er is not ranked")]
    assert note.startswith("er is not ranked: right after learning it has frame accuracy 0.5")
    assert note.endswith("not shown to be above chance (0.500); what was not learned cannot be forgotten.")


def test_outputs_that_may_be_swapped_are_named():
    conclusion = of(EVEN, {"er": (-4.0, 0.0), "lwf": (4.0, 1.0)})
    assert conclusion.leader == "lwf"
    assert conclusion.sentence.endswith("there is no other that is ranked to compare it with.")
    assert "Below chance right after learning, by AUC: er (0.000). Outputs may be swapped" in text(conclusion)
    assert of(EVEN, {"er": (-4.0, 0.0)}).sentence.startswith(
        "No strategy is ranked: right after learning all lie below chance (0.500), as if outputs were swapped: er frame "
        "accuracy 0.0"
    )


def test_an_auc_below_one_half_by_chance_is_not_called_swapped():
    conclusion = of(EVEN, {"er": (-0.05, 0.0), "lwf": (4.0, 1.0)})
    assert "swapped" not in text(conclusion)


def test_a_domain_of_fakes_alone_is_named_and_ranked_by_accuracy():
    sets = {"a": Videos(20, 20), "b": Videos(0, 20), "c": Videos(20, 20)}
    conclusion = of(sets, THREE)
    assert conclusion.leader == "er"
    assert "(-BWT by frame accuracy)" in conclusion.sentence
    assert "Test samples of one class alone: b (fakes)." in text(conclusion)
    by_auc = of(sets, THREE, "auc")
    assert by_auc.sentence == "No strategy can be ranked: by frame AUC none has a forgetting."
    assert "Test samples of one class alone: b (fakes)." in text(by_auc)


def test_with_one_person_nothing_is_told_apart():
    conclusion = of(dict.fromkeys("ab", Videos(1, 1, person="hard/p")), THREE)
    assert not conclusion.resolved
    assert conclusion.sentence.endswith("cannot be said: no interval exists (a single cluster).")
    assert "[" not in text(conclusion)


def test_with_one_video_of_each_class_nothing_is_told_apart():
    conclusion = of(dict.fromkeys("ab", Videos(1, 1)), THREE)
    assert not conclusion.resolved
    assert conclusion.unresolved == ("ewc", "lwf") or set(conclusion.unresolved) == {"ewc", "lwf"}
    assert "over 4 videos and 3 seeds" in conclusion.notes[0]


def test_a_domain_that_comes_back_under_another_name_counts_its_videos_once():
    sets = {"a": Videos(20, 20), "b": Videos(20, 20), "a-again": Videos(20, 20, of="a")}
    conclusion = of(sets, {"er": (4.0, 0.1), "lwf": (4.0, 2.2)})
    assert "over 80 videos and 3 seeds" in conclusion.notes[0]
    # What b took from a is there again once a is learned again: nothing of it is left to be told.
    assert of({name: sets[name] for name in ("a", "b")}, {"er": (4.0, 0.1), "lwf": (4.0, 2.2)}).resolved
    assert not conclusion.resolved or "0.0" in conclusion.sentence


def test_a_small_domain_counts_as_much_as_a_large_one_and_widens_the_intervals():
    large = {"a": Videos(100, 100), "b": Videos(100, 100), "c": Videos(20, 20)}
    small = {**large, "b": Videos(3, 3, frames=1)}
    wide, narrow = (
        summarize(results_on(sets, THREE)).inference["backward_transfer"].between("er", "lwf").effect
        for sets in (small, large)
    )
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert of(large, THREE).resolved
    assert not of(small, THREE).resolved


def test_one_seed_ranks_over_people_and_says_that_seeds_are_not_covered():
    conclusion = of(EVEN, {"er": (4.0, 0.0), "lwf": (4.0, 2.5)}, seeds=(0,))
    assert conclusion.resolved
    assert conclusion.sentence.startswith("er forgets least: ")
    assert (
        "one seed of training: they speak of other videos judged by these very models" in conclusion.notes[0]
    )


def test_strategies_with_other_seeds_are_compared_over_common_ones_or_not_at_all():
    seeds = {"er": (0, 1), "lwf": (2, 3), "ewc": (1, 2)}
    conclusion = of(EVEN, THREE, seeds=seeds)
    assert "er and lwf have no seed in common" in text(conclusion)
    assert "lwf" in conclusion.unresolved
    assert any(
        note.startswith("Not all strategies have the same seeds (er: 0, 1;") for note in conclusion.notes
    )


def test_equal_strategies_are_not_told_apart_though_their_difference_never_varies():
    results = results_on(EVEN, {"er": (4.0, 1.0), "lwf": (4.0, 1.0)})
    er = {cell.seed: cell.scores for cell in results.cells if cell.label == "er"}
    same = replace(results, cells=tuple(replace(cell, scores=er[cell.seed]) for cell in results.cells))
    conclusion = verdict(summarize(same))
    assert not conclusion.resolved
    assert conclusion.unresolved == ("lwf",)
    assert "difference 0.000, no interval" in text(conclusion)


def test_the_leader_by_another_metric_or_level_is_named():
    sets = dict.fromkeys("ab", Videos(40, 40))
    results = results_on(sets, {"er": (4.0, 0.0), "lwf": (4.0, 2.5)})
    assert (
        "By frame AUC and video accuracy er has the lowest mean -BWT too."
        in verdict(summarize(results)).notes
    )
    # What lwf loses is the threshold alone.
    results = results_on(sets, {"er": (4.0, 2.0), "lwf": (4.0, 0.0)})
    cells = []
    for cell in results.cells:
        scores = cell.scores.copy()
        last = (scores["step"] == 1) & (scores["domain"] == "a") & (cell.label == "lwf")
        odds = scores["score"] / (1 - scores["score"]) * np.where(last, 60, 1)
        cells.append(replace(cell, scores=scores.assign(score=(odds / (1 + odds)).astype(np.float32))))
    conclusion = verdict(summarize(replace(results, cells=tuple(cells))))
    assert conclusion.leader == "er"
    (note,) = [n for n in conclusion.notes if "another measure" in n]
    assert note.startswith("The lowest mean -BWT is another's by another measure: lwf by frame AUC, ")
    assert "These are means, untested" in note


def test_the_whole_report_of_awkward_test_sets_can_be_printed(tmp_path):
    from rich.console import Console

    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    for sets in (
        IMBALANCED,
        {"a": Videos(1, 1), "b": Videos(0, 2)},
        dict.fromkeys("ab", Videos(1, 1, person="p")),
    ):
        results = results_on(sets, THREE, seeds=(0,))
        summary = summarize(results)
        print_summary(results, summary, verdict(summary), console)
    assert "nan" not in console.export_text()
