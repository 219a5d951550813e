"""A bulletin as a message for Slack: plain text for the notification, blocks for the reader."""

from typing import Any

from include.contracts.alerts import Alert, Severity
from include.contracts.bulletins import Bulletin, Change, News, Sites

SHOWN = 10
"""Alerts of one bulletin that are shown; the others are counted."""
_LONGEST = 2_900
"""Slack refuses a section of more than 3,000 characters."""
_MARKS = {
    Severity.INFO: ":information_source:",
    Severity.WARNING: ":warning:",
    Severity.ERROR: ":x:",
    Severity.CRITICAL: ":rotating_light:",
}
_WORDS = {
    Change.RAISED: "",
    Change.ESCALATED: "got worse: ",
    Change.ACKNOWLEDGED: "acknowledged by {by}{note}: ",
    Change.RESOLVED: "resolved, {reason}: ",
    Change.PASSED: "came and went, {reason}: ",
}


def slack_message(bulletin: Bulletin, sites: Sites) -> dict[str, Any]:
    """Return `text` and `blocks` of a message that tells what is new and how much is still open."""
    lines = [_line(item, sites) for item in bulletin.news[:SHOWN]]
    if len(bulletin.news) > SHOWN:
        lines.append(f"… and {len(bulletin.news) - SHOWN} more")
    foot = f"{len(bulletin.still_open)} open · {_link(sites.runbook(bulletin.kind), 'runbook')}"
    if bulletin.is_repeated:
        foot += " · you may have seen this: the last attempt was cut off"
    return {
        "text": f"{_title(bulletin)}: {escaped(bulletin.news[0].alert.content.message)}",
        "blocks": [
            _section(f"*{_title(bulletin)}*"),
            *(_section(line) for line in lines),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": foot}]},
        ],
    }


def escaped(text: str) -> str:
    """Return text that Slack shows as it is: no mention, no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _title(bulletin: Bulletin) -> str:
    about = f"{bulletin.model or 'platform'}: {bulletin.kind.value}"
    return f"{_mark(bulletin)} {escaped(about)}"


def _mark(bulletin: Bulletin) -> str:
    if not bulletin.still_open:
        return ":white_check_mark:"
    return _MARKS[bulletin.still_open[0].content.severity]


def _line(item: News, sites: Sites) -> str:
    alert = item.alert
    note = f" ({alert.acknowledgement})" if alert.acknowledgement else ""
    said = _WORDS[item.change].format(by=alert.acknowledged_by, note=note, reason=alert.resolution)
    text = f"`{escaped(alert.content.subject)}` {escaped(said)}{escaped(alert.content.message)}"
    return f"{text[:_LONGEST]}{_links(alert, sites)}"


def _links(alert: Alert, sites: Sites) -> str:
    page = sites.page(alert)
    links = [_link(page, "page")] if page else []
    if alert.content.report_uri:
        links.append(f"report `{escaped(alert.content.report_uri)}`")
    return "".join(f" · {link}" for link in links)


def _link(address: str, word: str) -> str:
    return f"<{address}|{word}>"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}
