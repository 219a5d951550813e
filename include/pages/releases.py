"""A release: where it stands, what was shown for it, what happens next."""

from datetime import datetime

from pydantic import BaseModel

from include.adapters.ledger.history import EventFilter
from include.contracts.errors import LedgerError
from include.contracts.events import LedgerEvent
from include.contracts.moments import UtcDatetime
from include.contracts.releases import Approval, Release
from include.contracts.reports import Comparison, GateResult
from include.pages.airflow_facts import STRICT, AirflowFacts, WaitingQuestion
from include.pages.desk import Desk
from include.pages.models import release_progress
from include.pages.progress import Progress
from include.pages.reports import shown_report, worst_first

EVENTS = 500


class ReleasePage(BaseModel):
    """One release."""

    model_config = STRICT

    now: UtcDatetime
    release: Release
    progress: Progress | None
    answers: tuple[Approval, ...]
    questions: tuple[WaitingQuestion, ...]
    gates: tuple[GateResult, ...]
    """Of the report its approvers were shown, those that failed first."""
    comparisons: tuple[Comparison, ...]
    events: tuple[LedgerEvent, ...]
    """What the ledger tells of it, oldest first."""


def release_page(desk: Desk, release_id: str, airflow: AirflowFacts, now: datetime) -> ReleasePage:
    """Return a release's page.

    Raises:
        LedgerError: there is no such release.
    """
    release = desk.ledger.release(release_id)
    if release is None:
        raise LedgerError(f"there is no release {release_id!r}")
    report = shown_report(desk, release)
    told = desk.ledger.latest_events(EventFilter(model=release.model, subject=release_id), EVENTS)
    run_id = release_id.removeprefix(f"{release.model}-")
    return ReleasePage(
        now=now,
        release=release,
        progress=release_progress(desk, release, now),
        answers=desk.ledger.approvals(release_id),
        questions=tuple(each for each in airflow.questions.get(release.model, ()) if each.run_id == run_id),
        gates=worst_first(report.gates) if report else (),
        comparisons=report.comparisons if report else (),
        events=tuple(reversed(told)),
    )
