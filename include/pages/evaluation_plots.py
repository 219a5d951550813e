"""Figures of how a version was judged before it served, and of what moved one of its scores."""

from collections.abc import Sequence

from include.contracts.reports import Calibration, Curve, CurveKind, Histogram, SliceFigures
from include.pages.explanation import Reason
from include.pages.plots import SERIES, Plot, as_text

_AXES = {
    CurveKind.ROC: ("false positive ratio", "true positive ratio"),
    CurveKind.PRECISION_RECALL: ("recall", "precision"),
    CurveKind.PREDICTED_OBSERVED: ("predicted", "came"),
    CurveKind.RESIDUAL_QUANTILES: ("quantile", "predicted less what came"),
}


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
            "name": as_text(each.label),
            "x": [(low + high) / 2 for low, high in zip(each.edges, each.edges[1:], strict=False)],
            "y": list(each.counts),
            "width": [high - low for low, high in zip(each.edges, each.edges[1:], strict=False)],
            "marker": {"color": SERIES[number % len(SERIES)], "opacity": 0.65},
            "hovertemplate": "score %{x:.3f}<br>%{y} rows<extra>" + as_text(each.label) + "</extra>",
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


def curves_plot(title: str, kind: CurveKind, found: Sequence[Curve]) -> Plot:
    """Return curves of one kind, one line each."""
    across, up = _AXES[kind]
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": as_text(each.label),
            "x": list(each.x),
            "y": list(each.y),
            "line": {"color": SERIES[number % len(SERIES)]},
        }
        for number, each in enumerate(found)
    ]
    layout = {
        "xaxis": {"title": {"text": across}},
        "yaxis": {"title": {"text": up}},
        "showlegend": len(data) > 1,
    }
    return Plot(title, f"{title}: {len(data)} lines", data, layout)


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
        "y": [as_text(each.name) for each in judged],
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


def reasons_plot(title: str, found: Sequence[Reason]) -> Plot:
    """Return what each input did to a score, the largest on top."""
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [each.contribution for each in found],
        "y": [as_text(each.feature) for each in found],
        "error_x": {"type": "data", "array": [each.error for each in found], "thickness": 1, "width": 2},
        "text": [as_text(str(each.value)) for each in found],
        "textposition": "none",
        "hovertemplate": "%{y} = %{text}<br>%{x:+.4f}<extra></extra>",
        "marker": {
            "color": ["var(--series-2)" if each.contribution > 0 else "var(--series-1)" for each in found]
        },
    }
    layout = {"yaxis": {"automargin": True, "autorange": "reversed"}, "showlegend": False}
    return Plot(title, f"{title}: {len(found)} inputs", [trace], layout, 80 + 24 * len(found))
