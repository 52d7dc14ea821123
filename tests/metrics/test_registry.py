"""One record and one registry for metrics: the suite's own and those of plugins, new and old."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench import plugins
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.metrics import registry
from fretal_bench.metrics.matrices import accuracy_matrix, align, micro_average
from fretal_bench.metrics.registry import OWN, Metric
from fretal_bench.papers.file import paper_of_table

NEW = """
import numpy as np
from fretal_bench.metrics.registry import Metric

def brier(labels, scores):
    return float(np.mean((scores - labels) ** 2))

METRIC = Metric("squared_error", "squared error", False, "mean squared error of P(fake)", brier{more})
"""
OLD = """
from fretal_bench.metrics.plugin_metrics import MetricInfo

def share_above(scores, labels):
    return float(((scores > 0.25) & (labels == 1)).mean())

METRIC = MetricInfo("share_above", share_above, True, "share of fakes above 0.25")
"""
LABELS, SCORES = [0, 1, 1, 0], [0.5, 1.0, 0.0, 0.5]


@pytest.fixture
def use(tmp_path):
    """Give a plugin file by its text; no test leaves a plugin behind."""

    def write(text: str) -> None:
        path = tmp_path / "a_metric.py"
        path.write_text(text)
        plugins.use_files([path])

    plugins.forget()
    yield write
    plugins.forget()


def stream_of(domains: dict[str, tuple[list[int], list[float]]]) -> pd.DataFrame:
    """Scores of a stream, the same at each step."""
    parts = [
        pd.DataFrame(
            {
                "step": np.int16(step),
                "domain": name,
                "row": range(len(labels)),
                "label": np.array(labels, np.int8),
                "video": [f"{name}/{row}" for row in range(len(labels))],
                "score": np.array(scores, np.float32),
            }
        )
        for step in range(-1, len(domains))
        for name, (labels, scores) in domains.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_suites_own_are_found_by_name_and_say_what_they_are():
    assert registry.names()[: len(OWN)] == tuple(OWN)
    for name, metric in OWN.items():
        assert registry.find(name) is metric
        assert metric.name == name
        assert metric.title
        assert metric.summary
        assert not metric.origin


def test_an_unknown_metric_is_answered_with_the_nearest_name():
    with pytest.raises(BenchError, match="did you mean 'auc'"):
        registry.find("aucc")


def test_a_metric_of_a_plugin_is_found_and_listed_like_one_of_the_suite(use):
    use(NEW.format(more=""))
    assert registry.names() == (*OWN, "squared_error")
    metric = registry.find("squared_error")
    assert metric.title == "squared error"
    assert metric.origin.startswith("a_metric.py sha256:")
    assert metric.evaluate(LABELS, SCORES) == (0.375, "")
    with pytest.raises(BenchError, match="did you mean 'squared_error'"):
        registry.find("squared_eror")


def test_a_metric_of_a_plugin_fills_matrices_and_micro_averages(use):
    use(NEW.format(more=""))
    scores = stream_of({"a": (LABELS, SCORES), "b": ([0, 1], [0.25, 0.75])})
    r = accuracy_matrix(scores, "squared_error")
    np.testing.assert_allclose(r.values, [[0.375, 0.0625]] * 2)
    np.testing.assert_allclose(r.baseline, [0.375, 0.0625])
    assert not r.higher_is_better
    assert micro_average(align(scores), "squared_error") == pytest.approx((4 * 0.375 + 2 * 0.0625) / 6)


def test_the_file_of_a_published_table_may_name_a_metric_of_a_plugin(use):
    content = {
        "metric": "squared_error",
        "streams": {"mini": "ffpp-mini"},
        "rows": {"fine-tuning": {"strategy": "finetuning"}},
        "columns": {"average": {"quantity": "average"}},
    }
    with pytest.raises(BenchError, match="unknown metric 'squared_error'"):
        paper_of_table(Path("mine.toml"), content)
    use(NEW.format(more=""))
    assert paper_of_table(Path("mine.toml"), content).metric == "squared_error"


def test_a_plugin_that_needs_both_classes_says_so_once_and_is_not_asked_without(use):
    use(
        NEW.format(more=", needs_both_classes=True").replace(
            "return float", "assert set(labels) == {0, 1}\n    return float"
        )
    )
    value, reason = registry.find("squared_error").evaluate([1, 1], [0.5, 0.5])
    assert np.isnan(value)
    assert reason == "no real sample among 2"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('needs a third class\\nand more')", "needs a third class"),
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise SystemExit", "SystemExit: "),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("raise GeneratorExit('a\\nb')", "GeneratorExit: a"),
        ("return float('inf')", "the function returned inf"),
        ("return None", "TypeError"),
    ],
)
def test_whatever_the_function_of_a_plugin_does_is_a_reason_and_no_crash(use, body, reason):
    use(NEW.format(more="").replace("return float(np.mean((scores - labels) ** 2))", body))
    scores = stream_of({"a": (LABELS, SCORES)})
    r = accuracy_matrix(scores, "squared_error")
    assert np.isnan(r.values).all()
    assert [value.step for value in r.undefined] == [-1, 0]
    assert all(value.reason.startswith(reason) for value in r.undefined)
    assert not any(value.lost for value in r.undefined)


def test_a_function_that_sorts_its_arguments_does_not_change_the_scores(use):
    use(NEW.format(more="").replace("return float", "scores.sort()\n    return float"))
    scores = np.array(SCORES)
    registry.find("squared_error").evaluate(LABELS, scores)
    assert scores.tolist() == SCORES


def test_what_the_suites_own_metrics_refuse_is_still_an_error():
    with pytest.raises(BenchError, match="label 2"):
        OWN["accuracy"].evaluate([0, 2], [0.1, 0.2])


def test_an_old_record_of_a_plugin_is_called_with_scores_first_and_warned_about(use):
    use(OLD)
    with pytest.warns(BenchWarning, match=r"a_metric.py.*'share_above'.*labels first"):
        metric = registry.find("share_above")
    # With the arguments swapped it would be 0.25.
    assert metric.evaluate([0, 1, 1, 1], [0.5, 0.9, 0.3, 0.1]) == (0.5, "")
    assert (metric.title, metric.higher_is_better) == ("share_above", True)


def test_a_new_record_is_not_warned_about(use):
    use(NEW.format(more=""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.find("squared_error")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"squared_error", "s', '"auc", "s', "the name 'auc' is taken"),
        ('"squared_error", "s', '"Brier", "s', "lower-case words"),
        (", brier)", ", 3)", "function cannot be called"),
        ("False,", "'no',", "higher_is_better must be a bool"),
        ('"squared error"', "None", "title must be a str"),
        ("METRIC = Metric(", "METRIC = dict(name=", "expected a fretal_bench.metrics.registry.Metric"),
    ],
)
def test_a_record_that_is_wrong_is_refused_with_its_reason(use, old, new, problem):
    text = NEW.format(more="").replace(old, new)
    if "dict" in new:
        text = text.split("METRIC =")[0] + "METRIC = {}"
    use(text)
    with pytest.raises(BenchError, match=problem):
        registry.metrics()


def test_an_old_record_without_a_function_is_refused(use):
    use(OLD.replace("share_above, True", "None, True"))
    with pytest.warns(BenchWarning), pytest.raises(BenchError, match="function cannot be called"):
        registry.metrics()


def test_a_record_made_in_code_has_the_defaults_of_the_suites_simplest():
    metric = Metric("ours", "ours", True, "", lambda labels, scores: 1.0)
    assert not metric.needs_both_classes
    assert metric.evaluate([1], [0.5]) == (1.0, "")
