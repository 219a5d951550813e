"""What an experiment's tables say, before anything is concluded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.adapters.label_store import read_labels
from include.adapters.quarantine import keep
from include.adapters.slice_values import slice_values
from include.config.settings import Settings
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
FROM units
"""
_ARMS = """
SELECT share, count(*) FILTER (NOT treated), count(*) FILTER (treated)
FROM units WHERE analysed GROUP BY share ORDER BY share
"""


@dataclass(frozen=True)
class Gathered:
    """What the tables said, before anything is concluded."""

    fates: Mapping[Fate, int]
    quarantine: str | None
    sample_ratio: tuple[SampleRatioFigures, ...]
    misplaced: int
    analysed: int
    counts: Counts
    primary: Sample
    metrics: Mapping[str, Sample]
    slices: Mapping[str, Mapping[str, Sample]]


def gather(settings: Settings, exposed: Exposed, experiment: Experiment, as_of: datetime) -> Gathered:
    """Return what the tables say as of a moment; outcomes that somebody should look at go to quarantine."""
    contract, plan = exposed.contract, experiment.plan
    metrics = [metric_of(contract, name) for name in plan.metrics]
    fates = judge_outcomes(exposed, [metric for metric in metrics if metric.source == "outcome"])
    names = _register(settings, exposed, experiment, metrics, as_of)
    kinds = {each.metric: each.kind for each in plan.guardrails} | {plan.primary.metric: plan.primary.kind}
    others = {
        metric.name: measure(exposed, metric, kinds[metric.name], as_of)[ALL][ALL] for metric in metrics[1:]
    }
    parts = measure(exposed, metrics[0], plan.primary.kind, as_of, names)
    primary = parts.pop(ALL)[ALL]
    [(requests, units, outside, reserved, analysed)] = exposed.rows(_COUNTS)
    return Gathered(
        fates=fates,
        quarantine=_quarantined(settings, exposed, experiment, fates, as_of),
        sample_ratio=sample_ratio(exposed.rows(_ARMS), plan.treatment.share),
        misplaced=exposed.misplaced(),
        analysed=analysed,
        counts=Counts(
            requests=requests,
            units=units,
            outside_population=outside,
            reserved=reserved,
            matured=primary.matured,
            missing=primary.missing_control + primary.missing_treatment,
            outcomes=fates.get(Fate.COUNTED, 0),
            set_aside={
                fate.value: number for fate, number in sorted(fates.items()) if fate is not Fate.COUNTED
            },
        ),
        primary=primary,
        metrics=others | {plan.primary.metric: primary},
        slices=parts,
    )


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
    arms: Sequence[tuple[float, int, int]], final_share: float
) -> tuple[SampleRatioFigures, ...]:
    """Return the units of each stage against its shares; the test holds at all looks at once.

    Args:
        arms: share, units of control and of treatment of each stage.
        final_share: treatment's share at the end of the ramp: control units below it are not analysed.
    """
    found = []
    for share, control, treatment in arms:
        expected = share / (share + 1.0 - final_share)
        tested = sequential_sample_ratio_test(
            (control, treatment), (1.0 - expected, expected), SRM_ALPHA / len(arms)
        )
        found.append(
            SampleRatioFigures(
                share=share,
                control=control,
                treatment=treatment,
                expected_treatment=tested.expected[1],
                p_value=tested.p_value,
                mismatch=tested.mismatch,
            )
        )
    return tuple(found)


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


def slice_figures(found: Gathered) -> Iterator[SliceFigures]:
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
