"""Which epoch is kept where the validation accuracies of several are equal."""

import numpy as np
import pytest
import torch
from torch import nn

from fretal_bench.benchmark.recipes.loop import KeepBest
from tests_support import namespace

LABELS = torch.tensor([0, 0, 1, 1])
CHANCE = [0.6, 0.9, 0.7, 0.8]
"""Everything is called fake; half of the pairs are in the right order."""


def kept(*epochs, labels=LABELS, first=False, splits=1):
    """The epoch that is kept, from 0, of one with these scores each."""
    model = nn.Linear(1, 1, bias=False)
    keeper = KeepBest(*[namespace(targets=labels)] * splits, first=first)
    for number, scores in enumerate(epochs):
        nn.init.constant_(model.weight, number)
        strategy = namespace(
            model=model, score=lambda _, s=scores: np.float32(s), running_state=lambda n=number: {"epoch": n}
        )
        keeper.after_training_epoch(strategy)
    strategy = namespace(model=model)
    keeper.after_training_exp(strategy)
    assert strategy.epoch == int(model.weight)
    return strategy.epoch


def test_accuracy_comes_first():
    # Better order, worse accuracy.
    assert kept([0.4, 0.6, 0.55, 0.7], [0.1, 0.2, 0.3, 0.4]) == 0
    assert kept([0.1, 0.2, 0.3, 0.4], [0.4, 0.6, 0.55, 0.7]) == 1


@pytest.mark.parametrize("first", [False, True])
def test_at_chance_all_along_the_epoch_with_the_best_order_is_kept_or_the_first(first):
    better, best = [0.6, 0.7, 0.65, 0.9], [0.6, 0.7, 0.8, 0.9]
    assert kept(CHANCE, better, best, better, first=first) == (0 if first else 2)


@pytest.mark.parametrize("first", [False, True])
def test_at_one_all_along_the_epoch_that_is_surest_is_kept_or_the_first(first):
    epochs = [0.4, 0.4, 0.6, 0.6], [0.1, 0.1, 0.9, 0.9], [0.2, 0.2, 0.8, 0.8]
    assert kept(*epochs, first=first) == (0 if first else 1)


def test_of_epochs_that_are_equal_in_all_the_latest_is_kept():
    assert kept(CHANCE, CHANCE, CHANCE) == 2
    assert kept(CHANCE, CHANCE, CHANCE, first=True) == 0


def test_a_split_of_one_class_has_no_auc_and_is_decided_by_the_loss():
    reals = torch.zeros(4, dtype=torch.int64)
    assert kept([0.4] * 4, [0.1] * 4, [0.2] * 4, labels=reals) == 1


def test_probabilities_of_0_and_1_have_a_finite_loss_and_scores_that_are_no_numbers_are_no_best():
    assert kept([0.0, 0.0, 1.0, 1.0], [0.4, 0.4, 0.6, 0.6]) == 0
    assert kept([0.1, 0.2, 0.8, 0.9], [np.nan] * 4) == 0


def test_several_splits_are_added_up():
    assert kept([0.6, 0.6, 0.7, 0.8], CHANCE, splits=2) == 0
