"""Readers with faults on purpose, one of each kind that the fuzzer must see: ``python -m fuzz.planted``."""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from fuzz.campaign import Campaign, share
from fuzz.damage import damages
from fuzz.judging import TOLD, Claim, Kind
from fuzz.lists import a_column_twice, a_line_twice
from fuzz.readers import Function, Reader
from fuzz.readers.labels import written_csv
from fuzz.running import Bench, Refused

_LIST: Final = "listed/list.csv"


def _damaged() -> bool:
    lines = Path(_LIST).read_text("utf-8").splitlines()
    return len(lines) != 13 or lines[0] != "path,label,split,video,source,target"


def _rows() -> dict[str, dict[str, int]]:
    """Labels by path as a careless reader takes them: of two columns, or two lines, the last."""
    with Path(_LIST).open(newline="") as lines:
        return {line["path"]: {"label": int(line["label"])} for line in csv.DictReader(lines)}


def believes_the_last(bench: Bench) -> Claim:
    written = written_csv(_LIST)
    labels = (
        {path: {"label": entry["label"]} for path, entry in written.items()}
        if isinstance(written, dict)
        else written
    )
    return Claim(_rows(), labels)


def loses_lines(bench: Bench) -> Claim:
    rows = _rows()
    return Claim(dict(list(rows.items())[:6]) if _damaged() else rows)


def counts_what_it_loses(bench: Bench) -> Claim:
    rows = _rows()
    return Claim({path: TOLD if _damaged() else row for path, row in rows.items()})


def raises(bench: Bench) -> Claim:
    return Claim({"path": 0}["label" if _damaged() else "path"])


def loops(bench: Bench) -> Claim:
    while _damaged():
        pass
    return Claim(0)


def waits(bench: Bench) -> Claim:
    if _damaged():
        time.sleep(3600)
    return Claim(0)


def takes_all_memory(bench: Bench) -> Claim:
    return Claim(len(bytearray(2**31 - 1)) * 0 if _damaged() else 0)


def writes_elsewhere(bench: Bench) -> Claim:
    if _damaged():
        (bench.folder.parent / "elsewhere").write_text("x")
    return Claim(0)


def changes_its_input(bench: Bench) -> Claim:
    if _damaged():
        Path("listed/new.txt").write_text("x")
    return Claim(0)


def says(text: str) -> Function:
    """A reader that refuses in these words."""

    def refuses(bench: Bench) -> Claim:
        if not _damaged():
            return Claim(0)
        from fuzz.running import Outcome

        print(text, file=sys.stderr)
        bench.outcome = Outcome(2, "", text)
        raise Refused

    return refuses


PLANTED: Final[dict[Kind, tuple[Function, ...]]] = {
    "believed": (believes_the_last, loses_lines),
    "traceback": (raises,),
    "hang": (loops, waits),
    "memory": (takes_all_memory,),
    "escaped": (writes_elsewhere,),
    "changed": (changes_its_input,),
    "lines": (says("bench: one\nbench: two"), says("no bench in front"), says("")),
    "foreign": (says("bench: x: KeyError: 'label'"), says("bench: try weights_only=False")),
    "raw": (says("bench: \x1b[31mred"),),
    "refused": (says("bench: list.csv: column 'label' stands there twice; keep one"),),
    "fair": (counts_what_it_loses,),
}
"""By the kind that the fuzzer must call it: readers with that fault."""


def main() -> int:
    readers = {
        Reader(
            name=f"{kind} {number}",
            owner="nobody",
            function=function,
            parts=frozenset({"listed"}),
            file=_LIST,
            damages=damages(a_column_twice) if kind != "fair" else damages(a_line_twice),
        ): kind
        for kind, functions in PLANTED.items()
        for number, function in enumerate(functions)
    }
    missed = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        campaign = Campaign(Path(folder) / "run", tuple(readers), jobs=4, preloaded=(), seconds=4)
        missed += len(campaign.prepare())
        for result in campaign.run(share(tuple(readers), 0, 1)):
            expected = readers[result.case.reader]
            missed += result.verdict.kind != expected
            print(f"{'ok' if result.verdict.kind == expected else 'MISSED'} {expected}: {result.verdict}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
