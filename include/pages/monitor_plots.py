"""Figures of what monitors measured: lines over time, features against windows, scores now and then."""

from collections.abc import Sequence
from typing import Any

from include.contracts.measurements import Verdict
from include.pages.plots import SERIES, Plot, as_text, level
from include.pages.scores import ScoreShares
from include.pages.trends import HeatCell, HeatMap, Trend, severity

_MARKS = {
    Verdict.OK: "var(--good)",
    Verdict.WARNING: "var(--warning)",
    Verdict.ALARM: "var(--bad)",
    Verdict.BROKEN: "var(--bad)",
    Verdict.TOO_FEW: "var(--faint)",
    Verdict.NO_DATA: "var(--faint)",
}
_HEAT = (
    (Verdict.NO_DATA, "var(--surface-2)"),
    (Verdict.TOO_FEW, "var(--heat-none)"),
    (Verdict.OK, "var(--heat-good)"),
    (Verdict.WARNING, "var(--heat-warning)"),
    (Verdict.ALARM, "var(--heat-bad)"),
    (Verdict.BROKEN, "var(--heat-broken)"),
)


def trend_plot(title: str, lines: Sequence[Trend], bound: float | None = None) -> Plot:
    """Return lines over time, each with its interval and a mark a window, coloured by its verdict."""
    data: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        data += _line(line, SERIES[number % len(SERIES)], named=len(lines) > 1)
    layout: dict[str, Any] = {"xaxis": {"type": "date"}, "showlegend": len(lines) > 1}
    if bound is not None:
        layout["shapes"] = [level(bound)]
    windows = max((len(line.points) for line in lines), default=0)
    return Plot(title, f"{title}: {len(lines)} lines over {windows} windows", data, layout)


def heat_plot(title: str, heat: HeatMap) -> Plot:
    """Return features against windows, coloured by verdict."""
    values = [[None if cell is None else severity(cell.verdict) for cell in row] for row in heat.cells]
    texts = [[_told(cell) for cell in row] for row in heat.cells]
    steps = len(_HEAT)
    scale = [
        [edge / steps, colour] for number, (_, colour) in enumerate(_HEAT) for edge in (number, number + 1)
    ]
    trace = {
        "type": "heatmap",
        "x": [window.isoformat() for window in heat.windows],
        "y": [as_text(subject) for subject in heat.subjects],
        "z": values,
        "text": texts,
        "hovertemplate": "%{y}<br>%{x}<br>%{text}<extra></extra>",
        "colorscale": scale,
        "zmin": -0.5,
        "zmax": steps - 0.5,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }
    layout = {
        "yaxis": {"autorange": "reversed", "automargin": True, "showgrid": False},
        "xaxis": {"type": "date"},
    }
    told = f"{title}: {len(heat.subjects)} features by {len(heat.windows)} windows"
    return Plot(title, told, [trace], layout, height=90 + 20 * len(heat.subjects))


def shares_plot(title: str, found: ScoreShares) -> Plot:
    """Return how scores fall now beside how they fell on unseen rows, bin by bin of the latter."""
    bins = [f"bin {number}" for number in range(1, len(found.now) + 1)]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": bins,
            "y": list(shares),
            "marker": {"color": colour},
            "hovertemplate": "%{x}<br>%{y:.1%}<extra>" + name + "</extra>",
        }
        for name, shares, colour in (
            ("unseen rows", found.reference, "var(--faint)"),
            ("now", found.now, SERIES[0]),
        )
    ]
    layout = {"barmode": "group", "yaxis": {"tickformat": ".0%"}, "showlegend": True}
    return Plot(title, f"{title}: {len(bins)} bins, {found.rows} rows", data, layout)


def _line(line: Trend, colour: str, *, named: bool) -> list[dict[str, Any]]:
    at = [point.at.isoformat() for point in line.points]
    told = [as_text(f"{point.verdict.value}: {point.reason}, n = {point.n:,}") for point in line.points]
    name = as_text(line.name)
    drawn: list[dict[str, Any]] = []
    if any(point.low is not None and point.high is not None for point in line.points):
        drawn = [
            _edge(at, [point.low for point in line.points], None),
            _edge(at, [point.high for point in line.points], colour),
        ]
    return [
        *drawn,
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": at,
            "y": [point.value for point in line.points],
            "text": told,
            "hovertemplate": "%{x}<br>%{y:.5g}<br>%{text}<extra>" + (name if named else "") + "</extra>",
            "line": {"color": colour, "width": 1.8, "dash": "dot" if line.is_expected else "solid"},
            "marker": {"size": 5, "color": [_MARKS[point.verdict] for point in line.points]},
        },
    ]


def _edge(at: list[str], values: list[float | None], filled: str | None) -> dict[str, Any]:
    edge: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": at,
        "y": values,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return edge if filled is None else edge | {"fill": "tonexty", "fillcolor": f"{filled}/0.18"}


def _told(cell: HeatCell | None) -> str:
    if cell is None:
        return "not measured"
    figure = "" if cell.value is None else f" {cell.value:.4g}"
    return as_text(f"{cell.verdict.value}: {cell.metric}{figure}, {cell.reason}")
