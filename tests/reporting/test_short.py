"""The report on one screen: what its numbers are, how its rows stand, and that the answer is its last line."""

import io

import numpy as np
import pytest
from rich.console import Console

from fretal_bench.reporting.short import print_short, short_table
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict

DOMAINS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
# Learned to, lost a step.
KNOWN = {
    "finetuning": (0.95, 0.14),
    "ewc": (0.90, 0.06),
    "fretal": (0.93, 0.04),
    "zero-shot": (0.60, 0.0),
    "joint": (0.94, 0.0),
}


@pytest.fixture
def results(make):
    return make(KNOWN)


def _by_hand(cells):
    """Count right frames: [seeds, 5], forgetting, learned, at the end, missed fakes, false alarms."""
    values = []
    for cell in cells:
        frames = cell.scores
        right = (frames["score"] >= 0.5) == (frames["label"] == 1)
        of = right.groupby([frames["step"], frames["domain"], frames["label"]]).mean()
        both = right.groupby([frames["step"], frames["domain"]]).mean()
        learned = [both[step, name] for step, name in enumerate(DOMAINS)]
        final = [both[len(DOMAINS) - 1, name] for name in DOMAINS]
        last = of[len(DOMAINS) - 1]
        values.append(
            [
                np.mean([a - b for a, b in zip(learned[:-1], final[:-1], strict=True)]),
                np.mean(learned),
                np.mean(final),
                1 - np.mean([last[name, 1] for name in DOMAINS]),
                1 - np.mean([last[name, 0] for name in DOMAINS]),
            ]
        )
    return np.array(values)


def test_its_numbers_are_those_that_counting_gives(results):
    table = short_table(summarize(results))
    for row in table.rows:
        cells = [cell for cell in results.cells if cell.label == row.cells[0]]
        shown = [number.value for number in row.cells[-5:]]
        assert shown == pytest.approx(_by_hand(cells).mean(axis=0), abs=1e-9)


def test_the_strategy_that_forgets_least_comes_first_and_bounds_last(results):
    table = short_table(summarize(results))
    competitors = [row for row in table.rows if not row.apart]
    forgetting = [row.cells[-5].value for row in competitors]
    assert forgetting == sorted(forgetting)
    assert competitors[0].cells[0] == "fretal"
    assert [row.cells[0] for row in table.rows if row.apart] == ["zero-shot", "joint"]
    assert [row.apart for row in table.rows] == sorted(row.apart for row in table.rows)


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_a_screen_and_ends_with_the_answer(results, width):
    summary = summarize(results)
    console = Console(file=io.StringIO(), width=width)
    print_short(summary, verdict(summary), console, "every table: reports/x/index.html")
    text = console.file.getvalue()
    assert len(text.splitlines()) <= 24
    ending = " ".join(text.split())
    assert ending.endswith(" ".join(verdict(summary).sentence.split()))
    assert "every table: reports/x/index.html" in text


def test_a_single_strategy_has_no_ties_and_one_domain_has_no_forgetting(make):
    alone = short_table(summarize(make({"ewc": KNOWN["ewc"]})))
    assert "ties" not in [column.key for column in alone.columns]
    single = short_table(summarize(make({"ewc": KNOWN["ewc"]}, domains=("Deepfakes",))))
    assert np.isnan(single.rows[0].cells[-5].value)
    assert single.rows[0].cells[-4].value == pytest.approx(0.9, abs=0.03)
