"""Alerts of a ramp: somebody is asked, or it went back by itself."""

from include.adapters.ledger.ledger import Ledger
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.events import SYSTEM
from include.contracts.ramps import RampDecision
from include.contracts.releases import Release


def tell_held(ledger: Ledger, release: Release, decision: RampDecision) -> None:
    """Say that a ramp waits for a person; said again, it is the same alert."""
    ledger.raise_alert(_content(AlertKind.RAMP_HELD, release, decision, Severity.WARNING), SYSTEM)


def tell_rolled_back(ledger: Ledger, release: Release, decision: RampDecision) -> None:
    """Say that a ramp went back by itself; whatever was asked is settled by that."""
    settle_held(ledger, release, SYSTEM, "the ramp went back")
    ledger.raise_alert(_content(AlertKind.RAMP_ROLLED_BACK, release, decision, Severity.ERROR), SYSTEM)


def settle_held(ledger: Ledger, release: Release, actor: str, reason: str) -> None:
    """Close the question, if there is one."""
    known = AlertContent(
        kind=AlertKind.RAMP_HELD, subject=release.release_id, model=release.model, message=""
    )
    ledger.resolve_if_open(known, actor, reason)


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
