"""Reporting: results -> a verdict, tables, plots and one HTML page."""

from __future__ import annotations

from fretal_bench.reporting.report import Report, print_report, write_report
from fretal_bench.reporting.summary import Summary, summarize
from fretal_bench.reporting.verdict import Verdict, verdict

__all__ = ["Report", "Summary", "Verdict", "print_report", "summarize", "verdict", "write_report"]
