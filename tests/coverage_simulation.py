"""How often intervals of ``metrics.inference`` are right on made-up values: ``python -m coverage_simulation``.

Values are ``a_s + b_p + e_sp``, normal, with the standard deviations that paired differences of strategies have on
FF++-mini. A true difference of 0 is to be covered in 95% of cases, and no pair of 20 equal strategies is to be told apart
in more than 5% of families.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.inference import effect, holm, pooled_seed_variance

CLUSTERS = (8, 40, 140)
SEEDS = (1, 3, 5)
SPREADS = {"none": (0.0, 0.086, 0.105), "typical": (0.025, 0.086, 0.105), "large": (0.06, 0.06, 0.08)}
"""Standard deviations of seeds, of people, and of a person in a seed: root mean squares over the 210 pairs of
strategies of the reference results, without and with the seeds' part, and seeds that vary as much as people do."""


@dataclass(frozen=True)
class Design:
    """What is drawn.

    Attributes:
        clusters: People in all.
        seeds: Seeds; of a nested design, each has its share of the people.
        spread: A name of ``SPREADS``.
        nested: Whether seeds have people of their own.
    """

    clusters: int
    seeds: int
    spread: str
    nested: bool

    def draw(self, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw a table ``[S, P]``. With one seed it is of that seed's mean: an interval then speaks of people alone."""
        of_seed, of_person, rest = SPREADS[self.spread]
        seeds, people = self.seeds, self.clusters
        shift = of_seed * generator.standard_normal((seeds, 1)) if seeds > 1 else 0.0
        table = (
            shift
            + of_person * generator.standard_normal(people)
            + rest * generator.standard_normal((seeds, people))
        )
        if self.nested:
            tested = np.arange(people) % seeds == np.arange(seeds)[:, None]
            table = np.where(tested, table, np.nan)
        return table


DESIGNS = tuple(
    Design(clusters, seeds, spread, nested)
    for nested in (False, True)
    for spread in SPREADS
    for clusters in CLUSTERS
    for seeds in SEEDS
    if seeds > 1 or not nested
)


def coverage(design: Design, count: int, generator: np.random.Generator) -> float:
    """Return the share of ``count`` tables whose 95% interval holds 0, the truth."""
    return float(np.mean([not effect(design.draw(generator)).resolved for _ in range(count)]))


def family_error(design: Design, strategies: int, count: int, generator: np.random.Generator) -> float:
    """Return the share of families in which Holm's correction over all pairs tells equal strategies apart."""
    wrong = 0
    for _ in range(count):
        # Each has half the variance of the design, which is a difference's.
        tables = [design.draw(generator) / np.sqrt(2) for _ in range(strategies)]
        pairs = [first - second for first, second in itertools.combinations(tables, 2)]
        pooled = pooled_seed_variance(pairs, strategies)
        p_values = [effect(pair, pooled=pooled).p for pair in pairs]
        wrong += bool((holm(p_values) < 0.05).any())
    return wrong / count


def main(count: int = 4000, families: int = 400) -> None:
    """Print both as tables in Markdown."""
    print("| seeds' spread | design | people | " + " | ".join(f"{s} seeds" for s in SEEDS) + " |")
    print("|---|---|---|" + "---|" * len(SEEDS))
    for nested in (False, True):
        for spread in SPREADS:
            for clusters in CLUSTERS:
                cells = []
                for seeds in SEEDS:
                    design = Design(clusters, seeds, spread, nested)
                    known = design in DESIGNS
                    share = coverage(design, count, np.random.default_rng(0)) if known else None
                    cells.append("" if share is None else f"{100 * share:.1f}%")
                name = "each seed its own people" if nested else "same people"
                print(f"| {spread} | {name} | {clusters} | {' | '.join(cells)} |", flush=True)
    print("\n| seeds' spread | design | people, seeds | families with an error |\n|---|---|---|---|")
    for nested in (False, True):
        for spread in SPREADS:
            for clusters, seeds in ((8, 3), (40, 5)):
                design = Design(clusters, seeds, spread, nested)
                share = family_error(design, 20, families, np.random.default_rng(1))
                name = "each seed its own people" if nested else "same people"
                print(f"| {spread} | {name} | {clusters}, {seeds} | {100 * share:.1f}% |", flush=True)


if __name__ == "__main__":
    main()
