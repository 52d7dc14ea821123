"""Readers of published values, of files of published tables, and of plugins."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from fretal_bench.papers.published import COLUMNS
from fuzz.damage import PLACES, TEXT, TOML, Random, damages, trees
from fuzz.judging import Claim, Unreadable, bytes_of
from fuzz.lists import LISTS
from fuzz.readers import reader
from fuzz.readers.recipes import written_toml
from fuzz.running import Bench
from fuzz.world import recipe_words


@reader(
    "published CSV",
    "reports",
    parts="published",
    file="own.csv",
    damages=(*TEXT, *PLACES, *LISTS),
    weight=2,
)
def published(bench: Bench) -> Claim:
    outcome = bench("paper", "show", "mine", "--published", "own.csv", "--json")
    # Which strategy a row is, is the suite's to say and not the file's.
    rows = [{k: v for k, v in row.items() if k in COLUMNS} for row in json.loads(outcome.out)]
    used = {f"{row['method']} / {row['column']}": row for row in rows}
    return Claim(used, _written())


def _written() -> Any:
    try:
        text = "\n".join(bytes_of("own.csv").decode("utf-8-sig").splitlines())
        rows = [
            row for row in csv.reader(io.StringIO(text), strict=True) if any(cell.strip() for cell in row)
        ]
    except (ValueError, csv.Error) as error:
        return Unreadable(f"it is no CSV: {error}")
    head = [name.strip() for name in rows[0]]
    if len(set(head)) < len(head):
        return Unreadable("a column stands in it twice")
    values: dict[str, Any] = {}
    for row in rows[1:]:
        if len(row) != len(head):
            return Unreadable("a line has another number of fields than there are columns")
        entry: dict[str, Any] = {name: cell.strip() for name, cell in zip(head, row, strict=True)}
        try:
            entry["value"] = float(entry["value"])
        except (ValueError, LookupError):
            return Unreadable("a value is no number")
        if entry["table"] == "mine":
            key = f"{entry['method']} / {entry['column']}"
            if key in values:
                return Unreadable("a value stands in it twice")
            values[key] = entry
    return values


@reader(
    "paper table TOML",
    "reports",
    parts="stream published",
    file="mine.toml",
    damages=(*TEXT, *PLACES, *trees(TOML)),
    writes=("results*", "reports*", "steps*", "store/.verified.json"),
    weight=2,
)
def paper(bench: Bench) -> Claim:
    from fretal_bench.papers.file import open_paper
    from fretal_bench.parsing import plain

    with patch("fretal_bench.papers.run.execute_paper", lambda *_: None):
        bench(
            *(
                "paper",
                "run",
                "mine.toml",
                "--published",
                "own.csv",
                "--jobs",
                "1",
                "--json",
                *recipe_words(),
            ),
            missing=True,
        )
    written = written_toml("mine.toml")
    used = plain({key: value for key, value in vars(open_paper("mine.toml")).items() if key != "streams"})
    if isinstance(written, Unreadable):
        return Claim(used, written)
    return Claim(used, _laid_over(used, {key: value for key, value in written.items() if key != "streams"}))


def _laid_over(used: Any, written: Any) -> Any:
    """What stands in a file, and where it says nothing what was used."""
    if isinstance(used, Mapping) and isinstance(written, Mapping):
        return {**used, **{key: _laid_over(used.get(key), value) for key, value in written.items()}}
    return written


def a_plugin_that(name: str, code: str) -> Any:
    """Make a damage that puts code at the top of a plugin's file."""

    def apply(path: Path, random: Random) -> str:
        path.write_text(f"{code}\n{path.read_text('utf-8')}", "utf-8")
        return code.splitlines()[0][:60]

    apply.__name__ = name
    return apply


_PLUGINS: Final = damages(
    a_plugin_that("loops", "while True: pass"),
    a_plugin_that("sleeps", "import time; time.sleep(3600)"),
    a_plugin_that("exits", "import sys; sys.exit(0)"),
    a_plugin_that("exits with words", "raise SystemExit('bye')"),
    a_plugin_that("interrupts", "raise KeyboardInterrupt"),
    a_plugin_that("fails", "raise RuntimeError('one\\ntwo\\nthree')"),
    a_plugin_that("fails without words", "raise ValueError"),
    a_plugin_that("recurses", "def f(): f()\nf()"),
    a_plugin_that("fails in its name", "raise type('X\\nY', (Exception,), {})('a')"),
    a_plugin_that("leaves a list", "STRATEGY = []"),
    a_plugin_that("leaves nonsense", "STRATEGIES = [3, None]"),
    a_plugin_that("leaves metrics that are none", "METRICS = {'a': 1}"),
    a_plugin_that("is deep", "x = " + "(" * 300 + ")" * 300),
    a_plugin_that("is no Python", "def"),
)


@reader(
    "plugin file",
    "reports",
    parts="plugin",
    file="boom.py",
    damages=(*TEXT, *PLACES, *_PLUGINS),
    is_code=True,
)
def plugin(bench: Bench) -> Claim:
    outcome = bench("list", "strategies", "--plugin", "boom.py", "--json")
    names = [row["name"] for row in json.loads(outcome.out)]
    source = bytes_of("boom.py").decode("utf-8", "replace")
    # A plugin says what it likes; the suite's own strategies stay, and what is added stands in the file.
    own = {name: True for name in names if name not in source}
    return Claim(own)
