"""A bulletin as an event for PagerDuty (Events API v2): one incident a group, from first to last alert."""

from typing import Any

from include.contracts.alerts import Alert, Severity
from include.contracts.bulletins import Bulletin, Change, Sites, Target

SOURCE = "ninety"
SHOWN = 10
"""Alerts of a group whose figures are sent; the others are counted."""
_LONGEST_SUMMARY = 1_024


def is_paged(alert: Alert, target: Target) -> bool:
    """Say whether somebody is to be called: from `error` on, or from `warning` where the contract pages."""
    least = Severity.WARNING if target.pagerduty_severity else Severity.ERROR
    return alert.content.severity.rank >= least.rank


def pagerduty_event(bulletin: Bulletin, sites: Sites) -> dict[str, Any] | None:
    """Return the arguments of an event, without the key; None where the incident stays as it is.

    The key of deduplication is the group, so an event that is sent twice, and a further alert of the same
    kind and model, is no second incident.
    """
    action = _action(bulletin)
    if action is None:
        return None
    shown = bulletin.still_open or tuple(item.alert for item in bulletin.news)
    first = shown[0].content
    others = f" (and {len(shown) - 1} more)" if len(shown) > 1 else ""
    return {
        "action": action,
        "dedup_key": f"{SOURCE}:{bulletin.group}",
        "summary": f"{bulletin.group}: {first.message}"[: _LONGEST_SUMMARY - len(others)] + others,
        "severity": (bulletin.target.pagerduty_severity or first.severity).value,
        "source": SOURCE,
        "component": bulletin.model or "platform",
        "group": bulletin.group,
        "class_type": bulletin.kind.value,
        "custom_details": _details(bulletin, shown, sites),
        "links": _links(bulletin, shown, sites),
    }


def _action(bulletin: Bulletin) -> str | None:
    if bulletin.is_worse and bulletin.still_open:
        return "trigger"
    if not bulletin.still_open:
        was_told = any(item.delivery.told_at for item in bulletin.news)
        return "resolve" if was_told or bulletin.is_repeated else None
    news = any(item.change is Change.ACKNOWLEDGED for item in bulletin.news)
    return "acknowledge" if news and all(each.acknowledged_at for each in bulletin.still_open) else None


def _details(bulletin: Bulletin, shown: tuple[Alert, ...], sites: Sites) -> dict[str, Any]:
    return {
        "alerts": {alert.content.subject: alert.content.figures for alert in shown[:SHOWN]},
        "open": len(bulletin.still_open),
        "reports": sorted({alert.content.report_uri for alert in shown if alert.content.report_uri}),
        "runbook": sites.runbook(bulletin.kind),
    }


def _links(bulletin: Bulletin, shown: tuple[Alert, ...], sites: Sites) -> list[dict[str, str]]:
    pages = sorted({page for alert in shown if (page := sites.page(alert))})
    found = [(page, "page") for page in pages] + [(sites.runbook(bulletin.kind), "runbook")]
    return [{"href": address, "text": word} for address, word in found]
