"""The style of every plot, an empty figure, and a figure as the bytes of a file: the same whoever's machine it is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160
STYLE: dict[str, Any] = {
    "svg.hashsalt": "fretal-bench",
    "svg.fonttype": "path",
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.w_pad": 0.09,
    "figure.constrained_layout.h_pad": 0.06,
    "font.size": 9.0,
    "font.family": "DejaVu Sans",
    # A name is no formula, however many dollar signs it has.
    "text.parse_math": False,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def image(figure: Figure, kind: str) -> bytes:
    """Write a figure as ``png`` or ``svg``: the same figure gives the same bytes every time."""
    out = io.BytesIO()
    with style():
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, dpi=DPI, metadata=metadata)
    return out.getvalue()


def style() -> Any:
    """Give the context in which figures are made and written."""
    import matplotlib

    # A reader's own matplotlibrc must not change reports; backends are left alone, as no figure here needs
    # one.
    plain = {key: value for key, value in matplotlib.rcParamsDefault.items() if "backend" not in key}
    return matplotlib.rc_context({**plain, **STYLE})  # type: ignore[dict-item,unused-ignore]


def laid_out(figure: Figure) -> Figure:
    """Lay a figure out once, so that writing it twice does not do it again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    # With an engine, even one that does nothing, every file would be drawn twice.
    figure.set_layout_engine(None)
    return figure


def empty_figure(width: float, height: float) -> Figure:
    """Make an empty figure, size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
