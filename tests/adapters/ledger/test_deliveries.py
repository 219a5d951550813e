from dataclasses import replace

from include.adapters.ledger.ledger import Ledger
from include.contracts.alerts import AlertContent, Severity
from include.contracts.bulletins import Delivery
from tests.adapters.ledger.conftest import START

CONTENT = AlertContent(kind="data_quality", subject="view:a", severity=Severity.WARNING, message="unfit")


def test_what_waits_is_what_changed_since_it_was_told(ledger: Ledger) -> None:
    """New, worse, answered, resolved: each change waits until it is settled, and no longer."""
    alert = ledger.raise_alert(CONTENT, "system")
    assert (alert,) == ledger.undelivered_alerts()
    ledger.settle_alerts([alert])
    assert () == ledger.undelivered_alerts()
    changes = [
        lambda: ledger.raise_alert(CONTENT.model_copy(update={"severity": Severity.ERROR}), "system"),
        lambda: ledger.acknowledge_alert(alert.alert_id, "olga"),
        lambda: ledger.resolve_alert(alert.alert_id, "system", "passed"),
    ]
    for change in changes:
        change()
        (waiting,) = ledger.undelivered_alerts()
        ledger.settle_alerts([waiting])
        assert () == ledger.undelivered_alerts()
    assert ledger.verify() == 4


def test_a_change_while_it_was_told_still_waits(ledger: Ledger) -> None:
    """What is settled is the alert as it was told, not as it is by then."""
    told = ledger.raise_alert(CONTENT, "system")
    ledger.resolve_alert(told.alert_id, "system", "passed")
    ledger.settle_alerts([told])
    assert [told.alert_id] == [alert.alert_id for alert in ledger.undelivered_alerts()]


def test_notes_are_kept_by_alert_and_route(ledger: Ledger) -> None:
    """Written again, a note is replaced; no event tells of it."""
    alert = ledger.raise_alert(CONTENT, "system")
    slack, pager = (Delivery(alert.alert_id, route, attempts=1, error="503") for route in ("slack", "pager"))
    ledger.note_deliveries([slack, pager])
    through = replace(slack, told_at=START, receipt="C42 1.1", attempts=0, error=None)
    ledger.note_deliveries([through])
    assert {pager, through} == set(ledger.deliveries([alert.alert_id, "alert-x"]))
    assert ledger.verify() == 1
