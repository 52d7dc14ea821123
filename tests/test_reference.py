"""What is committed under reports/reference follows from what is committed under results/reference, to the byte."""

from pathlib import Path

import pytest

from fretal_bench.benchmark.results import load_results
from fretal_bench.reporting.report import write_report

ROOT = Path(__file__).parents[1]


def test_the_committed_report_follows_from_the_committed_results(tmp_path):
    results = load_results(ROOT / "results" / "reference")
    assert not results.failures
    assert not results.missing
    write_report(results, tmp_path)
    committed = ROOT / "reports" / "reference"
    texts = sorted(
        p.relative_to(committed) for p in committed.rglob("*") if p.suffix in (".csv", ".md", ".tex")
    )
    assert len(texts) > 5
    for name in texts:
        assert (tmp_path / name).read_text("utf-8") == (committed / name).read_text("utf-8"), name
    assert {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()} == {
        p.relative_to(committed) for p in committed.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_committed_results_hold_every_strategy_of_the_table(seed):
    results = load_results(ROOT / "results" / "reference")
    strategies = {cell.strategy for cell in results.cells if cell.seed == seed}
    assert strategies >= {"finetuning", "lwf", "ewc", "kd", "fretal", "zero-shot", "joint"}
