"""The plan of an experiment: what is promised before the first unit is exposed.

The plan is a file of the model's folder, `experiments/<name>.yaml`. Starting copies it into the ledger with
the hash of its content; every later step reads that copy, and a file that says otherwise by then makes the
analysis invalid.
"""

from enum import StrEnum
from itertools import pairwise
from math import fsum, isclose, isfinite
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.canonical import content_hash
from include.contracts.guardrails import RequestMetric
from include.contracts.moments import Duration
from include.contracts.schedules import Cron

_STRICT = ConfigDict(frozen=True, extra="forbid")

CHAMPION = "champion"
"""Names the version that serves when the experiment starts."""
CANDIDATE = "candidate"
"""Names the newest registered version that does not serve."""
FAIRNESS = "fairness"
"""Guardrail on the primary metric in each part of a slice."""
FEWEST_ARMS, MOST_ARMS = 2, 10
"""Variants of an experiment."""


class MetricKind(StrEnum):
    """What becomes of the values of one unit."""

    PROPORTION = "proportion"
    """Share of the units with a value above 0."""
    MEAN = "mean"
    """Sum of the values, averaged over units."""
    RATIO = "ratio"
    """Sum of the values over the unit's requests, its error clustered on the unit."""


class HealthMetric(StrEnum):
    """What tells whether the two versions behave alike as models."""

    PREDICTION_DISTRIBUTION = "prediction_distribution"
    """Scores; of several classes, that of the likeliest."""
    CONFIDENCE_DISTRIBUTION = "confidence_distribution"
    """How sure a classifier is of its likeliest class."""
    FEATURE_COVERAGE = "feature_coverage"
    """Features that the last requests had, of all that the model reads."""
    LATENCY = "latency"
    """Seconds an answer takes."""


class Slot(NamedTuple):
    """The places of the hash space that a treatment has, in [start, start + share).

    Its start is that of its final share and never moves: as shares grow, units only ever go from control to
    the one treatment that is theirs.
    """

    start: float
    share: float
    """At present."""
    final: float
    """At the end of the ramp."""


class Variant(BaseModel):
    """One arm."""

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name in analyses."""
    version: str
    """`champion`, `candidate` or a semantic version."""
    share: float = Field(gt=0.0, lt=1.0)
    """Share of the units at the end of the ramp."""


class Condition(BaseModel):
    """What a unit must be like at its first exposure to be analysed; it is assigned in any case."""

    model_config = _STRICT

    feature: str
    """Input of the model, as logged."""
    minimum: float | None = None
    """Smallest value."""
    maximum: float | None = None
    """Largest value."""
    values: tuple[str, ...] | None = None
    """Categories."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        numeric = self.minimum is not None or self.maximum is not None
        if numeric == (self.values is not None):
            raise ValueError("give 'minimum' and 'maximum', or 'values'")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"nothing lies between minimum {self.minimum:g} and maximum {self.maximum:g}")
        return self


class Covariate(BaseModel):
    """What was known of a unit before its exposure, and takes out variance that is not the treatment's."""

    model_config = _STRICT

    feature: str
    """Numeric input of the model, as logged at the unit's first exposure."""


class PrimaryMetric(BaseModel):
    """The one metric that decides, and how surely."""

    model_config = _STRICT

    metric: str
    """A name out of the contract's `experiment_metrics`."""
    kind: MetricKind
    """What becomes of the values of one unit."""
    direction: Literal["increase", "decrease"]
    """Which way is better; it must be the contract's."""
    mde: float = Field(gt=0.0)
    """Smallest absolute difference worth finding."""
    baseline: float | None = Field(default=None, gt=0.0, lt=1.0)
    """A proportion's expected value in control; without it, it is measured in the log before the start."""
    standard_deviation: float | None = Field(default=None, gt=0.0)
    """Of a mean or ratio over units; without it, it is measured in the log before the start."""
    alpha: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Type I error over all looks."""
    power: float = Field(default=0.8, gt=0.0, lt=1.0)
    """Chance to find the smallest difference worth finding."""
    sides: Literal[1, 2] = 2
    """Whether a change for the worse is tested for, too."""
    spending: Literal["obrien_fleming", "pocock", "power", "hwang_shih_decani", "linear"] = "obrien_fleming"
    """How alpha is spent over the looks."""
    parameter: float | None = None
    """Of the spendings `power` and `hwang_shih_decani`."""
    futility: Literal["obrien_fleming", "pocock", "power", "hwang_shih_decani", "linear"] | None = None
    """How the type II error is spent on non-binding futility bounds; they need `sides: 1`."""
    looks: tuple[float, ...] = Field(default=(0.25, 0.5, 0.75, 1.0), min_length=1, max_length=50)
    """Planned looks, as shares of the final information; the last is 1."""
    covariate: Covariate | None = None
    """Sharpens the comparison (CUPED). The size is planned without it; each look tells what it takes out."""

    @model_validator(mode="after")
    def _testable(self) -> Self:
        for name, value in (("mde", self.mde), ("standard_deviation", self.standard_deviation)):
            if value is not None and not isfinite(value):
                raise ValueError(f"{name} must be finite")
        if self.looks[0] <= 0.0 or any(b <= a for a, b in pairwise(self.looks)) or self.looks[-1] != 1.0:
            raise ValueError(f"looks must rise from above 0 and end at 1.0; these are {list(self.looks)}")
        if not self.alpha / self.sides < self.power:
            raise ValueError(
                f"power {self.power:g} must exceed the alpha of a side, {self.alpha / self.sides:g}"
            )
        if self.parameter is not None and self.spending not in {"power", "hwang_shih_decani"}:
            raise ValueError(f"parameter: spending {self.spending!r} has none")
        if self.covariate is not None and self.kind is MetricKind.RATIO:
            raise ValueError("covariate: it sharpens a proportion or a mean, not a ratio over requests")
        if self.futility is not None and self.sides != 1:
            raise ValueError("futility has a direction: it needs 'sides: 1', with half of alpha")
        return self

    @model_validator(mode="after")
    def _assumptions_fit_the_kind(self) -> Self:
        if self.kind is MetricKind.PROPORTION:
            if self.standard_deviation is not None:
                raise ValueError("standard_deviation: a proportion's follows from its baseline")
            if self.baseline is not None and not 0.0 < self.expected < 1.0:
                raise ValueError(f"baseline and mde lead to a proportion of {self.expected:g}")
        elif self.baseline is not None:
            raise ValueError(f"baseline: a {self.kind.value} is planned by its standard_deviation")
        return self

    @property
    def expected(self) -> float:
        """A proportion's value in treatment, if it is better by just the MDE."""
        return (self.baseline or 0.0) + (self.mde if self.direction == "increase" else -self.mde)


class GuardrailPlan(BaseModel):
    """What must not get worse by as much as a margin."""

    model_config = _STRICT

    metric: str
    """`latency_p99_seconds`, `error_ratio`, `fallback_ratio`, `fairness`, or a name out of the contract's
    `experiment_metrics`, such as a ratio of complaints."""
    margin: float = Field(gt=0.0, allow_inf_nan=False)
    """Harm that must be ruled out, in the metric's unit."""
    kind: MetricKind = MetricKind.PROPORTION
    """Of a metric of the contract: what becomes of the values of one unit."""
    slice: str | None = None
    """Of `fairness`: `<view>.<column>` of the contract's `slices`. In none of its parts may the primary
    metric get worse by as much as the margin."""
    minimum_units: int = Field(default=100, ge=2)
    """Units an arm needs, in each part of a slice, before anything is said."""

    @model_validator(mode="after")
    def _fairness_has_a_slice(self) -> Self:
        if (self.metric == FAIRNESS) != (self.slice is not None):
            raise ValueError(f"'slice' goes with metric {FAIRNESS!r}, and only with it")
        return self

    @property
    def name(self) -> str:
        """Name in analyses."""
        return f"{FAIRNESS} {self.slice}" if self.metric == FAIRNESS else self.metric

    @property
    def is_of_requests(self) -> bool:
        """Whether the prediction log alone tells it."""
        return self.metric in set(RequestMetric)


class ExperimentPlan(BaseModel):
    """experiments/<name>.yaml."""

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)
    """Name of the file and of the experiment's DAGs."""
    description: str
    """What is asked, in a sentence."""
    salt: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$", max_length=200)
    """Id of the experiment and salt of its assignment; never used twice, so that no units are reused."""
    unit: str
    """What is assigned: the contract's entity."""
    variants: tuple[Variant, ...]
    """Control, which serves today, then the treatments: one, or up to nine, each compared with control."""
    ramp: tuple[float, ...] = ()
    """Shares of each treatment before its final one, rising."""
    population: tuple[Condition, ...] = ()
    """Who is analysed; without conditions, everybody."""
    primary: PrimaryMetric
    """What decides."""
    within: Duration
    """Longest time from the start to the last exposure that counts; a plan that cannot reach its power by
    then is refused."""
    guardrails: tuple[GuardrailPlan, ...] = Field(min_length=1)
    """What must not get worse."""
    guardrail_alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """One-sided error of all guardrails together, at all times together."""
    health: tuple[HealthMetric, ...] = tuple(HealthMetric)
    """What is watched of the models themselves."""
    schedule: Cron = "30 6 * * *"
    """When it is analysed by itself while it runs, UTC; a look is taken only where the plan has one."""
    maximum_missing_ratio: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Largest share of matured units that may lack a label."""

    @model_validator(mode="after")
    def _arms(self) -> Self:
        if not FEWEST_ARMS <= len(self.variants) <= MOST_ARMS:
            raise ValueError(
                f"variants: an experiment compares {FEWEST_ARMS} to {MOST_ARMS} versions; there are "
                f"{len(self.variants)}"
            )
        total = fsum(variant.share for variant in self.variants)
        if not isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"variants: the shares add up to {total:g}, not to 1")
        for said in ([each.name for each in self.variants], [each.version for each in self.variants]):
            if len(set(said)) < len(said):
                raise ValueError("variants: they must differ in name and version")
        shares = (*self.ramp, min(treatment.share for treatment in self.treatments))
        if shares[0] <= 0.0 or any(later <= earlier for earlier, later in pairwise(shares)):
            raise ValueError(
                f"ramp: shares must rise from above 0 to the treatment's; these are {list(shares)}"
            )
        return self

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [guardrail.name for guardrail in self.guardrails]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"guardrails: named more than once: {', '.join(twice)}")
        if self.within.total_seconds() <= 0:
            raise ValueError("within: must be longer than 0s")
        return self

    @property
    def control(self) -> Variant:
        """The arm that keeps what serves."""
        return self.variants[0]

    @property
    def treatments(self) -> tuple[Variant, ...]:
        """The arms that get other versions."""
        return self.variants[1:]

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the first treatment, stage by stage; they tell the stages apart."""
        return (*self.ramp, self.treatments[0].share)

    def slots(self, share: float) -> tuple[Slot, ...]:
        """Return the places of each treatment while the first one has a share.

        Before the ramp's end all treatments have the same share.
        """
        found: list[Slot] = []
        for treatment in self.treatments:
            final = treatment.share
            at_end = share >= self.treatments[0].share
            start = found[-1].start + found[-1].final if found else 0.0
            found.append(Slot(start, final if at_end else share, final))
        return tuple(found)

    @property
    def alpha_each(self) -> float:
        """Type I error that each comparison is planned with: Bonferroni's share; Holm never gives it less."""
        return self.primary.alpha / len(self.treatments)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric of the contract that the plan names, the primary one first."""
        named = (
            each.metric for each in self.guardrails if each.metric != FAIRNESS and not each.is_of_requests
        )
        return tuple(dict.fromkeys((self.primary.metric, *named)))

    @property
    def sha256(self) -> str:
        """Hash of the plan's content; formatting and comments do not enter."""
        return content_hash(_said(self))


def _said(plan: ExperimentPlan) -> dict[str, Any]:
    """Return what a plan says; a key that came later and is left out is not there, so that hashes last."""
    said = plan.model_dump(mode="json")
    if said["primary"]["covariate"] is None:
        del said["primary"]["covariate"]
    return said
