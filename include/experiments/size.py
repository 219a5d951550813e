"""What a plan costs before anybody is exposed: units, and days at the traffic the log has seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil, sqrt

from include.adapters.label_store import read_labels
from include.config.settings import Settings
from include.contracts.errors import ExperimentError
from include.contracts.experiment_plan import ExperimentPlan, MetricKind, Variant
from include.contracts.experiments import Experiment, PlannedSize
from include.contracts.model import ExperimentMetric, ModelContract
from include.contracts.moments import format_duration
from include.experiments.exposures import Exposed, Source, exposures
from include.experiments.outcomes import judge_outcomes
from include.experiments.samples import ALL, FIRST_LABEL_WITHIN, measure, register_labels
from include.stats.delta_method import ratio
from include.stats.experiment_design import design_of
from include.stats.sample_size import ArmSizes, effective_size, sample_size_means, sample_size_proportions
from include.stats.sufficient_statistics import JointMoments

HISTORY = timedelta(days=28)
"""Traffic that is looked at."""
_DAY_SECONDS = 86_400.0


def metric_of(contract: ModelContract, name: str) -> ExperimentMetric:
    """Return a metric of the contract; the plan was held against it."""
    return next(metric for metric in contract.experiment_metrics if metric.name == name)


def maturing(metric: ExperimentMetric) -> timedelta:
    """Return how long after its exposure a unit's value is final."""
    return metric.matures_in + (FIRST_LABEL_WITHIN if metric.source == "label" else timedelta())


def matures_at(experiment: Experiment, contract: ModelContract) -> datetime:
    """Return when the last unit that counts has matured."""
    return experiment.last_exposure_at + maturing(metric_of(contract, experiment.plan.primary.metric))


def planned_size(
    settings: Settings, contract: ModelContract, plan: ExperimentPlan, as_of: datetime
) -> PlannedSize:
    """Return what a plan takes, by the traffic before a moment; what it leaves open is measured there.

    Time is counted as if the treatment had its final share from the start: a ramp takes longer.

    Raises:
        ExperimentError: the log cannot tell what the plan leaves open, or no size reaches the power.
        DataError: the log is damaged.
    """
    metric = metric_of(contract, plan.primary.metric)
    start = as_of - HISTORY - maturing(metric)
    with exposures(settings, contract, Source(start, as_of, population=plan.population)) as exposed:
        baseline, deviation = _assumptions(settings, exposed, plan, metric, as_of)
        arrivals = _arrivals(exposed, as_of - HISTORY)
    try:
        return _planned(plan, metric, baseline, deviation, arrivals)
    except ValueError as error:
        raise ExperimentError(f"{plan.name}: primary: {error}") from error


def check_reachable(plan: ExperimentPlan, size: PlannedSize, metric: ExperimentMetric) -> None:
    """Refuse a plan that cannot reach its power in the time it states.

    Raises:
        ExperimentError: says how long it would take, at which traffic.
    """
    most = (plan.within + maturing(metric)).total_seconds()
    if size.expected_seconds is not None and size.expected_seconds <= most:
        return
    needed = size.units
    takes = "is never reached" if size.expected_seconds is None else f"takes {_days(size.expected_seconds)}"
    raise ExperimentError(
        f"{plan.name}: {needed:,} units for a difference of {plan.primary.mde:g} with power "
        f"{plan.primary.power:g}: at {size.units_per_day:,.0f} new units a day that {takes}, outcomes of "
        f"{format_duration(maturing(metric))} included; the plan gives {_days(most)}. Look for a larger "
        "difference, give it longer ('within'), or start it with 'underpowered' set"
    )


def _days(seconds: float) -> str:
    return f"{seconds / _DAY_SECONDS:,.1f} days"


def _assumptions(
    settings: Settings, exposed: Exposed, plan: ExperimentPlan, metric: ExperimentMetric, as_of: datetime
) -> tuple[float | None, float | None]:
    """Return baseline and standard deviation: the plan's, or what the log says where it has none."""
    primary = plan.primary
    if primary.baseline is not None or primary.standard_deviation is not None:
        return primary.baseline, primary.standard_deviation
    judge_outcomes(exposed, [metric] if metric.source == "outcome" else [])
    if metric.source == "label":
        register_labels(exposed, read_labels(settings, exposed.contract.name, as_of))
    sample = measure(exposed, metric, primary.kind, as_of)[ALL][ALL].control
    try:
        return _measured(primary.kind, sample)
    except ValueError as error:
        key = "baseline" if primary.kind is MetricKind.PROPORTION else "standard_deviation"
        raise ExperimentError(
            f"{plan.name}: primary.{key} is not given, and the log cannot tell it from {sample.units:,} "
            f"units whose {metric.name} is final: {error}"
        ) from error


def _measured(kind: MetricKind, sample: JointMoments) -> tuple[float | None, float | None]:
    if kind is MetricKind.PROPORTION:
        if not 0.0 < sample.mean_x < 1.0:
            raise ValueError("all of them did the same")
        return sample.mean_x, None
    if kind is MetricKind.MEAN:
        return None, sqrt(sample.variance_x)
    return None, ratio(sample).standard_error * sqrt(sample.units)


def _arrivals(exposed: Exposed, since: datetime) -> list[int]:
    """Return the units first seen on each day since a moment, as if nobody had been seen before."""
    rows = exposed.rows(
        f"SELECT date_diff('day', TIMESTAMPTZ '{since.isoformat()}', first_at), count(*) FROM ("  # noqa: S608
        "SELECT unit, min(seen_at) AS first_at FROM requests SEMI JOIN "
        "(SELECT unit FROM units WHERE fits) USING (unit) "
        f"WHERE seen_at >= TIMESTAMPTZ '{since.isoformat()}' GROUP BY unit) GROUP BY 1"
    )
    by_day = {int(day): int(units) for day, units in rows}
    return [by_day.get(day, 0) for day in range(max(by_day, default=-1) + 1)]


def _planned(
    plan: ExperimentPlan,
    metric: ExperimentMetric,
    baseline: float | None,
    deviation: float | None,
    arrivals: Sequence[int],
) -> PlannedSize:
    design = design_of(plan)
    arms = [_arms(plan, each, baseline, deviation, design.drift) for each in plan.treatments]
    control, first, *further = _together(plan, arms)
    days = days_until(control + first + sum(further), arrivals)
    return PlannedSize(
        control=control,
        treatment=first,
        further=tuple(further),
        information=effective_size(control, first),
        baseline=baseline,
        standard_deviation=deviation,
        inflation_factor=design.inflation_factor,
        expected_fraction_null=design.expected_fraction_null,
        expected_fraction_alternative=design.expected_fraction_alternative,
        units_per_day=arriving(arrivals),
        expected_seconds=None if days is None else days * _DAY_SECONDS + maturing(metric).total_seconds(),
    )


def _together(plan: ExperimentPlan, arms: Sequence[ArmSizes]) -> tuple[int, ...]:
    """Return units of all arms, control first, such that every comparison has what it takes.

    Arms fill by their shares, so the comparison that takes the most units sets the size of all.
    """
    if len(arms) == 1:
        return arms[0].control, arms[0].treatment
    control = max(each.control for each in arms)
    return control, *(ceil(control * each.share / plan.control.share) for each in plan.treatments)


def _arms(
    plan: ExperimentPlan, treatment: Variant, baseline: float | None, deviation: float | None, drift: float
) -> ArmSizes:
    """Return units per arm at the last look; futility bounds, which cost power, enter by the drift."""
    primary = plan.primary
    options = {
        "allocation": treatment.share / plan.control.share,
        "fractions": primary.looks,
        "spending": primary.spending,
        "parameter": primary.parameter,
    }
    asked = (plan.alpha_each, primary.power, primary.sides)
    if baseline is not None:
        mde = primary.mde if primary.direction == "increase" else -primary.mde
        arms = sample_size_proportions(baseline, mde, *asked, **options)  # type: ignore[arg-type]
    else:
        arms = sample_size_means(primary.mde, deviation or 0.0, *asked, **options)  # type: ignore[arg-type]
    growth = (drift / design_of(plan, futility=False).drift) ** 2
    return ArmSizes(ceil(arms.control * growth), ceil(arms.treatment * growth))


def arriving(arrivals: Sequence[int]) -> float:
    """Return the new units a day at the end of a window: its last quarter's mean; fewer and fewer are new."""
    last = arrivals[-ceil(len(arrivals) / 4) :] if arrivals else []
    return sum(last) / len(last) if last else 0.0


def days_until(units: int, arrivals: Sequence[int]) -> float | None:
    """Return the days until so many units were seen, if they come as they did in the window.

    After it they come as in its last quarter. None: never.
    """
    seen = 0
    for day, new in enumerate(arrivals):
        if seen + new >= units:
            return day + (units - seen) / new
        seen += new
    rate = arriving(arrivals)
    return None if rate == 0.0 else len(arrivals) + (units - seen) / rate
