"""The power of a design, which is simulated, is that of the noncentral t where that can be written down."""

import numpy as np
import pytest
from scipy.stats import nct, t

from answer_cost import EFFECT, Design


def test_the_power_of_one_seed_is_that_of_a_t_test_over_its_clusters():
    clusters, spread = 4, np.sqrt((0.086**2 + 0.105**2) / 2)
    limit, shift = t.ppf(0.975, clusters - 1), EFFECT / (spread / np.sqrt(clusters))
    expected = nct.sf(limit, clusters - 1, shift)
    power = Design("same people", 1, 1).power(4000, np.random.default_rng(0))
    assert power == pytest.approx(expected, abs=3 * np.sqrt(0.25 / 4000))


def test_every_fold_tests_people_of_its_own_and_folds_come_round():
    (table,) = Design("folds", 5, 7).draw(1, np.random.default_rng(0))
    tested = ~np.isnan(table)
    assert table.shape == (7, 20)
    assert (tested.sum(axis=1) == 4).all()
    assert (tested[:5].sum(axis=0) == 1).all()
    assert (tested[5:] == tested[:2]).all()
