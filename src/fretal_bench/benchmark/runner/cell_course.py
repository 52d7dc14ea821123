"""The course of a done cell, read, and believed only as far as its files are those that a run wrote for it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fretal_bench import names
from fretal_bench.benchmark.runner import course_table, documents
from fretal_bench.benchmark.runner.course_table import Grid
from fretal_bench.benchmark.runner.seals import CHECKSUMS, Sealed
from fretal_bench.errors import BenchError
from fretal_bench.records import Record, limited, ruled

if TYPE_CHECKING:
    import pandas as pd

FORMAT: Final = 1
AGAIN: Final = "delete its folder and run the same command with --watch again"


@dataclass(frozen=True)
class CourseFile(Record):
    """``course.json``: of which cell a course is, and on which grid it was judged.

    Attributes:
        every: Updates between two evaluations.
        watched: Whether it was judged while it was trained; if not, at the ends of domains alone.
        updates: Updates of each domain; 0 where it was not judged while it was trained.
        seconds: What the judging took while its steps were trained.
        training_seconds: What their training took besides.
    """

    format: int
    cell: str = ruled(names.ID)
    every: int = limited(at_least=1, at_most=course_table.MOST)
    watched: bool = dataclasses.field(kw_only=True)
    updates: tuple[int, ...] = limited(at_least=0)
    seconds: float = limited(at_least=0)
    training_seconds: float = limited(at_least=0)


@dataclass(frozen=True, eq=False)
class CellCourse:
    """The course of a done cell, read.

    Attributes:
        about: What ``course.json`` says.
        frame: The rows of ``course_table``; ``domain`` is a number in the order of the domains.
    """

    about: CourseFile
    frame: pd.DataFrame


def read_course(place: Path, cell: str, domains: int) -> CellCourse:
    """Read the course of a done cell.

    Args:
        place: Its folder.
        cell: The cell's id.
        domains: How many its stream has.

    Raises:
        BenchError: It is missing, damaged, or another cell's.
    """
    sealed = Sealed(place, AGAIN)
    if sealed.checksums is None:
        raise BenchError(f"{place / CHECKSUMS}: expected a file, found none; {AGAIN}")
    where = place / "course.json"
    values = sealed.read_json(where.name, "course")
    of = values.get("format") if isinstance(values, dict) else None
    if of != FORMAT or isinstance(of, bool):
        raise BenchError(
            f"{where}: key 'format': expected {FORMAT}, found {of!r}: another version of fretal-bench wrote it; read it "
            "with that version"
        )
    about = documents.build(CourseFile, values, str(where), AGAIN)
    for key, expected, found in (
        ("cell", cell, about.cell),
        ("every", place.parent.name, course_table.folder_of(about.every)),
        ("updates", domains, len(about.updates)),
    ):
        if expected != found:
            raise BenchError(f"{where}: key {key!r}: expected {expected!r}, found {found!r}; {AGAIN}")
    every = about.every if about.watched else 0
    grids = [Grid(step, every, updates, ended=True) for step, updates in enumerate(about.updates)]
    content = sealed.read(course_table.NAME, "course")
    return CellCourse(about, course_table.read(content, grids, str(place / course_table.NAME), AGAIN))
