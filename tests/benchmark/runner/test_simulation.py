"""The simulated scheduler of ``docs/scale.md``: its steps against a formula, its clock against a case worked by hand."""

from math import factorial, perm

import pytest

from fretal_bench.strategies.registry import find_strategy
from perf.simulation import Costs, plan_of, simulate

COSTS = Costs(images=100, epochs=3, judged=10, training=50.0, judging=100.0)


@pytest.mark.parametrize("domains", [2, 3, 4])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize(
    "strategies", [("fretal",), ("si",), ("fretal", "ewc", "si"), ("lwf", "gdumb", "joint", "zero-shot")]
)
def test_as_many_steps_are_trained_as_there_are_histories(strategies, seeds, domains):
    adopting = sum(find_strategy(name).shared_source for name in strategies)
    own = len(strategies) - adopting
    # Ordered choices of k domains; a source model is trained for each domain, for all that adopt it.
    histories = [perm(domains, k) for k in range(1, domains + 1)]
    shared = seeds * (domains * (adopting > 0) + adopting * sum(histories[1:]) + own * sum(histories))
    assert simulate(plan_of(strategies, seeds, domains), COSTS, 3).trained == shared
    unshared = seeds * factorial(domains) * ((adopting > 0) + adopting * (domains - 1) + own * domains)
    assert simulate(plan_of(strategies, seeds, domains, shared=False), COSTS, 3).trained == unshared


def test_all_orders_of_four_domains_take_64_steps_and_not_96():
    assert simulate(plan_of(["finetuning"], 1), COSTS, 1).trained == 4 + 12 + 24 + 24
    assert simulate(plan_of(["finetuning"], 1, shared=False), COSTS, 1).trained == 24 * 4


def test_one_worker_takes_as_long_as_all_that_is_to_be_computed():
    run = simulate(plan_of(["si"], 1, 2), COSTS, 1)
    # Four histories of 3 passes over 100 images at 50/s; judged on 4 sets of 10 images each, and so is the untrained one.
    assert run.computing == pytest.approx(4 * 6 + 5 * 4 * 0.1)
    assert run.makespan == pytest.approx(run.computing)
    assert run.utilisation == pytest.approx(1)


def test_more_workers_than_a_run_has_chains_wait():
    run = simulate(plan_of(["si"], 1, 2), COSTS, 64)
    # Two chains of two steps of 6.4 s.
    assert run.makespan == pytest.approx(2 * 6.4)


def test_states_wait_for_the_network_and_the_head():
    costs = Costs(
        images=100,
        epochs=3,
        judged=0,
        training=50.0,
        judging=100.0,
        states={"source": (1000, 3000)},
        link=1000.0,
        writing=500.0,
        keeping=0.5,
    )
    run = simulate(plan_of(["si"], 1, 2), costs, 64)
    # The head takes in the judging of the untrained model (to 0.5 s). Both first states, 1000 bytes each, arrive at 7
    # and 8 s, and the head writes them (2.5 s each) to 9.5 and 12 s; before 12 s it sends none. Sent, they are there at
    # 13 and 14 s, and the second steps are trained at 19 and 20 s. Their states of 3000 bytes arrive at 22 and 25 s, and
    # are written (6.5 s each) at 28.5 and 35 s.
    assert run.makespan == pytest.approx(35)
    assert (run.down, run.up) == (2 * 1000, 2 * 1000 + 2 * 3000)


def test_where_the_last_states_are_kept_the_others_are_removed_when_nothing_begins_with_them():
    costs = Costs(images=1, epochs=1, judged=1, training=1.0, judging=1.0, states={"source": (10,)})
    plan = plan_of(["si"], 1, 3)
    everything, last = simulate(plan, costs, 2), simulate(plan, costs, 2, "last")
    assert everything.stored == everything.most_stored == 10 * (3 + 6 + 6)
    assert last.stored == 10 * 6
    assert last.stored < last.most_stored < everything.stored
    assert last.trained == everything.trained
