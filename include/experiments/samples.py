"""Metrics of units as sums that add up: by stage of the ramp, by arm, and by part of a slice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow

from include.contracts.experiment_plan import MetricKind
from include.contracts.experiment_results import ArmFigures
from include.contracts.guardrails import RequestMetric
from include.contracts.model import ExperimentMetric
from include.experiments.exposures import Exposed
from include.experiments.outcomes import CODES, Fate
from include.stats.cuped import cuped_difference
from include.stats.delta_method import ratio
from include.stats.intervals import Estimate
from include.stats.proportions import exact_z, has_enough_events
from include.stats.sample_size import effective_size
from include.stats.stratified import Stage, pooled_effect
from include.stats.sufficient_statistics import JointMoments, Moments, Proportion

ALL = ""
"""Part of the units that holds all of them."""
UNKNOWN = "unknown"
"""Part of the units whose value nobody knows."""
FIRST_LABEL_WITHIN = timedelta(days=1)
"""A unit's label is that of the first moment after its exposure; labels are a day apart."""
MOMENTS = "count(x), avg(x), avg(y), var_pop(x) * count(x), var_pop(y) * count(x), covar_pop(x, y) * count(x)"
"""What a `JointMoments` is made of; rows without x are left out."""

_VALUES = {
    "outcome": """
        SELECT unit, value FROM told WHERE metric = '{name}' AND fate = {counted}
    """,
    "label": """
        SELECT u.unit, arg_min(l.value, l.event_at) AS value
        FROM units u JOIN labels l ON TRY_CAST(l.unit AS {key}) = u.unit
        WHERE l.event_at >= u.first_at AND l.event_at <= u.first_at + INTERVAL '{wait} seconds' GROUP BY 1
    """,
    RequestMetric.ERROR_RATIO: """
        SELECT r.unit, sum(r.failed::INTEGER) AS value FROM requests r JOIN units u USING (unit)
        WHERE r.seen_at < u.first_at + INTERVAL '{horizon} seconds' GROUP BY 1
    """,
    RequestMetric.FALLBACK_RATIO: """
        SELECT r.unit, sum(r.fell_back::INTEGER) AS value FROM requests r JOIN units u USING (unit)
        WHERE r.seen_at < u.first_at + INTERVAL '{horizon} seconds' GROUP BY 1
    """,
}
_REQUESTS = """
    SELECT r.unit, count(*) AS requests FROM requests r JOIN units u USING (unit)
    WHERE r.seen_at < u.first_at + INTERVAL '{horizon} seconds' GROUP BY 1
"""
_X = {
    MetricKind.PROPORTION: "(value > 0)::INTEGER",
    MetricKind.MEAN: "value",
    MetricKind.RATIO: "value",
}


@dataclass(frozen=True)
class StageSample:
    """A metric in one stage of the ramp, arm by arm."""

    share: float
    control: JointMoments
    treatment: JointMoments

    @property
    def is_judged(self) -> bool:
        """Whether both arms have enough units for a variance."""
        return min(self.control.units, self.treatment.units) > 1


@dataclass(frozen=True)
class Sample:
    """A metric over all stages of the ramp."""

    kind: MetricKind
    stages: tuple[StageSample, ...] = ()
    missing_control: int = 0
    """Matured units without a value."""
    missing_treatment: int = 0
    has_covariate: bool = False
    """Whether y is a covariate known before the exposure."""

    @property
    def control(self) -> JointMoments:
        """Control over all stages; for looking at, never for comparing."""
        return sum((stage.control for stage in self.stages), JointMoments())

    @property
    def treatment(self) -> JointMoments:
        """Treatment over all stages; for looking at, never for comparing."""
        return sum((stage.treatment for stage in self.stages), JointMoments())

    @property
    def matured_control(self) -> int:
        """Units of control whose value is final, known or missing."""
        return self.control.units + self.missing_control

    @property
    def matured_treatment(self) -> int:
        """Units of treatment whose value is final, known or missing."""
        return self.treatment.units + self.missing_treatment

    @property
    def information(self) -> float:
        """Effective size: the sum over stages, since each compares its own arms under its own split."""
        return sum(
            effective_size(stage.control.units, stage.treatment.units)
            for stage in self.stages
            if stage.is_judged
        )

    @property
    def effect(self) -> Estimate | None:
        """Treatment less control, pooled over the stages; None where no stage can say."""
        return self._pooled(_adjusted if self.is_adjusted else _stage)

    @property
    def variance_reduction(self) -> float | None:
        """Share of the variance that the covariate took out; None where there is none, or it was not used."""
        if not self.is_adjusted:
            return None
        plain, sharper = self._pooled(_stage), self._pooled(_adjusted)
        if plain is None or sharper is None or plain.standard_error == 0.0:
            return None
        return 1.0 - (sharper.standard_error / plain.standard_error) ** 2

    @property
    def z(self) -> float | None:
        """The statistic; exact where events of a proportion are few; None where there is none to be had."""
        judged = [stage for stage in self.stages if stage.is_judged]
        if not self._has_enough_events:
            # Fisher's test knows no strata.
            return (
                exact_z(*map(proportion, (judged[0].control, judged[0].treatment)))
                if len(judged) == 1
                else None
            )
        effect = self.effect
        return effect.z if effect is not None and effect.standard_error > 0.0 else None

    @property
    def is_adjusted(self) -> bool:
        """Whether the covariate is used: where events are few, the exact test knows none."""
        return self.has_covariate and self._has_enough_events

    @property
    def _has_enough_events(self) -> bool:
        return self.kind is not MetricKind.PROPORTION or all(
            has_enough_events(proportion(stage.control), proportion(stage.treatment))
            for stage in self.stages
            if stage.is_judged
        )

    def _pooled(self, of: Callable[[MetricKind, StageSample], Stage]) -> Estimate | None:
        stages = [of(self.kind, stage) for stage in self.stages if stage.is_judged]
        return pooled_effect(stages) if stages else None


def proportion(moments: JointMoments) -> Proportion:
    """Return successes of all from moments of zeros and ones."""
    return Proportion(round(moments.mean_x * moments.units), moments.units)


def arm_figures(kind: MetricKind, moments: JointMoments) -> ArmFigures:
    """Return an arm's figures for people."""
    if moments.units == 0 or (kind is MetricKind.RATIO and (moments.units == 1 or moments.mean_y == 0.0)):
        return ArmFigures(units=moments.units, value=None)
    value = ratio(moments).value if kind is MetricKind.RATIO else moments.mean_x
    return ArmFigures(units=moments.units, value=value)


def register_labels(exposed: Exposed, labels: pyarrow.Table) -> None:
    """Make a table of the labels known."""
    exposed.connection.register("labels", labels)


def register_slice(exposed: Exposed, name: str, values: pyarrow.Table) -> None:
    """Make a table of which part of a slice each unit belongs to."""
    exposed.connection.register("slice_values", values)
    exposed.connection.execute(
        f'CREATE TABLE "{name}" AS SELECT TRY_CAST(unit AS {exposed.key}) AS unit, part FROM slice_values'  # noqa: S608
    )
    exposed.connection.unregister("slice_values")


def measure(
    exposed: Exposed,
    metric: ExperimentMetric,
    kind: MetricKind,
    as_of: datetime,
    slices: Sequence[str] = (),
    *,
    adjusted: bool = False,
) -> dict[str, dict[str, Sample]]:
    """Return a metric over units that have matured: of all, and by slice and part.

    Args:
        exposed: the experiment's tables; outcomes judged, labels registered.
        metric: of the contract.
        kind: what becomes of the values of one unit.
        as_of: the moment of the analysis.
        slices: registered slices.
        adjusted: whether the plan's covariate sharpens it. A unit without it counts with the mean of all:
            what is known before the exposure cannot depend on the arm.

    Returns:
        By slice (`ALL`: none) and part.
    """
    horizon = int(metric.matures_in.total_seconds())
    source = metric.name if metric.source == "prediction_log" else metric.source
    wait = metric.matures_in - exposed.contract.label.delay + FIRST_LABEL_WITHIN
    values = _VALUES[source].format(
        name=metric.name,
        key=exposed.key,
        horizon=horizon,
        wait=int(wait.total_seconds()),
        counted=CODES[Fate.COUNTED.value],
    )
    matured = as_of - metric.matures_in - (FIRST_LABEL_WITHIN if metric.source == "label" else timedelta())
    value = "value" if metric.source == "label" else "coalesce(value, 0)"
    y, requests = "1.0", ""
    if kind is MetricKind.RATIO:
        y, requests = "requests_in_horizon", f"LEFT JOIN ({_REQUESTS.format(horizon=horizon)}) q USING (unit)"
        requests = requests.replace("AS requests", "AS requests_in_horizon")
    if adjusted:
        y = "coalesce(covariate, avg(covariate) OVER (), 0)"
    exposed.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE measured AS
        SELECT unit, share, treated, {_X[kind].replace("value", value)}::DOUBLE AS x, {y}::DOUBLE AS y
        FROM units LEFT JOIN ({values}) v USING (unit) {requests}
        WHERE analysed AND first_at <= TIMESTAMPTZ '{matured.isoformat()}'
        """  # noqa: S608 - names out of a contract
    )
    empty = Sample(kind, has_covariate=adjusted)
    whole = {ALL: {ALL: _sample(empty, exposed.rows(_grouped(None))).get(ALL, empty)}}
    return whole | {name: _sample(empty, exposed.rows(_grouped(name))) for name in slices}


def _grouped(slice_name: str | None) -> str:
    part, join = f"'{ALL}'", ""
    if slice_name is not None:
        part, join = f"coalesce(s.part, '{UNKNOWN}')", f'LEFT JOIN "{slice_name}" s USING (unit)'
    return f"SELECT {part}, share, treated, count(*), {MOMENTS} FROM measured {join} GROUP BY 1, 2, 3"  # noqa: S608


def _sample(empty: Sample, rows: list[tuple[Any, ...]]) -> dict[str, Sample]:
    found: dict[str, Any] = {}
    for part, share, treated, matured, *moments in rows:
        cell = moments_of(moments)
        found.setdefault(part, {}).setdefault(share, {})[bool(treated)] = (
            cell,
            int(matured) - cell.units,
        )
    return {part: _of_part(empty, stages) for part, stages in sorted(found.items())}


def _of_part(empty: Sample, stages: Mapping[float, Mapping[bool, tuple[JointMoments, int]]]) -> Sample:
    nothing = (JointMoments(), 0)
    missing = [sum(arms.get(treated, nothing)[1] for arms in stages.values()) for treated in (False, True)]
    found = tuple(
        StageSample(share, arms.get(False, nothing)[0], arms.get(True, nothing)[0])
        for share, arms in sorted(stages.items())
    )
    return replace(empty, stages=found, missing_control=missing[0], missing_treatment=missing[1])


def moments_of(row: Sequence[Any]) -> JointMoments:
    """Return the moments of a row of `MOMENTS`."""
    units, mean_x, mean_y, squares_x, squares_y, products = row
    if not units:
        return JointMoments()
    return JointMoments(int(units), mean_x, mean_y, max(squares_x, 0.0), max(squares_y, 0.0), products)


def _stage(kind: MetricKind, stage: StageSample) -> Stage:
    if kind is MetricKind.PROPORTION:
        return Stage.of_proportions(proportion(stage.control), proportion(stage.treatment))
    if kind is MetricKind.MEAN:
        return Stage.of_means(*map(_of_x, (stage.control, stage.treatment)))
    return Stage.of_ratios(stage.control, stage.treatment)


def _adjusted(kind: MetricKind, stage: StageSample) -> Stage:  # noqa: ARG001 - called as `_stage` is
    """Return the stage of a mean or a proportion, adjusted for the covariate within the stage."""
    effect = cuped_difference(stage.control, stage.treatment).adjusted
    return Stage(effect, effective_size(stage.control.units, stage.treatment.units))


def _of_x(moments: JointMoments) -> Moments:
    return Moments(moments.units, moments.mean_x, moments.squares_x)
