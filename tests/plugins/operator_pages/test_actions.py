"""Actions: only from our own pages, with a reason, in the ledger under the person's name, done by a run."""

import pytest

from include.adapters.ledger.history import EventFilter
from include.contracts.actions import Action, AskedAction
from include.contracts.events import EventKind
from tests.plugins.operator_pages.conftest import HOSTILE, MODEL

ROLL_BACK = f"/ninety/models/{MODEL}/roll-back"
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_forged_request_does_nothing(seat, headers):
    """Airflow's cookie goes along with a form of any site; such a form is refused before anything is done."""
    before = seat.ledger.head()
    with seat.browser("operator", **headers) as browser:
        answer = browser.post(ROLL_BACK, data={"reason": "because"})
    assert answer.status_code == 403, answer.text
    assert before == seat.ledger.head()


@pytest.mark.parametrize("reason", ["", "  ", "no"])
def test_an_action_needs_a_reason(seat, reason):
    """None, or one that says nothing, is refused."""
    before = seat.ledger.head()
    with seat.client("operator") as client:
        assert client.post(ROLL_BACK, data={"reason": reason}).status_code == 422
    assert before == seat.ledger.head()


def same_origin(seat) -> dict[str, str]:
    """Return what a browser that only knows Origin sends along with our own form."""
    return {"Origin": seat.settings.airflow_url}


def test_a_rollback_is_a_run_in_the_name_of_who_asked(seat):
    """The ledger tells who and why before the run starts; Airflow knows who triggered it, and with what."""
    with seat.browser("operator", **same_origin(seat)) as browser:
        answer = browser.post(ROLL_BACK, data={"reason": HOSTILE, "to": "previous"})
    assert answer.status_code == 303, answer.text
    [event] = seat.ledger.latest_events(EventFilter(kinds=(EventKind.ACTION_ASKED,)), 1)
    asked = AskedAction.model_validate(event.payload)
    assert ("operator", Action.ROLL_BACK, HOSTILE) == (event.actor, asked.action, asked.reason)
    with seat.client("viewer") as client:
        run = client.get(f"/api/v2/dags/{asked.dag_id}/dagRuns/{asked.run_id}").json()
    assert "operator" == run["triggering_user_name"]
    assert {"to": "previous", "reason": HOSTILE} == run["conf"]


def test_a_training_is_asked_for_as_of_a_moment(seat):
    """What was chosen on the page reaches the run; a moment without a zone is UTC."""
    form = {"reason": "new labels", "as_of": "2017-11-01T00:00:00"}
    with seat.browser("operator", **{"Sec-Fetch-Site": "same-origin"}) as browser:
        assert 303 == browser.post(f"/ninety/models/{MODEL}/retrain", data=form).status_code
    [event] = seat.ledger.latest_events(EventFilter(kinds=(EventKind.ACTION_ASKED,)), 1)
    assert "2017-11-01T00:00:00+00:00" == event.payload["conf"]["as_of"]


def test_an_alert_is_acknowledged_once(seat):
    """By name and with a note; the second one changes nothing."""
    path = f"/ninety/alerts/{seat.alert_id}/acknowledge"
    with seat.client("operator") as client:
        client.post(path, data={"reason": "I look into it"})
        before = seat.ledger.head()
        client.post(path, data={"reason": "me too"})
    alert = seat.ledger.alert(seat.alert_id)
    assert ("operator", "I look into it") == (alert.acknowledged_by, alert.acknowledgement)
    assert before == seat.ledger.head()
