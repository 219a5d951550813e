import pytest

from include.adapters.ledger.ledger import Ledger
from include.contracts.alerts import AlertContent, Severity
from include.contracts.errors import LedgerError
from include.contracts.events import EventKind

CONTENT = AlertContent(kind="data_quality", subject="source:purchases", message="unfit", figures={"rows": 1})


def test_an_open_alert_is_raised_once(ledger: Ledger) -> None:
    """The same kind and subject again is the same alert, whatever its figures; another subject is another."""
    first = ledger.raise_alert(CONTENT, "system")
    assert first == ledger.raise_alert(CONTENT.model_copy(update={"figures": {"rows": 2}}), "system")
    other = ledger.raise_alert(CONTENT.model_copy(update={"subject": "view:spending"}), "system")
    assert (first, other) == ledger.open_alerts()
    assert ledger.verify() == 2


def test_an_alert_goes_its_way(ledger: Ledger) -> None:
    """Raised, acknowledged, resolved, each once and each with its event; then it can be raised anew."""
    alert = ledger.raise_alert(CONTENT, "system")
    seen = ledger.acknowledge_alert(alert.alert_id, "olga")
    assert seen == ledger.acknowledge_alert(alert.alert_id, "uma")
    closed = ledger.resolve_alert(alert.alert_id, "olga", "repaired")
    assert closed == ledger.resolve_alert(alert.alert_id, "uma", "again")
    assert ledger.open_alerts() == ()
    kinds = [event.kind for event in ledger.events()]
    assert [EventKind.ALERT_RAISED, EventKind.ALERT_ACKNOWLEDGED, EventKind.ALERT_RESOLVED] == kinds
    assert alert.alert_id != ledger.raise_alert(CONTENT, "system").alert_id


def test_an_acknowledgement_says_who_and_what(ledger: Ledger) -> None:
    """The first one stands; what was said travels with the alert, and so does why it is over."""
    alert = ledger.raise_alert(CONTENT, "system")
    ledger.acknowledge_alert(alert.alert_id, "olga", "the producer sends it again")
    ledger.acknowledge_alert(alert.alert_id, "uma", "mine")
    ledger.resolve_alert(alert.alert_id, "system", "passed")
    found = ledger.alert(alert.alert_id)
    assert found is not None
    assert ("olga", "the producer sends it again") == (found.acknowledged_by, found.acknowledgement)
    assert ("system", "passed") == (found.resolved_by, found.resolution)
    assert found.changed_at == found.resolved_at


def test_an_alert_that_gets_worse_takes_on_what_is_said_now(ledger: Ledger) -> None:
    """It is the same alert with the new words; one that gets better keeps what it said."""
    warning = CONTENT.model_copy(update={"severity": Severity.WARNING})
    alert = ledger.raise_alert(warning, "system")
    worse = CONTENT.model_copy(update={"severity": Severity.CRITICAL, "figures": {"rows": 9}})
    grown = ledger.raise_alert(worse, "system")
    assert (alert.alert_id, worse, grown.changed_at) == (grown.alert_id, grown.content, grown.escalated_at)
    assert grown == ledger.raise_alert(warning, "system")
    assert (grown,) == ledger.open_alerts()
    assert ledger.verify() == 2


def test_alerts_of_a_model(ledger: Ledger) -> None:
    """Open alerts can be asked for by model."""
    ledger.raise_alert(CONTENT, "system")
    mine = ledger.raise_alert(CONTENT.model_copy(update={"model": "churn"}), "system")
    assert (mine,) == ledger.open_alerts("churn")


def test_resolving_by_what_it_is_about(ledger: Ledger) -> None:
    """A stage that finds all well closes its alert without knowing its id."""
    alert = ledger.raise_alert(CONTENT, "system")
    closed = ledger.resolve_if_open(CONTENT, "system", "passed")
    assert closed is not None
    assert alert.alert_id == closed.alert_id
    assert ledger.resolve_if_open(CONTENT, "system", "passed") is None


def test_an_unknown_alert_is_refused(ledger: Ledger) -> None:
    """Nobody acknowledges what was never raised."""
    with pytest.raises(LedgerError, match="no alert 'alert-x'"):
        ledger.acknowledge_alert("alert-x", "olga")
