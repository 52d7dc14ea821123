"""The runs of the reference, each a committed result folder."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.benchmark.runner.run import train
from fretal_bench.strategies.registry import find_strategy, names
from tests_support import NEEDING_ATTENTION

ROOT: Final = Path(__file__).parents[2]
SEEDS: Final = (0, 1, 2, 3, 4)
"""One for each fold of FF++-mini, so that everybody is tested once."""
OF_MINI: Final = tuple(name for name in names(plugins=False) if name not in NEEDING_ATTENTION)
WITH_MEMORY: Final = tuple(name for name in OF_MINI if find_strategy(name).memory == "budget")


@dataclass(frozen=True)
class Run:
    """One run: a call of ``bench run``.

    Attributes:
        strategies: Names.
        recipe: Name of a recipe.
        changes: Values by owner and key, as ``--set`` has them.
    """

    strategies: tuple[str, ...]
    recipe: str = "mini"
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def command(self, folder: str) -> str:
        """Return the command that does the same."""
        changes = [
            f"--set {owner}.{key}={value}" for owner, of in self.changes.items() for key, value in of.items()
        ]
        words = ["bench run", *(["--recipe", self.recipe] if self.recipe != "mini" else [])]
        seeds = f"--seeds {SEEDS[0]}-{SEEDS[-1]}"
        return " ".join(
            [*words, f"--strategies {','.join(self.strategies)}", seeds, *changes, f"--out results/{folder}"]
        )


FOLDERS: Final[Mapping[str, tuple[Run, ...]]] = {
    "reference": (
        Run(OF_MINI),
        Run(("fretal", "kd"), changes={"fretal": {"teacher": "source"}, "kd": {"teacher": "source"}}),
    ),
    "reference-memory-50": (Run(WITH_MEMORY, changes={name: {"memory": 50} for name in WITH_MEMORY}),),
    "reference-frozen": (Run(OF_MINI, changes={"recipe": {"batchnorm": "frozen"}}),),
    "reference-vit": (Run(("finetuning", "domain-lora", "orthogonal-lora", "zero-shot"), "mini-vit"),),
}
"""The runs of each folder under ``results``; those of one folder have one recipe."""


def make(folder: str, jobs: int | None) -> None:
    """Run what is missing of a folder, and print every domain that is learned.

    Raises:
        SystemExit: The code is of no commit: what the cells were made with could not be said.
    """
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--", "src"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    if changed:
        raise SystemExit(f"src has changes that are not committed; commit them first:\n{changed}")
    for run in FOLDERS[folder]:
        print(run.command(folder), flush=True)
        out = ROOT / "results" / folder
        ready = prepare(
            Call(run.strategies, recipe=run.recipe, seeds=SEEDS, changes=run.changes, jobs=jobs, out=out)
        )
        train(ready, _Printer(ready.total))


class _Printer:
    """Prints every domain that is learned, with how many there are."""

    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0

    def __call__(self, progress: Progress) -> None:
        if progress.phase == "done":
            self.count += 1
            print(f"{self.count}/{self.total} {progress.label}: {progress.domain}", flush=True)
