"""Alerts about views: one that is broken is told in the outbox until it works again or is gone."""

from collections.abc import Sequence
from typing import Any

from include.adapters.ledger.ledger import Ledger
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.events import SYSTEM
from include.features.views import BrokenView, Tell, log_broken, used_views

ALERT_KIND = AlertKind.DATA_QUALITY
_SUBJECT = "view:"


def view_alert(view: str, model: str | None, what: str, figures: dict[str, Any]) -> AlertContent:
    """Return what an alert about a view says.

    Args:
        view: its name.
        model: the model whose folder brought it; None for a shared one.
        what: what is wrong, the end of a sentence that begins with the view.
        figures: what is behind it.
    """
    return AlertContent(
        kind=ALERT_KIND,
        subject=f"{_SUBJECT}{view}",
        model=model,
        message=f"{_SUBJECT}{view} {what}",
        figures=figures,
    )


def alerting(ledger: Ledger) -> Tell:
    """Return what logs a broken view and puts an alert into the outbox, once while it is open."""

    def tell(broken: BrokenView) -> None:
        log_broken(broken)
        what = "is left out; the other views are computed and served"
        ledger.raise_alert(view_alert(broken.view, broken.model, what, {"error": broken.error}), SYSTEM)

    return tell


def settle_broken(settings: Settings, ledger: Ledger, broken: Sequence[BrokenView]) -> None:
    """Alert about each broken view of a model folder, and close the alerts of those nobody has any more.

    The alert of one that works again is closed where it is judged, before it is published.
    """
    tell = alerting(ledger)
    for item in broken:
        tell(item)
    there = {f"{_SUBJECT}{name}" for name in (*used_views(settings), *(item.view for item in broken))}
    for alert in ledger.open_alerts():
        content = alert.content
        of_view = content.kind == ALERT_KIND and content.subject.startswith(_SUBJECT)
        if of_view and content.subject not in there:
            ledger.resolve_alert(alert.alert_id, SYSTEM, "no model has this view any more")
