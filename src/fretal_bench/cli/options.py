"""Options that several commands take, and how their texts are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fretal_bench.errors import BenchError
from fretal_bench.names import shown
from fretal_bench.plugins import use_files

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.agenda import Keep
    from fretal_bench.datasets.streams.source import SourceTable


_MOST_SEEDS: Final = 1000
"""Seeds of one range: more are a slip."""


def _use(paths: list[Path] | None) -> list[Path] | None:
    use_files(paths or ())
    return paths


PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        help="A Python file with a strategy, stream, importer or metric of one's own; may be given again.",
        metavar="FILE",
        callback=_use,
    ),
]
"""Takes effect when the call is read; the command itself need not look at it."""

FullOption = Annotated[
    bool, typer.Option("--full", help="Print every table, and the matrices of each strategy.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
MetricOption = Annotated[
    str | None,
    typer.Option(
        help="What matrices, averages and the verdict of the report are of, e.g. auc.  [default: accuracy; "
        "balanced_accuracy where a class is more than 0.6 of a domain's test samples]",
        metavar="NAME",
    ),
]
LevelOption = Annotated[str, typer.Option(help="Of what: single frames, or videos.", metavar="frame|video")]
FprOption = Annotated[
    float | None,
    typer.Option(
        help="Share of reals that may be called fake, e.g. 0.01: one more threshold of validation people in the report.",
        metavar="SHARE",
    ),
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="A crop store, or a folder of them, for a stream that names none; may be given again.  "
        "[default: those in $FRETAL_BENCH_DATA]",
        metavar="STORE",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="STRATEGY.KEY=VALUE or recipe.KEY=VALUE; may be given again.", metavar="KEY=VALUE"
    ),
]
SeedsOption = Annotated[
    str, typer.Option(help="Whole numbers from 0 to 2^32 - 1, separated by commas; 0-4 for 0,1,2,3,4.")
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        help="Processes; results don't depend on it.  [default: one a core that this process may use; one on CUDA]"
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Compute on a Ray cluster: auto (the one this machine is part of), HOST:PORT, or local (one on this "
        "machine, for its GPUs); --jobs is then how many steps at once.",
        metavar="ADDRESS",
    ),
]
GpusOption = Annotated[
    float,
    typer.Option(
        "--gpus-per-step", help="With --ray: share of a GPU for a step, e.g. 0.5.", metavar="NUMBER"
    ),
]
PoolOption = Annotated[
    Path | None,
    typer.Option(
        help="Where steps are kept, for all result folders.  [default: where those of the result folder are, else "
        "steps, beside it]"
    ),
]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu or cuda.  [default: the recipe's]")]
MaxMegapixelsOption = Annotated[
    float, typer.Option(help="Larger pictures and frames are not decoded, but counted.", metavar="NUMBER")
]
MaxFramesOption = Annotated[
    int, typer.Option(help="Videos of more frames are not decoded, but counted.", metavar="NUMBER")
]
MaxMinutesOption = Annotated[
    float, typer.Option(help="Longer videos are not decoded, but counted.", metavar="NUMBER")
]


_PANEL: Final = "A model of your own"
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        help="Begin with these weights, not with a model trained on the first domain: .safetensors, .pt or .pth.",
        metavar="FILE",
        rich_help_panel=_PANEL,
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(
        help="Of weights of your own: a timm model name.  [default: their record's]",
        metavar="NAME",
        rich_help_panel=_PANEL,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Or a function that builds the model; code of yours, which is run.",
        metavar="FILE.py:FUNCTION",
        rich_help_panel=_PANEL,
    ),
]
FakeOption = Annotated[
    int | None,
    typer.Option(
        help="Which output is fake, 0 or 1; of one logit what a high one means.", rich_help_panel=_PANEL
    ),
]
MeanOption = Annotated[
    str | None,
    typer.Option(
        help="Mean of the pixels, shares of full scale, e.g. 0.5,0.5,0.5.",
        metavar="R,G,B",
        rich_help_panel=_PANEL,
    ),
]
StdOption = Annotated[
    str | None,
    typer.Option(help="Standard deviation of the pixels, likewise.", metavar="R,G,B", rich_help_panel=_PANEL),
]
SizeOption = Annotated[
    int | None,
    typer.Option(help="Side of the model's input in pixels; 0 for the crops' own.", rich_help_panel=_PANEL),
]


def source_of(
    weights: Path | None,
    backbone: str | None,
    model: str | None,
    fake: int | None,
    mean: str | None,
    std: str | None,
    size: int | None,
) -> SourceTable | None:
    """Return the source model that a call names; None if it names none.

    Raises:
        BenchError: Something is stated of weights that are not named, or is not what it must be.
    """
    from fretal_bench import records
    from fretal_bench.datasets.streams.source import SourceTable

    stated = stated_of(backbone, model, fake, mean, std, size)
    if weights is None:
        if stated:
            option = next(iter(stated)).replace("image_size", "size")
            raise BenchError(f"--{option} is stated of weights of your own; give them too (--weights FILE)")
        return None
    return records.read(SourceTable, {"weights": str(weights), **stated}, "--weights")


def stated_of(
    backbone: str | None,
    model: str | None,
    fake: int | None,
    mean: str | None,
    std: str | None,
    size: int | None,
) -> dict[str, Any]:
    """Return what a call states of weights of the user's own, by the keys of ``SourceTable``."""
    values = {
        "backbone": backbone,
        "model": model,
        "fake": fake,
        "mean": channels_of(mean, "--mean"),
        "std": channels_of(std, "--std"),
        "image_size": size,
    }
    return {key: value for key, value in values.items() if value is not None}


def channels_of(text: str | None, option: str) -> tuple[float, ...] | None:
    """Read one number, or one for each channel; None if nothing is given."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise BenchError(f"{option}: expected one number or three, separated by commas, found {text!r}")
    return values * 3 if len(values) == 1 else values


def names_of(text: str) -> list[str]:
    """Read names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def strategies_of(words: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Return the strategies that words choose, and which of them nobody named (``registry.chosen``).

    Raises:
        BenchError: There is no word, or one chooses nothing.
    """
    from fretal_bench.strategies.registry import chosen

    if not words:
        raise BenchError(
            "name at least one strategy, e.g. `bench run fretal lwf ewc`, or all; `bench list strategies` shows what "
            "there is"
        )
    return chosen(words)


def strategy_completions(incomplete: str) -> list[str]:
    """Return the names of strategies that begin so, for the shell."""
    from fretal_bench.strategies.registry import names

    return [name for name in names(aliases=True) if name.startswith(incomplete)]


def check_names(stream: str, recipe: str) -> None:
    """Check that there are a stream and a recipe of these names, without opening the one or resolving the other."""
    from fretal_bench.benchmark.recipes.recipe import open_recipe
    from fretal_bench.datasets.streams.stream import find_stream

    open_recipe(recipe)
    find_stream(stream)


def keep_of(text: str) -> Keep:
    """Read ``--keep``; ``BenchError`` if it is neither ``all`` nor ``last``."""
    if text not in ("all", "last"):
        raise BenchError(f"--keep: expected all or last, found {shown(text)}")
    return "last" if text == "last" else "all"


def seeds_of(text: str) -> list[int]:
    """Read the seeds of ``--seeds``.

    Raises:
        BenchError: One is no whole number, or a range is empty or too long.
    """
    seeds: list[int] = []
    for part in names_of(text):
        first, last = _range_of(part) or (part, part)
        try:
            run = range(int(first), int(last) + 1)
        except ValueError as error:
            raise BenchError(
                f"--seeds {shown(text)}: expected whole numbers separated by commas, e.g. 0,1,2 or 0-4"
            ) from error
        if not 0 < len(run) <= _MOST_SEEDS:
            raise BenchError(
                f"--seeds {shown(text)}: expected a first seed, '-' and a last one of at most {_MOST_SEEDS:,} in all, "
                f"found {shown(part)}"
            )
        seeds += run
    return seeds


def _range_of(text: str) -> tuple[str, str] | None:
    """Return the ends of a range as in ``0-4``; None for what is no range."""
    ends = re.fullmatch(r"([0-9]+) *- *([0-9]+)", text)
    return (ends[1], ends[2]) if ends else None
