"""What an experiment's tables say, before anything is concluded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum

from include.adapters.label_store import read_labels
from include.adapters.quarantine import keep
from include.adapters.slice_values import slice_values
from include.config.settings import Settings
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.experiment_results import Counts, SampleRatioFigures, SliceFigures
from include.contracts.experiments import Experiment
from include.contracts.model import ExperimentMetric
from include.experiments.exposures import Exposed
from include.experiments.outcomes import DEFECTS, Fate, judge_outcomes, set_aside
from include.experiments.samples import (
    ALL,
    UNKNOWN,
    Sample,
    arm_figures,
    measure,
    register_labels,
    register_slice,
)
from include.experiments.size import metric_of
from include.stats.sample_ratio import SRM_ALPHA, sequential_sample_ratio_test

_COUNTS = """
SELECT (SELECT count(*) FROM requests), count(*), count(*) FILTER (NOT fits), count(*) FILTER (reserved),
    count(*) FILTER (analysed)
FROM exposed
"""
_ARMS = "SELECT share, arm, count(*) FROM exposed WHERE analysed GROUP BY ALL"


@dataclass(frozen=True)
class Measured:
    """What the tables said of one treatment and control."""

    primary: Sample
    metrics: Mapping[str, Sample]
    """Every metric of the plan, by name."""
    slices: Mapping[str, Mapping[str, Sample]]
    """The primary metric, by slice and part."""


@dataclass(frozen=True)
class Gathered:
    """What the tables said, before anything is concluded."""

    fates: Mapping[Fate, int]
    quarantine: str | None
    sample_ratio: tuple[SampleRatioFigures, ...]
    misplaced: int
    analysed: int
    counts: Counts
    comparisons: tuple[Measured, ...]
    """Each treatment against control, in the order of the plan."""

    @property
    def primaries(self) -> tuple[Sample, ...]:
        """The primary metric of each comparison."""
        return tuple(each.primary for each in self.comparisons)


def gather(settings: Settings, exposed: Exposed, experiment: Experiment, as_of: datetime) -> Gathered:
    """Return what the tables say as of a moment; outcomes that somebody should look at go to quarantine."""
    contract, plan = exposed.contract, experiment.plan
    metrics = [metric_of(contract, name) for name in plan.metrics]
    fates = judge_outcomes(exposed, [metric for metric in metrics if metric.source == "outcome"])
    names = _register(settings, exposed, experiment, metrics, as_of)
    comparisons = tuple(
        _measured(exposed, experiment, metrics, names, as_of=as_of, number=number)
        for number in range(1, len(plan.treatments) + 1)
    )
    primaries = [each.primary for each in comparisons]
    [(requests, units, outside, reserved, analysed)] = exposed.rows(_COUNTS)
    return Gathered(
        fates=fates,
        quarantine=_quarantined(settings, exposed, experiment, fates, as_of),
        sample_ratio=sample_ratio(plan, exposed.rows(_ARMS)),
        misplaced=exposed.misplaced(),
        analysed=analysed,
        counts=Counts(
            requests=requests,
            units=units,
            outside_population=outside,
            reserved=reserved,
            # Control is in every comparison, and counts once.
            matured=primaries[0].matured_control + sum(each.matured_treatment for each in primaries),
            missing=primaries[0].missing_control + sum(each.missing_treatment for each in primaries),
            outcomes=fates.get(Fate.COUNTED, 0),
            set_aside={
                fate.value: number for fate, number in sorted(fates.items()) if fate is not Fate.COUNTED
            },
        ),
        comparisons=comparisons,
    )


def _measured(
    exposed: Exposed,
    experiment: Experiment,
    metrics: Sequence[ExperimentMetric],
    slices: Sequence[str],
    *,
    as_of: datetime,
    number: int,
) -> Measured:
    """Measure one treatment, by its number, and control."""
    plan = experiment.plan
    kinds = {each.metric: each.kind for each in plan.guardrails} | {plan.primary.metric: plan.primary.kind}
    exposed.compare(number)
    others = {
        metric.name: measure(exposed, metric, kinds[metric.name], as_of)[ALL][ALL] for metric in metrics[1:]
    }
    adjusted = plan.primary.covariate is not None
    parts = measure(exposed, metrics[0], plan.primary.kind, as_of, slices, adjusted=adjusted)
    primary = parts.pop(ALL)[ALL]
    return Measured(primary, others | {plan.primary.metric: primary}, parts)


def _register(
    settings: Settings,
    exposed: Exposed,
    experiment: Experiment,
    metrics: Sequence[ExperimentMetric],
    as_of: datetime,
) -> list[str]:
    """Bring labels and slices into the tables; return the slices' names."""
    contract = exposed.contract
    if any(metric.source == "label" for metric in metrics):
        register_labels(exposed, read_labels(settings, contract.name, as_of))
    names = []
    for part in contract.slices:
        name = f"{part.view}.{part.column}"
        # As of the start: a part that the treatment can move would say nothing about the treatment.
        values = slice_values(settings, part.view, part.column, contract.entity.name, experiment.began_at)
        register_slice(exposed, name, values)
        names.append(name)
    return names


def sample_ratio(
    plan: ExperimentPlan, arms: Sequence[tuple[float, int, int]]
) -> tuple[SampleRatioFigures, ...]:
    """Return the units of each stage against its shares; the test holds at all looks at once.

    Args:
        plan: control units that the ramp's end moves to a treatment are not analysed.
        arms: share of the first treatment, arm and units, of each stage and arm that has any.
    """
    seen: dict[float, dict[int, int]] = {}
    for share, arm, units in arms:
        seen.setdefault(share, {})[arm] = units
    return tuple(_stage_ratio(plan, share, seen[share], len(seen)) for share in sorted(seen))


def _stage_ratio(
    plan: ExperimentPlan, share: float, units: Mapping[int, int], stages: int
) -> SampleRatioFigures:
    slots = plan.slots(share)
    taken = fsum(slot.share for slot in slots)
    whole = taken + 1.0 - fsum(slot.final for slot in slots)
    expected = [slot.share / whole for slot in slots]
    counts = [units.get(arm, 0) for arm in range(len(slots) + 1)]
    tested = sequential_sample_ratio_test(counts, (1.0 - fsum(expected), *expected), SRM_ALPHA / stages)
    return SampleRatioFigures(
        share=share,
        control=counts[0],
        treatment=counts[1],
        expected_treatment=tested.expected[1],
        p_value=tested.p_value,
        mismatch=tested.mismatch,
        further=tuple(counts[2:]),
        expected_further=tested.expected[2:],
    )


def missing_differs(sample: Sample) -> bool:
    """Say whether labels are missing more often in one arm: then those that are there are no fair sample."""
    missing = (sample.missing_control, sample.missing_treatment)
    matured = [
        known.units + gone for known, gone in zip((sample.control, sample.treatment), missing, strict=True)
    ]
    if not sum(missing) or not all(matured):
        return False
    shares = [count / sum(matured) for count in matured]
    return sequential_sample_ratio_test(missing, shares).mismatch


def slice_figures(found: Measured) -> Iterator[SliceFigures]:
    """Yield the primary metric in each part of the units."""
    for name, parts in found.slices.items():
        for part, sample in parts.items():
            effect = sample.effect
            limits = effect.interval() if effect is not None and effect.standard_error > 0.0 else None
            yield SliceFigures(
                slice=name,
                part=part or UNKNOWN,
                control=arm_figures(sample.kind, sample.control),
                treatment=arm_figures(sample.kind, sample.treatment),
                difference=effect.value if effect is not None else None,
                low=limits.low if limits else None,
                high=limits.high if limits else None,
            )


def _quarantined(
    settings: Settings, exposed: Exposed, experiment: Experiment, fates: Mapping[Fate, int], as_of: datetime
) -> str | None:
    """Keep outcomes that somebody should look at; return the batch's name."""
    defects = {fate.value: fates[fate] for fate in DEFECTS if fates.get(fate)}
    if not defects:
        return None
    name = f"experiment {experiment.experiment_id}"
    batch = f"{as_of:%Y-%m-%dT%H%M%S}"
    keep(settings, name, batch, set_aside(exposed), {"set_aside": defects, "as_of": as_of.isoformat()})
    return f"{name}/{batch}"
