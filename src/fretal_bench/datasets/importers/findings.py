"""Findings as they are told: what holds of many files once, with a count and an example."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from fretal_bench.datasets.importers.family import Finding
from fretal_bench.names import escaped

_SINGLY: Final = 20
"""Findings of one kind and wording that are told one by one."""
_RANK: Final = {"error": 0, "warning": 1, "info": 2}
_DETAIL: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[\d/]\S*")
"""What of a finding's words is of its own file: quoted names, numbers, paths."""


@dataclass
class _Group:
    count: int = 0
    folder: str = ""
    first: dict[Finding, None] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        if finding in self.first:
            return
        self.folder = finding.file if not self.count else _common(self.folder, finding.file)
        self.count += 1
        if self.count <= _SINGLY:
            self.first[finding] = None

    def told(self, files: int) -> list[Finding]:
        concerns_most = self.count > 2 and 2 * self.count > files
        if self.count <= _SINGLY and not concerns_most:
            return list(self.first)
        first = next(iter(self.first))
        place = f" ({first.file})" if first.file != self.folder else ""
        words = f"{self.count:,} times; the first{place}: {first.found}"
        return [Finding(self.folder, first.kind, first.severity, words, first.action)]


class Findings:
    """Findings in the making; of many of one kind and wording the first few are kept, and how many there are."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str, str], _Group] = {}

    def add(self, finding: Finding) -> None:
        """Take a finding; characters that no terminal can show are escaped."""
        finding = printable(finding)
        key = finding.kind, finding.severity, finding.action, _DETAIL.sub("#", finding.found)
        self._groups.setdefault(key, _Group()).add(finding)

    def told(self, files: int) -> list[Finding]:
        """The findings; of one kind and wording that many files have, or most of them, one that counts them.

        Args:
            files: How many files there are.
        """
        return [finding for group in self._groups.values() for finding in group.told(files)]


def printable(finding: Finding) -> Finding:
    """A finding whose file and words any terminal can show."""
    return replace(finding, file=escaped(finding.file), found=escaped(finding.found))


def ordered_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once: errors, warnings, then notes; by kind and file."""
    unique = set(map(printable, findings))
    return tuple(sorted(unique, key=lambda f: (_RANK[f.severity], f.kind, f.file, f.found)))


def _common(a: str, b: str) -> str:
    """The folder that two paths share; a path itself if they are the same."""
    return a if a == b else os.path.commonpath([f"/{a}", f"/{b}"]).lstrip("/")
