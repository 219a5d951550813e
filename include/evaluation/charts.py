"""Pictures of a report."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from include.adapters.svg_charts import INK, svg_chart
from include.contracts.reports import (
    Calibration,
    Comparison,
    Curve,
    CurveKind,
    Histogram,
    RobustnessProbe,
    SliceFigures,
    WindowFigures,
)

CANDIDATE, CHAMPION, THIRD = "#2a78d6", "#e2711d", "#2e9e6b"
"""Colours that can be told apart on white and on near-black, also by colour-blind readers."""
_SERIES = (CANDIDATE, CHAMPION, THIRD, "#8e5bd0", "#c43d6b")
_MOST_PROBES = 12

_TITLES = {
    CurveKind.ROC: ("ROC", "false positive rate", "true positive rate"),
    CurveKind.PRECISION_RECALL: ("Precision and recall", "recall", "precision"),
    CurveKind.PREDICTED_OBSERVED: ("Predicted against observed", "mean prediction", "mean target"),
    CurveKind.RESIDUAL_QUANTILES: ("Residuals", "quantile", "prediction minus target"),
}
_DIAGONAL = frozenset({CurveKind.ROC, CurveKind.PREDICTED_OBSERVED})


def curves_chart(kind: CurveKind, curves: Sequence[Curve]) -> str:
    """Draw all curves of one kind."""
    title, x_name, y_name = _TITLES[kind]

    def draw(axes: Axes) -> None:
        for curve, colour in zip(curves, _cycle(len(curves)), strict=True):
            axes.plot(curve.x, curve.y, color=colour, label=curve.label)
        if kind in _DIAGONAL:
            ends = (min(curves[0].x), max(curves[0].x))
            axes.plot(ends, ends, color=INK, alpha=0.35, linestyle=":")
        axes.set(xlabel=x_name, ylabel=y_name, title=title)
        if len(curves) > 1:
            axes.legend()

    return svg_chart(draw, f"{title} of the candidate")


def calibration_chart(calibration: Calibration) -> str:
    """Draw what came against what was predicted, with the limits of each bin."""
    bins = calibration.bins

    def draw(axes: Axes) -> None:
        means, observed = [each.mean_score for each in bins], [each.observed for each in bins]
        below = [each.observed - each.low for each in bins]
        above = [each.high - each.observed for each in bins]
        end = max(*means, *(each.high for each in bins))
        axes.plot([0, end], [0, end], color=INK, alpha=0.35, linestyle=":")
        axes.errorbar(means, observed, yerr=[below, above], color=CANDIDATE, marker="o", linestyle="none")
        axes.set(xlabel="mean score", ylabel="observed share", title="Calibration")

    return svg_chart(draw, "Observed share of positives against the mean score of each bin")


def histogram_chart(histograms: Sequence[Histogram]) -> str:
    """Draw where the scores lie, each part scaled to its own size."""

    def draw(axes: Axes) -> None:
        for each, colour in zip(histograms, _cycle(len(histograms)), strict=True):
            total = sum(each.counts) or 1
            shares = [count / total for count in each.counts]
            axes.stairs(shares, each.edges, color=colour, fill=True, alpha=0.45, label=each.label)
        axes.set(xlabel="score", ylabel="share of rows", title="Scores")
        axes.legend()

    return svg_chart(draw, "Distribution of the candidate's scores")


def windows_chart(metric: str, windows: Sequence[WindowFigures]) -> str:
    """Draw a metric over the benchmark's windows, candidate and champion."""

    def draw(axes: Axes) -> None:
        names = [f"{window.start:%m-%d}" for window in windows]
        for label, colour, figures in (
            ("candidate", CANDIDATE, [window.metrics for window in windows]),
            ("champion", CHAMPION, [window.champion_metrics for window in windows]),
        ):
            if any(metric in each for each in figures):
                values = [each.get(metric, float("nan")) for each in figures]
                axes.plot(names, values, color=colour, marker="o", label=label)
        axes.set(xlabel="window starts", ylabel=metric, title=f"{metric} by window")
        axes.legend()

    return svg_chart(draw, f"{metric} in each window of the benchmark")


def comparison_chart(comparisons: Sequence[Comparison]) -> str:
    """Draw candidate minus champion, with the limits of the paired bootstrap."""

    def draw(axes: Axes) -> None:
        for place, each in enumerate(comparisons):
            axes.plot([each.lower, each.upper], [place, place], color=CANDIDATE, linewidth=2)
            axes.plot([each.difference], [place], color=CANDIDATE, marker="o")
        axes.axvline(0.0, color=INK, alpha=0.5, linestyle=":")
        axes.set_yticks(range(len(comparisons)), [each.metric for each in comparisons])
        axes.set_ylim(len(comparisons) - 0.5, -0.5)
        axes.locator_params(axis="x", nbins=5)
        axes.set(xlabel="candidate minus champion", title="Against the champion, same rows")

    return svg_chart(
        draw, "Difference of candidate and champion in each metric, with limits", len(comparisons)
    )


def slices_chart(metric: str, slices: Sequence[SliceFigures], overall: float) -> str:
    """Draw a metric with its interval on each slice, and the whole benchmark's as a line."""

    def draw(axes: Axes) -> None:
        for place, each in enumerate(slices):
            interval = each.intervals[metric]
            axes.plot([interval.low, interval.high], [place, place], color=CANDIDATE, linewidth=2)
            axes.plot([interval.value], [place], color=CANDIDATE, marker="o")
        axes.axvline(overall, color=INK, alpha=0.5, linestyle=":", label="all rows")
        axes.set_yticks(range(len(slices)), [each.name for each in slices])
        axes.set_ylim(len(slices) - 0.5, -0.5)
        axes.locator_params(axis="x", nbins=5)
        axes.set(xlabel=metric, title=f"{metric} by slice")
        axes.legend()

    return svg_chart(draw, f"{metric} of each slice with its interval", len(slices))


def robustness_chart(probes: Sequence[RobustnessProbe]) -> str:
    """Draw how much worse the model gets where one input is spoilt, the worst first."""
    measured = [(each.degradation, each) for each in probes if each.degradation is not None]
    worst = sorted(measured, key=lambda pair: -pair[0])[:_MOST_PROBES]

    def draw(axes: Axes) -> None:
        names = [f"{each.feature}: {each.perturbation.value.replace('_', ' ')}" for _, each in worst]
        axes.barh(range(len(worst)), [100 * degradation for degradation, _ in worst], color=CANDIDATE)
        axes.set_yticks(range(len(worst)), names)
        axes.set_ylim(max(len(worst), 4) - 0.5, -0.5)
        axes.set(xlabel="per cent worse", title="Where an input is spoilt")

    return svg_chart(draw, "Loss of the metric where one input is missing, unknown or extreme", len(worst))


def _cycle(count: int) -> list[str]:
    return [_SERIES[place % len(_SERIES)] for place in range(count)]
