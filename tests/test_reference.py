"""What is committed under reports follows from what is committed under results, and the docs quote it to the letter."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.metrics.intervals import paired_difference
from fretal_bench.reporting.report import write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.strategies.registry import names
from reference.quotations import DOCUMENTS, blocks, quoted
from tests_support import NEEDING_ATTENTION

ROOT = Path(__file__).parents[1]
NEWER = {
    "ewc-by-class",
    "weight-averaging",
    "task-arithmetic",
    "cls-er",
    "esmer",
    "ranpac",
    "hdp",
    "sur-lid",
}
"""Strategies that came after the reference was made."""
# What each recipe's strategies are; adapters need attention.
TABLES = {
    "reference": set(names(plugins=False)) - NEEDING_ATTENTION - NEWER,
    "reference-vit": {"domain-lora", "finetuning"},
}


@pytest.mark.parametrize("name", TABLES)
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
def test_the_committed_results_hold_every_strategy_with_three_seeds(name):
    cells = load_results(ROOT / "results" / name).cells
    for seed in (0, 1, 2):
        assert {cell.strategy for cell in cells if cell.seed == seed} >= TABLES[name]


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


def test_the_effect_of_the_teacher_in_the_docs_is_that_of_the_stored_cells():
    results = load_results(ROOT / "results" / "reference")
    by_teacher = {
        teacher: [
            cell
            for cell in results.cells
            if cell.strategy in ("fretal", "cored") and cell.hyperparameters["teacher"] == teacher
        ]
        for teacher in ("source", "previous")
    }
    both = summarize(replace(results, cells=tuple(cell for of in by_teacher.values() for cell in of)))
    before, now = (
        next(s for s in both.strategies if s.label == by_teacher[teacher][0].label)
        for teacher in ("source", "previous")
    )
    docs = (ROOT / "docs" / "ffpp-mini.md").read_text("utf-8")
    rows = re.findall(r"^\| ([a-z_]+) \| (.*\[.*\]) \|$", docs, re.MULTILINE)
    assert [name for name, _ in rows] == ["forgetting", "learning", "average", "minimum_old", "final_auc"]
    for name, numbers in rows:
        effect = paired_difference(now.by_seed[name], before.by_seed[name])
        assert effect.seeds == (0, 1, 2)
        means = f"{before.values[name].mean:.3f} | {now.values[name].mean:.3f}"
        assert numbers == f"{means} | {effect.mean:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]", name
