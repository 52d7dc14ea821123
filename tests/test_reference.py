"""What is committed under reports follows from what is committed under results, and the docs quote it to the letter."""

import re
from pathlib import Path

import pandas as pd
import pytest

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.reporting.report import write_report
from reference.quotations import DOCUMENTS, blocks, quoted
from reference.runs import OF_MINI, SEEDS, WITH_MEMORY

ROOT = Path(__file__).parents[1]
# Of each folder its strategies, adapters need attention; and its seeds.
TABLES = {
    "reference": (set(OF_MINI), SEEDS),
    "reference-memory-50": (set(WITH_MEMORY), SEEDS),
    "reference-frozen": (set(OF_MINI), SEEDS),
    "reference-vit": ({"domain-lora", "finetuning", "orthogonal-lora", "zero-shot"}, SEEDS),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.usefixtures("undrawn")
def test_the_committed_report_follows_from_the_committed_results(name, tmp_path):
    results = load_results(ROOT / "results" / name)
    assert not results.failures
    assert not results.missing
    write_report(results, tmp_path)
    committed = ROOT / "reports" / name
    texts = sorted(
        p.relative_to(committed) for p in committed.rglob("*") if p.suffix in (".csv", ".md", ".tex")
    )
    assert len(texts) > 5
    for text in texts:
        if text.suffix == ".csv":
            # Of seventeen digits the last ones are the processor's: it sums in an order of its own.
            ours, theirs = (pd.read_csv(folder / text) for folder in (tmp_path, committed))
            pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, atol=1e-12, obj=str(text))
        else:
            assert (tmp_path / text).read_text("utf-8") == (committed / text).read_text("utf-8"), text
    assert {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()} == {
        p.relative_to(committed) for p in committed.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("name", TABLES)
def test_a_committed_report_says_where_results_are_as_seen_from_the_repository(name):
    text = (ROOT / "reports" / name / "index.html").read_text("utf-8")
    assert str(ROOT) not in text
    for match in re.finditer(r"/cells/[0-9a-f]{8,}", text):
        before = text[max(0, match.start() - 100) : match.start()]
        assert before.endswith(f"results/{name}"), match[0]
        assert not before.endswith(f"/results/{name}"), match[0]


@pytest.mark.parametrize("name", TABLES)
def test_the_committed_results_hold_every_strategy_with_every_seed(name):
    cells = load_results(ROOT / "results" / name).cells
    strategies, seeds = TABLES[name]
    for seed in seeds:
        assert {cell.strategy for cell in cells if cell.seed == seed} >= strategies


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_quotes_what_the_reports_say(name):
    text = (ROOT / name).read_text("utf-8")
    assert blocks(text)
    assert quoted(text) == text, f"{name}: run `python -m reference write` in tests/"


def test_a_quotation_is_written_anew_and_what_is_around_it_stays():
    title = "Forgetting, and what was learned"
    text = f"Before.\n<!-- quote table reference: {title} -->\nstale\n<!-- end of quote -->\nAfter.\n"
    table = quoted(text)
    assert table.startswith("Before.\n<!-- quote table reference")
    assert table.endswith("|\n\n<!-- end of quote -->\nAfter.\n")
    assert "stale" not in table
    assert "\n| finetuning | " in table


@pytest.mark.parametrize("source", ["table reference: no such title", "picture reference"])
def test_a_quotation_of_what_there_is_not_is_an_error(source):
    with pytest.raises(LookupError):
        quoted(f"<!-- quote {source} -->\n<!-- end of quote -->")
