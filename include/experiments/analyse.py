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
from include.contracts.experiment_results import Analysis, ExperimentReason, ExperimentVerdict, Look
from include.contracts.experiments import Experiment
from include.contracts.guardrails import Harm
from include.contracts.model import ModelContract
from include.experiments.bounds import take_look, timetable, unbiased_estimate
from include.experiments.decide import Decision, Evidence, decide, invalid
from include.experiments.explain import explained
from include.experiments.exposures import Source, exposures
from include.experiments.gather import Gathered, gather, missing_differs, slice_figures
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
    looks = [each.look for each in earlier if each.look is not None]
    changed = plan_problem(folder, experiment)
    analysis = (
        _void(experiment, as_of, changed)
        if changed is not None
        else judged(settings, folder.contract, experiment, looks, as_of, extra_look=extra_look)
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
    looks: Sequence[Look],
    as_of: datetime,
    *,
    extra_look: bool = False,
) -> Analysis:
    """Return the analysis of an experiment whose plan is as it was; only what is set aside is written.

    Args:
        settings: say where the logs lie.
        contract: the model's.
        experiment: as the ledger holds it.
        looks: those there were.
        as_of: event time.
        extra_look: look even if none is due.

    Raises:
        DataError: a log is damaged.
    """
    with exposures(settings, contract, _source(experiment, as_of)) as exposed:
        found = gather(settings, exposed, experiment, as_of)
        evidence = _evidence(contract, experiment, found, looks, as_of, extra_look=extra_look)
        broken = invalid(evidence)
        if broken is not None:
            return _told(experiment, found, evidence, broken, as_of=as_of)
        wanted = evidence.wanted and evidence.when.new
        look = take_look(experiment, found.primary, looks, evidence.when, as_of) if wanted else None
        figures = UnitFigures(found.metrics, found.slices, _harmful(contract), evidence.when.fraction)
        evidence = replace(
            evidence,
            looks=(*looks, *([look] if look is not None else [])),
            took=look is not None,
            guardrails=judge(exposed, experiment, figures, len(looks)),
        )
        told = _told(experiment, found, evidence, decide(evidence), as_of=as_of)
        return told.model_copy(
            update={"health": health(settings, exposed, experiment.plan.health, evidence.when.fraction)}
        )


def _source(experiment: Experiment, as_of: datetime) -> Source:
    return Source(
        start=experiment.began_at,
        end=as_of,
        experiment_id=experiment.experiment_id,
        final_share=experiment.plan.treatment.share,
        population=experiment.plan.population,
        last_exposure_at=experiment.last_exposure_at,
    )


def _evidence(
    contract: ModelContract,
    experiment: Experiment,
    found: Gathered,
    looks: Sequence[Look],
    as_of: datetime,
    *,
    extra_look: bool,
) -> Evidence:
    """Return what there is to go by before a look is taken and guardrails are judged."""
    information = found.primary.information
    when = timetable(experiment, information, looks, as_of, matures_at(experiment, contract))
    return Evidence(
        units=found.analysed,
        misplaced=found.misplaced,
        mismatch=any(stage.mismatch for stage in found.sample_ratio),
        missing_ratio=found.counts.missing / max(found.counts.matured, 1),
        maximum_missing_ratio=experiment.plan.maximum_missing_ratio,
        missing_differs=missing_differs(found.primary),
        guardrails=(),
        looks=tuple(looks),
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


def _unbiased(
    experiment: Experiment, looks: Sequence[Look], sample: Sample, look: Look | None
) -> float | None:
    """Return the median-unbiased effect where this very look stopped the test."""
    if look is None or look.z <= look.upper or sample.effect is None:
        return None
    if any(earlier.z > earlier.upper for earlier in looks[:-1]):
        return None
    return unbiased_estimate(experiment, looks, sample.effect)


def _told(
    experiment: Experiment, found: Gathered, evidence: Evidence, decision: Decision, *, as_of: datetime
) -> Analysis:
    kind = experiment.plan.primary.kind
    look = evidence.looks[-1] if evidence.took else None
    broken = decision.verdict is ExperimentVerdict.INVALID
    return Analysis(
        experiment_id=experiment.experiment_id,
        as_of=as_of,
        verdict=decision.verdict,
        reasons=decision.reasons,
        detail=explained(experiment, decision, found.counts, look),
        counts=found.counts,
        sample_ratio=found.sample_ratio,
        # An experiment that is broken, or not looked at, shows no effect: it would be a look.
        control=arm_figures(kind, found.primary.control) if look is not None else None,
        treatment=arm_figures(kind, found.primary.treatment) if look is not None else None,
        look=look,
        next_look=None if broken else evidence.when.next_look,
        fraction=evidence.when.fraction,
        unbiased_estimate=_unbiased(experiment, evidence.looks, found.primary, look),
        guardrails=tuple(evidence.guardrails),
        slices=tuple(slice_figures(found)) if look is not None else (),
        quarantine=found.quarantine,
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
