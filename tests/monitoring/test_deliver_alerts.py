"""The courier, with a real outbox; the routes are lists that can be told to refuse."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.contracts.alerts import Alert, AlertContent, AlertKind, Severity
from include.contracts.bulletins import Bulletin, Change, Target
from include.contracts.errors import AlertRouteError
from include.monitoring.deliver_alerts import Delivered, deliver_alerts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STEPS = ("raise", "worse", "answer", "end", "drain", "down", "up")


class Clock:
    """A wall clock that tests move."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Return the time, which moves on a second at every look."""
        self.now += timedelta(seconds=1)
        return self.now


class Recorder:
    """A route that remembers what it was told."""

    def __init__(self, name: str = "pager", least: Severity = Severity.INFO) -> None:
        self.name = name
        self.least = least
        self.down = False
        self.told: list[Bulletin] = []

    def wants(self, alert: Alert, target: Target) -> bool:  # noqa: ARG002 - part of the protocol
        """Say whether it is bad enough."""
        return alert.content.severity.rank >= self.least.rank

    def send(self, bulletin: Bulletin) -> str | None:
        if self.down:
            raise AlertRouteError("503")
        self.told.append(bulletin)
        return f"receipt-{len(self.told)}"

    def changes(self) -> list[list[Change]]:
        """Return what each bulletin said."""
        return [[item.change for item in bulletin.news] for bulletin in self.told]


@pytest.fixture
def clock() -> Clock:
    """Give the wall clock of ledger and courier."""
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Give a ledger."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    upgrade(url)
    opened = Ledger(url, clock=clock)
    yield opened
    opened.close()


def drift(feature: str, model: str = "churn", severity: Severity = Severity.ERROR) -> AlertContent:
    """Return what is said about a drifted feature."""
    return AlertContent(
        kind=AlertKind.FEATURE_DRIFT,
        subject=feature,
        model=model,
        severity=severity,
        message=f"{feature} drifted",
    )


def drain(ledger: Ledger, clock: Clock, *routes: Recorder, later: timedelta = MINUTE) -> Delivered:
    """Run the courier a while later."""
    clock.now += later
    return deliver_alerts(ledger, routes, lambda _: Target(), clock.now)


def test_a_group_is_one_bulletin(ledger: Ledger, clock: Clock) -> None:
    """Twenty features of a model that drift together are told of once; another model's by itself."""
    for number in range(20):
        ledger.raise_alert(drift(f"f{number}"), "system")
    ledger.raise_alert(drift("f0", "spend"), "system")
    route = Recorder()
    assert Delivered({"pager": 2}, {"pager": 0}, 0) == drain(ledger, clock, route)
    assert [20, 1] == [len(bulletin.news) for bulletin in route.told]
    assert [20, 1] == [len(bulletin.still_open) for bulletin in route.told]


def test_nothing_is_told_twice(ledger: Ledger, clock: Clock) -> None:
    """A second drain has nothing to say, nor has raising the same again."""
    ledger.raise_alert(drift("f"), "system")
    route = Recorder()
    drain(ledger, clock, route)
    ledger.raise_alert(drift("f"), "system")
    assert Delivered({"pager": 0}, {"pager": 0}, 0) == drain(ledger, clock, route)
    assert [[Change.RAISED]] == route.changes()


def test_an_alert_is_followed_to_its_end(ledger: Ledger, clock: Clock) -> None:
    """Raised, worse, acknowledged, resolved, each once; a follow-up carries the first receipt."""
    alert = ledger.raise_alert(drift("f", severity=Severity.WARNING), "system")
    route = Recorder()
    drain(ledger, clock, route)
    ledger.raise_alert(drift("f", severity=Severity.CRITICAL), "system")
    drain(ledger, clock, route)
    ledger.acknowledge_alert(alert.alert_id, "olga", "on it")
    drain(ledger, clock, route)
    ledger.resolve_alert(alert.alert_id, "system", "passed")
    drain(ledger, clock, route)
    told = [Change.RAISED, Change.ESCALATED, Change.ACKNOWLEDGED, Change.RESOLVED]
    assert [[change] for change in told] == route.changes()
    assert {"receipt-1"} == {item.delivery.receipt for each in route.told[1:] for item in each.news}
    assert ledger.undelivered_alerts() == ()
    assert ledger.verify() == 4


def test_without_a_route_nothing_waits(ledger: Ledger, clock: Clock) -> None:
    """What was raised before a route was configured is not poured out over it later."""
    ledger.raise_alert(drift("f"), "system")
    assert Delivered({}, {}, 0) == drain(ledger, clock)
    route = Recorder()
    drain(ledger, clock, route)
    assert route.told == []


def test_a_route_is_told_what_it_wants_to_know(ledger: Ledger, clock: Clock) -> None:
    """A pager that wants errors hears of a warning when it has become one."""
    ledger.raise_alert(drift("f", severity=Severity.WARNING), "system")
    pager, chat = Recorder("pager", Severity.ERROR), Recorder("chat")
    assert Delivered({"pager": 0, "chat": 1}, {"pager": 0, "chat": 0}, 0) == drain(ledger, clock, pager, chat)
    ledger.raise_alert(drift("f", severity=Severity.ERROR), "system")
    drain(ledger, clock, pager, chat)
    assert [[Change.RAISED]] == pager.changes()
    assert [[Change.RAISED], [Change.ESCALATED]] == chat.changes()


def test_a_failing_route_is_tried_later_and_later_and_holds_up_no_other(ledger: Ledger, clock: Clock) -> None:
    """The other is told at once; of what came and went meanwhile there is one bulletin."""
    alert = ledger.raise_alert(drift("f"), "system")
    pager, chat = Recorder("pager"), Recorder("chat")
    pager.down = True
    done = drain(ledger, clock, pager, chat)
    assert ({"pager": 0, "chat": 1}, {"pager": 1, "chat": 0}, 1) == (done.sent, done.failed, done.waiting)
    early = drain(ledger, clock, pager, chat, later=timedelta(seconds=30))
    assert ({"pager": 0, "chat": 0}, 1) == (early.failed, early.waiting)
    assert {"pager": 1, "chat": 0} == drain(ledger, clock, pager, chat, later=MINUTE).failed
    ledger.resolve_alert(alert.alert_id, "system", "passed")
    pager.down = False
    drain(ledger, clock, pager, chat, later=2 * MINUTE)
    assert [[Change.PASSED]] == pager.changes()
    assert [[Change.RAISED], [Change.RESOLVED]] == chat.changes()


def test_a_route_that_goes_on_failing_is_an_alert_itself(ledger: Ledger, clock: Clock) -> None:
    """After three times, by the routes that work; it is resolved when the route takes messages again."""
    ledger.raise_alert(drift("f"), "system")
    pager, chat = Recorder("pager"), Recorder("chat")
    pager.down = True
    for _ in range(4):
        drain(ledger, clock, pager, chat, later=10 * MINUTE)
    last = chat.told[-1]
    assert (AlertKind.ALERT_ROUTE_FAILING, "route:pager") == (last.kind, last.news[0].alert.content.subject)
    assert last.news[0].alert.content.figures["error"] == "503"
    pager.down = False
    for _ in range(2):
        drain(ledger, clock, pager, chat, later=60 * MINUTE)
    assert [AlertKind.FEATURE_DRIFT] == [alert.content.kind for alert in ledger.open_alerts()]
    assert {AlertKind.FEATURE_DRIFT, AlertKind.ALERT_ROUTE_FAILING} == {each.kind for each in pager.told}


def test_a_courier_that_is_killed_tells_once_more_and_says_so(ledger: Ledger, clock: Clock) -> None:
    """Between sending and noting there is no saying whether it got through."""

    class Killed(Recorder):
        def send(self, bulletin: Bulletin) -> str | None:
            super().send(bulletin)
            raise KeyboardInterrupt

    ledger.raise_alert(drift("f"), "system")
    with pytest.raises(KeyboardInterrupt):
        drain(ledger, clock, Killed())
    route = Recorder()
    drain(ledger, clock, route, later=timedelta(seconds=30))
    assert route.told == []
    drain(ledger, clock, route)
    (again,) = route.told
    assert again.is_repeated


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.sampled_from(["raise", "worse", "answer", "end", "drain", "down", "up"]), max_size=14)
)
def test_in_the_end_a_route_knows_how_things_stand(tmp_path_factory, steps: list[str]) -> None:
    """Whatever happens in whatever order: once the route takes messages it has the present state, once."""
    clock, route = Clock(), Recorder()
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite3'}"
    upgrade(url)
    ledger = Ledger(url, clock=clock)
    severities = iter((Severity.WARNING, Severity.ERROR, *[Severity.CRITICAL] * 14))
    for step in steps:
        open_alerts = [a for a in ledger.open_alerts() if a.content.kind is AlertKind.FEATURE_DRIFT]
        if step == "raise" or (step == "worse" and open_alerts):
            ledger.raise_alert(drift("f", severity=next(severities)), "system")
        elif step == "answer" and open_alerts:
            ledger.acknowledge_alert(open_alerts[0].alert_id, "olga")
        elif step == "end" and open_alerts:
            ledger.resolve_alert(open_alerts[0].alert_id, "system", "passed")
        elif step == "drain":
            drain(ledger, clock, route)
        elif step in {"down", "up"}:
            route.down = step == "down"
    route.down = False
    for _ in range(3):
        drain(ledger, clock, route, later=timedelta(hours=2))
    assert ledger.undelivered_alerts() == ()
    told = {item.alert.alert_id: item.alert for each in route.told for item in each.news}
    raised = [each for over in (False, True) for each in ledger.latest_alerts(["churn"], resolved=over)]
    now = {alert.alert_id: alert for alert in raised}
    assert now.keys() == told.keys()
    assert {key: each.changed_at for key, each in now.items()} == {
        key: each.changed_at for key, each in told.items()
    }
    changes = [(item.alert.alert_id, item.change) for each in route.told for item in each.news]
    once = [each for each in changes if each[1] is not Change.ESCALATED]
    assert len(once) == len(set(once))
    ledger.close()
