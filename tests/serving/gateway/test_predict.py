"""What a caller of /v1/predict sees, through a real socket."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import pytest

from include.adapters.prediction_log import find
from include.contracts.assignment import bucket
from include.contracts.predictions import Source, Status
from tests.serving.gateway.conftest import (
    CHURN_KEY,
    EXPIRED_KEY,
    FRESH,
    NOW,
    stale,
    version_route,
    wait_for,
)

ONE = {"entity": {"customer_id": 1}}


def test_an_answer_carries_what_it_was_made_of(stage):
    """Model, version, variant, score and the features' time; its row is in the log under its id."""
    answer = stage.predict({**ONE, "request_id": "r-1"}).json()
    row = find(stage.settings.predictions_folder, answer.pop("prediction_id"))

    assert {
        "model": "churn",
        "version": "1.0.0",
        "variant": "champion",
        "score": 124.5,
        "features_as_of": "2017-11-01T00:00:00Z",
        "fallback": None,
    } == answer
    assert ("r-1", "1", "1.0.0", (124.5,)) == (row.request_id, row.unit, row.served_version, row.outputs)
    assert (Status.OK, Source.LIVE, NOW, "1-abc") == (
        row.status,
        row.source,
        row.predicted_at,
        row.route_snapshot_id,
    )
    assert FRESH.features["customer_spending"] == row.features


def test_many_entities_fail_one_by_one(stage):
    """An unknown entity among known ones has a problem in its place; all of them are logged."""
    answers = stage.predict({"entities": [{"customer_id": 1}, {"customer_id": 2}]}).json()["predictions"]

    assert 124.5 == answers[0]["score"]
    assert (404, "/docs#unknown-entity") == (answers[1]["status"], answers[1]["type"])
    assert [Status.OK, Status.REFUSED] == [row.status for row in stage.rows()]
    assert [("churn__1_0_0", 1)] == stage.triton.calls


REFUSALS = [
    ('{"entity": {"customer_id": 2}}', 404, "unknown-entity"),
    ('{"entity": {"customer_id": "1"}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": true}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1.5}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": null}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 9223372036854775808}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1' + "0" * 5000 + "}}", (400, 422), None),
    ('{"entity": {"customer_id": NaN}}', 400, "malformed-json"),
    ('{"entity": {"customer_id": Infinity}}', 400, "malformed-json"),
    ('{"entity": {"customer_id": 1e999}}', (400, 422), None),
    ('{"entity": {"customer": 1}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1, "more": 2}}', 422, "invalid-request"),
    ('{"entity": {}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1}, "extra": 1}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1}, "entities": []}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1}, "features": {"amount": 1}}', 422, "invalid-request"),
    ('{"entity": {"customer_id": 1}, "request_id": ""}', 422, "invalid-request"),
    ('{"entities": []}', 422, "invalid-request"),
    ('{"entities": [' + ",".join(['{"customer_id": 1}'] * 257) + "]}", 422, "invalid-request"),
    ("{}", 422, "invalid-request"),
    ("[]", 422, "invalid-request"),
    ("", 400, "malformed-json"),
    ('{"entity": {"customer_id": 1}', 400, "malformed-json"),
    ('{"entity": {"customer_id": 1}} trailing', 400, "malformed-json"),
    ("[" * 100_000, (400, 422), None),
    ('{"entity": ' + '{"a":' * 100_000, (400, 422), None),
    ('{"entity": {"customer_id": "\\ud800"}}', (400, 422), None),
]


@pytest.mark.parametrize(("body", "status", "slug"), REFUSALS)
def test_bad_input_is_refused_and_never_reaches_the_model(refusing, caplog, body, status, slug):
    """A problem document that says what is wrong, one log line without the value, no call of the model."""
    response = refusing.client.post(
        "/v1/predict/churn", content=body, headers={"Content-Type": "application/json"}
    )
    problem = response.json()

    assert response.status_code in (status if isinstance(status, tuple) else (status,))
    assert "application/problem+json" == response.headers["content-type"]
    assert {"type", "title", "status", "detail", "instance"} == problem.keys()
    assert (response.status_code, "/v1/predict/churn") == (problem["status"], problem["instance"])
    assert slug is None or f"/docs#{slug}" == problem["type"]
    assert [] == refusing.triton.calls
    refused = [record for record in caplog.records if record.message == "request refused"]
    assert [problem["type"]] == [f"/docs#{record.fields['problem']}" for record in refused]


@pytest.mark.parametrize(
    ("headers", "status", "slug"),
    [
        ({"Authorization": ""}, 401, "missing-key"),
        ({"Authorization": "Basic abc"}, 401, "missing-key"),
        ({"Authorization": "Bearer nk_all.wrong"}, 401, "invalid-key"),
        ({"Authorization": "Bearer nobody.secret"}, 401, "invalid-key"),
        ({"Authorization": "Bearer é"}, 401, "invalid-key"),
        ({"Authorization": f"Bearer {EXPIRED_KEY}"}, 401, "invalid-key"),
        ({"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        ({"Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
        ({"X-Event-Time": NOW.isoformat()}, 400, "event-time"),
    ],
)
def test_headers_that_do_not_fit_are_refused(refusing, headers, status, slug):
    """No key, a wrong or expired one, another media type, an event time outside a replay."""
    headers = {name: value.encode() for name, value in headers.items()}
    response = refusing.predict(ONE, headers=headers)

    assert (status, f"/docs#{slug}") == (response.status_code, response.json()["type"])
    assert (status == 401) == ("www-authenticate" in response.headers)
    assert [] == refusing.triton.calls


def test_a_key_answers_only_within_its_scope(stage):
    """A key of one model and verb is refused elsewhere; what it may not use, it cannot find out about."""
    headers = {"Authorization": f"Bearer {CHURN_KEY}"}
    outcome = {
        "outcome_id": "o",
        "model": "churn",
        "unit": "1",
        "metric": "m",
        "value": 1,
        "occurred_at": "2017-11-02T00:00:00Z",
    }

    assert 200 == stage.predict(ONE, headers=headers).status_code
    assert 403 == stage.client.post("/v1/predict/other", json=ONE, headers=headers).status_code
    assert 403 == stage.client.post("/v1/outcomes", json=outcome, headers=headers).status_code
    assert 403 == stage.client.get("/v2/models/churn", headers=headers).status_code


def test_unknown_paths_models_and_methods_are_refused(stage):
    """404 for what is not there, 405 for another method."""
    assert 404 == stage.client.post("/v1/predict/other", json=ONE).status_code
    assert 404 == stage.client.get("/nothing").status_code
    assert 405 == stage.client.get("/v1/predict/churn").status_code


def test_a_body_over_the_limit_is_refused_also_when_chunked(start):
    """413 by Content-Length, and by counting where there is none."""
    stage = start(settings={"body_limit_bytes": 1024})
    headers = {"Content-Type": "application/json"}
    chunks = (b" " * 512 for _ in range(8))

    assert 413 == stage.client.post("/v1/predict/churn", content=b" " * 2000, headers=headers).status_code
    assert 413 == stage.client.post("/v1/predict/churn", content=chunks, headers=headers).status_code
    assert 200 == stage.predict(ONE).status_code


@pytest.mark.parametrize(
    ("features", "slug"),
    [
        ({"total_spend_30d": -1.0}, "invalid-features"),
        ({"total_spend_30d": float("inf")}, "invalid-features"),
        ({"total_spend_30d": "much"}, "invalid-features"),
        ({"preferred_category": 3}, "invalid-features"),
    ],
)
def test_features_the_signature_does_not_allow_never_reach_the_model(stage, features, slug):
    """What lies in the store is checked like any other input; the feature is named, its value is not."""
    stage.features.rows[7] = FRESH.having(**features)
    response = stage.predict({"entity": {"customer_id": 7}})

    assert (422, f"/docs#{slug}") == (response.status_code, response.json()["type"])
    assert next(iter(features)) in response.json()["detail"]
    assert [] == stage.triton.calls


def test_stale_features_are_rejected_or_defaulted_as_the_policy_says(start):
    """Older than the TTL: 422 under `reject`; under `default` the model sees missing values."""
    rejecting = start()
    rejecting.features.rows[1] = stale(days=3)
    response = rejecting.predict(ONE)
    assert (422, "/docs#stale-features") == (response.status_code, response.json()["type"])

    rejecting.reroute("2-default", stale_policy="default")
    answer = rejecting.predict(ONE).json()
    assert ("stale_features", 0.0, None) == (answer["fallback"], answer["score"], answer["features_as_of"])
    answer = rejecting.predict({"entity": {"customer_id": 99}}).json()
    assert ("missing_features", 0.0) == (answer["fallback"], answer["score"])


def test_a_replay_takes_its_event_time_and_never_sees_its_future(start):
    """Features are judged at X-Event-Time; a row stamped after it is as good as absent."""
    stage = start(settings={"replay": True})

    def at(text: str):
        return stage.predict(ONE, headers={"X-Event-Time": text})

    assert "2017-11-02" == str(at("2017-11-02T10:00:00+00:00").json() and stage.rows()[0].predicted_at.date())
    assert "/docs#unknown-entity" == at("2017-10-31T23:59:59Z").json()["type"]
    assert "/docs#stale-features" == at("2017-11-09T00:00:00Z").json()["type"]
    for wrong in (
        "yesterday",
        "2017-11-02T10:00:00",
        "1969-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ):
        assert "/docs#event-time" == at(wrong).json()["type"]


def test_units_are_split_by_their_bucket(start):
    """A unit is on the challenger while its bucket lies below the share; rows say why."""
    stage = start()
    challenger = version_route("1.1.0", stage.endpoint)
    stage.reroute("2-split", challenger=challenger, share=0.5, change_id="rel-1")
    stage.features.rows = dict.fromkeys(range(40), FRESH)
    answers = stage.predict({"entities": [{"customer_id": n} for n in range(40)]}).json()["predictions"]
    expected = ["challenger" if bucket("rel-1", str(n)) < 0.5 else "champion" for n in range(40)]

    assert expected == [answer["variant"] for answer in answers]
    versions = {"champion": "1.0.0", "challenger": "1.1.0"}
    assert [versions[variant] for variant in expected] == [answer["version"] for answer in answers]
    assert ("rel-1", 0.5) == (stage.rows()[0].release_or_experiment_id, stage.rows()[0].share)
    assert 2 == len(stage.triton.calls)


def test_units_of_an_experiment_have_one_of_several_versions(start):
    """Each arm has places of its own, and what fails there is the champion's; rows name the arm."""
    stage = start()
    challenger = version_route("1.1.0", stage.endpoint)
    further = {"route": version_route("9.9.9", stage.endpoint), "start": 0.4, "share": 0.3}
    stage.reroute("2-split", challenger=challenger, share=0.2, further=[further], change_id="exp-1")
    stage.triton.faults["churn__9_9_9"] = lambda _: grpc.StatusCode.NOT_FOUND
    stage.features.rows = dict.fromkeys(range(40), FRESH)
    answers = stage.predict({"entities": [{"customer_id": n} for n in range(40)]}).json()["predictions"]

    def arm(place: float) -> str:
        return "challenger" if place < 0.2 else "challenger_2" if 0.4 <= place < 0.7 else "champion"

    expected = [arm(bucket("exp-1", str(number))) for number in range(40)]
    assert expected == [answer["variant"] for answer in answers]
    assert len({*expected}) == 3
    served = {"champion": "1.0.0", "challenger": "1.1.0", "challenger_2": "1.0.0"}
    assert [served[variant] for variant in expected] == [answer["version"] for answer in answers]
    assert expected == [row.assigned_variant for row in stage.rows()]


def test_a_multiclass_model_answers_scores_by_class(start, triton):
    """`scores` in place of `score`, by class name."""
    champion = version_route("1.0.0", triton[1], task="multiclass", classes=["no", "yes"])
    triton[0].score = lambda numeric: (numeric * 0 + [[0.25, 0.75]]).astype("float32")
    answer = start(champion=champion).predict(ONE).json()

    assert {"no": 0.25, "yes": 0.75} == answer["scores"]
    assert "score" not in answer


def test_requests_that_queue_go_out_together(stage):
    """While one call is in flight the others wait, and then share one read, one call and one log write."""
    stage.triton.gate.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(stage.predict, ONE)
        wait_for(lambda: len(stage.triton.calls) == 1)
        others = [pool.submit(stage.predict, ONE) for _ in range(8)]
        wait_for(lambda: 'gateway_queue_depth{model="churn"} 8.0' in stage.client.get("/metrics").text)
        stage.triton.gate.set()
        assert {200} == {answer.result().status_code for answer in [first, *others]}

    assert [1, 8] == stage.features.reads
    assert [("churn__1_0_0", 1), ("churn__1_0_0", 8)] == stage.triton.calls


def test_a_call_has_no_more_rows_than_the_version_takes(start, triton):
    """A batch over the version's maximum is sent in parts."""
    stage = start(champion=version_route("1.0.0", triton[1]) | {"maximum_batch": 3})
    stage.features.rows = dict.fromkeys(range(7), FRESH)
    answers = stage.predict({"entities": [{"customer_id": n} for n in range(7)]}).json()["predictions"]

    assert [124.5] * 7 == [answer["score"] for answer in answers]
    assert [1, 3, 3] == sorted(rows for _, rows in stage.triton.calls)


def test_one_bad_row_fails_alone(start):
    """A row the model fails on is found by halving; its neighbours are answered by the model."""
    stage = start()
    stage.features.rows = dict.fromkeys(range(7), FRESH) | {3: FRESH.having(orders_30d=666)}
    code = grpc.StatusCode.INVALID_ARGUMENT
    stage.triton.faults["churn__1_0_0"] = lambda numeric: code if (numeric == 666).any() else None
    answers = stage.predict({"entities": [{"customer_id": n} for n in range(7)]}).json()["predictions"]

    assert [503 if n == 3 else None for n in range(7)] == [answer.get("status") for answer in answers]
    assert [Status.FAILED] == [row.status for row in stage.rows() if row.unit == "3"]


def test_a_repeated_request_id_gets_the_first_answer(stage):
    """Same id and body: same answer, one row. Same id, other body: 422."""
    body = {**ONE, "request_id": "r-1"}
    stage.features.rows[2] = FRESH
    first, second = stage.predict(body), stage.predict(body)
    other = stage.predict({"entity": {"customer_id": 2}, "request_id": "r-1"})

    assert first.content == second.content
    assert "/docs#request-id-reused" == other.json()["type"]
    assert 1 == len(stage.rows())


def test_an_answer_with_a_failed_entity_may_be_asked_for_again(stage):
    """What failed for our reasons is not remembered, what the caller got wrong is."""
    body = {"entities": [{"customer_id": 1}, {"customer_id": 2}], "request_id": "r-1"}
    stage.triton.unloaded = {"churn__1_0_0"}
    assert [503, 404] == [item["status"] for item in stage.predict(body).json()["predictions"]]
    stage.triton.unloaded = set()
    second, third = stage.predict(body), stage.predict(body)

    assert 124.5 == second.json()["predictions"][0]["score"]
    assert second.content == third.content


def test_the_window_is_bounded_by_entities(start):
    """A request of many entities takes as much of it as many of one."""
    stage = start(settings={"request_window": 4})
    many = {"entities": [{"customer_id": 1}] * 3, "request_id": "r-1"}
    stage.predict(many)
    stage.predict({**ONE, "request_id": "r-2"})
    stage.predict(many)
    assert 4 == len(stage.rows())

    stage.predict({**ONE, "request_id": "r-3"})
    stage.predict(many)
    assert 8 == len(stage.rows())


def test_a_failed_request_may_be_sent_again(stage):
    """A failure is not remembered under its request_id."""
    body = {**ONE, "request_id": "r-1"}
    stage.features.is_down = True
    assert 503 == stage.predict(body).status_code
    stage.features.is_down = False

    assert 200 == stage.predict(body).status_code


def test_features_of_the_last_moment_of_the_ttl_count(stage):
    """The TTL is inclusive."""
    stage.features.rows[1] = type(FRESH)(FRESH.features, {"customer_spending": NOW - timedelta(days=2)})

    assert 200 == stage.predict(ONE).status_code
