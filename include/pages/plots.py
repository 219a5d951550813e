"""Figures for Plotly, as plain documents: no colour but names of the page's own, which follow its theme.

A colour is written `var(--name)`; the page's script puts in what its style sheet says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from include.contracts.experiment_results import Look
from include.contracts.guardrails import GuardrailResult
from include.contracts.measurements import Verdict
from include.contracts.reports import Calibration, Curve, Histogram, SliceFigures
from include.pages.experiments import Bounds
from include.pages.explanation import Reason
from include.pages.releases import Decided
from include.pages.scores import ScoreShares
from include.pages.trends import HeatCell, HeatMap, Trend, severity

_TALLEST_Z = 6.0
SERIES = tuple(f"var(--series-{number})" for number in range(1, 7))
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


def trend_plot(title: str, lines: Sequence[Trend], bound: float | None = None) -> Plot:
    """Return lines over time, each with its interval and a mark a window, coloured by its verdict."""
    data: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        data += _line(line, SERIES[number % len(SERIES)], named=len(lines) > 1)
    layout: dict[str, Any] = {"xaxis": {"type": "date"}, "showlegend": len(lines) > 1}
    if bound is not None:
        layout["shapes"] = [_level(bound)]
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
        "y": [_text(subject) for subject in heat.subjects],
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


def calibration_plot(title: str, found: Calibration) -> Plot:
    """Return what was predicted against what came, with the interval of each bin."""
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [each.mean_score for each in found.bins],
        "y": [each.observed for each in found.bins],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [each.high - each.observed for each in found.bins],
            "arrayminus": [each.observed - each.low for each in found.bins],
            "thickness": 1.2,
            "width": 2,
        },
        "customdata": [each.rows for each in found.bins],
        "hovertemplate": "predicted %{x:.3f}<br>came %{y:.3f}<br>%{customdata} rows<extra></extra>",
        "line": {"color": SERIES[0]},
    }
    ends = [0.0, max((max(each.mean_score, each.high) for each in found.bins), default=1.0)]
    perfect = {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": ends,
        "line": {"color": "var(--faint)", "dash": "dot"},
        "hoverinfo": "skip",
    }
    layout = {
        "xaxis": {"title": {"text": "predicted"}},
        "yaxis": {"title": {"text": "came"}},
        "showlegend": False,
    }
    return Plot(title, f"{title}: {len(found.bins)} bins", [perfect, trace], layout)


def histogram_plot(title: str, found: Sequence[Histogram]) -> Plot:
    """Return how often scores fall where, one series a group of rows."""
    data = [
        {
            "type": "bar",
            "name": _text(each.label),
            "x": [(low + high) / 2 for low, high in zip(each.edges, each.edges[1:], strict=False)],
            "y": list(each.counts),
            "width": [high - low for low, high in zip(each.edges, each.edges[1:], strict=False)],
            "marker": {"color": SERIES[number % len(SERIES)], "opacity": 0.65},
            "hovertemplate": "score %{x:.3f}<br>%{y} rows<extra>" + _text(each.label) + "</extra>",
        }
        for number, each in enumerate(found)
    ]
    layout = {
        "barmode": "overlay",
        "xaxis": {"title": {"text": "score"}},
        "yaxis": {"title": {"text": "rows"}},
        "showlegend": len(data) > 1,
    }
    return Plot(title, f"{title}: {len(data)} groups", data, layout)


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


def curves_plot(title: str, found: Sequence[Curve]) -> Plot:
    """Return curves of one kind, one line each."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": _text(each.label),
            "x": list(each.x),
            "y": list(each.y),
            "line": {"color": SERIES[number % len(SERIES)]},
        }
        for number, each in enumerate(found)
    ]
    return Plot(title, f"{title}: {len(data)} lines", data, {"showlegend": len(data) > 1})


def slices_plot(title: str, metric: str, found: Sequence[SliceFigures]) -> Plot | None:
    """Return a metric on each judged slice with its interval; None where none has one."""
    judged = [each for each in found if metric in each.intervals]
    if not judged:
        return None
    spans = [each.intervals[metric] for each in judged]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [span.value for span in spans],
        "y": [_text(each.name) for each in judged],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [span.high - span.value for span in spans],
            "arrayminus": [span.value - span.low for span in spans],
            "thickness": 1.2,
            "width": 3,
        },
        "customdata": [each.rows for each in judged],
        "hovertemplate": "%{y}<br>" + metric + " %{x:.4f}<br>%{customdata} rows<extra></extra>",
        "marker": {"color": SERIES[0], "size": 8},
    }
    layout = {"yaxis": {"automargin": True, "autorange": "reversed"}, "xaxis": {"title": {"text": metric}}}
    return Plot(title, f"{title}: {metric} on {len(judged)} slices", [trace], layout, 90 + 26 * len(judged))


def bounds_plot(title: str, bounds: Bounds, looks: Sequence[Look], planned: float | None) -> Plot:
    """Return z of every look against its information, between the bounds it was held against.

    Args:
        title: over the plot.
        bounds: as planned.
        looks: those that were taken.
        planned: the plan's information; None where the experiment was never started.
    """
    shares = [look.information / planned if planned else look.fraction for look in looks]
    data = [
        _bound("bound", list(bounds.fractions), [min(each, _TALLEST_Z) for each in bounds.upper]),
        _bound("lower bound", list(bounds.fractions), [_clipped(each) for each in bounds.lower]),
        {
            "type": "scatter",
            "mode": "markers",
            "name": "bound at the look",
            "x": shares + shares,
            "y": [min(look.upper, _TALLEST_Z) for look in looks] + [_clipped(look.lower) for look in looks],
            "marker": {"symbol": "line-ew-open", "size": 16, "color": "var(--bad)"},
            "hovertemplate": "bound %{y:.3f}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "z",
            "x": shares,
            "y": [look.z for look in looks],
            "text": [
                f"look {look.number}, estimate {look.estimate:.4g}, p {look.p_value:.3g}" for look in looks
            ],
            "hovertemplate": "%{text}<br>z %{y:.3f} at %{x:.0%} of the information<extra></extra>",
            "line": {"color": SERIES[0], "width": 2},
            "marker": {"size": 8},
        },
    ]
    layout = {
        "xaxis": {
            "title": {"text": "information, of the plan's"},
            "tickformat": ".0%",
            "rangemode": "tozero",
        },
        "yaxis": {"title": {"text": "z, positive is better"}},
        "showlegend": False,
    }
    return Plot(title, f"{title}: {len(looks)} looks of {len(bounds.fractions)} planned", data, layout, 320)


def looks_plot(title: str, looks: Sequence[Look]) -> Plot:
    """Return the difference at every look, between limits that hold at all looks at once."""
    return _intervals(
        title,
        [(f"look {look.number}", look.low, look.estimate, look.high) for look in looks],
        "treatment less control",
        0.0,
    )


def guardrails_plot(title: str, judged: Sequence[tuple[str, GuardrailResult]]) -> Plot | None:
    """Return the harm to each guardrail in its margins: what lies left of 1 is ruled out."""
    known = [
        (name, *_in_margins(each.margin, each.harm_low, each.harm, each.harm_high))
        for name, each in judged
        if each.harm is not None
    ]
    return _intervals(title, known, "harm, in margins", 1.0) if known else None


def decisions_plot(title: str, decisions: Sequence[Decided]) -> Plot | None:
    """Return the harm to each guardrail at each decision, in margins: below the bound more is ruled out."""
    names = dict.fromkeys(
        each.metric for made in decisions for each in made.decision.guardrails if each.harm is not None
    )
    if not names:
        return None
    data = [_harms(name, decisions, SERIES[number % len(SERIES)]) for number, name in enumerate(names)]
    layout = {
        "xaxis": {"type": "date"},
        "yaxis": {"title": {"text": "harm, in margins"}},
        "shapes": [_level(1.0)],
        "showlegend": True,
    }
    return Plot(title, f"{title}: {len(names)} guardrails, {len(decisions)} decisions", data, layout, 320)


def _harms(name: str, decisions: Sequence[Decided], colour: str) -> dict[str, Any]:
    judged = [
        (made, each, _in_margins(each.margin, each.harm_low, each.harm, each.harm_high))
        for made in decisions
        for each in made.decision.guardrails
        if each.metric == name and each.harm is not None
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": _text(name.replace("_", " ")),
        "x": [made.at.isoformat() for made, _, _ in judged],
        "y": [harm for _, _, (_, harm, _) in judged],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [high - harm for _, _, (_, harm, high) in judged],
            "arrayminus": [harm - low for _, _, (low, harm, _) in judged],
            "thickness": 1.4,
            "width": 4,
        },
        "text": [
            _text(f"{made.place}: {each.verdict.value}, {each.treatment_requests:,} requests")
            for made, each, _ in judged
        ],
        "hovertemplate": "%{text}<br>%{y:.3g} margins<extra>" + _text(name) + "</extra>",
        "marker": {"color": colour, "size": 8},
    }


def _in_margins(
    margin: float, low: float | None, harm: float | None, high: float | None
) -> tuple[float, float, float]:
    return (low or 0.0) / margin, (harm or 0.0) / margin, (high or 0.0) / margin


def _intervals(title: str, spans: Sequence[tuple[str, float, float, float]], axis: str, level: float) -> Plot:
    trace = {
        "type": "scatter",
        "mode": "markers",
        "y": [_text(name) for name, _, _, _ in spans],
        "x": [value for _, _, value, _ in spans],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - value for _, _, value, high in spans],
            "arrayminus": [value - low for _, low, value, _ in spans],
            "thickness": 1.4,
            "width": 4,
        },
        "hovertemplate": "%{y}<br>%{x:.4g}<extra></extra>",
        "marker": {"color": SERIES[0], "size": 8},
    }
    line = {
        "type": "line",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": level,
        "x1": level,
        "line": {"color": "var(--bad)", "dash": "dot", "width": 1.2},
    }
    layout = {
        "xaxis": {"title": {"text": axis}},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "shapes": [line],
    }
    return Plot(title, f"{title}: {len(spans)} intervals", [trace], layout, 110 + 28 * len(spans))


def _bound(name: str, at: list[float], values: Sequence[float | None]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": at,
        "y": list(values),
        "line": {"color": "var(--bad)", "dash": "dot", "width": 1.2},
        "marker": {"size": 4},
        "hovertemplate": "planned " + name + " %{y:.3f} at %{x:.0%}<extra></extra>",
    }


def _clipped(bound: float | None) -> float | None:
    return None if bound is None else max(bound, -_TALLEST_Z)


def reasons_plot(title: str, found: Sequence[Reason]) -> Plot:
    """Return what each input did to a score, the largest on top."""
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [each.contribution for each in found],
        "y": [_text(each.feature) for each in found],
        "error_x": {"type": "data", "array": [each.error for each in found], "thickness": 1, "width": 2},
        "text": [_text(str(each.value)) for each in found],
        "textposition": "none",
        "hovertemplate": "%{y} = %{text}<br>%{x:+.4f}<extra></extra>",
        "marker": {
            "color": ["var(--series-2)" if each.contribution > 0 else "var(--series-1)" for each in found]
        },
    }
    layout = {"yaxis": {"automargin": True, "autorange": "reversed"}, "showlegend": False}
    return Plot(title, f"{title}: {len(found)} inputs", [trace], layout, 80 + 24 * len(found))


def _line(line: Trend, colour: str, *, named: bool) -> list[dict[str, Any]]:
    at = [point.at.isoformat() for point in line.points]
    told = [_text(f"{point.verdict.value}: {point.reason}, n = {point.n:,}") for point in line.points]
    name = _text(line.name)
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


def _level(value: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": "var(--bad)", "width": 1, "dash": "dash"},
    }


def _told(cell: HeatCell | None) -> str:
    if cell is None:
        return "not measured"
    figure = "" if cell.value is None else f" {cell.value:.4g}"
    return _text(f"{cell.verdict.value}: {cell.metric}{figure}, {cell.reason}")


def _text(label: str) -> str:
    """Return a label that Plotly, which reads a little HTML, shows as it is."""
    return escape(label, quote=False)
