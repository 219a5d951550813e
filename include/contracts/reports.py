"""Evaluation reports: frozen, with an enum reason and the figures behind every verdict.

Version 2 added all but metrics, baseline, champion metrics and gates. A report of version 1 still loads,
its new parts empty, so that what it once approved can be traced; nothing is registered on one.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import UtcDatetime

SCHEMA_VERSION = 2

_STRICT = ConfigDict(frozen=True, extra="forbid")


class GateKind(StrEnum):
    """What a gate asks of a candidate."""

    THRESHOLD = "threshold"
    """A bound on a metric over the whole benchmark."""
    BENCHMARK = "benchmark"
    """A bound on a metric over one window of it."""
    BASELINE = "baseline"
    CHAMPION = "champion"
    SLICE = "slice"
    """A bound on a metric over the rows that share a value."""
    ROBUSTNESS = "robustness"
    """Finite scores and a bounded loss where inputs are missing, unknown or extreme."""
    LATENCY = "latency"
    """The candidate's time to answer in Triton, against what the contract promises."""
    THROUGHPUT = "throughput"
    """Rows a second in full batches in Triton, against the contract's bound."""
    PARITY = "parity"
    """The exported graph against the trained network; Triton's answers against the graph's own."""
    SKEW_REPLAY = "skew_replay"
    """Logged requests scored again: the champion's package must give what was answered."""


class Verdict(StrEnum):
    """How a gate decided."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    """There is nothing to compare with, such as no champion yet."""
    NOT_MEASURED = "not_measured"
    """There is something to measure, and it was not; such a candidate is not registered."""


class GateReason(StrEnum):
    """Why a gate decided as it did."""

    REACHED = "reached"
    BELOW_MINIMUM = "below_minimum"
    ABOVE_MAXIMUM = "above_maximum"
    NOT_BETTER_THAN_BASELINE = "not_better_than_baseline"
    NOT_SHOWN_AS_GOOD_AS_CHAMPION = "not_shown_as_good_as_champion"
    NO_CHAMPION = "no_champion"
    CHAMPION_NOT_COMPARABLE = "champion_not_comparable"
    """It reads features that the benchmark's rows lack, or gives other outputs."""
    WORSE_ON_A_SLICE = "worse_on_a_slice"
    TOO_FEW_ROWS = "too_few_rows"
    """Or rows of one class only."""
    NO_SLICE_LARGE_ENOUGH = "no_slice_large_enough"
    COLUMN_NOT_FROZEN = "column_not_frozen"
    """The training set was frozen before its contract named the slice."""
    NOT_FINITE = "not_finite"
    CRASHED = "crashed"
    """The graph failed on an input it must bear."""
    DEGRADES_TOO_MUCH = "degrades_too_much"
    TOO_SLOW = "too_slow"
    NO_BOUND = "no_bound"
    """The contract asks for nothing here."""
    TRITON_UNREACHABLE = "triton_unreachable"
    REFUSED_BY_TRITON = "refused_by_triton"
    """Triton is there, but could not load the candidate or answer with it."""
    NO_MEMORY_LEFT = "no_memory_left"
    """Other versions hold what Triton may take; nothing is known of the candidate."""
    OUTPUTS_DIFFER = "outputs_differ"
    NEVER_MEASURED = "never_measured"
    NO_TRAFFIC = "no_traffic"


class GateResult(BaseModel):
    """One gate's verdict and its figures."""

    model_config = _STRICT

    kind: GateKind
    metric: str
    verdict: Verdict
    reason: GateReason | None = None
    """None in reports of version 1 only."""
    subject: str | None = None
    """Which part of the benchmark, slice or input the verdict is about; None for the whole."""
    value: float | None
    """The candidate's figure."""
    bound: float | None
    """The figure it had to reach."""
    detail: str
    """One sentence for people, with the figures."""


class Benchmark(BaseModel):
    """The frozen rows a candidate and its champion are judged on."""

    model_config = _STRICT

    definition_sha256: str
    """Hash of how windows and slices are cut, and of their bounds."""
    snapshot_sha256: str
    rows_sha256: str
    """Hash of unit, event time and label of the rows judged, in order."""
    windows: int


class WindowFigures(BaseModel):
    """One window of the benchmark."""

    model_config = _STRICT

    start: UtcDatetime
    end: UtcDatetime
    """The rows' event times lie in [start, end); the last window takes in its end."""
    rows: int
    metrics: dict[str, float]
    """Empty where the window cannot be judged: no rows, or one class only."""
    champion_metrics: dict[str, float]


class Comparison(BaseModel):
    """Candidate against champion in one metric, on the same rows."""

    model_config = _STRICT

    metric: str
    candidate: float
    champion: float
    difference: float
    """Candidate minus champion."""
    lower: float
    """The difference is above this with the given confidence: a one-sided limit of the paired bootstrap."""
    upper: float
    """The difference is below this with the given confidence."""
    confidence: float


class SliceStatus(StrEnum):
    """Whether a slice could be judged."""

    JUDGED = "judged"
    TOO_FEW_ROWS = "too_few_rows"
    ONE_CLASS = "one_class"


class MetricInterval(BaseModel):
    """A metric between two-sided limits."""

    model_config = _STRICT

    low: float
    value: float
    high: float
    confidence: float


class SliceFigures(BaseModel):
    """The benchmark's rows that share a value, as of their event time."""

    model_config = _STRICT

    view: str
    column: str
    value: str | None
    """None: the column has no value for these rows."""
    rows: int
    status: SliceStatus
    metrics: dict[str, float]
    """Empty unless judged."""
    intervals: dict[str, MetricInterval]
    """Of the metrics that gates bound on slices."""

    @property
    def name(self) -> str:
        """`view.column = value`, for people; a text that reads like no value is not told from it."""
        return f"{self.view}.{self.column} = {'no value' if self.value is None else self.value}"


class CalibrationBin(BaseModel):
    """Rows of neighbouring scores: what was predicted, and what came."""

    model_config = _STRICT

    rows: int
    mean_score: float
    observed: float
    low: float
    """Lower 95 % limit (Wilson) of the observed share."""
    high: float


class Calibration(BaseModel):
    """Whether a score of 0.2 means one in five; for several classes, that of the likeliest one."""

    model_config = _STRICT

    bins: tuple[CalibrationBin, ...]
    """In order of score, of equal mass."""
    expected_calibration_error: float
    """Plain: the mean gap over the bins. Never 0, even for a perfect model."""
    expected_by_chance: float
    """What a perfectly calibrated model with these scores would show on as many rows."""
    debiased_error: float
    """Root mean squared gap with its sampling variance taken off (Kumar et al. 2019)."""


class CurveKind(StrEnum):
    """What a curve plots."""

    ROC = "roc"
    """x: false positive rate, y: true positive rate."""
    PRECISION_RECALL = "precision_recall"
    """x: recall, y: precision."""
    PREDICTED_OBSERVED = "predicted_observed"
    """x: mean prediction, y: mean target of rows with neighbouring predictions."""
    RESIDUAL_QUANTILES = "residual_quantiles"
    """x: quantile level, y: prediction minus target."""


class Curve(BaseModel):
    """Points for a plot, thinned to at most a hundred."""

    model_config = _STRICT

    kind: CurveKind
    label: str
    """Whose it is: `candidate`, or a class's name."""
    x: tuple[float, ...]
    y: tuple[float, ...]


class Histogram(BaseModel):
    """How often scores fall where."""

    model_config = _STRICT

    label: str
    """Which rows: `negative` and `positive`, a class's name, or `all`."""
    edges: tuple[float, ...]
    """One more than counts; the same for every histogram of a report."""
    counts: tuple[int, ...]


class Perturbation(StrEnum):
    """What is done to an input."""

    MISSING = "missing"
    UNKNOWN_CATEGORY = "unknown_category"
    SMALLEST = "smallest"
    """The contract's minimum, else minus a huge number."""
    LARGEST = "largest"
    """The contract's maximum, else a huge number."""


class ProbeOutcome(StrEnum):
    """What became of the spoilt rows' scores."""

    FINITE = "finite"
    NOT_FINITE = "not_finite"
    CRASHED = "crashed"
    """The graph failed, so there are none."""


class RobustnessProbe(BaseModel):
    """One input spoilt in a share of the rows."""

    model_config = _STRICT

    feature: str
    perturbation: Perturbation
    affected_rows: int
    outcome: ProbeOutcome
    metric: str
    value: float | None
    """The metric over all rows, the spoilt ones among them; like the figures below, None unless finite."""
    degradation: float | None
    """By what part of itself the metric got worse; negative where it got better."""
    mean_score_change: float | None
    """Mean absolute change of the spoilt rows' scores."""


class TritonMeasurement(BaseModel):
    """The candidate in Triton: one request at a time, then full batches."""

    model_config = _STRICT

    requests: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    batch_rows: int
    batches: int
    rows_per_second: float
    largest_difference: float
    """Between Triton's scores and those of the graph in process, relative to scores beyond 1."""


class SkewReplay(BaseModel):
    """Logged requests of the champion, scored again from their logged features."""

    model_config = _STRICT

    version: str
    """The champion's."""
    rows: int
    first: UtcDatetime
    last: UtcDatetime
    """The rows were predicted within [first, last]."""
    differing_rows: int
    """Rows where the champion's package does not give what was answered."""
    largest_difference: float
    candidate_not_finite: int
    """Rows for which the candidate gives no finite score; those with features it lacks are left out."""
    candidate_rows: int
    """Rows that have all the candidate's features."""
    candidate_mean_change: float | None
    """Mean absolute difference of the candidate's scores from the logged ones; None where it gives others."""


class EvaluationReport(BaseModel):
    """A candidate on a window of time it has not seen."""

    model_config = _STRICT

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    model: str
    as_of: UtcDatetime
    test_start: UtcDatetime
    test_end: UtcDatetime
    test_rows: int
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    champion_version: str | None
    champion_metrics: dict[str, float]
    benchmark: Benchmark | None = None
    windows: tuple[WindowFigures, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    """Empty where there is no champion to compare with."""
    slices: tuple[SliceFigures, ...] = ()
    calibration: Calibration | None = None
    """None for a regression."""
    curves: tuple[Curve, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    robustness: tuple[RobustnessProbe, ...] = ()
    triton: TritonMeasurement | None = None
    """None where no Triton could be reached, or it could not serve the candidate."""
    skew_replay: SkewReplay | None = None
    """None where the champion has answered nothing, or there is none."""
    gates: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate was measured and none failed."""
        return not self.failures and not self.unmeasured

    @property
    def failures(self) -> tuple[GateResult, ...]:
        """The gates that failed."""
        return self._with(Verdict.FAIL)

    @property
    def unmeasured(self) -> tuple[GateResult, ...]:
        """The gates that should have been measured and were not."""
        return self._with(Verdict.NOT_MEASURED)

    def _with(self, verdict: Verdict) -> tuple[GateResult, ...]:
        return tuple(gate for gate in self.gates if gate.verdict is verdict)


class Assessment(BaseModel):
    """Which report stands for a version now, and the champion it compares with."""

    model_config = _STRICT

    champion_version: str | None
    evaluation_uri: str | None
    """None: the report in the version's package."""
