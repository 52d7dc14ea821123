"""What an answer costs: CPU seconds until a difference is told from 0 at 95%, by design of the test.

``python -m answer_cost RESULTS --out FIGURE`` draws how often that happens against the CPU seconds that the two
strategies take, for a test set of eight people whom every seed tests, and for five folds in which forty people are tested
once. The values are made up as in ``coverage_simulation``; what a cell costs is measured on the results.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coverage_simulation import SPREADS
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.metrics.inference import effects
from fretal_bench.reporting.quantities import SECONDS, cost

EFFECT = 0.08
"""The difference in forgetting of ``dfil`` and ``er``."""
PAIR = ("dfil", "er")
FOLDS, PEOPLE = 5, 8
EARLIER = 257.0
"""CPU seconds of a cell of each of the two with the recipe of 15 epochs, on the machine of the earlier reference."""


@dataclass(frozen=True)
class Design:
    """How people are tested.

    Attributes:
        name: In words.
        folds: Sets of people; one is of ``PEOPLE``, two of whom a fake joins, which makes a cluster.
        seeds: Seeds; seed s tests fold s mod ``folds``.
    """

    name: str
    folds: int
    seeds: int

    def draw(self, count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw differences of clusters, ``[count, S, P]``, whose mean is ``EFFECT``."""
        of_seed, of_person, rest = SPREADS["typical"]
        clusters = min(self.folds, self.seeds) * PEOPLE // 2

        def of_pairs(spread: float, *shape: int) -> npt.NDArray[np.float64]:
            return spread / np.sqrt(2) * generator.standard_normal((count, *shape))

        # With one seed an interval speaks of people alone, and so does the truth.
        shift = of_seed * generator.standard_normal((count, self.seeds, 1)) if self.seeds > 1 else 0.0
        table = EFFECT + shift + of_pairs(of_person, 1, clusters) + of_pairs(rest, self.seeds, clusters)
        fold = np.arange(clusters) // (PEOPLE // 2)
        tested = fold == (np.arange(self.seeds) % self.folds)[:, None]
        return np.where(tested, table, np.nan)

    def power(self, count: int, generator: np.random.Generator) -> float:
        """Return the share of ``count`` tables in which the difference is told from 0."""
        return float(np.mean([of.low > 0 for of in effects(self.draw(count, generator))]))


def designs() -> list[Design]:
    """Give the designs that are compared."""
    same = [Design("8 people, tested by every seed", 1, seeds) for seeds in range(1, 11)]
    folded = [Design("40 people in five folds", FOLDS, seeds) for seeds in (1, 2, 3, 4, 5, 10)]
    return same + folded


def seconds_of_cell(results: Path) -> float:
    """Return the mean CPU seconds of a cell of one strategy of the pair and one of the other, added."""
    cells = load_results(results).cells
    means = [
        np.mean([cost(cell.environment)[SECONDS] for cell in cells if cell.label == label]) for label in PAIR
    ]
    return float(np.sum(means))


def draw(points: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """Draw the figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for (name, of), mark in zip(points.items(), "osD", strict=False):
        axes.plot(*zip(*of, strict=True), marker=mark, label=name)
    axes.axhline(0.8, color="0.5", linewidth=1, linestyle="--")
    axes.set_xlabel("CPU seconds of training, both strategies")
    axes.set_ylabel(f"share of tables that tell {EFFECT:g} from 0")
    axes.set_ylim(0, 1)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m answer_cost", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, help="where the figure goes")
    parser.add_argument("--count", type=int, default=4000)
    arguments = parser.parse_args()
    now = seconds_of_cell(arguments.results)
    print(f"a cell of each of {' and '.join(PAIR)}: {now:.0f} CPU s now, {EARLIER:.0f} s before")
    generator = np.random.default_rng(0)
    points: dict[str, list[tuple[float, float]]] = {}
    for design in designs():
        power = design.power(arguments.count, generator)
        each = EARLIER if design.folds == 1 else now
        name = f"{design.name}, {'recipe of before' if design.folds == 1 else 'recipe of now'}"
        points.setdefault(name, []).append((design.seeds * each, power))
        print(f"{name}, {design.seeds} seeds: {design.seeds * each:.0f} CPU s, power {power:.2f}", flush=True)
    if arguments.out is not None:
        draw(points, arguments.out)


if __name__ == "__main__":
    main()
