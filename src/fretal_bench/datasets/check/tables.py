"""Tables of a check, to be printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from fretal_bench.datasets.check.check import DatasetCheck, Expectation
from fretal_bench.datasets.check.shortcuts import Shortcut, ShortcutSearch
from fretal_bench.datasets.importers import Finding
from fretal_bench.datasets.manifest import SPLITS

_SHOWN: Final = 12


def check_tables(check: DatasetCheck) -> list[tuple[str, list[str], list[list[str]]]]:
    """Lay a check out as tables to print: title, column names, rows; all text."""
    about = [
        ["layout", check.title],
        ["recognised by", ", ".join(check.why)],
        ["splits", check.split_source],
        ["shortcuts", _searched(check.shortcuts)],
    ]
    tables = [(check.root, ["", ""], about)]
    if check.counts:
        rows = [
            [
                *(c.dataset, c.method, c.compression),
                *(
                    f"{number:,}"
                    for number in (*(c.splits[split] for split in SPLITS), sum(c.splits.values()), c.left_out)
                ),
            ]
            for c in check.counts
        ]
        columns = ["data set", "method", "compression", *SPLITS, "together", "files left out"]
        tables.append((f"Found ({check.unit})", columns, rows))
    if check.expectations:
        columns, rows = _expectation_table(check.expectations)
        tables.append((f"Against the official counts ({check.unit})", columns, rows))
    if check.shortcuts.shortcuts:
        columns = ["domain", "splits", "told by", "real", "fake", "right"]
        title = "Facts of the files that tell real from fake (by chance 50% right)"
        tables.append((title, columns, list(_shortcut_rows(check.shortcuts))))
    if check.findings:
        tables.append(
            ("Findings", ["", "kind", "file", "what", "what to do"], list(_finding_rows(check.findings)))
        )
    if check.left_out:
        rows = [[kind, f"{number:,}"] for kind, number in check.left_out.items()]
        tables.append(("Left out", ["reason", "files"], rows))
    return tables


def _searched(search: ShortcutSearch) -> str:
    """Say how many domains and splits were looked at, and what came of it."""
    affected = len({(*shortcut.domain, shortcut.split) for shortcut in search.shortcuts})
    few = f"{len(search.few):,} with too few people to tell" if search.few else ""
    if not search.tested:
        return f"not looked for: {few or 'no domain'}"
    looked = f"{search.tested:,} domain{'s' if search.tested > 1 else ''} x splits"
    return f"{f'in {affected:,} of' if affected else 'none in'} {looked}{f'; {few}' if few else ''}"


def _shortcut_rows(search: ShortcutSearch) -> Iterator[list[str]]:
    """A row a domain and fact; splits in which both classes have the same of it share a row."""
    alike: dict[tuple[str, ...], list[Shortcut]] = {}
    for s in search.shortcuts:
        alike.setdefault((*s.domain, s.fact, s.real, s.fake), []).append(s)
    for (*domain, fact, real, fake), shortcuts in alike.items():
        rates = sorted({round(100 * shortcut.accuracy) for shortcut in shortcuts})
        right = f"{rates[0]}%" if len(rates) == 1 else f"{rates[0]} to {rates[-1]}%"
        name = "/".join(domain).removesuffix("/none")
        yield [name, ", ".join(shortcut.split for shortcut in shortcuts), fact, real, fake, right]


def _expectation_table(expectations: tuple[Expectation, ...]) -> tuple[list[str], list[list[str]]]:
    """A row a method and compression, a column a split: found of official; the difference over the row."""
    splits = list(dict.fromkeys(expectation.split for expectation in expectations))
    by_row: dict[tuple[str, str, str, str], dict[str, Expectation]] = {}
    for e in expectations:
        by_row.setdefault((e.dataset, e.method, e.compression, e.source), {})[e.split] = e
    rows = []
    for (_, method, compression, source), cells in by_row.items():
        shown = [f"{cells[s].found:,} of {cells[s].official:,}" if s in cells else "" for s in splits]
        difference = sum(cell.found - cell.official for cell in cells.values())
        rows.append(
            [
                method or "all",
                compression or "all",
                *shown,
                f"{difference:+,}" if difference else "none",
                source,
            ]
        )
    return ["method", "compression", *(split or "all" for split in splits), "difference", "source"], rows


def _finding_rows(findings: tuple[Finding, ...]) -> Iterator[list[str]]:
    """Findings as rows; of many of one kind the first dozen, and how many more there are."""
    totals = Counter((finding.severity, finding.kind) for finding in findings)
    shown: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        key = (finding.severity, finding.kind)
        shown[key] += 1
        if shown[key] <= _SHOWN:
            yield [finding.severity, finding.kind, finding.file, finding.found, finding.action]
        if shown[key] == totals[key] > _SHOWN:
            yield [*key, "", f"and {totals[key] - _SHOWN:,} more", "see --json for all"]
