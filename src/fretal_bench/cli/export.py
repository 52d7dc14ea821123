"""The ``bench export`` command: the detector that a cell or a step ended with, written as a file."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

import typer

from fretal_bench.cli.options import ModelOption, PluginOption
from fretal_bench.cli.screen import print_line, print_next
from fretal_bench.names import escaped


def export(
    trained: Annotated[
        str,
        typer.Argument(
            metavar="CELL",
            help="A done cell (results/NAME:STRATEGY:SEED, or its folder), or a step of a pool.",
        ),
    ],
    format_: Annotated[
        Literal["safetensors", "onnx", "torchscript"],
        typer.Option("--format", help="Weights, or a graph from pixels to P(fake)."),
    ] = "safetensors",
    out: Annotated[
        str | None,
        typer.Option(
            help="The file, or FOLDER/; record (.json) and card (.md) lie beside it.  [default: STRATEGY-seedN.FORMAT]",
            metavar="FILE",
        ),
    ] = None,
    model: ModelOption = None,
    plugin: PluginOption = None,
) -> None:
    """Write an updated detector as a file, with a record of how it is used and a model card.

    What is written is compared with what judges first. A strategy whose rule is no plain classifier has no safetensors.
    """
    from fretal_bench.benchmark.prediction.exporting import export_trained

    exported = export_trained(trained, out, format_, model or "")
    print_line(
        f"{exported.weights}: P(fake) of {exported.compared} crops differs by at most {exported.difference:.1g} from "
        "what is judged"
    )
    print_line(f"{exported.record}: how it is used; {exported.card}: the model card")
    accuracies = [part for part in exported.content.measured if part.accuracy is not None]
    if accuracies:
        listed = ", ".join(f"{part.domain} {part.accuracy:.3f}" for part in accuracies)
        print_line(escaped(f"accuracy on test samples: {listed}"))
    if format_ != "torchscript":
        named = f" --model {shlex.quote(model)}" if model and format_ == "safetensors" else ""
        print_next([f"bench predict {exported.weights} FILES{named}"])
