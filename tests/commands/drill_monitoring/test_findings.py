from datetime import UTC, datetime, timedelta

from include.commands.drill_monitoring.findings import Found, as_expected, weeks_of
from include.commands.drill_monitoring.troubles import TROUBLES
from include.commands.drill_monitoring.world import Raised
from include.contracts.alerts import AlertContent, AlertKind

FIRST = datetime(2017, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def raised(days: float, kind: AlertKind = AlertKind.FEATURE_DRIFT) -> Raised:
    """Return an alert so many days after the first."""
    return Raised(FIRST + days * DAY, AlertContent(kind=kind, subject="f", model="m", message="f drifted"))


def test_alerts_belong_to_the_week_that_was_looked_at() -> None:
    """A look at the midnight that ends a week speaks of that week."""
    found = weeks_of([raised(0.5), raised(7), raised(7.1)], FIRST, 3)
    assert [2, 1, 0] == [len(alerts) for _, alerts in found.weeks]
    assert 2 == found.alarmed


def test_the_first_alert_of_a_right_kind_counts() -> None:
    """Another monitor's alert before it is told, and is no detection."""
    (concept,) = [trouble for trouble in TROUBLES if trouble.waits_for_labels]
    found = Found(concept, FIRST, (raised(1), raised(15, AlertKind.PERFORMANCE)))
    assert (15 * DAY, 1) == (found.after, len(found.others))
    assert [] == as_expected(weeks_of([raised(1)], FIRST, 8), [found])


def test_what_is_not_as_it_must_be_is_said() -> None:
    """A trouble nobody found, and more than one alarmed week of eight."""
    missed = Found(TROUBLES[0], FIRST, ())
    problems = as_expected(weeks_of([raised(1), raised(8)], FIRST, 8), [missed])
    assert ["cents was not found", "2 of 8 quiet weeks had a false alarm"] == problems
