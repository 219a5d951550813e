"""Figures of what ramps and experiments decide by: looks against bounds, harm in margins."""

from collections.abc import Sequence
from typing import Any

from include.contracts.experiment_results import Look
from include.contracts.guardrails import GuardrailResult
from include.pages.experiments import Bounds
from include.pages.plots import SERIES, Plot, as_text, level
from include.pages.releases import Decided

_TALLEST_Z = 6.0


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
        "shapes": [level(1.0)],
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
        "name": as_text(name.replace("_", " ")),
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
            as_text(f"{made.place}: {each.verdict.value}, {each.treatment_requests:,} requests")
            for made, each, _ in judged
        ],
        "hovertemplate": "%{text}<br>%{y:.3g} margins<extra>" + as_text(name) + "</extra>",
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
        "y": [as_text(name) for name, _, _, _ in spans],
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
