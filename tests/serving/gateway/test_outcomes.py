import pytest

from include.adapters.outcome_log import read
from serving.gateway.outcomes import MOST_OUTCOMES
from tests.serving.gateway.conftest import CHURN_KEY

OUTCOME = {
    "outcome_id": "o-1",
    "model": "churn",
    "unit": "1",
    "metric": "churned",
    "value": 1,
    "occurred_at": "2017-11-15T00:00:00Z",
}


def test_an_outcome_is_taken_once(stage):
    """Sent again it does nothing; with other content it is a conflict."""
    assert {"accepted": 1, "duplicates": 0} == stage.client.post("/v1/outcomes", json=OUTCOME).json()
    assert {"accepted": 0, "duplicates": 1} == stage.client.post("/v1/outcomes", json=[OUTCOME]).json()
    conflict = stage.client.post("/v1/outcomes", json={**OUTCOME, "value": 0})

    assert (409, "/docs#outcome-conflict") == (conflict.status_code, conflict.json()["type"])
    [row] = read(stage.settings.outcomes_folder)
    assert ("churn", "1", 1.0, "id-nk_all") == (row.model, row.unit, row.value, row.key_id)


def test_an_outcome_of_a_prediction_finds_its_model(stage):
    """The prediction's row says which model it was."""
    prediction_id = stage.predict({"entity": {"customer_id": 1}}).json()["prediction_id"]
    named = {key: OUTCOME[key] for key in ("outcome_id", "metric", "value", "occurred_at")}
    response = stage.client.post("/v1/outcomes", json={**named, "prediction_id": prediction_id})

    assert 200 == response.status_code
    [row] = read(stage.settings.outcomes_folder)
    assert ("churn", prediction_id) == (row.model, row.prediction_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"prediction_id": "015f7773-d200-704a-a616-fe91350b1c6f"},
        {"prediction_id": "015f7773-d200-704a-a616-fe91350b1c6f", "unit": None},
        {"prediction_id": "nonsense", "unit": None},
        {"unit": None},
        {"model": None},
        {"occurred_at": "2017-11-15T00:00:00"},
        {"occurred_at": "soon"},
        {"occurred_at": "9999-12-31T23:59:59-12:00"},
        {"value": "much"},
        {"more": 1},
    ],
)
def test_an_outcome_that_says_too_little_or_too_much_is_refused(refusing, changes):
    """422, and nothing of the list is kept."""
    response = refusing.client.post(
        "/v1/outcomes", json=[OUTCOME, {**OUTCOME, "outcome_id": "o-2", **changes}]
    )

    assert (422, "/docs#invalid-request") == (response.status_code, response.json()["type"])
    assert [] == list(read(refusing.settings.outcomes_folder))


def test_a_list_is_bounded(refusing):
    """One more than the most is refused as a whole."""
    response = refusing.client.post("/v1/outcomes", json=[OUTCOME] * (MOST_OUTCOMES + 1))

    assert (422, "/docs#invalid-request") == (response.status_code, response.json()["type"])


def test_a_key_without_outcomes_reads_no_log(stage):
    """It is refused before its prediction is looked for, and cannot find out whether there is one."""
    headers = {"Authorization": f"Bearer {CHURN_KEY}"}
    unknown = {**OUTCOME, "prediction_id": "015f7773-d200-704a-a616-fe91350b1c6f", "unit": None}

    assert 403 == stage.client.post("/v1/outcomes", json=unknown, headers=headers).status_code


def test_predictions_of_a_damaged_day_are_503(stage):
    """What cannot be read now may be read once the file is restored; it is no bug of the gateway."""
    prediction_id = stage.predict({"entity": {"customer_id": 1}}).json()["prediction_id"]
    path = next(stage.settings.predictions_folder.rglob("*.log"))
    path.write_bytes(b"no segment at all")
    named = {key: OUTCOME[key] for key in ("outcome_id", "metric", "value", "occurred_at")}
    response = stage.client.post("/v1/outcomes", json={**named, "prediction_id": prediction_id})

    assert (503, "/docs#log-unavailable") == (response.status_code, response.json()["type"])
