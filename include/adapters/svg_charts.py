"""Pictures as SVG that take their ink from the page they stand in: one file for both themes."""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's own ink until the SVG is written."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign in somebody's category is a dollar sign
}


def svg_chart(draw: Callable[[Axes], None], label: str, rows: int = 0) -> str:
    """Return an inline SVG; the same drawing gives the same bytes.

    Args:
        draw: draws on the axes.
        label: what the picture shows, for who cannot see it.
        rows: lines of text beside the axis that room is made for.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, max(3.2, 1.2 + 0.24 * rows)), layout="constrained")
        figure.patch.set_alpha(0.0)
        axes = figure.subplots()
        axes.patch.set_alpha(0.0)
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    inline = text.getvalue()[text.getvalue().index("<svg") :].replace(INK, "currentColor")
    # The first tag says what the picture shows, and lets the page choose its size.
    tag = f'role="img" aria-label="{escape(label)}"'
    return re.sub(r'width="[^"]*" height="[^"]*"', lambda _: tag, inline, count=1)
