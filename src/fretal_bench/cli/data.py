"""The ``bench data`` commands: a data set checked, made into a crop store, and looked at."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fretal_bench.cli.options import (
    JsonOption,
    MaxFramesOption,
    MaxMegapixelsOption,
    MaxMinutesOption,
    PluginOption,
    names_of,
)
from fretal_bench.cli.screen import bar, first_use_bar, print_json, print_line, print_next, print_table
from fretal_bench.datasets.media.limits import MAX_FRAMES, MAX_MEGAPIXELS, MAX_MINUTES
from fretal_bench.errors import BenchError
from fretal_bench.workers import default_jobs

if TYPE_CHECKING:
    from fretal_bench.datasets.faces.prepare import PreparedStore
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
    Path | None, typer.Option(help="Folder of split files, or the store.json of a store split by identity.")
]
SeedOption = Annotated[int, typer.Option(help="Seeds a split by identity.")]
ArchivesOption = Annotated[
    float,
    typer.Option(
        help="Times the usual limits that its archives may have: 256 MiB a member, 64 GiB and 1,000,000 members, "
        "and 100 times the archive's own size."
    ),
]

ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a Parquet file: image, label, split, dataset, method, video, source, target or frame, and its column "
        "there, e.g. method=model_name; may be given again.",
        metavar="WHAT=NAME",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a Parquet file: what a value of its label means, e.g. 1=fake; may be given again.",
        metavar="VALUE=real|fake",
    ),
]


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
    archive_limits: ArchivesOption = 1.0,
    column: ColumnOption = None,
    label: LabelOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what a data set holds, what it lacks, what is wrong with it, and what else than faces tells real from fake.

    Exit code 1 if a finding is an error: a file is lost or damaged, a listed one is missing, a class is missing, or a
    label cannot be trusted. Warnings (a shortcut, a clip of more than 8 bits) leave it at 0.
    """
    from fretal_bench.datasets.check.check import check as look_over
    from fretal_bench.datasets.check.tables import check_tables

    options = _read_options(splits, split_path, seed, archive_limits, column, label)
    with bar("reading", "files") as tell:
        result = look_over(root, as_, hash_, hash_file=hash_file, options=options, progress=tell)
    if json_:
        print_json(result.to_dict())
    else:
        for title, columns, rows in check_tables(result):
            print_table(title, columns, rows)
        if result.checksums is not None:
            done = "written to" if result.checksums.written else "compared with"
            print_line(f"{result.checksums.files:,} checksums {done} {result.checksums.file}\n")
        if result.command:
            print_next([result.command])
    if result.errors:
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
        int | None,
        typer.Option(
            help="Processes; the store doesn't depend on it.  [default: one a core that this process may use]"
        ),
    ] = None,
    on_missing: Annotated[
        str, typer.Option(help="Face not found: interpolate, centre, skip or error.")
    ] = "interpolate",
    jpeg: Annotated[
        int | None, typer.Option(help="25: re-encode crops so, the paper's own low quality.")
    ] = None,
    max_megapixels: MaxMegapixelsOption = MAX_MEGAPIXELS,
    max_frames: MaxFramesOption = MAX_FRAMES,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
    splits: SplitsOption = "official",
    split_path: SplitPathOption = None,
    seed: SeedOption = 0,
    archive_limits: ArchivesOption = 1.0,
    column: ColumnOption = None,
    label: LabelOption = None,
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
        compression=compression,  # type: ignore[arg-type]  # checked there
        margin=margin,
        detector=detector,  # type: ignore[arg-type]  # checked there
        detector_model=detector_model,
        every=detect_every,
        on_missing=on_missing,  # type: ignore[arg-type]  # checked there
        jpeg=jpeg,  # type: ignore[arg-type]  # checked there
        max_megapixels=max_megapixels,
        max_frames=max_frames,
        max_minutes=max_minutes,
    )
    with bar("preparing", "videos") as tell:
        prepared = make(
            root,
            out,
            as_,
            options,
            read_options=_read_options(splits, split_path, seed, archive_limits, column, label),
            jobs=default_jobs() if jobs is None else jobs,
            progress=tell,
            waiting=lambda: print_line(
                f"{out}: another process is making it; waiting for it", Console(stderr=True)
            ),
        )
    if json_:
        print_json(prepared.to_dict())
    else:
        _print_prepared(prepared)
    if prepared.lost:
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

        with first_use_bar() as tell:
            paths = [ffpp_mini_store(progress=tell).path]
    picture = draw(paths, out, targets)
    if json_:
        print_json({"picture": str(picture)})
    else:
        print_line(f"Contact sheet: {picture}")


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

    levels = names_of(compression)
    if not levels:
        raise BenchError("--compression '': nothing to write; give some of raw, c23, c40")
    with bar("writing", "people") as tell:
        tree = write(root, levels, progress=tell)
    if json_:
        print_json({"root": str(tree.root), "written": tree.written, "there": tree.there})
        return
    print_line(f"{tree.root}: {tree.written} videos written, {tree.there} were there")
    print_line("Photographs: the Database of Faces, AT&T Laboratories Cambridge.")
    print_next([f"bench data check {shlex.quote(str(root))}"])


def _read_options(
    splits: str,
    split_path: Path | None,
    seed: int,
    archive_limits: float,
    column: list[str] | None,
    label: list[str] | None,
) -> ReadOptions:
    from fretal_bench.datasets.importers import ReadOptions

    return ReadOptions(
        splits=splits,  # type: ignore[arg-type]  # checked there
        split_path=split_path,
        seed=seed,
        archive_limits=archive_limits,
        columns=_pairs("--column", column),
        labels=_pairs("--label", label),  # type: ignore[arg-type]  # checked there
    )


def _pairs(option: str, words: list[str] | None) -> dict[str, str]:
    """What ``KEY=VALUE`` words say; each key once."""
    pairs: dict[str, str] = {}
    for word in words or ():
        key, equals, value = (part.strip() for part in word.rpartition("="))
        if not equals or not key or not value or key in pairs:
            raise BenchError(f"{option} {word}: expected KEY=VALUE, and each KEY once")
        pairs[key] = value
    return pairs


def _print_prepared(prepared: PreparedStore) -> None:
    store = prepared.store
    there = "" if prepared.made else " (it was there already, made from the same rows with the same options)"
    print_line(
        f"{store.path}: {len(store):,} crops of {store.size} px from {prepared.videos:,} videos{there}"
    )
    if prepared.boxes.get("shared"):
        own, shared = (f"{prepared.boxes[kind]:,}" for kind in ("own", "shared"))
        print_line(f"faces looked for in {own} videos; {shared} fakes share their original's")
    if prepared.failures:
        rows = [
            [
                failure.reason,
                f"{failure.videos:,}" if failure.videos else "",
                f"{failure.frames:,}" if failure.frames else "",
                failure.example,
            ]
            for failure in prepared.failures
        ]
        print_line("")
        print_table("Counted in store.json", ["reason", "videos", "frames", "first"], rows)
    if prepared.shortcuts:
        rows = [[domain.removesuffix("/none"), words] for domain, words in prepared.shortcuts.items()]
        print_line("")
        print_table("Real and fake told apart without looking at a picture", ["domain", "how"], rows)
    print_next([f"bench data preview {shlex.quote(str(store.path))}"])
