"""Which plots a report has: their names, captions, what they show in a sentence, and the functions that draw them.

Every function returns a matplotlib figure; nothing touches pyplot or its global state, so plots can be made
in any process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fretal_bench.reporting import plot_words
from fretal_bench.reporting.anytime_plot import courses, watched_labels
from fretal_bench.reporting.course_plot import domain_courses
from fretal_bench.reporting.further_plot import further_sets
from fretal_bench.reporting.heat_maps import accuracy_matrices, forgetting_matrices
from fretal_bench.reporting.order_plot import spread_over_orders
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tradeoff_plot import forgetting_against_learning

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """A plot as a report writes it.

    Attributes:
        name: Short name for files.
        title: Caption.
        words: Says in a sentence what it shows, for a reader who cannot see it.
        draw: Makes the figure.
        section: Which section of the page it stands in; ``matrices`` are tables there, and pictures in files alone.
    """

    name: str
    title: str
    words: Callable[[Summary], str]
    draw: Callable[[Summary], Figure]
    section: str = "plots"


PLOTS = (
    Plot(
        "forgetting-against-learning",
        "Forgetting (-BWT) against learning; bars: 95% intervals. Triangles and diamonds keep no old samples, other "
        "filled marks keep some, open squares are bounds. Bold: not told apart from the one that forgets least. Dotted: "
        "the same average at the end of the stream.",
        plot_words.tradeoff,
        forgetting_against_learning,
        section="tradeoff",
    ),
    Plot(
        "domain-courses",
        "Each domain along the stream, shaded until it is learned; bands (not of 2 seeds): 95% intervals. Of more than 8 "
        "strategies the 4 that forget least and fine-tuning are coloured.",
        plot_words.domains,
        domain_courses,
    ),
    Plot(
        "accuracy-matrices",
        "Row: after training on; column: tested on. Hatched, in italics: domains not learned yet.",
        plot_words.domains,
        accuracy_matrices,
        section="matrices",
    ),
    Plot(
        "forgetting-matrices",
        "Row: after training on; column: tested on. Positive: worse than the best since it was learned.",
        plot_words.domains,
        forgetting_matrices,
        section="matrices",
    ),
)
FURTHER = Plot(
    "further",
    "Test sets that were never trained on, at the end of the stream; a ring: after the first domain alone. Bars (3 seeds "
    "or more): 95% intervals over seeds.",
    plot_words.further,
    further_sets,
    section="further",
)
ORDERS = Plot(
    "orders",
    "Every order of the domains: one row a strategy, one dot an order, the mean over seeds.",
    plot_words.orders,
    spread_over_orders,
    section="orders",
)


ANYTIME = Plot(
    "courses",
    "Validation people of every domain while the stream is learned; an upright line where a domain ends. A line that "
    "falls there and comes back is a stability gap, one that stays down is forgetting. Thin lines: seeds.",
    plot_words.anytime,
    courses,
    section="anytime",
)


def plots(summary: Summary) -> tuple[Plot, ...]:
    """Give the plots that the summary has something for: one domain has no forgetting."""
    further = (FURTHER,) if summary.further is not None else ()
    orders = (ORDERS,) if summary.orders is not None and summary.orders.comparable else ()
    anytime = (ANYTIME,) if summary.anytime is not None and watched_labels(summary.anytime) else ()
    return (*(PLOTS if len(summary.domains) > 1 else PLOTS[1:3]), *further, *anytime, *orders)
