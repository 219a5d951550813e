"""A release: where it stands, what was shown for it, what was decided and by what, what happens next."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from include.adapters.ledger.history import EventFilter
from include.contracts.errors import LedgerError
from include.contracts.events import EventKind, LedgerEvent
from include.contracts.moments import UtcDatetime
from include.contracts.monitoring import Monitoring
from include.contracts.ramps import RampDecision
from include.contracts.releases import Approval, Release
from include.contracts.reports import Comparison, GateResult
from include.pages.airflow_facts import STRICT, AirflowFacts, WaitingQuestion
from include.pages.desk import Desk
from include.pages.progress import Progress, progress
from include.pages.reports import shown_report, worst_first
from include.rollout.bounds import bounds_of
from include.rollout.decide import decide
from include.rollout.ramp_evidence import RampEvidence

EVENTS = 500
_MOVES = frozenset({EventKind.RELEASE_ADVANCED, EventKind.RELEASE_ENDED})


class Decided(BaseModel):
    """A decision about its ramp, as the ledger holds it."""

    model_config = STRICT

    at: UtcDatetime
    actor: str
    place: str
    """Name of the place it was decided at."""
    decision: RampDecision


class ReleasePage(BaseModel):
    """One release."""

    model_config = STRICT

    now: UtcDatetime
    release: Release
    progress: Progress
    answers: tuple[Approval, ...]
    questions: tuple[WaitingQuestion, ...]
    decisions: tuple[Decided, ...]
    """Oldest first."""
    gates: tuple[GateResult, ...]
    """Of the report its approvers were shown, those that failed first."""
    comparisons: tuple[Comparison, ...]
    events: tuple[LedgerEvent, ...]
    """What the ledger tells of it, oldest first."""


class EvidencePage(BaseModel):
    """What would be decided about a ramp now, by the requests there are."""

    model_config = STRICT

    now: UtcDatetime
    release_id: str
    place: str
    minimum_requests: int
    decision: RampDecision


def release_page(desk: Desk, release_id: str, airflow: AirflowFacts, now: datetime) -> ReleasePage:
    """Return a release's page.

    Raises:
        LedgerError: there is no such release.
    """
    release = known_release(desk, release_id)
    report = shown_report(desk, release)
    told = desk.ledger.latest_events(EventFilter(model=release.model, subject=release_id), EVENTS)
    run_id, answers = release_id.removeprefix(f"{release.model}-"), desk.ledger.approvals(release_id)
    return ReleasePage(
        now=now,
        release=release,
        progress=progress(release, now, answers),
        answers=answers,
        questions=tuple(each for each in airflow.questions.get(release.model, ()) if each.run_id == run_id),
        decisions=_decisions(release, told[::-1]),
        gates=worst_first(report.gates) if report else (),
        comparisons=report.comparisons if report else (),
        events=told[::-1],
    )


def evidence_page(desk: Desk, release_id: str, now: datetime) -> EvidencePage:
    """Return what is known of a ramp's present place: the log is read for it, which takes its time.

    Raises:
        LedgerError: there is no such release, or it is not on its ramp.
    """
    release = known_release(desk, release_id)
    ramp = release.ramp
    if ramp is None or release.stage.is_terminal:
        raise LedgerError(f"release {release_id} is not on its ramp")
    contract = desk.contract(release.model)
    gathered = RampEvidence(desk.settings, desk.ledger, contract.monitoring if contract else Monitoring())
    decision = decide(release.plan, ramp, gathered.of(release, now), bounds_of(release), now)
    return EvidencePage(
        now=now,
        release_id=release_id,
        place=release.plan.name_of(ramp.place),
        minimum_requests=release.plan.minimum_at(ramp.place),
        decision=decision,
    )


def known_release(desk: Desk, release_id: str) -> Release:
    """Return a release.

    Raises:
        LedgerError: there is none of this id.
    """
    release = desk.ledger.release(release_id)
    if release is None:
        raise LedgerError(f"there is no release {release_id!r}")
    return release


def _decisions(release: Release, told: Sequence[LedgerEvent]) -> tuple[Decided, ...]:
    # An approval's event has a decision, too, and another one.
    moved = (event for event in told if event.kind in _MOVES)
    decided = ((event, event.payload.get("decision")) for event in moved)
    return tuple(
        Decided(at=event.recorded_at, actor=event.actor, place=_place(release, decision), decision=decision)
        for event, found in decided
        if found is not None and (decision := RampDecision.model_validate(found))
    )


def _place(release: Release, decision: RampDecision) -> str:
    return release.plan.name_of(decision.place)
