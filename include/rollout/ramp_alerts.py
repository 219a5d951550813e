"""Alerts of a ramp: somebody is asked, or it went back by itself. They are written with what they tell of."""

from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.ramps import RampDecision
from include.contracts.releases import Release


def held_alert(release: Release, decision: RampDecision) -> AlertContent:
    """Return that a ramp waits for a person."""
    return _content(AlertKind.RAMP_HELD, release, decision, Severity.WARNING)


def rolled_back_alert(release: Release, decision: RampDecision) -> AlertContent:
    """Return that a ramp went back by itself."""
    return _content(AlertKind.RAMP_ROLLED_BACK, release, decision, Severity.ERROR)


def _content(kind: AlertKind, release: Release, decision: RampDecision, severity: Severity) -> AlertContent:
    return AlertContent(
        kind=kind,
        subject=release.release_id,
        model=release.model,
        severity=severity,
        message=f"{release.model} {release.version}: {decision.detail}",
        figures=decision.model_dump(mode="json"),
        page=f"/dags/{release.model}_release",
    )
