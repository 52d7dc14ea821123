"""Damaged files of every kind against every reader: ``tox -e fuzz``, or ``python -m fuzz`` in ``tests``.

A run draws its cases from a seed. A case that fails is printed with how to run it alone, and ``--keep`` keeps its folder.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from fuzz.campaign import Campaign, Case, Result, cases, counted, share
from fuzz.judging import GOOD
from fuzz.readers.all import READERS


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1200, help="how many are made")
    parser.add_argument("--quick", type=int, help="so many cases of every quick reader alone", metavar="EACH")
    parser.add_argument(
        "--case", help="run this one alone, as a failing one is printed", metavar="READER:NUMBER"
    )
    parser.add_argument(
        "--only", action="append", help="readers whose name fits; may be given again", metavar="PATTERN"
    )
    parser.add_argument("--keep", type=Path, help="where the folders of failing cases go", metavar="DIR")
    parser.add_argument(
        "--world", type=Path, help="make the undamaged files there, and use them again", metavar="DIR"
    )
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--table", type=Path, help="write the counts there, as Markdown", metavar="FILE")
    arguments = parser.parse_args(words)
    arguments.chosen = chosen_by(arguments, parser)
    return arguments


def chosen_by(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> list[Case]:
    """The cases that are asked for."""
    readers = list(READERS.values())
    if arguments.case is not None:
        name, _, turn = arguments.case.rpartition(":")
        if name not in READERS or not turn.isdecimal():
            parser.error(f"--case {arguments.case!r}: expected READER:NUMBER; readers: {', '.join(READERS)}")
        return [Case(READERS[name], arguments.seed, int(turn))]
    if arguments.quick is not None:
        chosen = share(readers, arguments.seed, arguments.quick)
    else:
        chosen = cases(readers, arguments.seed, arguments.cases)
    patterns = arguments.only or ["*"]
    chosen = [case for case in chosen if any(fnmatchcase(case.reader.name, pattern) for pattern in patterns)]
    if not chosen:
        parser.error(f"no reader fits {' or '.join(patterns)}; readers: {', '.join(READERS)}")
    return chosen


def main() -> int:
    arguments = arguments_of()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        used = {case.reader.name for case in arguments.chosen}
        needed = [reader for reader in READERS.values() if reader.name in used]
        campaign = Campaign(Path(folder) / "run", needed, arguments.jobs)
        results = campaign.prepare(arguments.world)
        for result in results:
            print(result.line, flush=True)
        print(f"the world was made in {time.monotonic() - begun:.0f} s", flush=True)
        for result in campaign.run(arguments.chosen, arguments.keep):
            results.append(result)
            if not result.verdict.good or arguments.case is not None:
                print(result.line, flush=True)
    table = table_of(results)
    print(f"\n{table}\n\nseed {arguments.seed}, {len(results)} cases, {time.monotonic() - begun:.0f} s")
    if arguments.table is not None:
        arguments.table.write_text(table + "\n", "utf-8")
    return int(any(not result.verdict.good for result in results))


def table_of(results: Sequence[Result]) -> str:
    """Verdicts by reader, as a Markdown table."""
    counts = counted(results)
    kinds = {kind for count in counts.values() for kind in count}
    ordered = sorted(kinds, key=lambda kind: (kind not in GOOD, kind))
    rows = [["reader", "owner", "cases", *ordered]]
    rows += [
        [
            name,
            READERS[name].owner,
            str(counts[name].total()),
            *(str(counts[name][kind] or "") for kind in ordered),
        ]
        for name in READERS
        if name in counts
    ]
    together = sum(counts.values(), Counter[str]())
    rows.append(["together", "", str(together.total()), *(str(together[kind]) for kind in ordered)])
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


if __name__ == "__main__":
    sys.exit(main())
