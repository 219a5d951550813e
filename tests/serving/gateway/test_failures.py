"""What happens when something the gateway needs fails."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from include.contracts.predictions import FallbackReason, Status
from include.contracts.routes import RouteSnapshot
from serving.gateway import readiness
from tests.serving.gateway.conftest import KEY, api_key, route, serving, version_route, wait_for

ONE = {"entity": {"customer_id": 1}}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, FallbackReason.MODEL_UNAVAILABLE),
        (grpc.StatusCode.NOT_FOUND, FallbackReason.MODEL_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, FallbackReason.DEADLINE),
        (grpc.StatusCode.INTERNAL, FallbackReason.MODEL_ERROR),
    ],
)
def test_a_failing_challenger_falls_back_to_the_champion(start, code, reason):
    """The champion answers, the answer says why, and the assignment stays with the challenger."""
    stage = start()
    stage.triton.faults["churn__1_1_0"] = lambda _: code
    challenger = version_route("1.1.0", stage.endpoint)
    stage.reroute("2-canary", challenger=challenger, share=1.0, change_id="rel-1")
    answer = stage.predict(ONE).json()
    [row] = stage.rows()

    assert (reason, "challenger", "1.0.0") == (answer["fallback"], answer["variant"], answer["version"])
    assert (Status.FALLBACK, reason, "challenger", "1.0.0") == (
        row.status,
        row.fallback_reason,
        row.assigned_variant,
        row.served_version,
    )
    assert row.error.startswith("1.1.0: ")


def test_the_ladder_is_climbed_in_its_order(start):
    """Previous version, then the default score; without a rung left, 503 with Retry-After and a row."""
    stage = start()
    previous = version_route("0.9.0", stage.endpoint)
    fallbacks = ["previous_version", "default_score", "refuse"]
    stage.reroute("2-ladder", previous=previous, fallbacks=fallbacks, default_score=[0.21])

    stage.triton.unloaded = {"churn__1_0_0"}
    assert "0.9.0" == stage.predict(ONE).json()["version"]

    stage.triton.unloaded = {"churn__1_0_0", "churn__0_9_0"}
    answer = stage.predict(ONE).json()
    assert (None, 0.21, "model_unavailable") == (answer["version"], answer["score"], answer["fallback"])

    stage.reroute("3-refuse", fallbacks=["refuse"])
    response = stage.predict(ONE)
    assert (503, "1") == (response.status_code, response.headers["retry-after"])
    row = stage.rows()[-1]
    assert (Status.FAILED, FallbackReason.MODEL_UNAVAILABLE, None) == (
        row.status,
        row.fallback_reason,
        row.served_version,
    )


def test_a_model_that_hangs_is_left_at_the_deadline(start):
    """A frozen model costs a caller the route's deadline, no more."""
    stage = start(deadline_seconds=0.2, fallbacks=["default_score"], default_score=[0.5])
    stage.triton.gate.clear()
    answer = stage.predict(ONE).json()

    assert ("deadline", 0.5) == (answer["fallback"], answer["score"])


def test_all_rungs_share_one_deadline(start, triton):
    """What the champion used up, the previous version does not get again."""
    previous = version_route("0.9.0", triton[1])
    fallbacks = ["previous_version", "default_score"]
    stage = start(deadline_seconds=0.2, previous=previous, fallbacks=fallbacks, default_score=[0.5])
    stage.triton.gate.clear()
    answer = stage.predict(ONE).json()

    assert ("deadline", 0.5) == (answer["fallback"], answer["score"])
    assert [("churn__1_0_0", 1)] == stage.triton.calls
    assert "0.9.0: the deadline passed" in stage.rows()[0].error


def test_an_answer_that_is_not_finite_is_no_answer(start):
    """NaN out of the model is a model error, for that row only."""
    stage = start(fallbacks=["default_score"], default_score=[0.5])
    stage.triton.score = lambda numeric: numeric[:, :1] * float("nan")

    assert "model_error" == stage.predict(ONE).json()["fallback"]


def test_a_feature_store_that_is_down_is_503_and_logged(stage):
    """No features, no answer: 503 with Retry-After, a failed row, and health stays live."""
    stage.features.is_down = True
    response = stage.predict(ONE)

    assert (503, "/docs#features-unavailable") == (response.status_code, response.json()["type"])
    assert [Status.FAILED] == [row.status for row in stage.rows()]
    assert 200 == stage.client.get("/v2/health/live").status_code


def test_a_feature_store_that_is_down_falls_to_the_default_score(start):
    """No version can be asked; the answer says why, and comes back to the version with the store."""
    stage = start(fallbacks=["previous_version", "default_score", "refuse"], default_score=[0.21])
    stage.features.is_down = True
    answer = stage.predict(ONE).json()
    [row] = stage.rows()

    assert (None, 0.21, "features_unavailable") == (answer["version"], answer["score"], answer["fallback"])
    assert (Status.FALLBACK, FallbackReason.FEATURES_UNAVAILABLE) == (row.status, row.fallback_reason)
    stage.features.is_down = False
    assert "1.0.0" == stage.predict(ONE).json()["version"]


def test_nothing_is_answered_that_cannot_be_logged(stage):
    """The log's folder is taken away: 503, and answers again once it is back."""
    folder = stage.settings.predictions_folder
    folder.write_text("in the way")
    response = stage.predict(ONE)
    assert (503, "/docs#log-unavailable") == (response.status_code, response.json()["type"])
    folder.unlink()

    assert 200 == stage.predict(ONE).status_code


def test_a_bug_is_a_500_with_an_id_and_no_traceback(stage, caplog):
    """The caller gets an id; the log has the rest under it."""
    stage.features.read = lambda *_: 1 / 0
    response = stage.predict(ONE)
    [record] = [record for record in caplog.records if record.message == "request failed"]

    assert 500 == response.status_code
    assert record.fields["error_id"] in response.json()["detail"]
    assert "ZeroDivision" not in response.text


def test_routes_change_under_requests_in_flight(stage):
    """A request in flight ends on its route; the next one takes the new one."""
    stage.reroute("1-patient", deadline_seconds=60.0)
    stage.triton.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        flying = pool.submit(stage.predict, ONE)
        wait_for(lambda: stage.triton.calls)
        stage.reroute("2-new", champion=version_route("2.0.0", stage.endpoint))
        wait_for(lambda: stage.client.get("/v2/models/churn").json()["versions"] == ["2.0.0"])
        stage.triton.gate.set()
        assert "1.0.0" == flying.result().json()["version"]

    assert "2.0.0" == stage.predict(ONE).json()["version"]
    assert ["1-patient", "2-new"] == [row.route_snapshot_id for row in stage.rows()]


def test_a_revoked_key_is_refused_within_the_next_poll(stage):
    """Keys follow the ledger like routes do."""
    stage.ledger.keys = (api_key(KEY, revoked_at="2017-11-01T11:00:00Z"),)
    wait_for(lambda: stage.predict(ONE).status_code == 401)


def test_a_ledger_that_goes_away_changes_nothing(stage):
    """The last routes and keys stay in force."""
    stage.ledger.is_down = True
    stage.ledger.keys = ()

    assert 200 == stage.predict(ONE).status_code


def test_an_error_nobody_thought_of_does_not_end_following(stage, caplog):
    """A revoked key is refused once the ledger makes sense again."""
    sound, stage.ledger.api_keys = stage.ledger.api_keys, lambda: 1 / 0
    wait_for(lambda: "routes could not be followed" in caplog.text)
    stage.ledger.keys, stage.ledger.api_keys = (), sound
    wait_for(lambda: stage.predict(ONE).status_code == 401)


def test_routes_that_could_not_be_kept_are_kept_later(stage, caplog):
    """They are in force at once, and on disk once there is room again."""
    folder = stage.settings.gateway_folder
    wait_for((folder / "routes.json").exists)
    folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    routes = {"churn": route(stage.endpoint, champion=version_route("2.0.0", stage.endpoint))}
    stage.ledger.snapshot = RouteSnapshot(snapshot_id="2-new", routes=routes)
    wait_for(lambda: "not kept on disk" in caplog.text)
    assert "2.0.0" == stage.predict(ONE).json()["version"]
    folder.unlink()
    wait_for((folder / "routes.json").exists)


def test_without_its_ledger_it_starts_from_what_it_kept(tmp_path, triton):
    """Routes and keys of the last run serve a start without a ledger."""
    with serving(tmp_path, triton) as first:
        wait_for((first.settings.gateway_folder / "routes.json").exists)
    with serving(tmp_path, triton, ledger_is_down=True) as second:
        assert 200 == second.predict(ONE).status_code


def test_a_first_start_without_a_ledger_knows_nobody(start):
    """Without routes and keys it is live, not ready, and lets nobody in."""
    stage = start(ledger_is_down=True)

    assert 401 == stage.predict(ONE).status_code
    assert 503 == stage.client.get("/v2/health/ready").status_code
    assert 200 == stage.client.get("/v2/health/live").status_code


def test_readiness_needs_routes_and_every_routed_version(stage):
    """Unready while a routed version is not loaded, with the reason; live all the same."""
    assert 200 == stage.client.get("/v2/health/ready").status_code
    stage.triton.unloaded = {"churn__1_0_0"}
    wait_for(lambda: stage.client.get("/v2/health/ready").status_code == 503)
    response = stage.client.get("/v2/health/ready")

    told = [f"churn 1.0.0 at {stage.endpoint} is not loaded"]
    assert (503, told) == (response.status_code, response.json()["reasons"])
    assert 200 == stage.client.get("/v2/health/live").status_code


def test_whoever_asks_for_readiness_costs_triton_nothing_more(stage, monkeypatch):
    """Triton is asked once while an answer holds, however many ask."""
    monkeypatch.setattr(readiness, "HOLDS_SECONDS", 3600.0)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stage.client.get("/v2/health/ready").status_code, range(40)))

    assert ([200] * 40, 1) == (answers, stage.triton.asked_ready)


def test_a_route_without_a_champion_loaded_elsewhere_is_unready(start):
    """An endpoint nobody listens on is unavailable, not an error of the gateway."""
    stage = start()
    stage.ledger.snapshot = RouteSnapshot(snapshot_id="2-dead", routes={"churn": route("127.0.0.1:1")})
    wait_for(lambda: stage.client.get("/v2/health/ready").status_code == 503)

    assert "/docs#model-unavailable" == stage.predict(ONE).json()["type"]


def test_a_damaged_segment_does_not_keep_it_from_starting(tmp_path, triton, caplog):
    """It is counted and logged once; new predictions are answered and logged."""
    with serving(tmp_path, triton) as first:
        for _ in range(2):
            first.predict(ONE)
    path = next(first.settings.predictions_folder.rglob("*.log"))
    path.with_suffix(".open").touch()
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with serving(tmp_path, triton) as second:
        assert 200 == second.predict(ONE).status_code
        counted = 'gateway_damaged_segments_total{log="predictions"} 1.0'
        assert counted in second.client.get("/metrics").text
    with serving(tmp_path, triton) as third:
        assert 'log="predictions"} 0.0' in third.client.get("/metrics").text


def test_a_retired_model_is_gone_and_says_why(start):
    """410 with the reason, for predictions and for the open protocol."""
    stage = start()
    stage.ledger.snapshot = RouteSnapshot(
        snapshot_id="2-retired", routes={}, retired={"churn": "replaced by loyalty"}
    )
    wait_for(lambda: stage.predict(ONE).status_code == 410)

    problem = stage.predict(ONE).json()
    assert ("/docs#retired-model", "churn is retired: replaced by loyalty") == (
        problem["type"],
        problem["detail"],
    )
    assert 410 == stage.client.get("/v2/models/churn").status_code
