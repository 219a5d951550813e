"""Which bulletins a route is to be sent: a pure function of the outbox and of what the route was told."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.contracts.alerts import Alert, AlertContent
from include.contracts.bulletins import Bulletin, Delivery, News, Target, change_since

Notes = Mapping[tuple[str, str], Delivery]
"""What routes were told, by alert and route."""
Targets = Callable[[AlertContent], Target]
"""Finds where an alert goes within a route."""
Wants = Callable[[Alert, Target], bool]
"""Says whether a route is to be told of an alert at all."""


@dataclass(frozen=True)
class Outbox:
    """What is to be told, and what was."""

    pending: Sequence[Alert]
    """Alerts with a change that not every route was told of."""
    still_open: Sequence[Alert]
    notes: Notes


def bulletins(route: str, outbox: Outbox, wants: Wants, targets: Targets) -> Iterator[Bulletin]:
    """Yield what a route is to be told, a group at a time."""
    groups: defaultdict[str, list[News]] = defaultdict(list)
    for alert in outbox.pending:
        delivery = outbox.notes.get((alert.alert_id, route), Delivery(alert.alert_id, route))
        change = change_since(alert, delivery.told_at)
        if change is not None and (delivery.told_at or wants(alert, targets(alert.content))):
            groups[alert.content.group].append(News(alert, change, delivery))
    for group, news in groups.items():
        content = news[0].alert.content
        target = targets(content)
        alike = (each for each in outbox.still_open if each.content.group == group)
        yield Bulletin(
            group=group,
            kind=content.kind,
            model=content.model,
            news=tuple(sorted(news, key=lambda item: _worst_first(item.alert))),
            still_open=tuple(sorted((each for each in alike if wants(each, target)), key=_worst_first)),
            target=target,
        )


def due(found: Iterable[Bulletin], now: datetime) -> Iterator[Bulletin]:
    """Yield the bulletins with something new, or whose next attempt has come."""
    for bulletin in found:
        moments = [item.delivery.next_attempt_at for item in bulletin.news]
        if any(moment is None or moment <= now for moment in moments):
            yield bulletin


def is_told(alert: Alert, note: Delivery | None, wants: Wants, target: Target) -> bool:
    """Say whether a route knows all there is to know of an alert, or wants to know nothing."""
    told_at = note.told_at if note else None
    if told_at is None and not wants(alert, target):
        return True
    return change_since(alert, told_at) is None


def _worst_first(alert: Alert) -> tuple[int, datetime]:
    return -alert.content.severity.rank, alert.raised_at
