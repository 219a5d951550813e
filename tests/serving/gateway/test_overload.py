"""Bounded queues, deadlines that count from the arrival, and versions that are not asked any more."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import grpc
import pytest

from include.contracts.predictions import FallbackReason, Status
from serving.gateway import server
from serving.gateway.breaker import BreakerPolicy
from serving.gateway.breakers import Breakers
from tests.serving.gateway.conftest import version_route, wait_for

ONE = {"entity": {"customer_id": 1}}
INFER = {
    "inputs": [
        {"name": "numeric", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]},
        {"name": "categorical", "datatype": "BYTES", "shape": [1, 1], "data": ["A"]},
    ]
}


def depth(stage) -> float:
    """How many entities wait."""
    text = stage.client.get("/metrics").text
    return float(text.partition('gateway_queue_depth{model="churn"} ')[2].partition("\n")[0])


def test_what_the_queue_cannot_hold_is_refused_before_it_is_read(start, caplog):
    """503 with Retry-After, no row, one line in the log; health checks are answered all the same."""
    stage = start(settings={"queue_entities": 2}, deadline_seconds=30.0)
    stage.triton.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        flying = pool.submit(stage.predict, ONE)
        wait_for(lambda: stage.triton.calls)
        waiting = [pool.submit(stage.predict, ONE) for _ in range(2)]
        wait_for(lambda: depth(stage) == 2)

        response = stage.client.post(
            "/v1/predict/churn", content=b"not even JSON", headers={"Content-Type": "application/json"}
        )
        assert (503, "/docs#overloaded") == (response.status_code, response.json()["type"])
        assert "1" == response.headers["retry-after"]
        assert 503 == stage.client.post("/v2/models/churn/infer", json=INFER).status_code
        assert 200 == stage.client.get("/v2/health/live").status_code
        assert 200 == stage.client.get("/v2/health/ready").status_code

        stage.triton.gate.set()
        assert [200] * 3 == [future.result().status_code for future in (flying, *waiting)]
    assert 3 == len(stage.rows())
    assert 'gateway_shed_requests_total{model="churn"} 2.0' in stage.client.get("/metrics").text
    assert 1 == caplog.text.count("the queue is full")
    assert "request refused" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "deadline_seconds"),
    [({}, 2.0), ({"queue_wait_seconds": 1.0}, 30.0)],
    ids=["deadline", "wait"],
)
def test_who_would_be_answered_too_late_is_refused_though_there_is_room(start, settings, deadline_seconds):
    """Once the first of a short queue has waited for half of the deadline, nobody is let in behind it."""
    stage = start(settings=settings, deadline_seconds=deadline_seconds)
    begun, gate, read = Event(), Event(), stage.features.read

    def slow(*arguments):
        begun.set()
        gate.wait(10)
        return read(*arguments)

    stage.features.read, stage.features.is_local = slow, False
    with ThreadPoolExecutor(3) as pool:
        flying = pool.submit(stage.predict, ONE)
        begun.wait(10)
        waiting = [pool.submit(stage.predict, ONE)]
        wait_for(lambda: depth(stage) == 1)
        Event().wait(1.01)
        response = stage.predict(ONE)
        assert (503, "/docs#overloaded", "1") == (
            response.status_code,
            response.json()["type"],
            response.headers["retry-after"],
        )
        gate.set()
        for future in (flying, *waiting):
            future.result()
    assert 200 == stage.predict(ONE).status_code


def test_a_request_of_more_than_fits_is_taken_by_an_empty_queue(start):
    """Otherwise it could never be answered."""
    stage = start(settings={"queue_entities": 1})

    assert 200 == stage.predict({"entities": [{"customer_id": 1}] * 3}).status_code


@pytest.mark.parametrize(
    ("route", "status", "body"),
    [
        ({"fallbacks": ["refuse"]}, 503, {"type": "/docs#overloaded"}),
        ({"fallbacks": ["previous_version", "default_score"], "default_score": [0.5]}, 200, {"score": 0.5}),
    ],
)
def test_whose_deadline_passed_in_the_queue_is_not_sent_to_triton(start, triton, route, status, body):
    """It costs nothing more: the default score answers or nobody, and the row says why."""
    stage = start(deadline_seconds=0.3, previous=version_route("0.9.0", triton[1]), **route)
    begun, gate, read = Event(), Event(), stage.features.read

    def slow(*arguments):
        begun.set()
        gate.wait(10)
        return read(*arguments)

    stage.features.read, stage.features.is_local = slow, False
    with ThreadPoolExecutor(2) as pool:
        flying = pool.submit(stage.predict, ONE)
        begun.wait(10)
        late = pool.submit(stage.predict, ONE)
        wait_for(lambda: depth(stage) == 1)
        Event().wait(0.31)
        gate.set()
        flying.result()
        response = late.result()
    row = stage.rows()[-1]

    assert (status, body) == (response.status_code, {name: response.json()[name] for name in body})
    assert [] == stage.triton.calls
    assert (None, "its deadline passed in the queue") == (
        row.served_version,
        row.error.removeprefix("overloaded: "),
    )


def fail(stage, requests: int = 20) -> list[dict]:
    """Ask so often, and return the answers."""
    return [stage.predict(ONE).json() for _ in range(requests)]


def test_an_open_breaker_skips_its_version_at_once(start, caplog):
    """The canary is not asked any more; the champion answers, and the failure counts against the canary."""
    stage = start()
    challenger = version_route("1.1.0", stage.endpoint)
    stage.reroute("2-canary", challenger=challenger, share=1.0, change_id="rel-1")
    stage.triton.faults["churn__1_1_0"] = lambda _: grpc.StatusCode.INTERNAL
    answers = fail(stage, 22)
    asked = [name for name, _ in stage.triton.calls]

    assert (["model_error"] * 20, ["breaker_open"] * 2) == (
        [answer["fallback"] for answer in answers[:20]],
        [answer["fallback"] for answer in answers[20:]],
    )
    assert (20, 22) == (asked.count("churn__1_1_0"), asked.count("churn__1_0_0"))
    row = stage.rows()[-1]
    assert (Status.FALLBACK, FallbackReason.BREAKER_OPEN, "challenger", "1.0.0") == (
        row.status,
        row.fallback_reason,
        row.assigned_variant,
        row.served_version,
    )
    told = [record.fields["state"] for record in caplog.records if record.message == "breaker changed"]
    assert ["open"] == told


def test_a_breaker_closes_once_its_version_answers(start, monkeypatch):
    """Half-open after the pause; a change of routes in between does not close it."""
    monkeypatch.setattr(server, "Breakers", partial(Breakers, policy=BreakerPolicy(pause_seconds=2.5)))
    stage = start(fallbacks=["default_score"], default_score=[0.5])
    stage.triton.faults["churn__1_0_0"] = lambda _: grpc.StatusCode.INTERNAL
    fail(stage)
    stage.triton.faults.clear()
    stage.reroute("2-same", fallbacks=["default_score"], default_score=[0.25])
    wait_for(lambda: stage.predict(ONE).json()["score"] == 0.25)
    assert "breaker_open" == stage.predict(ONE).json()["fallback"]

    wait_for(lambda: stage.predict(ONE).json()["fallback"] is None)


def test_a_bad_row_among_good_ones_opens_nothing(start):
    """Entities are counted, not calls: one that the model cannot take fails alone."""
    stage = start(fallbacks=["default_score"], default_score=[0.5])
    stage.features.rows[2] = stage.features.rows[1].having(total_spend_30d=7.0)
    bad = lambda numeric: grpc.StatusCode.INTERNAL if 7.0 in numeric else None  # noqa: E731
    stage.triton.faults["churn__1_0_0"] = bad
    for _ in range(8):
        entities = [{"customer_id": 1 + (place == 3)} for place in range(8)]
        answers = stage.predict({"entities": entities}).json()["predictions"]
        assert [None] * 3 + ["model_error"] + [None] * 4 == [answer["fallback"] for answer in answers]
