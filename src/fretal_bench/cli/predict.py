"""The ``bench predict`` command: videos and pictures judged by a trained detector."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.console import Console

from fretal_bench import files as paths
from fretal_bench.benchmark.prediction.inputs import Found, files_to_judge, kind_of_detector
from fretal_bench.cli.options import (
    BackboneOption,
    FakeOption,
    JsonOption,
    MaxFramesOption,
    MaxMegapixelsOption,
    MaxMinutesOption,
    MeanOption,
    ModelOption,
    PluginOption,
    SizeOption,
    StdOption,
    stated_of,
)
from fretal_bench.cli.screen import bar, print_line, print_problem, print_rows
from fretal_bench.datasets.media.limits import MAX_FRAMES, MAX_MEGAPIXELS, MAX_MINUTES, MediaLimits
from fretal_bench.errors import BenchError, RunError
from fretal_bench.names import escaped
from fretal_bench.records import Invalid

if TYPE_CHECKING:
    from fretal_bench.benchmark.prediction.detectors import Detector, Use
    from fretal_bench.benchmark.prediction.judgement import Prediction, Tally
    from fretal_bench.benchmark.prediction.output import Writer
    from fretal_bench.benchmark.prediction.predict import Looking

_STOPPED: Final = 130
_LISTED: Final = 12
"""Domains that a detector was trained on, in one line."""


class _Interrupted(BenchError):
    """Ctrl-C: what was judged until then is printed and written."""

    exit_code = _STOPPED


def predict(
    detector: Annotated[
        Path,
        typer.Argument(
            help="A done cell (results/NAME:STRATEGY:SEED, or its folder), a step of a pool, an exported file, weights."
        ),
    ],
    files: Annotated[
        list[str], typer.Argument(help="Videos, pictures, folders, or patterns such as 'clips/**/*.mp4'.")
    ],
    frames: Annotated[int, typer.Option(min=1, help="Frames of a video to look at.")] = 16,
    average: Annotated[
        Literal["mean", "median", "p95"], typer.Option(help="How a face is scored of its frames.")
    ] = "mean",
    face: Annotated[
        Literal["highest", "main"],
        typer.Option(
            help="Of several faces, the one whose score is the file's: the highest, or the main one's."
        ),
    ] = "highest",
    csv: Annotated[Path | None, typer.Option(help="Write one row a face.", metavar="FILE")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with a picture of every face.", metavar="FILE")
    ] = None,
    detector_: Annotated[
        str,
        typer.Option(
            "--detector", help="Finds faces: mtcnn, yunet, or none (the pictures are face crops already)."
        ),
    ] = "mtcnn",
    detector_model: Annotated[Path | None, typer.Option(help="YuNet's model file.")] = None,
    backbone: BackboneOption = None,
    model: ModelOption = None,
    fake: FakeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    size: SizeOption = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Side of a crop over that of the face box.  [default: the record's, else 1.3]"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    max_megapixels: MaxMegapixelsOption = MAX_MEGAPIXELS,
    max_frames: MaxFramesOption = MAX_FRAMES,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Say of each file how likely it is fake, and which faces were looked at; exit code 1 if a file cannot be judged."""
    limits = _limits(max_megapixels, max_frames, max_minutes)
    # Before torch is imported, which takes seconds.
    kind_of_detector(detector)
    found = files_to_judge(files)
    for place, option in ((csv, "--csv"), (html, "--html")):
        if place is not None:
            paths.check_place(place, option)
    own = stated_of(backbone, model, fake, mean, std, size)
    from fretal_bench.benchmark.prediction.detectors import open_detector
    from fretal_bench.benchmark.prediction.judgement import Tally
    from fretal_bench.benchmark.prediction.predict import Looking, other_boxes

    judge = open_detector(detector, own, margin, device)
    looking = Looking(frames, detector_, detector_model, limits, average, face, html is not None)
    tally = Tally()
    with contextlib.ExitStack() as stack:
        screen: _JsonScreen | _TableScreen = _JsonScreen(judge.use) if json_ else _TableScreen()
        writers: list[Writer] = [screen, *_writers(stack, judge.use, looking, tally, csv, html)]
        error = _judge_all(judge, found, looking, writers, tally)
        if error is not None and not tally.files:
            # Nothing is written of nothing.
            raise _stopped(tally, found) if isinstance(error, KeyboardInterrupt) else error
    screen.end(tally)
    if not json_:
        _print_use(judge.use, tally)
    for problem in filter(None, (other_boxes(judge, looking), found.left_out_words)):
        print_problem(problem)
    if isinstance(error, KeyboardInterrupt):
        raise _stopped(tally, found) from error
    if isinstance(error, BenchError):
        raise RunError(str(error)) from error
    if error is not None:
        raise error
    if tally.judged < tally.files:
        sys.exit(1)


def _stopped(tally: Tally, found: Found) -> _Interrupted:
    kept = "; what was judged is printed and written" if tally.files else ""
    return _Interrupted(f"stopped after {tally.files} of {len(found.files)} files{kept}")


def _judge_all(
    judge: Detector, found: Found, looking: Looking, writers: Sequence[Writer], tally: Tally
) -> BaseException | None:
    """Judge every file and give it to the writers; what ends that early, Ctrl-C among it, is returned."""
    from fretal_bench.benchmark.prediction.predict import predict as predictions

    with bar("judging", "files") as tell:
        try:
            tell(0, len(found.files))
            for prediction in predictions(judge, found.files, looking):
                tally.add(prediction)
                for writer in writers:
                    writer.add(prediction)
                tell(tally.files, len(found.files))
        except BaseException as error:  # what was judged is written whatever ends it
            return error
    return None


def _writers(
    stack: contextlib.ExitStack, use: Use, looking: Looking, tally: Tally, csv: Path | None, html: Path | None
) -> list[Writer]:
    from fretal_bench.benchmark.prediction.output import csv_file, html_file

    writers: list[Writer] = []
    if csv is not None:
        writers.append(stack.enter_context(csv_file(csv)))
    if html is not None:
        writers.append(stack.enter_context(html_file(html, use, looking.average, tally)))
    return writers


class _JsonScreen:
    """Predictions as one JSON object on standard output, file by file."""

    def __init__(self, use: Use) -> None:
        about = {
            "name": use.name,
            "trained_on": [part.domain for part in use.trained_on],
            "crop": {"size": use.crop.size, "margin": use.crop.margin},
            "temperature": use.temperature,
            "threshold": use.limit,
            "threshold_fitted": use.threshold is not None,
            "notes": list(use.notes),
        }
        self._start = '{\n"detector": ' + _json(about) + ',\n"files": ['
        self._between = "\n"

    def add(self, prediction: Prediction) -> None:
        """Print a file."""
        print(self._start + self._between + _json(prediction.to_dict()), end="", flush=True)
        self._start, self._between = "", ",\n"

    def end(self, tally: Tally) -> None:
        """Print the end."""
        print(f'{self._start}\n],\n"summary": {_json(tally.to_dict())}\n}}')


class _TableScreen:
    """Predictions as a table, printed at the end; of each file one short row is kept."""

    def __init__(self) -> None:
        self._rows: list[dict[str, str]] = []

    def add(self, prediction: Prediction) -> None:
        """Keep the row of a file."""
        self._rows.append(_row(prediction))

    def end(self, tally: Tally) -> None:
        """Print the table."""
        del tally
        if self._rows:
            print_rows(self._rows)


def _row(prediction: Prediction) -> dict[str, str]:
    notes = prediction.reason or "; ".join(prediction.notes)
    first = prediction.faces[0] if prediction.faces else None
    box = ", ".join(f"{value:.0f}" for value in first.frames[0].box) if first is not None else ""
    return {
        "file": escaped(prediction.file),
        "P(fake)": "-" if prediction.score is None else f"{prediction.score:.3f}",
        "decision": prediction.decision or "-",
        "faces": str(len(prediction.faces)),
        "frames": str(len(first.frames)) if first is not None else "0",
        "box in its first frame": box,
        "what to know": escaped(notes),
    }


def _print_use(use: Use, tally: Tally) -> None:
    """Print below the table what the numbers are of."""
    console = Console()
    domains = [part.domain for part in use.trained_on]
    listed = ", ".join(domains[:_LISTED]) + (", ..." if len(domains) > _LISTED else "")
    seen = (
        f"trained on {listed}: a fake of another kind may look real to it"
        if domains
        else "what it was trained on is not known"
    )
    print_line(escaped(f"detector: {use.name}; {seen}"), console)
    fitted = (
        "fitted on validation data" if use.threshold is not None else "none was fitted on validation data"
    )
    print_line(f"decision: fake where P(fake) >= {use.limit:.3g} ({fitted})", console)
    print_line(escaped(tally.sentence), console)
    for note in use.notes:
        print_problem(note)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def _limits(megapixels: float, frames: int, minutes: float) -> MediaLimits:
    try:
        return MediaLimits(megapixels, frames, minutes)
    except Invalid as error:
        option = f"--{error.key.replace('_', '-')}"
        raise BenchError(f"{option}: expected {error.expected}, found {error.found!r}") from error
