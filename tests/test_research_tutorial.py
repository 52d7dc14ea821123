"""The tutorial of docs/tutorial-research.md: its commands and Python, as they stand there, on tiny data."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from tests_support import recipe_options, tiny_stream

PAGE = Path(__file__).parents[1] / "docs" / "tutorial-research.md"
# A command, or a block of Python, in the order of the page.
PART = re.compile(r"^    (bench [^\n\\]*(?:\\\n[^\n\\]*)*)$|^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial-research.md"])
def test_the_method_of_a_page_is_one_that_the_suite_takes(bench, tmp_path, page):
    text = (PAGE.parents[1] / page).read_text("utf-8")
    (method,) = re.findall(r"^```python\n(from dataclasses.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "my_method.py").write_text(method)
    code, out, _ = bench("show", "strategy", "l2-to-last", "--plugin", "my_method.py", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["formula"] == "L = CE(s, y) + strength/2 |w - w_old|^2."
    assert [constant["key"] for constant in shown["constants"]] == ["strength"]


@pytest.fixture
def tiny(tmp_path):
    """Where words of the page's commands are replaced: the stream, its result folder, and the recipe."""
    return tiny_stream(tmp_path / "tiny")


@pytest.mark.long
def test_the_tutorial_runs_as_it_stands(bench, tmp_path, tiny, monkeypatch):
    # Plots have tests of their own, and are most of what a report takes.
    monkeypatch.setattr("fretal_bench.reporting.report.plots", lambda _: ())
    typed, outputs = [], []
    for command, python in PART.findall(PAGE.read_text("utf-8")):
        if python.startswith("from dataclasses"):
            (tmp_path / "my_method.py").write_text(python)
        elif "check_strategy" not in python and python:
            exec(python.replace('"Face2Face"', repr("D1")), {})
        elif command:
            words = shlex.split(command.replace("\\\n", " "))
            code, out, err = bench(*shortened(words[1:], tiny))
            assert code == 0, (words, err)
            typed.append(words[1])
            outputs.append(out)
    assert typed == ["run", "report", "report", "show", "run", "import", "report", "run", "report"]
    assert "weights held near the last domain's" in outputs[3]
    assert "l2-to-last" in outputs[4]
    # What was imported are the scores of lwf, and its row is that of lwf.
    table = pd.read_csv(tmp_path / "reports" / "ffpp-mini-mini+elsewhere" / "tables" / "summary.csv")
    rows = table.set_index(table.pop("strategy").str.split().str[0])
    assert len(rows) == 4
    pd.testing.assert_series_equal(rows.loc["elsewhere"], rows.loc["lwf"], check_names=False)


def shortened(words, tiny):
    """The words of a command on the tiny stream: one seed, and a recipe of a second."""
    words = [{"0-2": "0", "ffpp-mini": str(tiny)}.get(word, word) for word in words]
    if words[0] != "run":
        return words
    out = [] if "--out" in words else ["--out", "results/ffpp-mini-mini"]
    return [*words, "--stream", str(tiny), "--jobs", "1", *out, *recipe_options()]
