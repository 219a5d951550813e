"""An analysis: read once, decided once, kept in the ledger before anybody sees it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.config.experiments import experiment_file
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ContractError, ExperimentError
from include.contracts.experiment_results import (
    Analysis,
    Comparison,
    ExperimentReason,
    ExperimentVerdict,
    Look,
)
from include.contracts.experiments import Experiment
from include.contracts.guardrails import Harm
from include.contracts.model import ModelContract
from include.experiments.bounds import take_looks, timetable, unbiased_estimate
from include.experiments.decide import Compared, Decision, Evidence, decide, invalid
from include.experiments.explain import explained
from include.experiments.exposures import Exposed, Source, exposures
from include.experiments.gather import Gathered, Measured, gather, missing_differs, slice_figures
from include.experiments.guardrails import UnitFigures, judge
from include.experiments.health import health
from include.experiments.page import analysis_page
from include.experiments.samples import Sample, arm_figures
from include.experiments.size import matures_at


def analyse(
    settings: Settings,
    ledger: Ledger,
    folder: ModelFolder,
    experiment_id: str,
    as_of: datetime,
    *,
    actor: str,
    extra_look: bool = False,
) -> Analysis:
    """Analyse an experiment as of a moment; analysed again as of the same moment, it is what it was.

    Args:
        settings: say where the logs and the artefact store lie.
        ledger: holds the experiment, and every look there was.
        folder: the model's.
        experiment_id: which.
        as_of: event time; only what had happened by then counts.
        actor: user name, or `system`.
        extra_look: look at the primary metric even if none is due. It costs alpha like any other.

    Raises:
        ExperimentError: there is no such experiment, or it was analysed as of a later moment.
        ConflictError: it was analysed meanwhile.
        ContractError: the model's contract is wrong.
        DataError: a log is damaged.
    """
    experiment = ledger.experiment(experiment_id)
    if experiment is None:
        raise ExperimentError(f"the ledger has no experiment {experiment_id!r}")
    earlier = ledger.analyses(experiment.model, experiment_id)
    known = next((each for each in earlier if each.as_of == as_of), None)
    if known is not None:
        return known
    _check_moment(experiment, earlier, as_of)
    changed = plan_problem(folder, experiment)
    analysis = (
        _void(experiment, as_of, changed)
        if changed is not None
        else judged(settings, folder.contract, experiment, earlier, as_of, extra_look=extra_look)
    )
    return _kept(settings, ledger, experiment, [*earlier, analysis], actor)


def plan_problem(folder: ModelFolder, experiment: Experiment) -> ExperimentReason | None:
    """Return how the file differs from what was hashed at the start; None: it does not."""
    try:
        written = experiment_file(folder, experiment.name).written
    except ContractError:
        return ExperimentReason.PLAN_MISSING
    return None if written.sha256 == experiment.plan_sha256 else ExperimentReason.PLAN_CHANGED


def _check_moment(experiment: Experiment, earlier: Sequence[Analysis], as_of: datetime) -> None:
    if as_of <= experiment.began_at:
        raise ExperimentError(
            f"{experiment.experiment_id} began at {experiment.began_at.isoformat()}; nothing can be said "
            f"as of {as_of.isoformat()}"
        )
    last = max((each.as_of for each in earlier), default=None)
    if last is not None and as_of < last:
        raise ExperimentError(
            f"{experiment.experiment_id} was analysed as of {last.isoformat()} already: looks follow "
            f"each other, so none can be taken as of {as_of.isoformat()}"
        )


def _void(experiment: Experiment, as_of: datetime, reason: ExperimentReason) -> Analysis:
    return Analysis(
        experiment_id=experiment.experiment_id,
        as_of=as_of,
        verdict=ExperimentVerdict.INVALID,
        reasons=(reason,),
        detail=explained(experiment, Decision(ExperimentVerdict.INVALID, (reason,))),
    )


def judged(
    settings: Settings,
    contract: ModelContract,
    experiment: Experiment,
    earlier: Sequence[Analysis],
    as_of: datetime,
    *,
    extra_look: bool = False,
) -> Analysis:
    """Return the analysis of an experiment whose plan is as it was; only what is set aside is written.

    Args:
        settings: say where the logs lie.
        contract: the model's.
        experiment: as the ledger holds it.
        earlier: analyses there were.
        as_of: event time.
        extra_look: look even if none is due.

    Raises:
        DataError: a log is damaged.
    """
    looks = earlier_looks(experiment, earlier)
    with exposures(settings, contract, _source(experiment, as_of)) as exposed:
        found = gather(settings, exposed, experiment, as_of)
        evidence = _evidence(contract, experiment, found, looks, as_of, extra_look=extra_look)
        broken = invalid(evidence)
        if broken is not None:
            return _told(experiment, found, evidence, broken, as_of=as_of)
        evidence = _looked(experiment, found, evidence, looks, as_of)
        evidence = _guarded(exposed, contract, experiment, found, evidence, looks=max(map(len, looks)))
        told = _told(experiment, found, evidence, decide(evidence), as_of=as_of)
        return _with_health(settings, exposed, experiment, told)


def earlier_looks(experiment: Experiment, earlier: Sequence[Analysis]) -> tuple[tuple[Look, ...], ...]:
    """Return the looks there were at each comparison."""
    return tuple(
        tuple(look for each in earlier if (look := _look_at(each, place)) is not None)
        for place in range(len(experiment.treatments))
    )


def _look_at(analysis: Analysis, place: int) -> Look | None:
    """Return the look an analysis took at a comparison; one that is void compared nothing."""
    return analysis.comparisons[place].look if place < len(analysis.comparisons) else None


def _looked(
    experiment: Experiment,
    found: Gathered,
    evidence: Evidence,
    earlier: Sequence[Sequence[Look]],
    as_of: datetime,
) -> Evidence:
    """Return the evidence with a look at every comparison, where one is wanted."""
    if not (evidence.wanted and evidence.when.new):
        return evidence
    taken = take_looks(experiment, found.primaries, earlier, evidence.when, as_of)
    comparisons = tuple(
        replace(each, looks=(*each.looks, *([look] if look is not None else [])))
        for each, look in zip(evidence.comparisons, taken, strict=True)
    )
    return replace(evidence, comparisons=comparisons, took=any(look is not None for look in taken))


def _guarded(
    exposed: Exposed,
    contract: ModelContract,
    experiment: Experiment,
    found: Gathered,
    evidence: Evidence,
    *,
    looks: int,
) -> Evidence:
    """Return the evidence with every guardrail judged."""
    harmful, fraction = _harmful(contract), evidence.when.fraction
    figures = [UnitFigures(each.metrics, each.slices, harmful, fraction) for each in found.comparisons]
    guardrails = judge(exposed, experiment, figures, looks)
    comparisons = tuple(
        replace(each, guardrails=judged)
        for each, judged in zip(evidence.comparisons, guardrails, strict=True)
    )
    return replace(evidence, comparisons=comparisons)


def _with_health(settings: Settings, exposed: Exposed, experiment: Experiment, told: Analysis) -> Analysis:
    """Return the analysis with the health of every treatment beside control's."""
    found = []
    for number in range(1, len(experiment.treatments) + 1):
        exposed.compare(number)
        found.append(health(settings, exposed, experiment.plan.health, told.fraction or 0.0, number))
    further = tuple(
        each.model_copy(update={"health": figures})
        for each, figures in zip(told.further, found[1:], strict=True)
    )
    return told.model_copy(update={"health": found[0], "further": further})


def _source(experiment: Experiment, as_of: datetime) -> Source:
    return Source(
        start=experiment.began_at,
        end=as_of,
        experiment_id=experiment.experiment_id,
        finals=tuple(each.share for each in experiment.plan.treatments),
        population=experiment.plan.population,
        last_exposure_at=experiment.last_exposure_at,
        covariate=experiment.plan.primary.covariate.feature if experiment.plan.primary.covariate else None,
    )


def _evidence(
    contract: ModelContract,
    experiment: Experiment,
    found: Gathered,
    looks: Sequence[Sequence[Look]],
    as_of: datetime,
    *,
    extra_look: bool,
) -> Evidence:
    """Return what there is to go by before a look is taken and guardrails are judged."""
    information = [each.information for each in found.primaries]
    when = timetable(experiment, information, looks, as_of, matures_at(experiment, contract))
    names = [each.name for each in experiment.plan.treatments]
    return Evidence(
        units=found.analysed,
        misplaced=found.misplaced,
        mismatch=any(stage.mismatch for stage in found.sample_ratio),
        missing_ratio=found.counts.missing / max(found.counts.matured, 1),
        maximum_missing_ratio=experiment.plan.maximum_missing_ratio,
        missing_differs=any(map(missing_differs, found.primaries)),
        comparisons=tuple(Compared(*each) for each in zip(names, looks, strict=True)),
        took=False,
        wanted=when.due or extra_look,
        when=when,
        two_sided=experiment.plan.primary.sides == 2,  # noqa: PLR2004
    )


def _harmful(contract: ModelContract) -> dict[str, Harm]:
    return {
        metric.name: Harm.DECREASE if metric.direction == "increase" else Harm.INCREASE
        for metric in contract.experiment_metrics
    }


def _unbiased(experiment: Experiment, sample: Sample, compared: Compared, look: Look | None) -> float | None:
    """Return the median-unbiased effect where this very look stopped the test."""
    if look is None or look.z <= look.upper or sample.effect is None:
        return None
    if any(earlier.z > earlier.upper for earlier in compared.looks[:-1]):
        return None
    return unbiased_estimate(experiment, compared.looks, sample.effect)


def _told(
    experiment: Experiment, found: Gathered, evidence: Evidence, decision: Decision, *, as_of: datetime
) -> Analysis:
    broken = decision.verdict is ExperimentVerdict.INVALID
    taken = [each.looks[-1] if evidence.took and each.looks else None for each in evidence.comparisons]
    # Of several comparisons one may have had too few events for a look now.
    looks = [look if look is not None and look.as_of == as_of else None for look in taken]
    first, *further = (
        _compared(experiment, measured, compared, look)
        for measured, compared, look in zip(found.comparisons, evidence.comparisons, looks, strict=True)
    )
    names = [each.name for each in evidence.comparisons]
    named = {name: look for name, look in zip(names, looks, strict=True) if look is not None}
    ships = decision.verdict is ExperimentVerdict.SHIP and further
    return Analysis(
        **dict(first),
        further=tuple(further),
        winner=decision.about[0] if ships else None,
        experiment_id=experiment.experiment_id,
        as_of=as_of,
        verdict=decision.verdict,
        reasons=decision.reasons,
        detail=explained(experiment, decision, found.counts, named),
        counts=found.counts,
        sample_ratio=found.sample_ratio,
        next_look=None if broken else evidence.when.next_look,
        fraction=evidence.when.fraction,
        quarantine=found.quarantine,
    )


def _compared(
    experiment: Experiment, measured: Measured, compared: Compared, look: Look | None
) -> Comparison:
    """Return what is told of one treatment; one that is broken, or not looked at, shows no effect: a look."""
    kind, primary = experiment.plan.primary.kind, measured.primary
    return Comparison(
        control=arm_figures(kind, primary.control) if look is not None else None,
        treatment=arm_figures(kind, primary.treatment) if look is not None else None,
        look=look,
        unbiased_estimate=_unbiased(experiment, primary, compared, look),
        guardrails=tuple(compared.guardrails),
        slices=tuple(slice_figures(measured)) if look is not None else (),
    )


def _kept(
    settings: Settings, ledger: Ledger, experiment: Experiment, analyses: Sequence[Analysis], actor: str
) -> Analysis:
    """Write the page, then the analysis; the first one as of a moment stays."""
    *earlier, last = analyses
    name = f"{last.as_of:%Y-%m-%dT%H%M%S}.html"
    uri = f"experiments/{experiment.model}/{experiment.experiment_id}/{name}"
    told = last.model_copy(update={"report_uri": uri})
    page = analysis_page(experiment, [*earlier, told])
    artefact_store(settings).write(uri, page.encode())
    return ledger.record_analysis(experiment.model, told, actor, earlier=len(earlier))
