"""Shadow traffic through a real gateway: mirrored, logged, never in the way."""

from collections.abc import Callable
from threading import Event

import grpc
import pytest

from include.contracts.predictions import PredictionRow, Source, Status
from tests.serving.gateway.conftest import (
    FRESH,
    INPUTS,
    FaultyTriton,
    Row,
    Stage,
    route,
    serving,
    version_route,
    wait_for,
)

ONE = {"entity": {"customer_id": 1}}
CANDIDATE = "churn__2_0_0"


def shadow(endpoint: str, share: float = 1.0, **signature: object) -> dict[str, object]:
    """What makes a route mirror its requests to version 2.0.0."""
    return {"shadow": version_route("2.0.0", endpoint, **signature), "shadow_share": share}


@pytest.fixture
def mirrored(start: Callable[..., Stage], triton: tuple[FaultyTriton, str]) -> Stage:
    """A gateway that mirrors every request."""
    return start(**shadow(triton[1]))


def shadow_rows(stage: Stage, count: int) -> list[PredictionRow]:
    """Wait for shadow rows and return them."""

    def found() -> list[PredictionRow]:
        return [row for row in stage.rows() if row.source is Source.SHADOW]

    wait_for(lambda: len(found()) >= count)
    return found()


def outcomes(stage: Stage, outcome: str) -> str:
    """Return a line of the metrics, without its figure."""
    return f'gateway_shadow_requests_total{{model="churn",outcome="{outcome}"}}'


def test_an_answered_request_is_mirrored_and_logged(mirrored):
    """The champion answers; the candidate's score is a row of its own that names the answered one."""
    stage = mirrored
    answer = stage.predict({**ONE, "request_id": "r-1"}).json()
    (row,) = shadow_rows(stage, 1)

    assert ("1.0.0", "champion") == (answer["version"], answer["variant"])
    assert (answer["prediction_id"], "2.0.0", (124.5,)) == (row.shadow_of, row.served_version, row.outputs)
    assert answer["prediction_id"] != row.prediction_id
    assert FRESH.features["customer_spending"] == row.features
    assert (None, None, None, Status.OK) == (
        row.request_id,
        row.assigned_variant,
        row.release_or_experiment_id,
        row.status,
    )
    assert f"{outcomes(stage, 'answered')} 1.0" in stage.client.get("/metrics").text


def test_the_share_is_of_units(start, triton):
    """Those units are mirrored that the route says, and no others."""
    stage, units = start(**shadow(triton[1], 0.2)), range(1, 201)
    stage.features.rows.update(dict.fromkeys(units, FRESH))
    expected = {str(unit) for unit in units if route(triton[1], **shadow("-", 0.2)).mirrors(str(unit))}
    stage.predict({"entities": [{"customer_id": unit} for unit in units]})

    assert expected == {row.unit for row in shadow_rows(stage, len(expected))}
    assert pytest.approx(40, abs=20) == len(expected)


def test_a_full_queue_drops_and_delays_nobody(tmp_path, triton):
    """While the candidate hangs every answer comes, two requests wait, the rest is counted."""
    with serving(tmp_path, triton, settings={"shadow_queue": 2}, **shadow(triton[1])) as stage:
        released = Event()
        stage.triton.faults[CANDIDATE] = lambda _: released.wait(10) and None
        stage.predict(ONE)
        wait_for(lambda: (CANDIDATE, 1) in stage.triton.calls)
        assert [200] * 5 == [stage.predict(ONE).status_code for _ in range(5)]
        assert f"{outcomes(stage, 'dropped')} 3.0" in stage.client.get("/metrics").text
        released.set()
        shadow_rows(stage, 3)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_a_failing_candidate_is_a_row_and_nothing_else(mirrored, code):
    """Answers stay the champion's, readiness stays, and the failure is in the log."""
    stage = mirrored
    stage.triton.faults[CANDIDATE] = lambda _: code
    stage.triton.unloaded = {CANDIDATE}
    answer = stage.predict(ONE).json()
    (row,) = shadow_rows(stage, 1)

    assert ("1.0.0", None) == (answer["version"], answer["fallback"])
    assert (Status.FAILED, None, answer["prediction_id"]) == (row.status, row.served_version, row.shadow_of)
    assert 200 == stage.client.get("/v2/health/ready").status_code
    assert f"{outcomes(stage, 'failed')} 1.0" in stage.client.get("/metrics").text


def test_what_only_the_candidate_reads_is_read_for_it_alone(start, triton):
    """A further view costs the answer nothing: the candidate's features are read aside."""
    more = [*INPUTS, {"name": "items", "kind": "numeric", "view": "customer_basket"}]
    stage = start(**shadow(triton[1], inputs=more))
    views = []
    read = stage.features.read
    stage.features.read = lambda key, values, wanted: views.append(set(wanted)) or read(key, values, wanted)
    features = {**FRESH.features, "customer_basket": {"items": 3}}
    stamps = dict.fromkeys(features, FRESH.timestamps["customer_spending"])
    stage.features.rows[1] = Row(features, stamps)
    assert 124.5 == stage.predict(ONE).json()["score"]
    (row,) = shadow_rows(stage, 1)

    assert [{"customer_spending"}, {"customer_spending", "customer_basket"}] == views
    assert ((127.5,), 3) == (row.outputs, row.features["items"])


def test_what_was_refused_or_not_answered_is_not_mirrored(mirrored):
    """There is nothing to compare with."""
    stage = mirrored
    assert 404 == stage.predict({"entity": {"customer_id": 2}}).status_code
    stage.triton.unloaded = {"churn__1_0_0"}
    assert 503 == stage.predict(ONE).status_code
    stage.triton.unloaded = set()
    stage.predict(ONE)

    assert 1 == len(shadow_rows(stage, 1))
    assert [(CANDIDATE, 1)] == [call for call in stage.triton.calls if call[0] == CANDIDATE]


def test_the_open_protocol_does_not_know_the_shadow(mirrored):
    """Nobody can ask it for an answer."""
    stage = mirrored
    assert ["1.0.0"] == stage.client.get("/v2/models/churn").json()["versions"]
    assert 404 == stage.client.get("/v2/models/churn/versions/2.0.0").status_code
