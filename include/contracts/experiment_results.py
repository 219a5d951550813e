"""What an analysis of an experiment says: the verdict, its reasons, and every figure behind them."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from include.contracts.guardrails import GuardrailResult
from include.contracts.moments import UtcDatetime

_STRICT = ConfigDict(frozen=True, extra="forbid")


class ExperimentVerdict(StrEnum):
    """What is to be done."""

    SHIP = "ship"
    """Better, and nothing it must not harm is harmed: stop it and release the treatment."""
    ROLLBACK = "rollback"
    """Worse: the treatment's traffic is taken away."""
    CONTINUE = "continue"
    """Too early to say."""
    HOLD = "hold"
    """It is over, or blind, and does not say: a person decides."""
    INVALID = "invalid"
    """It is broken: nothing it says may be used."""


class ExperimentReason(StrEnum):
    """Why."""

    PLAN_CHANGED = "plan_changed"
    """The file differs from what was hashed into the ledger at the start."""
    PLAN_MISSING = "plan_missing"
    """The file is gone, or cannot be read."""
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"
    """Units did not fall to the arms in the planned shares."""
    ASSIGNMENT_INCONSISTENT = "assignment_inconsistent"
    """Rows contradict the hash of their unit, or a unit was in both arms at one share."""
    GUARDRAIL_BREACHED = "guardrail_breached"
    """Harm beyond a margin is shown."""
    PRIMARY_WORSE = "primary_worse"
    """The primary metric crossed its bound in the wrong direction."""
    PRIMARY_BETTER = "primary_better"
    """The primary metric crossed its bound, and no guardrail stands against it."""
    GUARDRAIL_INCONCLUSIVE = "guardrail_inconclusive"
    """The primary metric crossed its bound, but harm within the margins is not ruled out yet."""
    FUTILE = "futile"
    """The planned effect is unlikely to be found any more."""
    INCONCLUSIVE = "inconclusive"
    """The last look was taken without an answer."""
    MISSING_DATA = "missing_data"
    """Too many matured units lack a label."""
    MISSING_DIFFERS = "missing_differs"
    """Labels are missing more often in one arm."""
    NO_EXPOSURES = "no_exposures"
    """Nobody was exposed yet."""
    LOOK_NOT_DUE = "look_not_due"
    """The next planned look has not been reached, and none was asked for."""
    NO_NEW_INFORMATION = "no_new_information"
    """Hardly a unit matured since the last look: looking again would be the same look."""
    TOO_FEW_EVENTS = "too_few_events"
    """Too few events for a statistic."""
    NOT_SIGNIFICANT = "not_significant"
    """A look was taken, and no bound was crossed."""


class ArmFigures(BaseModel):
    """One metric in one arm, over all stages."""

    model_config = _STRICT

    units: int
    value: float | None


class SampleRatioFigures(BaseModel):
    """Units of one stage of the ramp, against its shares."""

    model_config = _STRICT

    share: float
    """Treatment's share in the stage."""
    control: int
    treatment: int
    """Of the first treatment."""
    expected_treatment: float
    p_value: float
    mismatch: bool
    further: tuple[int, ...] = ()
    """Of each treatment beside the first."""
    expected_further: tuple[float, ...] = ()


class Look(BaseModel):
    """One look at the primary metric. It is spent once it is in the ledger."""

    model_config = _STRICT

    as_of: UtcDatetime
    number: int
    planned: bool
    """Whether the plan had it; one more costs alpha like any other."""
    final: bool
    fraction: float
    """Spending time: information over the plan's, 1 at the last look."""
    information: float
    """Effective size of matured units."""
    z: float
    """Positive is better."""
    upper: float
    """Critical z."""
    lower: float | None
    """Critical z on the other side: worse, or futile; None: there is none."""
    alpha_spent: float
    """Of the plan's alpha, up to and including this look."""
    estimate: float
    """Treatment less control."""
    standard_error: float
    low: float
    """Repeated confidence limits: they hold at all looks at once."""
    high: float
    p_value: float
    """Repeated p-value: comparable with alpha at any look."""
    level: float | None = None
    """Alpha that this comparison has among several, by Holm's steps; None: it is the only one."""
    adjusted_p_value: float | None = None
    """Smallest p-value of all looks so far, Holm-adjusted over the treatments: comparable with alpha."""
    variance_reduction: float | None = None
    """Share of the variance that the plan's covariate took out; None: it has none, or too few events."""


class JudgedGuardrail(BaseModel):
    """A guardrail of the plan, judged."""

    model_config = _STRICT

    name: str
    part: str | None = None
    """Part of a slice."""
    result: GuardrailResult
    """`harm_low` and `harm_high` hold at this look; `p_value` at all times at once."""


class Distribution(BaseModel):
    """Where the requests' values lie, arm by arm."""

    model_config = _STRICT

    edges: tuple[float, ...]
    """Of the bins, one more than there are shares."""
    control: tuple[float, ...]
    """Share of the requests in each bin."""
    treatment: tuple[float, ...]
    stability_index: float
    """How far the two lie apart, less what chance gives so many units."""


class HealthFigures(BaseModel):
    """A property of the models, arm by arm."""

    model_config = _STRICT

    name: str
    control: float | None
    treatment: float | None
    difference_low: float | None
    """Always-valid limits of treatment less control."""
    difference_high: float | None
    differs: bool
    distribution: Distribution | None = None
    """How the values lie; None: it is a share, or nothing is known."""


class SliceFigures(BaseModel):
    """The primary metric in a part of the units; shown, not tested."""

    model_config = _STRICT

    slice: str
    part: str
    control: ArmFigures
    treatment: ArmFigures
    difference: float | None
    low: float | None
    """Limits at the level of one look; several parts are shown, so one in twenty lies outside."""
    high: float | None


class Comparison(BaseModel):
    """One treatment against control."""

    model_config = _STRICT

    control: ArmFigures | None = None
    treatment: ArmFigures | None = None
    look: Look | None = None
    """The look that was taken; None: none was due, or the experiment is invalid."""
    unbiased_estimate: float | None = None
    """Median-unbiased effect of a test that has stopped: an early stop exaggerates the plain one."""
    guardrails: tuple[JudgedGuardrail, ...] = ()
    health: tuple[HealthFigures, ...] = ()
    slices: tuple[SliceFigures, ...] = ()


class Counts(BaseModel):
    """What was read, and what became of it."""

    model_config = _STRICT

    requests: int
    units: int
    """Units that were exposed."""
    outside_population: int
    """Units exposed and not asked about."""
    reserved: int
    """Units of control that a later stage of the ramp moves to treatment: left out from the beginning."""
    matured: int
    """Units whose primary metric is final."""
    missing: int
    """Matured units without a label."""
    outcomes: int
    """Outcomes of the plan's metrics that count."""
    set_aside: dict[str, int]
    """Outcomes that do not count, by reason."""


class Analysis(Comparison):
    """An analysis as of a moment; as a comparison it is that of the first treatment."""

    experiment_id: str
    as_of: UtcDatetime
    verdict: ExperimentVerdict
    reasons: tuple[ExperimentReason, ...]
    detail: str
    """For people: what the verdict rests on."""
    counts: Counts | None = None
    sample_ratio: tuple[SampleRatioFigures, ...] = ()
    further: tuple[Comparison, ...] = ()
    """Of each treatment beside the first, in the order of the plan."""
    winner: str | None = None
    """Of several treatments, the plan's name of the one to ship."""
    next_look: float | None = None
    """Planned fraction of the next look."""
    fraction: float | None = None
    """Information reached, as a share of the plan's; of several comparisons, the slowest one's."""
    report_uri: str | None = None
    quarantine: str | None = None
    """Name of the batch that holds the outcomes set aside as wrong."""

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every treatment against control, in the order of the plan."""
        return (self, *self.further)
