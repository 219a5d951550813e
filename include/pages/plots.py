"""What every figure for Plotly is made of: plain documents, no colour but names of the page's own.

A colour is written `var(--name)`; the page's script puts in what its style sheet says, so that figures follow
its theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

SERIES = tuple(f"var(--series-{number})" for number in range(1, 7))
"""Colours of lines that stand beside each other."""


@dataclass(frozen=True)
class Plot:
    """One figure."""

    title: str
    says: str
    """What it shows, for those who hear the page."""
    data: Sequence[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 260

    @property
    def document(self) -> dict[str, Any]:
        """What the page's script draws."""
        return {"data": list(self.data), "layout": {**self.layout, "height": self.height}}


def level(value: float) -> dict[str, Any]:
    """Return a line across a plot at a height, such as a bound."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": "var(--bad)", "width": 1, "dash": "dash"},
    }


def as_text(label: str) -> str:
    """Return a label that Plotly, which reads a little HTML, shows as it is."""
    return escape(label, quote=False)
