"""A report as a page people look at: one HTML file, no script, nothing fetched."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contracts.reports import Calibration, CurveKind, EvaluationReport, SliceStatus
from include.evaluation.charts import (
    calibration_chart,
    comparison_chart,
    curves_chart,
    histogram_chart,
    robustness_chart,
    slices_chart,
    windows_chart,
)

_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True)
class Section:
    """A heading, a line that says how to read what follows, and its pictures."""

    title: str
    note: str
    charts: tuple[str, ...]

    def __iter__(self) -> Iterator[object]:
        """Give title, note and charts, for the template."""
        return iter((self.title, self.note, self.charts))


def report_page(report: EvaluationReport) -> str:
    """Return the page of a report; the same report gives the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = _figure
    return environment.get_template(_TEMPLATE).render(
        report=report,
        verdict=_verdict(report),
        sections=[section for section in _sections(report) if section.charts],
        metric_names=sorted({name for each in report.slices for name in each.metrics}),
    )


def _verdict(report: EvaluationReport) -> str:
    if report.passed:
        return "Every gate was reached."
    parts = []
    if report.failures:
        parts.append(f"{len(report.failures)} of {len(report.gates)} gates were missed")
    if report.unmeasured:
        parts.append(f"{len(report.unmeasured)} were not measured")
    return f"Not to be registered: {', '.join(parts)}."


def _sections(report: EvaluationReport) -> Iterator[Section]:
    metric = report.gates[0].metric
    kinds = [kind for kind in CurveKind if any(curve.kind is kind for curve in report.curves)]
    yield Section(
        "Discrimination" if report.calibration else "Predictions",
        "All test rows.",
        (
            *(curves_chart(kind, [c for c in report.curves if c.kind is kind]) for kind in kinds),
            *((histogram_chart(report.histograms),) if report.histograms else ()),
        ),
    )
    if report.calibration:
        note = _calibration_note(report.calibration)
        yield Section("Calibration", note, (calibration_chart(report.calibration),))
    yield Section(
        "Against the champion, and over time",
        "Intervals are one-sided 95 % limits of the paired bootstrap over units, on the same rows.",
        (
            *((comparison_chart(report.comparisons),) if report.comparisons else ()),
            *((windows_chart(metric, report.windows),) if report.windows else ()),
        ),
    )
    yield Section(
        "Slices", "Only slices that were judged; the table below has all of them.", tuple(_slices(report))
    )
    yield Section(
        "Robustness",
        "One input at a time, spoilt in a share of the rows.",
        (robustness_chart(report.robustness),) if report.robustness else (),
    )


def _calibration_note(figures: Calibration) -> str:
    return (
        f"Expected calibration error {figures.expected_calibration_error:.4f}, of which a perfectly "
        f"calibrated model would show {figures.expected_by_chance:.4f} by chance on as many rows; "
        f"debiased {figures.debiased_error:.4f}."
    )


def _slices(report: EvaluationReport) -> Iterator[str]:
    judged = [each for each in report.slices if each.status is SliceStatus.JUDGED]
    for metric in sorted({name for each in judged for name in each.intervals}):
        having = [each for each in judged if metric in each.intervals]
        yield slices_chart(metric, having, report.metrics[metric])


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"  # noqa: RUF001 - an en dash stands for no figure
