import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.commands.drill_monitoring import findings
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


def test_findings_travel_between_processes() -> None:
    """Worlds pass in processes of their own, and send back what they found."""
    found = tuple(Found(trouble, FIRST, (raised(1),)) for trouble in TROUBLES)
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301 - our own


def test_the_page_tells_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row a week and a row a trouble, with the time to detection; what nobody found stands out."""
    monkeypatch.setattr(findings, "PAGE", tmp_path / "drills" / "monitoring.md")
    snapshot = SimpleNamespace(rows=10, start=FIRST, end=FIRST + DAY)
    champion = SimpleNamespace(
        folder=SimpleNamespace(name="m"),
        version=SimpleNamespace(version="1.0.0"),
        manifest=SimpleNamespace(snapshot=snapshot),
    )
    found = [Found(TROUBLES[0], FIRST, (raised(0.5),)), Found(TROUBLES[1], FIRST, ())]
    quiet, real = weeks_of([], FIRST, 8), weeks_of([raised(1)], FIRST, 2)
    page = findings.write_page(champion, quiet, found, real, 90.0).read_text(encoding="utf-8")
    assert "**0 of 8 weeks** had one" in page
    assert "1 of 2 weeks had an alert" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [f"| {FIRST:%Y-%m-%d} | none |"] == [row for row in rows if row.startswith("| 2017-10-01")][:1]
    assert any(
        row.startswith("| cents |") and "| feature_drift | 12h | f drifted | none |" in row for row in rows
    )
    assert any(row.startswith("| renamed |") and "| **nobody** |" in row for row in rows)
    headings, weeks, troubles = 3, 8 + 2, 2
    assert headings + weeks + troubles == len(rows)
