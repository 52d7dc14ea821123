"""Readers of a result folder: plan, cells, scores, environments, failures and steps."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pandas as pd

from fuzz.damage import BYTES, JSON, PLACES, TEXT, Inapplicable, Random, damages, trees
from fuzz.judging import TOLD, Claim, Told
from fuzz.readers import reader
from fuzz.running import Bench
from fuzz.tables import TABLES
from fuzz.world import RUN, STRATEGIES, recipe_words

_JSON: Final = (*TEXT, *PLACES, *trees(JSON))
WRITTEN: Final = ("reports/*", "reports", "r/locks", "r/locks/*")
_FLEETING: Final = ("path", "page", "files", "notes")


def report(bench: Bench, folder: str = "r", **options: Any) -> Claim:
    """What ``bench report`` says; of a cell that it calls unusable, missing or failed it says so."""
    # Pictures take most of the time, and show what the tables say.
    with patch("fretal_bench.reporting.report.plots", lambda _: ()):
        outcome = bench("report", folder, "--json", **options)
    return Claim(shown(json.loads(outcome.out), folder))


def shown(record: dict[str, Any], folder: str) -> dict[str, Any]:
    """What a report says, by strategy; what it cannot say because of a problem that it names is ``TOLD``."""
    lost = {problem["label"] for problem in record.pop("problems")}
    strategies = {entry["label"]: entry for entry in record.pop("strategies")}
    used = {key: value for key, value in record.items() if key not in _FLEETING} | {"problems": bool(lost)}
    if lost:
        kept = ("metric", "level", "domains")
        used = {key: value if key in kept else TOLD for key, value in used.items()}
    else:
        text = Path("reports", folder, "summary.md").read_text("utf-8")
        used["page"] = {line.strip(): True for line in text.splitlines() if line.strip()}
    return {**used, "page": used.get("page", TOLD), "strategies": {**strategies, **dict.fromkeys(lost, TOLD)}}


def rerun(bench: Bench, folder: str = "r") -> Claim:
    """What ``bench run`` shows of a folder whose cells are all done, or all steps of them."""
    with patch("fretal_bench.reporting.report.plots", lambda _: ()):
        outcome = bench(*RUN, *recipe_words(), "--out", folder, "--json")
    return Claim(shown(json.loads(outcome.out[outcome.out.index("{") :]), folder))


reader(
    "plan.json by report",
    "results",
    parts="results",
    file="r/plan.json",
    damages=_JSON,
    writes=WRITTEN,
    weight=3,
)(report)
reader(
    "environment.json by report",
    "results",
    parts="results",
    file="r/cells/*/environment.json",
    damages=_JSON,
    writes=WRITTEN,
)(report)
reader(
    "cell.json by report",
    "results",
    parts="results",
    file="r/cells/*/cell.json",
    damages=_JSON,
    writes=WRITTEN,
    weight=2,
)(report)
reader(
    "scores.parquet by report",
    "results",
    parts="results",
    file="r/cells/*/scores.parquet",
    damages=(*BYTES, *PLACES, *TABLES),
    writes=WRITTEN,
    weight=3,
)(report)
reader(
    "plan.json by run",
    "results",
    parts="stream results",
    file="r/plan.json",
    damages=_JSON,
    writes=(
        *(*WRITTEN, "r/plan.json", "store/.verified.json", "r/replaced*", "r/replaced/*", "r/cells/*"),
        "steps/*",
    ),
    weight=2,
)(rerun)


@reader(
    "validation.parquet by tune",
    "results",
    parts="results",
    file="r/cells/*/validation.parquet",
    damages=(*BYTES, *PLACES, *TABLES),
    writes=WRITTEN,
)
def validation(bench: Bench) -> Claim:
    from fretal_bench.benchmark.runner.results import load_results

    return Claim({cell.label: _sorted(cell.validation()) for cell in load_results("r").cells})


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["step", "domain", "row"]
    # One that lacks a key is compared as it is.
    return frame.sort_values(keys, ignore_index=True) if {*keys} <= {*frame.columns} else frame


@reader(
    "failures by report",
    "results",
    parts="failed",
    file="f/failures/*.json",
    damages=_JSON,
    writes=("reports*",),
)
def failures(bench: Bench) -> Claim:
    from fretal_bench.benchmark.runner.results import load_results

    claim = report(bench, "f", failing=True)
    results = load_results("f")
    failed = {f"{failure.label}, seed {failure.seed}": vars(failure) for failure in results.failures}
    missing = {f"{cell.label}, seed {cell.seed}": TOLD for cell in results.missing}
    return Claim({**claim.used, "failures": {**failed, **missing}})


# Whole files and folders in each other's places.


def _cells(folder: Path) -> list[Path]:
    cells = sorted(path for path in (folder / "cells").iterdir() if path.is_dir())
    if len(cells) < 2:
        raise Inapplicable
    return cells


def _exchange(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def cells_change_places(folder: Path, random: Random) -> str:
    a, b = _cells(folder)[:2]
    _exchange(a, b)
    return f"cells {a.name} and {b.name}"


def a_file_of_two_cells_changes_places(folder: Path, random: Random) -> str:
    a, b = _cells(folder)[:2]
    name = ("scores.parquet", "validation.parquet", "cell.json", "environment.json")[int(random.integers(4))]
    _exchange(a / name, b / name)
    return f"{name} of both cells"


def validation_for_test(folder: Path, random: Random) -> str:
    cell = _cells(folder)[int(random.integers(2))]
    shutil.copyfile(cell / "validation.parquet", cell / "scores.parquet")
    return f"validation.parquet as scores.parquet of {cell.name}"


def a_cell_copied_over(folder: Path, random: Random) -> str:
    a, b = _cells(folder)[:2]
    shutil.rmtree(b)
    shutil.copytree(a, b)
    return f"cell {a.name} in the place of {b.name}"


def steps_change_places(folder: Path, random: Random) -> str:
    cell = _cells(folder)[int(random.integers(2))]
    frame = pd.read_parquet(cell / "scores.parquet")
    steps = sorted(frame["step"].unique())
    a, b = random.choice(steps, 2, replace=False)
    frame["step"] = frame["step"].replace({a: b, b: a}).astype("int16")
    frame.to_parquet(cell / "scores.parquet", index=False)
    return f"steps {a} and {b} of {cell.name}"


def ids_change_places_in_the_plan(folder: Path, random: Random) -> str:
    plan = json.loads((folder / "plan.json").read_text("utf-8"))
    a, b = plan["cells"][:2]
    a["id"], b["id"] = b["id"], a["id"]
    (folder / "plan.json").write_text(json.dumps(plan, indent=1) + "\n", "utf-8")
    return "ids of two cells in plan.json"


def a_file_less(folder: Path, random: Random) -> str:
    cell = _cells(folder)[int(random.integers(2))]
    names = sorted(path.name for path in cell.iterdir() if path.suffix != ".pt")
    name = names[int(random.integers(len(names)))]
    (cell / name).unlink()
    return f"{name} of {cell.name} deleted"


def a_cell_of_no_plan(folder: Path, random: Random) -> str:
    cell = _cells(folder)[0]
    name = ("0123456789abcdef", "not-an-id", "..x")[int(random.integers(3))]
    shutil.copytree(cell, folder / "cells" / name)
    return f"cells/{name}, a copy of {cell.name}"


reader(
    "cells in each other's places",
    "results",
    parts="results",
    file="r",
    damages=damages(
        cells_change_places,
        a_file_of_two_cells_changes_places,
        validation_for_test,
        a_cell_copied_over,
        steps_change_places,
        ids_change_places_in_the_plan,
        a_file_less,
        a_cell_of_no_plan,
    ),
    writes=WRITTEN,
    weight=2,
)(report)


def written(folder: str, pool: str) -> tuple[str, ...]:
    """What a run may write that puts cells together."""
    kinds = ("plan.json", "locks*", "cells*", "failures*")
    return (*WRITTEN, folder, *(f"{folder}/{kind}" for kind in kinds), f"{pool}/*", "store/.verified.json")


def run_again(bench: Bench, folder: str, pool: str) -> Claim:
    """What a run makes of the steps of a pool: the cells, and the report of them."""
    from fretal_bench.benchmark.runner.run import run
    from fretal_bench.testing import TINY_RECIPE

    changes = {"recipe": {**TINY_RECIPE, "source_epochs": 1}}
    run(STRATEGIES, "tiny.toml", changes=changes, out=folder, pool=pool)
    claim = report(bench, folder, failing=True)
    for path in sorted(Path(folder, "cells").glob("*/*.parquet")):
        claim.used[f"{path.parent.name}/{path.name}"] = _sorted(pd.read_parquet(path))
    # A cell that failed has no files, and its failure says why.
    return replace(claim, lenient=isinstance(claim.used["problems"], Told))


def joined(bench: Bench) -> Claim:
    """What a run makes of steps that are all done: the cells, put together."""
    return run_again(bench, "u", "u-steps")


def _joining(name: str, file: str, kinds: Any) -> None:
    writes = written("u", "u-steps")
    parts = "stream unfinished"
    reader(f"{name} by run", "results", parts=parts, file=file, damages=kinds, writes=writes)(joined)


_joining("step.json", "u-steps/steps/*/step.json", _JSON)
_joining("phases.json of steps", "u-steps/steps/*/phases.json", _JSON)
_joining("environment.json of steps", "u-steps/steps/*/environment.json", _JSON)
_joining("judged.json of scores", "u-steps/scores/*/*/judged.json", _JSON)
_joining("scores.parquet of steps", "u-steps/scores/*/*/scores.parquet", (*BYTES, *PLACES, *TABLES))
