"""What a report infers: levels, pairs, ties and clusters of made-up results, and families without an effect."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fretal_bench.metrics.inference import effect
from fretal_bench.reporting.contents import summary_table
from fretal_bench.reporting.summary import summarize

SUMMARY = ("forgetting", "learning", "average", "minimum_old", "backward_transfer")


@pytest.fixture(scope="module")
def summary(make):
    return summarize(make({"finetuning": (0.95, 0.14), "ewc": (0.9, 0.06), "joint": (0.94, 0.0)}))


def test_every_quantity_of_the_first_table_is_inferred_with_its_mean_over_seeds(summary):
    assert set(summary.inference) == set(SUMMARY)
    for name, of in summary.inference.items():
        assert set(of.levels) == {"finetuning", "ewc", "joint"}
        for strategy in summary.strategies:
            expected = np.mean(list(strategy.by_seed[name].values()))
            assert of.levels[strategy.label].mean == pytest.approx(expected)


def test_bounds_have_levels_and_no_comparisons(summary):
    of = summary.inference["backward_transfer"]
    assert [(c.first, c.second) for c in of.comparisons] == [("finetuning", "ewc")]
    assert set(of.groups) == {"finetuning", "ewc"}


def test_a_pair_is_compared_either_way_round(summary):
    of = summary.inference["backward_transfer"]
    one, other = of.between("finetuning", "ewc"), of.between("ewc", "finetuning")
    assert (one.effect.mean, one.effect.low) == (-other.effect.mean, -other.effect.high)
    assert one.p_corrected == other.p_corrected


def test_the_level_of_bwt_is_the_effect_of_the_videos_own_accuracies(make):
    results = make({"ewc": (0.9, 0.06)}, seeds=2, domains=("A", "B"))
    tables = []
    for cell in results.cells:
        right = (cell.scores["score"] >= 0.5) == (cell.scores["label"] == 1)
        by_video = right.groupby([cell.scores["domain"], cell.scores["step"], cell.scores["video"]]).mean()
        first = (by_video["A"][1] - by_video["A"][0]).to_numpy()
        # A video of B has no share in what became of A, and there are as many.
        whole = first.mean()
        tables.append(np.concatenate([whole + 2 * (first - whole), np.full(len(first), whole)]))
    expected = effect(tables)
    level = summarize(results).inference["backward_transfer"].levels["ewc"]
    assert (level.mean, level.low, level.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_what_is_inferred_says_of_what(summary):
    of = summary.inference["backward_transfer"]
    assert (of.unit, of.people, of.folds, of.seeds) == ("videos", 0, 1, (0, 1, 2))
    assert of.clusters == 200
    assert (of.metric, of.level, of.margin) == ("accuracy", "frame", 0.05)


def one_column(levels, seed=0):
    """Results of strategies whose videos were all right or wrong with these chances, in three seeds."""
    generator, cells = np.random.default_rng(seed), []
    for label, chance in levels.items():
        for number in range(3):
            frames = []
            for step in (-1, 0, 1):
                for domain in ("A", "B"):
                    right = generator.random(60) < (chance if step == 1 and domain == "A" else 0.95)
                    labels = np.arange(60) % 2
                    frames.append(
                        pd.DataFrame(
                            {
                                "step": step,
                                "domain": domain,
                                "row": np.arange(60),
                                "label": labels,
                                "video": [f"s/{domain}/{place}" for place in range(60)],
                                "score": np.where(right == (labels == 1), 0.9, 0.1),
                            }
                        )
                    )
            cells.append((label, number, pd.concat(frames, ignore_index=True)))
    return cells


def results_of(make, cells):
    """Put made-up scores into results."""
    results = make(
        dict.fromkeys(dict.fromkeys(label for label, _, _ in cells), (0.9, 0.0)), domains=("A", "B")
    )
    scores = {(label, seed): frame for label, seed, frame in cells}
    return replace(
        results, cells=tuple(replace(cell, scores=scores[cell.label, cell.seed]) for cell in results.cells)
    )


def test_bold_is_what_is_not_told_from_the_best_and_nothing_where_nothing_is_told_apart(make):
    apart = summarize(results_of(make, one_column({"ewc": 0.93, "lwf": 0.92, "finetuning": 0.4})))
    of = apart.inference["backward_transfer"]
    assert of.best == {"ewc", "lwf"}
    assert [of.groups[label] for label in ("ewc", "lwf", "finetuning")] == ["a", "a", "b"]
    (column,) = [at for at, c in enumerate(summary_table(apart).columns) if c.key == "backward_transfer"]
    bold = {row.cells[0] for row in summary_table(apart).rows if row.cells[column].best}
    assert bold == {"ewc", "lwf"}
    alike = summarize(results_of(make, one_column({"ewc": 0.9, "lwf": 0.9, "finetuning": 0.9})))
    assert not alike.inference["backward_transfer"].best
    assert not any(cell.best for row in summary_table(alike).rows for cell in row.cells[1:])


def test_a_pair_that_is_open_says_how_many_it_would_take_and_one_that_is_told_apart_does_not(make):
    results = results_of(make, one_column({"ewc": 0.95, "lwf": 0.87, "finetuning": 0.4}))
    one_seed = replace(results, cells=tuple(cell for cell in results.cells if cell.seed == 0))
    of = summarize(one_seed).inference["average"]
    assert of.between("ewc", "finetuning").told_apart
    assert of.between("ewc", "finetuning").people_needed is None
    assert not of.between("ewc", "lwf").told_apart
    needed = of.between("ewc", "lwf").people_needed
    assert needed is not None
    assert needed > of.clusters


def test_captions_say_of_whom_intervals_speak(make):
    notes = " ".join(summary_table(summarize(make(seeds=3))).notes)
    assert "interval over videos and seeds: 200 videos and 3 seeds" in notes
    assert "videos (one seed: nothing is known of other seeds)" in " ".join(
        summary_table(summarize(make(seeds=1))).notes
    )


def test_seeds_of_other_people_are_folds_and_pairs_are_over_common_ones(make):
    cells = [
        (label, seed, frame.assign(video=frame["video"] + f"/{seed}"))
        for label, seed, frame in one_column({"ewc": 0.93, "lwf": 0.92, "finetuning": 0.4})
    ]
    of = summarize(results_of(make, cells)).inference["backward_transfer"]
    assert (of.folds, of.clusters) == (3, 360)
    assert of.between("ewc", "finetuning").told_apart
    assert not of.between("ewc", "lwf").told_apart


def test_a_domain_with_one_video_of_a_class_has_no_interval_of_auc_and_says_why(make):
    cells = [
        (label, seed, frame[(frame["label"] == 1) | (frame["row"] == 0)])
        for label, seed, frame in one_column({"ewc": 0.9, "lwf": 0.5})
    ]
    of = summarize(results_of(make, cells), metric="auc").inference["average"]
    assert of.reason == "without one cluster the value does not exist"
    assert all(np.isnan(level.low) and np.isfinite(level.mean) for level in of.levels.values())
    assert not any(pair.told_apart for pair in of.comparisons)
