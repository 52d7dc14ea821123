"""The conformance kit: a good strategy passes, and every broken one is caught by the check that is meant for it."""

import functools
import importlib
import re
import sys

import pytest

import broken_strategies as broken
from broken_strategies import info_of
from fretal_bench.errors import BenchError
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.testing import ConformanceError, check_strategy, strategy_checks


@functools.cache
def checks_of(kind, **more):
    """The checks of a broken strategy; tests share them, and so the cell that most of them look at."""
    return tuple(strategy_checks(info_of(kind, **more)))


def failures(checks):
    """Names of the checks that a strategy fails."""
    failed = {}
    for check in checks:
        try:
            check()
        except ConformanceError as error:  # noqa: PERF203
            failed[check.name] = str(error)
    return failed


def test_a_good_strategy_passes_every_check():
    assert failures(checks_of(broken.Good)) == {}
    assert failures(checks_of(broken.Replay, memory="budget")) == {}


def test_the_class_of_a_row_may_stand_in_the_same_file(tmp_path, monkeypatch):
    (tmp_path / "one_file.py").write_text(
        "from fretal_bench.strategies import ContinualStrategy, StrategyInfo\n"
        "STRATEGY = StrategyInfo('one-file', ':OneFile', 'nothing', 'none')\n"
        "class OneFile(ContinualStrategy):\n    'L = CE(s, y).'\n    info = STRATEGY\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "one_file", raising=False)
    checks = strategy_checks(importlib.import_module("one_file").STRATEGY)
    next(check for check in checks if check.name == "describes_itself")()


@pytest.mark.parametrize("listed", ["STRATEGY = ROW", "STRATEGIES = [ROW]"])
def test_a_class_that_is_not_there_is_named_with_its_file(tmp_path, monkeypatch, listed):
    (tmp_path / "no_class.py").write_text(
        "from fretal_bench.strategies import ContinualStrategy, StrategyInfo\n"
        f"ROW = StrategyInfo('one-file', ':OneFlie', 'nothing', 'none')\n{listed}\n"
        "class OneFile(ContinualStrategy):\n    'L = CE(s, y).'\n    info = ROW\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "no_class", raising=False)
    row = importlib.import_module("no_class").ROW
    # A test that imports the row has it too.
    monkeypatch.setitem(globals(), "ROW", row)

    with pytest.raises(ConformanceError) as caught:
        check_strategy(row)
    assert caught.value.check == "describes_itself"
    assert caught.value.seen.startswith(
        "target ':OneFlie': no_class.py has no class OneFlie; did you mean 'OneFile'?"
    )


def test_a_row_of_which_nobody_knows_the_file_is_told():
    row = StrategyInfo("nowhere", ":Nowhere", "nothing", "none")
    with pytest.raises(
        ConformanceError, match="':Nowhere': no module that is imported has this row and a class"
    ):
        check_strategy(row)


CAUGHT = [
    (broken.SIWithoutClone, "reacts_to_strength", "the same bytes with strength=10.0 and 0.001"),
    (broken.TeacherInTrainMode, "leaves_frozen_modules_alone", "teacher is in train mode"),
    (broken.TeacherWithGradients, "leaves_frozen_modules_alone", "teacher gets gradients"),
    (broken.LambdaIgnored, "reacts_to_lambda_", "the same bytes with lambda_="),
    (
        broken.HoardsImages,
        "respects_its_memory_budget",
        "3 images in the state after domain 0; expected at most 0",
    ),
    (
        broken.HoardsFlatImages,
        "respects_its_memory_budget",
        "room for 29 images beyond the model's own size; expected at most 0",
    ),
    (broken.HoardsFlatImagesAsNumbers, "respects_its_memory_budget", "expected at most 0"),
    (
        broken.ReadsOldDomains,
        "respects_its_memory_budget",
        "1 training rows of older domains read on domain 1",
    ),
    (broken.ReadsTestData, "reads_no_test_data", "test rows of domain 1 read while domain 1 was trained"),
    (broken.ReadsTestDataset, "reads_no_test_data", "val rows of domain 0 read while domain 0 was trained"),
    (broken.ReadsAhead, "reads_no_later_domain", "rows of domain 2 read while domain 1 was trained"),
    (broken.NotResumable, "resumes_to_the_same_bytes", "from domain 2 on"),
    (broken.Forgetful, "resumes_to_the_same_bytes", "differ (scores from domain 1 on)"),
    (broken.Forgetful, "scores_the_same_when_loaded", "after domain 0 gives other scores"),
    (broken.ForgetsItsScale, "scores_the_same_when_loaded", "after domain 0 gives other scores"),
    (broken.PicklesObjects, "trains_three_domains", "its state holds more than tensors and plain data"),
    (
        broken.GlobalGenerator,
        "gives_the_same_bytes_again",
        "another result in a second run (from domain 1 on)",
    ),
    (broken.NoisyScores, "gives_the_same_bytes_again", "in a second run (scores from domain 0 on)"),
    (broken.NoisyScores, "scores_the_same_when_loaded", "after domain 0 gives other scores"),
    (broken.StateInTheClass, "does_not_mind_what_else_runs", "when another cell's steps run between its own"),
    (
        broken.MovedByJudging,
        "does_not_mind_being_judged_while_it_learns",
        "another result when it is judged while it learns (from domain 1 on)",
    ),
    (broken.MovesFrozenWeights, "leaves_frozen_parameters_alone", "requires_grad=False and has moved"),
    (broken.SwappedScores, "scores_are_probabilities_of_fake", "expected above 0.5"),
    (broken.SwappedLater, "scores_are_probabilities_of_fake", "on the domains learned, after domain 1"),
    (broken.SwappedLast, "scores_are_probabilities_of_fake", "on the domains learned, after domain 2"),
    (broken.Logits, "scores_are_probabilities_of_fake", "expected float32 [N] in [0, 1]"),
    (broken.HalfPrecision, "works_in_bf16", "expected scalar type Float but found BFloat16"),
    (broken.NeedsASource, "trains_on_plain_avalanche_experiences", "no attribute 'source'"),
    (
        broken.NeedsATimmModel,
        "trains_on_plain_avalanche_experiences",
        "on experience 1: 'Sequential' object has no attribute 'forward_features' (broken_strategies.py, line ",
    ),
    (
        broken.EvaluatesNothing,
        "trains_on_plain_avalanche_experiences",
        "0 accuracies from eval(); expected those of 3 experiences and of the stream",
    ),
    (
        broken.EvaluatesOtherwise,
        "trains_on_plain_avalanche_experiences",
        "by probabilities() at 0.5; expected a forward() that returns, while is_training is False",
    ),
    (broken.NeverLearns, "trains_three_domains", "domain 1 left the state as it was"),
    (broken.OddHook, "describes_itself", "before_domain(self) takes no 'experience'"),
    (broken.AcceptsNonsense, "refuses_nonsense", "strength=-1.0 accepted"),
    (broken.AcceptsNonsense, "reacts_to_kind", "kind='l1'"),
    (
        broken.AcceptsNegativeNumbers,
        "refuses_nonsense",
        "refuses_nonsense: strength=-1.0, temperature=-1.0 accepted",
    ),
]


@pytest.mark.parametrize(
    ("kind", "check", "message"), CAUGHT, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_strategy_is_caught_by_the_check_meant_for_it(kind, check, message):
    (meant,) = [candidate for candidate in checks_of(kind) if candidate.name == check]

    with pytest.raises(ConformanceError, match=re.escape(message)):
        meant()


def test_a_replay_over_its_budget_is_caught_at_one_row_too_many():
    failed = failures(checks_of(broken.ReplayOverBudget, memory="budget"))

    assert list(failed) == ["respects_its_memory_budget"]
    assert (
        "9 training rows of older domains read on domain 1; expected at most 8"
        in failed["respects_its_memory_budget"]
    )


def test_checks_meant_for_other_rules_let_a_broken_strategy_pass():
    assert list(failures(checks_of(broken.SIWithoutClone))) == ["reacts_to_strength"]
    assert list(failures(checks_of(broken.NotResumable))) == ["resumes_to_the_same_bytes"]
    assert list(failures(checks_of(broken.ForgetsItsScale))) == ["scores_the_same_when_loaded"]
    assert list(failures(checks_of(broken.HoardsFlatImages))) == ["respects_its_memory_budget"]
    assert list(failures(checks_of(broken.SwappedLater))) == [
        "scores_are_probabilities_of_fake",
        "trains_on_plain_avalanche_experiences",
    ]
    assert list(failures(checks_of(broken.AcceptsNegativeNumbers))) == ["refuses_nonsense"]


def test_check_strategy_raises_what_was_seen_and_what_is_expected():
    with pytest.raises(ConformanceError) as caught:
        check_strategy(info_of(broken.AcceptsNonsense))

    error = caught.value
    assert isinstance(error, AssertionError)
    assert (error.strategy, error.check) == ("accepts-nonsense", "refuses_nonsense")
    assert "strength=-1.0" in error.seen
    assert (
        str(error)
        == f"strategy 'accepts-nonsense': refuses_nonsense: {error.seen}; expected {error.expected}"
    )


def test_what_a_strategy_raises_is_told_with_the_line_of_its_file(tmp_path, monkeypatch):
    (tmp_path / "raises.py").write_text(
        "from fretal_bench.strategies import ContinualStrategy, StrategyInfo\n"
        "STRATEGY = StrategyInfo('raises', ':Raises', 'nothing', 'none')\n"
        "class Raises(ContinualStrategy):\n    'L = CE(s, y).'\n    info = STRATEGY\n"
        "    def penalty(self):\n        return self.old\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "raises", raising=False)

    with pytest.raises(ConformanceError) as caught:
        check_strategy(importlib.import_module("raises").STRATEGY)
    assert str(caught.value) == (
        "strategy 'raises': trains_three_domains: AttributeError on domain 1: 'Raises' object has no attribute 'old' "
        "(raises.py, line 7)"
    )


def test_a_check_can_be_left_out_with_a_reason_and_only_if_there_is_one_of_that_name():
    info = info_of(broken.SIWithoutClone)
    check_strategy(info, exempt={"reacts_to_strength": "known"})
    with pytest.raises(BenchError, match=re.escape("did you mean 'reacts_to_strength'")):
        check_strategy(info, exempt={"reacts_to_strenght": "misspelt"})


def test_settings_suit_defaults_that_are_too_large_for_a_tiny_stream():
    info = info_of(broken.StartsLate)

    assert list(failures(strategy_checks(info))) == ["reacts_to_warmup"]
    assert failures(strategy_checks(info, settings={"warmup": 2})) == {}


def test_a_run_in_processes_needs_a_strategy_that_can_be_looked_up():
    info = info_of(broken.Good)
    (check,) = [check for check in strategy_checks(info, processes=True) if "processes" in check.name]

    with pytest.raises(
        ConformanceError, match=r"unknown strategy 'good'.*expected a strategy that is registered"
    ):
        check()
