"""The ``bench clean`` command: what the pool of steps holds, and removal of what is not needed any more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fretal_bench.cli.options import JsonOption
from fretal_bench.cli.screen import print_json, print_line, print_next, print_problem

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.cleaning import Stock


def clean(
    pool: Annotated[Path, typer.Argument(help="The pool of steps.")] = Path("results/steps"),
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the steps and scores that no result folder refers to.")
    ] = False,
    states: Annotated[
        bool,
        typer.Option(
            "--states",
            help="Remove the checkpoints that no cell ends with; scores and reports stay as they are.",
        ),
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Show what the pool of steps holds and what nothing refers to; remove it on request.

    Without --remove or --states nothing is changed. Result folders need the pool neither to be reported nor moved.
    """
    from fretal_bench.benchmark.runner.cleaning import remove_states, remove_unreferred, take_stock

    stock = take_stock(pool)
    removed = {}
    if remove:
        removed["unreferred"] = remove_unreferred(stock)
    if states:
        removed["states"] = remove_states(stock)
    content = _content(stock)
    if json_:
        print_json({**content, "removed_bytes": removed})
        return
    _print(stock, content)
    for what, size in removed.items():
        words = {"unreferred": "that nothing refers to", "states": "of checkpoints that no cell ends with"}[
            what
        ]
        print_line(f"removed: {_size(size)} {words}")
    if not removed and (content["unreferred"]["bytes"] or content["leftovers"]["bytes"]):
        print_next([f"bench clean {pool} --remove"])


def _content(stock: Stock) -> dict[str, Any]:
    """Give what a pool holds as plain data."""
    unreferred, intermediate = stock.unreferred, stock.intermediate
    return {
        "pool": str(stock.path),
        "steps": sum(1 for held in stock.held.values() if held.step),
        "checkpoints": sum(1 for held in stock.held.values() if held.state),
        "bytes": {
            "steps": sum(held.step for held in stock.held.values()),
            "checkpoints": sum(held.state for held in stock.held.values()),
            "scores": sum(held.scores for held in stock.held.values()),
        },
        "folders": {str(folder): len(steps) for folder, steps in stock.folders.items()},
        "unreadable": {str(folder): reason for folder, reason in stock.unreadable.items()},
        "unreferred": {
            "steps": len(unreferred),
            "bytes": sum(held.bytes for held in unreferred.values()),
        },
        "intermediate": {
            "checkpoints": len(intermediate),
            "bytes": sum(held.state for held in intermediate.values()),
        },
        "leftovers": {"places": len(stock.leftovers), "bytes": sum(stock.leftovers.values())},
    }


def _print(stock: Stock, content: dict[str, Any]) -> None:
    sizes = content["bytes"]
    print_line(f"{stock.path}: {content['steps']} steps, {_size(sum(sizes.values()))}", style="bold")
    print_line(f"  checkpoints  {_size(sizes['checkpoints']):>9}  {content['checkpoints']}")
    print_line(f"  scores       {_size(sizes['scores']):>9}")
    print_line(f"  the rest     {_size(sizes['steps']):>9}  what each step is, took and was made with")
    print_line(f"used by {len(stock.folders)} result folders")
    for folder, count in content["folders"].items():
        print_line(f"  {folder}: {count} steps")
    of = content["unreferred"]
    print_line(f"nothing refers to {of['steps']} of what it holds, {_size(of['bytes'])} (--remove)")
    of = content["intermediate"]
    print_line(
        f"no cell ends with {of['checkpoints']} of the checkpoints, {_size(of['bytes'])} (--states): kept to go on from, "
        "and for `bench score`"
    )
    if content["leftovers"]["places"]:
        of = content["leftovers"]
        print_line(f"left by killed processes: {of['places']}, {_size(of['bytes'])} (--remove)")
    for folder, reason in stock.unreadable.items():
        print_problem(f"{folder}: {reason}")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
