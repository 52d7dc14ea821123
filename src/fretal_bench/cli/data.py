"""The ``bench data`` commands: a data set on disk, from looking it over to a crop store and a picture of it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fretal_bench.cli.options import JsonOption, PluginOption
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    from fretal_bench.datasets.faces.prepare import Prepared
    from fretal_bench.datasets.importers import ReadOptions

data = typer.Typer(
    name="data",
    help="A data set on disk: what is there, make a crop store of it, look at it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RootArgument = Annotated[Path, typer.Argument(help="The data set's folder, or its list file.")]
NameOption = Annotated[
    str | None, typer.Option("--as", help="Its layout; recognised if not given.", metavar="NAME")
]
SplitsOption = Annotated[
    str, typer.Option(help="official where there is one, or identity: by person, seeded.")
]
SplitPathOption = Annotated[
    Path | None, typer.Option(help="Folder of split files, or a split by identity written earlier.")
]
SeedOption = Annotated[int, typer.Option(help="Seeds a split by identity.")]
Tell = Callable[[int, int], None]
# Longer texts may be wrapped in a narrow terminal.
_SHORT: Final = 24


@data.command()
def check(
    root: RootArgument,
    as_: NameOption = None,
    hash_: Annotated[
        bool, typer.Option("--hash", help="Write checksums, or compare with those written earlier.")
    ] = False,
    hash_file: Annotated[
        Path | None, typer.Option(help="Where checksums are.  [default: FOLDER.sha256]")
    ] = None,
    splits: SplitsOption = "official",
    split_path: SplitPathOption = None,
    seed: SeedOption = 0,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what a data set holds, what it lacks and what is wrong with it; exit code 1 if anything is."""
    from fretal_bench.datasets.check.check import check as look_over
    from fretal_bench.datasets.check.check import check_tables

    options = _read_options(splits, split_path, seed)
    with _bar("reading", "files") as tell:
        found = look_over(root, as_, hash_, hash_file=hash_file, options=options, progress=tell)
    if json_:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        console = Console()
        for title, columns, rows in check_tables(found):
            _print_table(console, title, columns, rows)
        if found.checksums is not None:
            did = "written to" if found.checksums.written else "compared with"
            console.print(
                f"{found.checksums.files:,} checksums {did} {found.checksums.file}\n",
                markup=False,
                highlight=False,
            )
        if found.command:
            console.print("Next:", style="bold")
            # Typed as it stands: no wrapping, no colours.
            console.print(f"  {found.command}", soft_wrap=True, markup=False, highlight=False)
    if found.errors:
        sys.exit(1)


@data.command()
def prepare(
    root: RootArgument,
    out: Annotated[Path, typer.Option(help="The store to make; outside ROOT.", metavar="STORE")],
    as_: NameOption = None,
    frames: Annotated[int, typer.Option(help="Frames of each video, evenly spaced; 0 for all.")] = 32,
    size: Annotated[int, typer.Option(help="Height and width of a crop, pixels.")] = 128,
    compression: Annotated[
        str | None, typer.Option(help="raw, c23 or c40.  [default: the only one there is]")
    ] = None,
    margin: Annotated[float, typer.Option(help="Side of the crop over that of the face box.")] = 1.3,
    detector: Annotated[
        str | None,
        typer.Option(help="mtcnn, yunet or none (cut out already).  [default: mtcnn, or none where cropped]"),
    ] = None,
    detector_model: Annotated[Path | None, typer.Option(help="YuNet's model file (ONNX).")] = None,
    detect_every: Annotated[
        int, typer.Option(help="Look in every so-many-th frame, and between only where faces move.")
    ] = 2,
    jobs: Annotated[
        int | None, typer.Option(help="Processes; the store doesn't depend on it.  [default: one a core]")
    ] = None,
    on_missing: Annotated[
        str, typer.Option(help="Face not found: interpolate, centre, skip or error.")
    ] = "interpolate",
    jpeg: Annotated[
        int | None, typer.Option(help="25: re-encode crops so, the paper's own low quality.")
    ] = None,
    splits: SplitsOption = "official",
    split_path: SplitPathOption = None,
    seed: SeedOption = 0,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Cut the faces out of a data set into a crop store; goes on where it stopped.

    Exit code 1 if a video gave no crop at all; the store then holds the others, and says why.
    """
    from fretal_bench.datasets.faces.options import PrepareOptions
    from fretal_bench.datasets.faces.prepare import prepare as make

    options = PrepareOptions(
        frames=frames,
        size=size,
        compression=compression,
        margin=margin,
        detector=detector,
        detector_model=detector_model,
        every=detect_every,
        on_missing=on_missing,  # type: ignore[arg-type]  # checked there
        jpeg=jpeg,
    )
    err = Console(stderr=True)
    with _bar("preparing", "videos") as tell:
        made = make(
            root,
            out,
            as_,
            options,
            read_options=_read_options(splits, split_path, seed),
            jobs=(os.cpu_count() or 1) if jobs is None else jobs,
            progress=tell,
            waiting=lambda: err.print(
                f"{out}: another process is making it; waiting for it", markup=False, highlight=False
            ),
        )
    if json_:
        print(json.dumps(made.to_dict(), indent=1))
    else:
        _print_prepared(made)
    if made.lost:
        sys.exit(1)


@data.command()
def preview(
    stores: Annotated[
        list[Path] | None, typer.Argument(help="Crop stores, shown side by side; FF++-mini if none is given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("preview.png"),
    targets: Annotated[int | None, typer.Option(help="How many targets.  [default: as many as fit]")] = None,
    json_: JsonOption = False,
) -> None:
    """Draw a contact sheet: rows are methods, columns real and fake of the same target."""
    from fretal_bench.datasets.store.preview import preview as draw

    paths = list(stores or [])
    if not paths:
        from fretal_bench.datasets.ffpp_mini.build import ffpp_mini_store

        with _bar("making FF++-mini (first use only)", "people") as tell:
            paths = [ffpp_mini_store(progress=tell).path]
    written = draw(paths, out, targets)
    print(json.dumps({"picture": str(written)}) if json_ else f"Contact sheet: {written}")


@data.command("make-mini")
def make_mini(
    root: Annotated[Path, typer.Argument(help="Folder to write; what is there already and whole stays.")],
    compression: Annotated[
        str, typer.Option(help="Some of raw, c23, c40, separated by commas.")
    ] = "raw,c23,c40",
    json_: JsonOption = False,
) -> None:
    """Write FF++-mini as a FaceForensics++ tree: mp4 files and splits, to try everything on."""
    from fretal_bench.datasets.ffpp_mini.tree import make_mini as write

    levels = [name.strip() for name in compression.split(",") if name.strip()]
    if not levels:
        raise BenchError("--compression '': nothing to write; give some of raw, c23, c40")
    with _bar("writing", "people") as tell:
        made = write(root, levels, progress=tell)
    if json_:
        print(json.dumps({"root": str(made.root), "written": made.written, "there": made.there}))
        return
    console = Console()
    console.print(
        f"{made.root}: {made.written} videos written, {made.there} were there", markup=False, highlight=False
    )
    command = f"bench data check {shlex.quote(str(root))}"
    console.print(
        f"Photographs: the Database of Faces, AT&T Laboratories Cambridge.\nNext:\n  {command}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _read_options(splits: str, split_path: Path | None, seed: int) -> ReadOptions:
    from fretal_bench.datasets.importers import ReadOptions

    return ReadOptions(splits=splits, split_path=split_path, seed=seed)  # type: ignore[arg-type]  # checked there


def _print_prepared(made: Prepared) -> None:
    console = Console()
    store = made.store
    did = "" if made.made else " (it was there already, made from the same rows with the same options)"
    console.print(
        f"{store.path}: {len(store):,} crops of {store.size} px from {made.videos:,} videos{did}",
        markup=False,
        highlight=False,
    )
    if made.boxes.get("shared"):
        own, shared = (f"{made.boxes[kind]:,}" for kind in ("own", "shared"))
        console.print(
            f"faces looked for in {own} videos; {shared} fakes share their original's",
            markup=False,
            highlight=False,
        )
    if made.failures:
        rows = [
            [f.reason, f"{f.videos:,}" if f.videos else "", f"{f.frames:,}" if f.frames else "", f.example]
            for f in made.failures
        ]
        console.print()
        _print_table(console, "Counted in store.json", ["reason", "videos", "frames", "first"], rows)
    command = f"bench data preview {shlex.quote(str(store.path))}"
    console.print(f"Next:\n  {command}", soft_wrap=True, markup=False, highlight=False)


def _print_table(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table: numbers set to the right, only long texts wrapped, a source they all share said once below it."""
    caption = None
    if columns[-1] == "source" and len({row[-1] for row in rows}) == 1:
        caption = escape(f"source: {rows[0][-1]}")
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=None,
        pad_edge=False,
        show_header=any(columns),
        header_style="dim",
    )
    for place, column in enumerate(columns):
        cells = [row[place] for row in rows if row[place]]
        numeric = bool(cells) and all(cell.lstrip("+-").replace(",", "").isdigit() for cell in cells)
        longest = max(map(len, cells), default=0)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(
            column, justify=justify, overflow="fold", min_width=longest if longest <= _SHORT else None
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table, highlight=False)
    console.print()


@contextlib.contextmanager
def _bar(what: str, things: str) -> Iterator[Tell]:
    """Give what to call with (done, total); a bar on standard error appears at the first call, in a terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn(what),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(things),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(what, total=None)

    def tell(done: int, total: int) -> None:
        if not bar.live.is_started and bar.console.is_terminal:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
