"""The ``bench import`` command: scores of a method that ran elsewhere, made a result folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fretal_bench.cli.options import JsonOption, PluginOption, names_of
from fretal_bench.cli.screen import print_json, print_line, print_next
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    from fretal_bench.benchmark.importing.folder import Imported


def import_(
    csv: Annotated[
        Path,
        typer.Argument(
            metavar="CSV",
            help="Columns step (the domain learned last: its name, or its number from 0), domain, video, frame, label "
            "(0, 1, real, fake), score (P(fake)); if known also seed, person, strategy.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Result folder to make.", metavar="RESULTS")],
    strategy: Annotated[
        str, typer.Option(help="What the method is called, unless a column says.", metavar="NAME")
    ] = "",
    stream: Annotated[
        str | None,
        typer.Option(
            help="The stream whose domains these are: name or TOML file.  [default: its own, named after the file]",
            metavar="STREAM",
        ),
    ] = None,
    domains: Annotated[
        str,
        typer.Option(
            help="Or the domains in the order in which they are learned.  [default: as they first appear]",
            metavar="A,B,C",
        ),
    ] = "",
    map_: Annotated[
        str | None,
        typer.Option(
            "--map", help="What columns are called in the file.", metavar="step=task,domain=dataset"
        ),
    ] = None,
    logits: Annotated[
        bool, typer.Option("--logits", help="Scores are logits of fake: 1 / (1 + exp(-score)) is P(fake).")
    ] = False,
    dataset: Annotated[
        str,
        typer.Option(
            help="What the data set is called of videos that are not named DATASET/METHOD/COMPRESSION/VIDEO.  "
            "[default: own]",
            metavar="NAME",
        ),
    ] = "",
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Import scores of a method that ran elsewhere: bench report compares them, with the same statistics."""
    from fretal_bench.benchmark.importing.columns import mapping_of
    from fretal_bench.datasets.streams.stream import find_stream

    mapped = tuple(mapping_of(map_).items())
    if stream is not None and domains:
        raise BenchError(
            "--domains are those of a stream that the suite does not know; leave it or --stream out"
        )
    file = find_stream(stream) if stream is not None else None
    from fretal_bench.benchmark.importing.folder import ImportCall, import_scores

    call = ImportCall(csv, out, strategy, file, tuple(names_of(domains)), mapped, logits, dataset)
    imported = import_scores(call)
    if json_:
        print_json(_record(imported))
        return
    _print(imported, said=bool(file or domains))


def _record(of: Imported) -> dict[str, Any]:
    values = {
        key: getattr(of, key) for key in ("stream", "rows", "samples", "videos", "people", "frames", "folds")
    }
    return {
        "path": str(of.path),
        "file": of.content.file,
        "sha256": of.content.sha256,
        "domains": list(of.domains),
        "cells": [{"strategy": strategy, "seed": seed} for strategy, seed in of.cells],
        **values,
        "untrained": of.untrained,
        "left_out": list(of.left_out),
        "dataset": of.dataset or None,
    }


def _print(of: Imported, *, said: bool) -> None:
    names = ", ".join(dict.fromkeys(strategy for strategy, _ in of.cells))
    seeds = len({seed for _, seed in of.cells})
    print_line(
        f"{of.path}: {names}, {seeds} seed{'' if seeds == 1 else 's'}; {of.rows:,} scores of {of.samples:,} samples from "
        f"{of.content.words}"
    )
    order = "" if said else "  (as they first appear; --domains or --stream says otherwise)"
    print_line(f"domains as they are learned: {' → '.join(of.domains)}{order}")
    print_line(
        f"intervals are over {'people' if of.people else f'{of.videos:,} videos: no column says who is in them'}"
    )
    if of.dataset:
        print_line(
            f"videos are called {of.dataset}/METHOD/none/VIDEO, the same as those of other results that are called so; "
            "--dataset NAME if their data set is called otherwise (DATASET/METHOD/COMPRESSION/VIDEO)"
        )
    if not of.frames:
        print_line("no column 'frame': each row is taken for a whole video")
    if not of.untrained:
        print_line("no scores before training (step -1): forward transfer does not exist")
    if of.folds > 1:
        print_line(
            f"{of.folds} folds: seed s is tested on samples of its own, those of fold s mod {of.folds}"
        )
    if of.left_out:
        print_line(f"columns that were not read: {', '.join(of.left_out)}")
    folder = shlex.quote(str(of.path))
    print_next([f"bench report {folder}"])
    print_line(f"  beside results of yours: bench report RESULTS {folder}")
