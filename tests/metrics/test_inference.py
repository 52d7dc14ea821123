"""Intervals over people and seeds against statsmodels, scipy and simulation, corrections against their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from coverage_simulation import DESIGNS, Design, coverage, family_error
from fretal_bench.metrics.inference import (
    Differences,
    effect,
    effects,
    equivalence,
    holm,
    people_needed,
    pooled_seed_variance,
    pseudo_values,
    sign_flip,
    tie_groups,
    told_apart,
)
from permutation_check import any_told_apart, share_of_errors

CROSSED = np.array(
    [
        [0.218, 0.204, 0.053, 0.183, 0.106, 0.506],
        [-0.134, -0.157, -0.241, -0.156, -0.197, 0.254],
        [0.107, 0.065, -0.071, 0.126, 0.155, 0.383],
        [-0.019, 0.076, -0.192, -0.003, 0.013, 0.355],
    ]
)
FOLDS = np.array(
    [
        [-0.058, 0.079, 0.108, 0.028],
        [0.042, 0.119, 0.113, 0.215],
        [-0.18, -0.219, -0.155, -0.247],
        [0.087, 0.193, 0.193, 0.137],
        [-0.101, -0.03, -0.221, 0.002],
    ]
)


def nested(folds):
    """Spread the rows of ``folds`` over people of their own."""
    seeds, people = folds.shape
    table = np.full((seeds, seeds * people), np.nan)
    for seed in range(seeds):
        table[seed, seed * people : (seed + 1) * people] = folds[seed]
    return table


def test_the_error_of_a_crossed_design_is_that_of_a_mixed_model():
    # statsmodels 0.14, MixedLM by REML with crossed random intercepts; its optimiser stops at 1e-5.
    crossed = effect(CROSSED)
    assert crossed.mean == pytest.approx(0.06808333)
    assert crossed.error == pytest.approx(0.09414887, abs=2e-5)
    assert crossed.of_seeds * 4 == pytest.approx(0.01799182, abs=2e-5)
    assert crossed.of_clusters == pytest.approx(0.02566143 + 0.00213955 / 4, abs=2e-5)


def test_the_error_of_a_nested_design_is_that_of_a_mixed_model():
    # statsmodels 0.14, MixedLM by REML with a random intercept a seed.
    of_folds = effect(nested(FOLDS))
    assert of_folds.mean == pytest.approx(0.00525)
    assert of_folds.error == pytest.approx(0.06609037, abs=2e-6)
    assert of_folds.freedoms == (4, 4)


def test_one_seed_is_scipys_t_test_over_people():
    values = CROSSED[0]
    alone = effect(values[None])
    expected = stats.ttest_1samp(values, 0)
    assert alone.p == pytest.approx(expected.pvalue)
    assert (alone.low, alone.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert alone.covers == "people"
    assert effect(CROSSED).covers == "people and seeds"


def test_folds_without_a_difference_between_them_are_pooled_into_one_t_test():
    folds = FOLDS - FOLDS.mean(axis=1, keepdims=True) + 0.03
    of_folds = effect(nested(folds))
    expected = stats.ttest_1samp(folds.ravel(), 0)
    assert of_folds.p == pytest.approx(expected.pvalue)


def test_seeds_that_share_a_fold_are_averaged_first():
    twice = np.concatenate([FOLDS + 0.01, FOLDS - 0.01])
    table = np.concatenate([nested(FOLDS) + 0.01, nested(FOLDS) - 0.01])
    once, both = effect(nested(FOLDS)), effect(table)
    assert twice.shape == (10, 4)
    assert both.seeds == 10
    assert (both.mean, both.error) == pytest.approx((once.mean, once.error))


def test_an_interval_has_a_quantile_for_each_part_and_its_p_value_ends_it_at_zero():
    crossed = effect(CROSSED + 0.1)
    seeds, people = stats.t.ppf(0.975, 3), stats.t.ppf(0.975, 5)
    half = math.sqrt(seeds**2 * crossed.of_seeds + people**2 * crossed.of_clusters / 6)
    assert (crossed.low, crossed.high) == pytest.approx((crossed.mean - half, crossed.mean + half))
    assert effect(CROSSED + 0.1, confidence=1 - crossed.p).low == pytest.approx(0, abs=1e-9)


def test_the_seeds_part_is_pooled_over_the_comparisons_of_a_table():
    generator = np.random.default_rng(11)
    tables = [generator.normal(0, 0.1, (3, 8)) + generator.normal(0, 0.05, (3, 1)) for _ in range(6)]
    own = []
    for table in tables:
        rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        own.append(np.var(table.mean(axis=1), ddof=1) / 3 - (rest**2).sum() / 14 / 24)
    pooled = pooled_seed_variance(tables, 4)
    assert pooled is not None
    assert pooled.variance == pytest.approx(np.mean(own))
    assert pooled.freedom == 3 * 2
    for table, of_seeds in zip(tables, own, strict=True):
        assert effect(table, pooled=pooled).of_seeds == pytest.approx(max(of_seeds, pooled.variance))


def test_one_seed_has_nothing_to_pool():
    assert pooled_seed_variance([CROSSED[:1], CROSSED[1:2]], 2) is None


def test_folds_of_unequal_size_weigh_every_person_alike():
    table = np.full((2, 5), np.nan)
    table[0, :2], table[1, 2:] = (0.1, 0.3), (0.2, 0.4, 0.6)
    assert effect(table).mean == pytest.approx(np.mean([0.1, 0.3, 0.2, 0.4, 0.6]))


@pytest.mark.parametrize("design", [design for design in DESIGNS if design.clusters < 100], ids=str)
def test_intervals_cover_the_truth_in_93_to_97_of_100_cases(design):
    count = 800
    share = 100 * coverage(design, count, np.random.default_rng(5))
    # What 800 draws may miss by chance is two standard errors of a share.
    slack = 200 * math.sqrt(0.95 * 0.05 / count)
    assert 93 - slack <= share <= 97 + slack


@pytest.mark.parametrize("design", [Design(40, 5, "typical", True), Design(8, 3, "large", False)], ids=str)
def test_strategies_that_are_equal_are_rarely_told_apart(design):
    count = 100
    slack = 2 * math.sqrt(0.05 * 0.95 / count)
    assert family_error(design, 8, count, np.random.default_rng(2)) <= 0.06 + slack


@pytest.mark.parametrize("table", [np.zeros((3, 8)), np.full((2, 4), 0.25), [[0.1], [0.2]]], ids=str)
def test_no_spread_is_no_certainty(table):
    of = effect(table)
    assert not of.resolved
    assert math.isnan(of.p)
    assert math.isnan(equivalence(of, 0.1))
    assert people_needed(of) is None


def test_a_value_that_does_not_exist_resolves_nothing():
    of = effect(CROSSED, mean=math.nan)
    assert math.isnan(of.mean)
    assert not of.resolved


@pytest.mark.parametrize("mask", [[[1, 1, 0], [0, 1, 1]], [[1, 1, 0], [1, 1, 0]]])
def test_designs_that_are_neither_crossed_nor_nested_are_refused(mask):
    table = np.where(np.array(mask, dtype=bool), 0.1, np.nan)
    with pytest.raises(ValueError, match=r"cluster"):
        effect(table)


def test_pseudo_values_of_a_mean_are_the_values():
    values = np.random.default_rng(0).random(9)
    without = [np.delete(values, place).mean() for place in range(9)]
    assert pseudo_values(float(values.mean()), without) == pytest.approx(values)


def test_pseudo_values_of_a_ratio_give_its_error_by_the_delta_method():
    generator = np.random.default_rng(1)
    right, frames = generator.integers(0, 9, 200), generator.integers(9, 12, 200)
    ratio = right.sum() / frames.sum()
    without = [(right.sum() - r) / (frames.sum() - n) for r, n in zip(right, frames, strict=True)]
    pseudo = pseudo_values(ratio, without)
    delta = (right - ratio * frames) / frames.mean()
    assert effect(pseudo[None], ratio).error == pytest.approx(
        np.std(delta, ddof=1) / math.sqrt(200), rel=0.01
    )


def test_holm_is_its_definition():
    given = np.random.default_rng(4).random(6) ** 3
    corrected = holm(given)
    for level in np.linspace(0.001, 0.999, 300):
        rejected = set()
        for rank, place in enumerate(np.argsort(given)):
            if given[place] > level / (len(given) - rank):
                break
            rejected.add(int(place))
        assert rejected == set(np.nonzero(corrected <= level)[0].tolist())


def test_holm_counts_a_comparison_without_a_p_value():
    assert holm([0.02, math.nan]) == pytest.approx([0.04, math.nan], nan_ok=True)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("level", [0.05, 0.3])
def test_those_told_apart_are_those_with_a_corrected_p_value_of_the_level_at_most(level, pooled):
    generator = np.random.default_rng(8)
    crossed = generator.normal(generator.exponential(0.5, (15, 1, 1)), 1, (15, 3, 12))
    of_folds = np.stack([nested(FOLDS + shift) for shift in np.linspace(0, 0.5, 8)])
    groups = [Differences(of, np.nanmean(of, axis=(1, 2))) for of in (crossed, of_folds)]
    variance = pooled_seed_variance([*crossed], 4) if pooled else None
    p_values = [of.p for group in groups for of in effects(group.values, group.means, pooled=variance)]
    corrected = holm([*p_values, math.nan])[:-1] <= level
    told = np.concatenate(told_apart(groups, len(p_values) + 1, level, variance))
    assert 0 < corrected.sum() < len(corrected)
    assert told.tolist() == corrected.tolist()


def test_sign_flips_of_few_people_are_scipys_exact_permutation_test():
    values = np.random.default_rng(2).normal(0.3, 1, 11)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert sign_flip(values) == pytest.approx(expected.pvalue)


def test_sign_flips_of_many_people_agree_with_the_t_test():
    values = np.random.default_rng(3).normal(0.3, 1, 60)
    assert sign_flip(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.004)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("order", range(10))
def test_sign_flips_as_far_as_the_one_found_count_though_sums_are_rounded(order, last):
    """Counted in whole numbers; the values are thirds of hundredths, whose sum depends on the order of summing."""
    whole = np.random.default_rng(order).permutation([10, -7, 3, -6, 1, 1, -2, 8, -5, 9, -12, last])
    signs = np.array(list(itertools.product((-1, 1), repeat=len(whole))))
    expected = np.mean(np.abs(signs @ whole) >= abs(whole.sum()))
    assert sign_flip(whole / 300) == pytest.approx(expected, abs=1e-12)


def test_few_people_have_no_sign_flip():
    assert math.isnan(sign_flip(np.arange(1.0, 9.0)))


def test_equivalence_is_two_one_sided_t_tests():
    values = np.random.default_rng(6).normal(0.01, 0.1, 40)
    low = stats.ttest_1samp(values, -0.05, alternative="greater").pvalue
    high = stats.ttest_1samp(values, 0.05, alternative="less").pvalue
    assert equivalence(effect(values[None]), 0.05) == pytest.approx(max(low, high))


def test_as_many_people_as_named_tell_the_difference_in_four_of_five_cases():
    values = np.random.default_rng(8).normal(0.08, 0.16, 40)
    of = effect(values[None])
    people = people_needed(of)
    assert people is not None
    generator, spread = np.random.default_rng(9), math.sqrt(of.of_clusters)
    draws = generator.normal(of.mean, spread, (4000, people))
    p_values = stats.ttest_1samp(draws, 0, axis=1).pvalue
    assert np.mean(p_values < 0.05) == pytest.approx(0.8, abs=0.03)


def test_no_number_of_people_helps_where_seeds_differ_too_much():
    table = np.random.default_rng(0).normal(0.02, 0.05, (3, 40)) + np.array([[0.2], [-0.2], [0.0]])
    assert people_needed(effect(table)) is None


@pytest.mark.parametrize("seed", range(20))
def test_tie_groups_share_a_letter_exactly_where_nothing_was_told_apart(seed):
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, 9))
    apart = np.triu(generator.random((size, size)) < generator.random(), 1)
    apart |= apart.T
    letters = tie_groups(apart)
    for first, second in itertools.combinations(range(size), 2):
        assert bool(set(letters[first]) & set(letters[second])) == (not apart[first, second])


def test_tie_groups_of_a_ranking_are_intervals_from_a():
    apart = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) > 1
    assert tie_groups(apart) == ["a", "ab", "bc", "cd", "d"]


def test_strategies_whose_values_change_places_within_seeds_and_people_are_rarely_told_apart():
    generator, count = np.random.default_rng(4), 150
    # Strategies that differ much, and people and seeds that do.
    values = (
        generator.normal(0, 0.1, (6, 1, 1))
        + generator.normal(0, 0.08, (6, 1, 12))
        + generator.normal(0, 0.1, (6, 3, 12))
    )
    slack = 2 * math.sqrt(0.05 * 0.95 / count)
    assert share_of_errors(values, count) <= 0.06 + slack
    assert any_told_apart(values + generator.normal(0, 1, (6, 1, 1)))


def test_several_effects_are_the_effects_of_each():
    tables = np.stack([CROSSED, CROSSED[::-1] * 2 + 0.1])
    for of, table in zip(effects(tables), tables, strict=True):
        one = effect(table)
        assert (of.mean, of.low, of.high, of.p) == pytest.approx((one.mean, one.low, one.high, one.p))


def test_the_p_value_ends_its_interval_at_zero_whatever_the_parts():
    generator = np.random.default_rng(6)
    for _ in range(40):
        table = generator.normal(0.05, 0.1, (3, 9)) + generator.normal(0, 0.1, (3, 1))
        of = effect(table)
        assert of.reach(1 - of.p) == pytest.approx(abs(of.mean), rel=1e-9)
