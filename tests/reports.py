"""A report with every part filled, for what shows reports."""

from datetime import UTC, datetime, timedelta

from include.contracts.reports import (
    Benchmark,
    Calibration,
    CalibrationBin,
    Comparison,
    Curve,
    CurveKind,
    EvaluationReport,
    GateKind,
    GateReason,
    GateResult,
    Histogram,
    MetricInterval,
    Perturbation,
    ProbeOutcome,
    RobustnessProbe,
    SkewReplay,
    SliceFigures,
    SliceStatus,
    TritonMeasurement,
    Verdict,
    WindowFigures,
)

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
"""A value of a slice, as somebody's data may hold it."""


def full_report(verdict: Verdict = Verdict.PASS) -> EvaluationReport:
    """Return a report of a binary model that was compared with champion 1.0.0."""
    return EvaluationReport(
        model="churn",
        as_of=AS_OF,
        test_start=AS_OF - timedelta(days=42),
        test_end=AS_OF,
        test_rows=10_154,
        metrics={"roc_auc": 0.8217, "brier": 0.131},
        baseline_metrics={"roc_auc": 0.6886},
        champion_version="1.0.0",
        champion_metrics={"roc_auc": 0.8101, "brier": 0.135},
        benchmark=Benchmark(
            definition_sha256="a" * 64, snapshot_sha256="b" * 64, rows_sha256="c" * 64, windows=2
        ),
        windows=tuple(
            WindowFigures(
                start=AS_OF - timedelta(days=days),
                end=AS_OF - timedelta(days=days - 7),
                rows=2_000,
                metrics={"roc_auc": 0.82},
                champion_metrics={"roc_auc": 0.81},
            )
            for days in (14, 7)
        ),
        comparisons=(
            Comparison(
                metric="roc_auc",
                candidate=0.8217,
                champion=0.8101,
                difference=0.0116,
                lower=0.004,
                upper=0.019,
                confidence=0.95,
            ),
        ),
        slices=(
            _slice("$45-54 & $up", SliceStatus.JUDGED),
            _slice(HOSTILE, SliceStatus.JUDGED),
            _slice(None),
        ),
        calibration=Calibration(
            bins=tuple(
                CalibrationBin(rows=100, mean_score=s, observed=s, low=s - 0.02, high=s + 0.02)
                for s in (0.1, 0.3, 0.6)
            ),
            expected_calibration_error=0.011,
            expected_by_chance=0.009,
            debiased_error=0.004,
        ),
        curves=(
            Curve(kind=CurveKind.ROC, label="candidate", x=(0.0, 0.2, 1.0), y=(0.0, 0.7, 1.0)),
            Curve(kind=CurveKind.PRECISION_RECALL, label="candidate", x=(0.0, 1.0), y=(0.9, 0.2)),
        ),
        histograms=(
            Histogram(label="negative", edges=(0.0, 0.5, 1.0), counts=(80, 20)),
            Histogram(label="positive", edges=(0.0, 0.5, 1.0), counts=(30, 70)),
        ),
        robustness=(_probe(0.012, ProbeOutcome.FINITE), _probe(None, ProbeOutcome.CRASHED)),
        triton=TritonMeasurement(
            requests=300,
            latency_p50_ms=0.4,
            latency_p95_ms=0.7,
            latency_p99_ms=1.2,
            batch_rows=256,
            batches=20,
            rows_per_second=90_000.0,
            largest_difference=1e-7,
        ),
        skew_replay=SkewReplay(
            version="1.0.0",
            rows=1_000,
            first=AS_OF,
            last=AS_OF,
            differing_rows=0,
            largest_difference=0.0,
            candidate_not_finite=0,
            candidate_rows=1_000,
            candidate_mean_change=0.03,
        ),
        gates=(
            GateResult(
                kind=GateKind.THRESHOLD,
                metric="roc_auc",
                verdict=verdict,
                reason=GateReason.REACHED if verdict is Verdict.PASS else GateReason.BELOW_MINIMUM,
                value=0.8217,
                bound=0.77,
                detail="roc_auc 0.8217 on 10154 test rows; must be at least 0.7700",
            ),
        ),
    )


def _slice(value: str | None, status: SliceStatus = SliceStatus.TOO_FEW_ROWS) -> SliceFigures:
    judged = status is SliceStatus.JUDGED
    interval = MetricInterval(low=0.75, value=0.8, high=0.85, confidence=0.95)
    return SliceFigures(
        view="customer_demographics",
        column="age",
        value=value,
        rows=500,
        status=status,
        metrics={"roc_auc": 0.8} if judged else {},
        intervals={"roc_auc": interval} if judged else {},
    )


def _probe(degradation: float | None, outcome: ProbeOutcome) -> RobustnessProbe:
    return RobustnessProbe(
        feature="preferred_category",
        perturbation=Perturbation.UNKNOWN_CATEGORY,
        affected_rows=1_000,
        outcome=outcome,
        metric="roc_auc",
        value=None if degradation is None else 0.81,
        degradation=degradation,
        mean_score_change=None if degradation is None else 0.02,
    )
