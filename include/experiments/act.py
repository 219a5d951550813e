"""What follows from an analysis: traffic taken away where harm is shown, and somebody told."""

from include.adapters.ledger.ledger import Ledger
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.experiment_results import Analysis, ExperimentVerdict
from include.contracts.experiments import Experiment, ExperimentState
from include.experiments.stop import stop

_SEVERITIES = {
    ExperimentVerdict.SHIP: Severity.INFO,
    ExperimentVerdict.HOLD: Severity.WARNING,
    ExperimentVerdict.ROLLBACK: Severity.ERROR,
    ExperimentVerdict.INVALID: Severity.CRITICAL,
}


def act(ledger: Ledger, experiment: Experiment, analysis: Analysis, *, actor: str) -> Experiment:
    """Carry an analysis out; run again, it changes nothing.

    Harm ends the experiment: lowering risk needs nobody's yes. Every other verdict is told, and a person
    decides.

    Returns:
        The experiment as it is afterwards.

    Raises:
        ConflictError: the experiment or its route was changed meanwhile.
    """
    content = alert_of(experiment, analysis)
    if analysis.verdict is ExperimentVerdict.CONTINUE:
        ledger.resolve_if_open(content, actor, "it goes on")
    else:
        ledger.raise_alert(content, actor)
    if analysis.verdict is not ExperimentVerdict.ROLLBACK:
        return experiment
    return stop(ledger, experiment, actor=actor, reason=analysis.detail, state=ExperimentState.ROLLED_BACK)


def alert_of(experiment: Experiment, analysis: Analysis) -> AlertContent:
    """Return the alert that tells of a verdict."""
    return AlertContent(
        kind=AlertKind.EXPERIMENT,
        subject=experiment.experiment_id,
        model=experiment.model,
        severity=_SEVERITIES.get(analysis.verdict, Severity.INFO),
        message=f"{analysis.verdict.value.upper()}: {analysis.detail}",
        figures={
            "verdict": analysis.verdict.value,
            "reasons": [reason.value for reason in analysis.reasons],
            "as_of": analysis.as_of.isoformat(),
            "set_aside": analysis.counts.set_aside if analysis.counts is not None else {},
        },
        page=f"/dags/{experiment.name}_analyse",
        report_uri=analysis.report_uri,
    )
