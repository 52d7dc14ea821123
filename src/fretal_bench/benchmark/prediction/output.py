"""Predictions written as they come, with none of them kept: CSV, one row a face, and an HTML page with their pictures.

Files are whole at the block's end, or are not there; of a call that is stopped they hold what was judged until then.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import os
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from fretal_bench import files
from fretal_bench.benchmark.prediction.detectors import Use
from fretal_bench.benchmark.prediction.judgement import Average, JudgedFace, Prediction, Tally

if TYPE_CHECKING:
    from jinja2.environment import TemplateModule

COLUMNS: Final = (
    "file",
    "score",
    "decision",
    "face",
    "face_score",
    "frames",
    "first_frame",
    "left",
    "top",
    "right",
    "bottom",
    "seconds",
    "duration",
    "reason",
    "notes",
)
"""Of the CSV. ``face`` counts from 1, the one whose score is the file's; empty in the row of a file without a score."""


class Writer(Protocol):
    """What takes predictions one by one."""

    def add(self, prediction: Prediction) -> None:
        """Write one."""
        ...


class CsvWriter:
    """Rows of a CSV in UTF-8.

    Args:
        file: Where to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", errors="surrogateescape", write_through=True)
        self._rows = csv.writer(self._text)
        self._rows.writerow(COLUMNS)

    def add(self, prediction: Prediction) -> None:
        """Write a row for each face, or one for a file that has none."""
        start = [prediction.file, _text(prediction.score), prediction.decision]
        end = [
            f"{prediction.seconds:.3f}",
            f"{prediction.duration:.3f}",
            prediction.reason,
            "; ".join(prediction.notes),
        ]
        if not prediction.faces:
            self._rows.writerow([*start, *[""] * 8, *end])
        for number, face in enumerate(prediction.faces, start=1):
            first = face.frames[0]
            place = [str(number), _text(face.score), str(len(face.frames)), str(first.frame)]
            self._rows.writerow([*start, *place, *(f"{side:.1f}" for side in first.box), *end])

    def end(self) -> None:
        """Let go of the file, which its owner closes."""
        self._text.detach()


class HtmlWriter:
    """One HTML page, with everything in it.

    Args:
        file: Where to.
        use: How the detector is used.
        average: How a face's score is made of those of its frames.
    """

    def __init__(self, file: BinaryIO, use: Use, average: Average) -> None:
        self._file, self._use, self._parts = file, use, _template()
        self._write("head", use=use, average=average)

    def add(self, prediction: Prediction) -> None:
        """Write the row of a file."""
        self._write(
            "row", prediction=prediction, faces=[_shown(face, self._use) for face in prediction.faces]
        )

    def end(self, tally: Tally) -> None:
        """Write the end of the page."""
        self._write("foot", tally=tally)

    def _write(self, part: str, **values: Any) -> None:
        text = str(getattr(self._parts, part)(**values))
        # A name of a file that is no UTF-8 has surrogates in it, which a page cannot.
        self._file.write(text.encode("utf-8", "replace"))


@contextlib.contextmanager
def csv_file(path: str | os.PathLike[str]) -> Iterator[CsvWriter]:
    """Give a CSV file to fill; errors as ``files.replacing``."""
    with files.replacing(path, remedy="give another --csv") as file:
        writer = CsvWriter(file)
        try:
            yield writer
        finally:
            writer.end()


@contextlib.contextmanager
def html_file(path: str | os.PathLike[str], use: Use, average: Average, tally: Tally) -> Iterator[HtmlWriter]:
    """Give a page to fill; ``tally`` is what stands below it, counted by then. Errors as ``files.replacing``."""
    with files.replacing(path, remedy="give another --html") as file:
        writer = HtmlWriter(file, use, average)
        yield writer
        writer.end(tally)


def _shown(face: JudgedFace, use: Use) -> dict[str, Any]:
    return {
        "score": face.score,
        "fake": face.score >= use.limit,
        "frames": face.frames,
        "picture": base64.b64encode(face.thumbnail).decode("ascii"),
    }


def _template() -> TemplateModule:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("fretal_bench.benchmark.prediction").joinpath("predictions.html.j2")
    return environment.from_string(source.read_text("utf-8")).module


def _text(score: float | None) -> str:
    return "" if score is None else f"{score:.6f}"
