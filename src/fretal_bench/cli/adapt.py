"""The ``bench adapt`` command: a detector of one's own adapted to a new kind of fake, without its old training data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from fretal_bench import files
from fretal_bench.cli.options import (
    BackboneOption,
    DeviceOption,
    FakeOption,
    JobsOption,
    JsonOption,
    MeanOption,
    ModelOption,
    PluginOption,
    PoolOption,
    SetOption,
    SizeOption,
    StdOption,
    names_of,
    seeds_of,
    source_of,
)
from fretal_bench.cli.report import exit_if_failed
from fretal_bench.cli.screen import first_use_bar, print_json, print_line, print_next, print_problem

if TYPE_CHECKING:
    from fretal_bench.benchmark.adaptation.call import Adapting
    from fretal_bench.benchmark.runner.results import Results
    from fretal_bench.reporting.adaptation import Adaptation
    from fretal_bench.reporting.tables import Table

_PLACE: Final = "STORE[:METHOD,...]"


def adapt(
    weights: Annotated[Path, typer.Option(help="The detector: .safetensors, .pt or .pth.", metavar="FILE")],
    new: Annotated[
        str,
        typer.Option(
            help="The new kind of fake: a crop store, or some methods of one; it is trained on.",
            metavar=_PLACE,
        ),
    ],
    test: Annotated[
        list[str],
        typer.Option(
            help="What must still be caught: test samples alone are used; may be given again.", metavar=_PLACE
        ),
    ],
    videos_per_class: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train on so many real and fake videos of the new kind; which, the seed says.  [default: all]",
        ),
    ] = None,
    strategies: Annotated[
        str,
        typer.Option(
            help="Names, separated by commas, or groups as of bench run: of all those that need no old training data.  "
            "[default: finetuning, lwf, kd, fretal, feature-distillation, weight-averaging]"
        ),
    ] = "",
    validation: Annotated[
        bool,
        typer.Option(
            "--validation",
            help="Use validation samples of --test too, to recommend a strategy; test samples choose nothing.",
        ),
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="How to train: a name, or path of a TOML file.  [default: that of the weights' record, else "
            "xception-299]"
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Whole numbers, separated by commas; 0-4 for 0,1,2,3,4.  [default: 0-4 of few videos, else 0]"
        ),
    ] = None,
    backbone: BackboneOption = None,
    model: ModelOption = None,
    fake: FakeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    size: SizeOption = None,
    set_: SetOption = None,
    jobs: JobsOption = None,
    device: DeviceOption = None,
    out: Annotated[Path | None, typer.Option(help="Result folder.  [default: results/adapt-NEW]")] = None,
    pool: PoolOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Adapt a detector of your own to a new kind of fake, and show what each strategy learned and forgot.

    No old training data are needed. Goes on where it stopped. Exit code 1 if a cell failed or diverged.
    """
    from fretal_bench.benchmark.adaptation.call import AdaptCall, adapting
    from fretal_bench.benchmark.runner.plan import split_changes

    source = source_of(weights, backbone, model, fake, mean, std, size)
    assert source is not None
    # By names and places alone: torch takes seconds to import.
    ready = adapting(
        AdaptCall(
            source,
            new,
            test,
            videos_per_class,
            names_of(strategies),
            validation,
            recipe,
            seeds_of(seeds) if seeds is not None else None,
            split_changes(set_ or []),
            device,
            jobs,
            out,
            pool,
        )
    )
    _show(ready, _executed(ready, Console(stderr=True)), json_)


def _executed(ready: Adapting, console: Console) -> Results:
    """Say what is run and run it."""
    from fretal_bench.benchmark.adaptation.chosen import able
    from fretal_bench.benchmark.runner.call import prepare
    from fretal_bench.benchmark.runner.run import execute
    from fretal_bench.cli.live import training

    with first_use_bar() as tell:
        prepared = prepare(ready.run(), building=tell)
    print_line(f"Source model: {prepared.brought}", console)
    print_line(f"Recipe: {ready.recipe.name}", console)
    others = len([info for info in able(ready.recipe) if info.name not in ready.strategies])
    if others and not ready.call.strategies:
        listed = ", ".join(ready.strategies)
        print_line(
            f"Strategies: {listed}; {others} more need no old training data (--strategies all)", console
        )
    with training(console, prepared.total, prepared.folder.path, again=prepared.again) as listener:
        return execute(prepared, listener)


def _show(ready: Adapting, results: Results, as_json: bool) -> None:
    """Print the answer, write the report, and say how the detector is taken home."""
    from fretal_bench.reporting.adaptation import adaptation_record, measure_adaptation
    from fretal_bench.reporting.adaptation_words import adaptation_table, certainty, recommendation
    from fretal_bench.reporting.formats import to_csv
    from fretal_bench.reporting.report import write_report

    adaptation = measure_adaptation(results)
    written = write_report(results, Path("reports") / results.path.resolve().name)
    table = adaptation_table(adaptation)
    files.write(written.path / "tables" / "adaptation.csv", to_csv(table))
    sentences = [*certainty(adaptation), written.verdict.sentence, recommendation(adaptation)]
    for doubt in written.summary.doubts:
        print_problem(doubt)
    commands = export_commands(ready, results, adaptation)
    if as_json:
        print_json(
            {
                "results": str(results.path),
                "report": str(written.page),
                "verdict": sentences,
                "doubts": list(written.summary.doubts),
                "export": commands,
                **adaptation_record(adaptation),
            }
        )
    else:
        _print_table(table)
        for sentence in sentences:
            print_line(sentence)
        print_line(f"\nReport: {written.page}  (every metric; the same table as tables/adaptation.csv)")
        print_next(commands)
    exit_if_failed(written.summary)


def _print_table(table: Table) -> None:
    """Print the table, without intervals where the terminal is too narrow for them."""
    from rich.text import Text

    from fretal_bench.reporting.tables import TOO_NARROW, drawn_width, to_rich, without_intervals

    console, notes = Console(), list(table.notes)
    if drawn_width(table) > console.width:
        table, notes = without_intervals(table), [*notes, TOO_NARROW]
    console.print(to_rich(table))
    console.print(Text(" ".join(notes), style="dim"))
    console.print()


def export_commands(ready: Adapting, results: Results, adaptation: Adaptation) -> list[str]:
    """Return what exports the recommended detector, or each where none is; of several seeds the first."""
    cells = {cell.label: cell for cell in sorted(results.cells, key=lambda cell: -cell.seed)}
    wanted = [adaptation.recommended] if adaptation.recommended in cells else list(cells)
    model = f" --model {shlex.quote(ready.call.source.model)}" if ready.call.source.model else ""
    ordered = [of.label for of in adaptation.after if of.label in wanted]
    strategies = [cell.strategy for cell in cells.values()]
    names = {
        label: cell.strategy if strategies.count(cell.strategy) == 1 else label
        for label, cell in cells.items()
    }
    places = (f"{results.path}:{names[label]}:{cells[label].seed}" for label in ordered)
    return [f"bench export {shlex.quote(place)}{model}" for place in places]
