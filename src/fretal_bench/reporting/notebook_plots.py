"""The plots of results in a notebook or a script: those of the report, drawn into anybody's axes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics.videos import MEAN
from fretal_bench.reporting import plot_words
from fretal_bench.reporting.anytime_plot import courses, draw_watched, watched_labels
from fretal_bench.reporting.course_plot import domain_courses, draw_domain_course
from fretal_bench.reporting.difference_plot import differences_from, draw_differences
from fretal_bench.reporting.drawing import empty_figure, image, laid_out, style
from fretal_bench.reporting.face_plot import ACROSS, draw_faces, lines_of
from fretal_bench.reporting.faces import KINDS
from fretal_bench.reporting.further_plot import draw_further_set, further_sets
from fretal_bench.reporting.heat_maps import (
    accuracy_matrices,
    draw_accuracy_matrix,
    draw_forgetting_matrix,
    forgetting_matrices,
)
from fretal_bench.reporting.order_plot import draw_orders, spread_over_orders
from fretal_bench.reporting.orders import COMPARED
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tradeoff_plot import draw_tradeoff, forgetting_against_learning

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PIXELS: Final = 100
"""CSS pixels of an inch, where a notebook shows a figure."""
_FACES: Final = {
    "missed": "fakes that are missed now",
    "alarm": "reals that are accused now",
    "back": "won back",
}


class ResultPlots:
    """What ``results.plot`` has: the plots of a report, with its colours and marks.

    Every method draws into ``ax`` and returns it. Without ``ax`` it returns a new figure, which a notebook shows and
    ``savefig`` writes; pyplot does not know it, so nothing is left open. With pyplot:
    ``_, ax = plt.subplots(); results.plot.tradeoff(ax=ax); plt.show()``.

    ``strategies`` is one or several of the names or labels of strategies (all if None). Colours, marks, intervals and
    what is told apart are those of all strategies of the results, whichever are drawn. ``metric``, ``level`` and
    ``video`` are those of ``Results.summary``. A name that does not exist, and what the results do not have, is a
    ``BenchError``.
    """

    def __init__(
        self,
        summarized: Callable[[str | None, str, str], Summary],
        label: Callable[[str], str],
        forgotten: Callable[..., pd.DataFrame],
        crops_of: Callable[[pd.DataFrame], list[Any]],
    ) -> None:
        """Draw nothing yet.

        Args:
            summarized: Gives the summary by metric, level and how videos are scored.
            label: Gives a strategy's label by one of its names.
            forgotten: ``Results.forgotten``.
            crops_of: ``Results.crops_of``.
        """
        self._summarized, self._label = summarized, label
        self._forgotten, self._crops_of = forgotten, crops_of

    def __repr__(self) -> str:
        names = [name for name in dir(type(self)) if not name.startswith("_")]
        return f"plots of results: {', '.join(names)}; each takes ax="

    def tradeoff(
        self,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw forgetting (-BWT) against learning, a point a strategy with the intervals of both.

        Names in bold: the one that forgets least, and those not told apart from it. On a dotted line the average at the
        end of the stream is the same. Arguments as for the class.
        """
        summary = self._of_several_domains(metric, level, video)
        chosen = self._chosen(summary, strategies)
        if ax is not None:
            return _into(ax, lambda panel: draw_tradeoff(panel, summary, chosen))
        return _shown(
            forgetting_against_learning(summary, chosen),
            _words(summary, chosen, plot_words.tradeoff, "Forgetting against learning"),
        )

    def courses(
        self,
        domain: str | None = None,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw the metric on a domain after every step of the stream, a line a strategy, with 95% intervals as bands.

        Args:
            domain: Its name; all domains, in a panel each, if None.
            strategies: As for the class. Of all, where there are more than eight, four and fine-tuning are coloured.
            ax: As for the class; needs ``domain``.
            metric: As for the class.
            level: As for the class.
            video: As for the class.
        """
        summary = self._summarized(metric, level, video)
        chosen = None if strategies is None else self._chosen(summary, strategies)
        what = f"{summary.metric_title} on {domain or 'each domain'} along the stream"
        words = _words(summary, None if domain else chosen, plot_words.domains, what)
        if domain is None:
            _refuse_axes(ax, "a domain", summary.domains)
            return _shown(domain_courses(summary, chosen), words)
        place = _place("domain", domain, summary.domains)
        return _drawn(ax, (6.4, 4.2), lambda panel: draw_domain_course(panel, summary, place, chosen), words)

    def matrix(
        self,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw R as a heat map: the metric after which domain (rows), on which (columns), the mean over seeds.

        Domains that are not learned yet are hatched. Arguments as for the class; ``ax`` needs one strategy.
        """
        summary = self._summarized(metric, level, video)
        return self._maps(summary, strategies, ax, draw_accuracy_matrix, accuracy_matrices)

    def forgetting_matrix(
        self,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw F as a heat map: by how much a domain is worse than at its best since it was learned; 0 is white.

        Arguments as for the class; ``ax`` needs one strategy.
        """
        summary = self._of_several_domains(metric, level, video)
        return self._maps(summary, strategies, ax, draw_forgetting_matrix, forgetting_matrices)

    def differences(
        self,
        reference: str | None = None,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        quantity: str = BACKWARD,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw what every strategy forgets more than one of them, with 95% intervals over people and seeds.

        Filled marks are told apart from it, with Holm's correction over all pairs of the results; open ones are not.
        Bounds are not compared.

        Args:
            reference: The strategy that is subtracted; by default the best.
            strategies: As for the class.
            ax: As for the class.
            quantity: Another quantity than forgetting, one of the rows of ``Results.compare``.
            metric: As for the class.
            level: As for the class.
            video: As for the class.
        """
        summary = self._summarized(metric, level, video)
        if quantity not in summary.inference:
            raise unknown_name("quantity", quantity, summary.inference)
        ranked = summary.inference[quantity].ranked
        if len(ranked) < 2:
            raise BenchError(
                f"{quantity}: fewer than two strategies have a value, so there is no difference to draw"
            )
        first = ranked[0] if reference is None else self._label(reference)
        if first not in ranked:
            raise BenchError(
                f"{first} is not compared: bounds are not, nor is what has no value; name another"
            )
        chosen = self._chosen(summary, strategies)
        compared = [label for label in differences_from(summary, first, quantity) if label in _labels(chosen)]
        if not compared:
            raise BenchError(f"none of {', '.join(_labels(chosen))} is compared with {first}; name another")
        return _drawn(
            ax,
            (6.4, 1.1 + 0.27 * len(compared)),
            lambda panel: draw_differences(panel, summary, first, quantity, chosen),
            f"Differences from {first}: {', '.join(compared)}.",
        )

    def faces(
        self,
        strategy: str,
        domain: str | None = None,
        ax: Axes | None = None,
        *,
        kind: str = "missed",
        seed: int | None = None,
        most: int = 12,
    ) -> Axes | Figure:
        """Draw faces that were forgotten, those whose P(fake) moved most first, one a video: P(fake) then → now.

        Args:
            strategy: Its label, or one of its names.
            domain: Of one domain; of all if None.
            ax: As for the class.
            kind: ``missed`` (fakes that were found), ``alarm`` (reals that were passed) or ``back`` (were wrong).
            seed: Of one seed; of all if None.
            most: Faces at most.

        Raises:
            BenchError: There is no such face, or the crop store is not on this machine.
        """
        if kind not in KINDS:
            raise unknown_name("kind of forgotten face", kind, KINDS)
        if most < 1:
            raise BenchError(f"most: expected at least 1 face, found {most}")
        frames = self._forgotten(strategy, domain, seed=seed)
        frames = frames[frames["kind"] == kind]
        of = f"{self._label(strategy)}{f' on {domain}' if domain else ''}"
        if frames.empty:
            raise BenchError(f"{of}: there are no faces of the kind {kind!r} to draw")
        order = (frames["then"] - frames["now"]).abs().sort_values(ascending=False, kind="stable").index
        chosen = frames.loc[order].drop_duplicates(["domain", "video"]).head(most)
        crops = self._crops_of(chosen)
        for crop, name in zip(crops, chosen["domain"], strict=True):
            if crop is None:
                raise BenchError(
                    f"the crop store of {name} is not on this machine, so its faces cannot be drawn; put it into "
                    "$FRETAL_BENCH_DATA (fretal_bench.open_stream makes the stores of built-in streams)"
                )
        title = f"{of}: {_FACES[kind]}; P(fake) right after learning → at the end"
        across = min(ACROSS, len(crops))
        return _drawn(
            ax,
            (max(5.0, 1.3 * across), 0.5 + 1.5 * lines_of(len(crops))),
            lambda panel: draw_faces(panel, chosen, crops, title),
            title,
        )

    def further(
        self,
        name: str | None = None,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw test sets that were never trained on (``bench score``): every strategy at the end and after one domain.

        Args:
            name: Of one set; all sets, in a panel each, if None.
            strategies: As for the class.
            ax: As for the class; needs ``name``.
            metric: As for the class.
            level: As for the class.
            video: As for the class.
        """
        summary = self._summarized(metric, level, video)
        if summary.further is None:
            raise BenchError(
                "no cell was judged on a further test set; bench score RESULTS --on STORE does that"
            )
        chosen = self._chosen(summary, strategies)
        words = plot_words.further(summary)
        names = [of.name for of in summary.further.sets]
        if name is None:
            _refuse_axes(ax, "a test set", names)
            return _shown(further_sets(summary, chosen), words)
        _place("test set", name, names)
        size = 5.0, 1.1 + 0.27 * max(len(chosen), 2)
        return _drawn(ax, size, lambda panel: draw_further_set(panel, summary, name, chosen), words)

    def updates(self, strategies: str | Sequence[str] | None = None, ax: Axes | None = None) -> Axes | Figure:
        """Draw the validation accuracy on every domain over the updates of the stream (``bench run --watch``).

        Arguments as for the class; ``ax`` needs one strategy.
        """
        summary = self._summarized(None, "frame", MEAN)
        watched = () if summary.anytime is None else watched_labels(summary.anytime)
        labels = [label for label in _labels(self._chosen(summary, strategies)) if label in watched]
        if not labels:
            raise BenchError("none of these strategies was watched while it was trained; run with --watch 10")
        words = plot_words.anytime(summary)
        if ax is None:
            return _shown(courses(summary, labels), words)
        if len(labels) != 1:
            _refuse_axes(ax, "one strategy", labels)
        return _into(ax, lambda panel: draw_watched(panel, summary, labels[0]))

    def orders(
        self,
        quantity: str | None = None,
        strategies: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        metric: str | None = None,
        level: str = "frame",
        video: str = MEAN,
    ) -> Axes | Figure:
        """Draw a quantity in every order of the domains (``bench run --orders``), a row a strategy, a dot an order.

        Args:
            quantity: ``forgetting`` or ``average``; both, in a panel each, if None.
            strategies: As for the class.
            ax: As for the class; needs ``quantity``.
            metric: As for the class.
            level: As for the class.
            video: As for the class.
        """
        summary = self._summarized(metric, level, video)
        if summary.orders is None or not summary.orders.comparable:
            raise BenchError("there are no several orders of the domains to compare; run with --orders all")
        labels = _labels(self._chosen(summary, strategies))
        words = plot_words.orders(summary)
        if quantity is None:
            _refuse_axes(ax, "a quantity", COMPARED)
            return _shown(spread_over_orders(summary, labels), words)
        _place("quantity", quantity, COMPARED)
        size = 6.4, 1.15 + 0.38 * max(len(labels), 2)
        return _drawn(ax, size, lambda panel: draw_orders(panel, summary, quantity, labels), words)

    def _of_several_domains(self, metric: str | None, level: str, video: str) -> Summary:
        summary = self._summarized(metric, level, video)
        if len(summary.domains) < 2:
            raise BenchError(
                "the stream has one domain, so nothing can be forgotten; plot.courses() and plot.matrix() can be drawn"
            )
        return summary

    def _chosen(self, summary: Summary, strategies: str | Sequence[str] | None) -> list[StrategySummary]:
        """Return strategies by their names, in the summary's order."""
        if strategies is None:
            return list(summary.strategies)
        names = [strategies] if isinstance(strategies, str) else list(strategies)
        if not names:
            raise BenchError("strategies: expected at least one name, found none; leave it out for all")
        labels = {self._label(name) for name in names}
        if lacking := labels - {*_labels(summary.strategies)}:
            raise BenchError(
                f"{', '.join(sorted(lacking))}: no cell can be used, so there is nothing to draw"
            )
        return [strategy for strategy in summary.strategies if strategy.label in labels]

    def _maps(
        self,
        summary: Summary,
        strategies: str | Sequence[str] | None,
        ax: Axes | None,
        draw: Callable[[Axes, Summary, StrategySummary], None],
        every: Callable[[Summary, Sequence[StrategySummary]], Figure],
    ) -> Axes | Figure:
        chosen = self._chosen(summary, strategies)
        words = _words(
            summary, chosen, plot_words.domains, "Matrices, after which domain (rows) on which (columns)"
        )
        if len(chosen) == 1:
            side = 1.6 + 0.55 * len(summary.domains)
            return _drawn(ax, (side + 0.6, side), lambda panel: draw(panel, summary, chosen[0]), words)
        _refuse_axes(ax, "one strategy", _labels(chosen))
        return _shown(every(summary, chosen), words)


def _words(
    summary: Summary,
    shown: Sequence[StrategySummary] | None,
    of_all: Callable[[Summary], str],
    what: str,
) -> str:
    """Say what a plot shows: as a report does where it shows all strategies, else what it is of which."""
    if shown is None or len(shown) == len(summary.strategies):
        return of_all(summary)
    return f"{what}, of {', '.join(_labels(shown))}."


def _labels(strategies: Sequence[StrategySummary]) -> list[str]:
    return [strategy.label for strategy in strategies]


def _place(kind: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise unknown_name(kind, name, known)
    return list(known).index(name)


def _refuse_axes(ax: Axes | None, one: str, known: Sequence[str]) -> None:
    """Refuse axes for what needs a panel each."""
    if ax is not None:
        raise BenchError(
            f"ax= holds one panel: name {one} ({', '.join(known)}), or leave ax out for all in a figure"
        )


def _drawn(
    ax: Axes | None, size: tuple[float, float], draw: Callable[[Axes], None], words: str
) -> Axes | Figure:
    """Draw into axes, or into a new figure of a size in inches."""
    if ax is not None:
        return _into(ax, draw)
    with style():
        figure = empty_figure(*size)
        draw(figure.subplots())
        return _shown(laid_out(figure), words)


def _into(ax: Axes, draw: Callable[[Axes], None]) -> Axes:
    """Draw into the caller's axes, in the caller's style."""
    import matplotlib

    # A name is no formula, however many dollar signs it has.
    with matplotlib.rc_context({"text.parse_math": False}):
        draw(ax)
    return ax


def _shown(figure: Figure, words: str) -> Figure:
    """Let a notebook show a figure, although pyplot does not know it, with words for who cannot see it."""
    figure._repr_png_ = functools.partial(_picture, figure, words)  # type: ignore[attr-defined]
    return figure


def _picture(figure: Figure, words: str) -> tuple[bytes, dict[str, Any]]:
    width, height = (round(inches * _PIXELS) for inches in figure.get_size_inches())
    return image(figure, "png"), {"width": width, "height": height, "alt": words}
