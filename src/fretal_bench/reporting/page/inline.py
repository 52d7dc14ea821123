"""Plots as part of the page: the SVG of matplotlib with the page's own colours, so that it is dark on dark screens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import quoteattr

COLOURS: Final[Mapping[str, str]] = {
    "#ffffff": "var(--paper)",
    "#000000": "var(--ink)",
    "#333333": "var(--ink)",
    "#444444": "var(--ink)",
    "#555555": "var(--soft)",
    "#666666": "var(--soft)",
    "#888888": "var(--edge)",
    "#999999": "var(--edge)",
    "#8a949e": "var(--soft)",
    "#c3cbd3": "var(--line)",
    "#c9c9c9": "var(--line)",
    "#dddddd": "var(--grid)",
    "#e4e4e4": "var(--grid)",
    "#f1f1f1": "var(--wash)",
}
"""What is grey, black or white in a plot -> the page's variable for it; strategies keep their colours."""
_COLOUR: Final = re.compile("|".join(COLOURS))
_ID: Final = re.compile(r'\b(id="|xlink:href="#|href="#|url\(#)')


def inline_svg(name: str, text: str, svg: bytes) -> str:
    """Return a plot as an element of the page.

    Args:
        name: Its name; what it calls its parts begins with it, so that two plots in a page do not mix.
        text: What a reader who cannot see it should know.
        svg: The file that matplotlib writes.
    """
    whole = svg.decode("utf-8")
    body = whole[whole.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, count=1, flags=re.DOTALL)
    body = _ID.sub(lambda match: f"{match[1]}{name}-", body)
    body = body.replace('<style type="text/css">*', f'<style type="text/css">#plot-{name} *')
    body = _COLOUR.sub(lambda match: COLOURS[match[0]], body)
    head, rest = body.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    about = f'{box[0] if box else ""} role="img" aria-label={quoteattr(text)}'
    return f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {about}>{rest}'
