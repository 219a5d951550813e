"""Limits of keys at a gateway: what passes, what is told to come back, and what several share."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from include.contracts.keys import ApiKey
from serving.gateway.rate_limits import FAILURES
from tests.servers import running_redis
from tests.serving.gateway.conftest import Stage, api_key, serving

ONE = {"entity": {"customer_id": 1}}
SLOW = "nk_slow.secret"
HEADERS = {"Authorization": f"Bearer {SLOW}"}


def slow_key(burst: int = 10) -> ApiKey:
    """Return what the ledger holds of a key of so many entities at once that fills ever so slowly."""
    return api_key(SLOW, rate_per_second=0.001, burst=burst)


def asked(stage: Stage, body: object = ONE) -> httpx.Response:
    """Ask with the slow key."""
    return stage.predict(body, headers=HEADERS)


def entities(count: int) -> dict[str, object]:
    """Return the body of a request for as many entities."""
    return {"entities": [{"customer_id": 1}] * count}


def test_a_key_gets_its_burst_and_no_more(start):
    """Entities count, and so does a refused request; over the limit it is 429 with when to come back."""
    stage = start(more_keys=[slow_key()])

    assert 422 == asked(stage, {}).status_code
    assert 200 == asked(stage, entities(6)).status_code
    refused = asked(stage, entities(4))
    assert (429, "/docs#rate-limited") == (refused.status_code, refused.json()["type"])
    assert 940 < int(refused.headers["retry-after"]) <= 1000
    assert 200 == asked(stage, entities(3)).status_code
    for answer in (asked(stage), asked(stage, {}), stage.client.get("/v2/models/churn", headers=HEADERS)):
        assert 429 == answer.status_code
    assert 4 == stage.metric("gateway_rate_limited_total")
    assert 200 == stage.predict(entities(50)).status_code


def test_more_at_once_than_ever_passes_is_no_429(start):
    """Coming back would not help: the caller has to send less."""
    refused = asked(start(more_keys=[slow_key()]), entities(11))

    assert (422, "/docs#over-burst") == (refused.status_code, refused.json()["type"])
    assert "retry-after" not in refused.headers


def test_every_endpoint_with_a_key_has_the_limit(start):
    """Tensors count by row, outcomes by outcome."""
    stage = start(more_keys=[slow_key(3)])
    tensors = [
        {"name": "numeric", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]},
        {"name": "categorical", "datatype": "BYTES", "shape": [2, 1], "data": ["A", "B"]},
    ]
    about = {"model": "churn", "unit": "1", "metric": "m", "value": 1, "occurred_at": "2017-11-02T00:00:00Z"}
    outcomes = [{"outcome_id": f"o-{number}", **about} for number in range(2)]

    infer = [
        stage.client.post("/v2/models/churn/infer", json={"inputs": tensors}, headers=HEADERS) for _ in "ab"
    ]
    told = [stage.client.post("/v1/outcomes", json=outcomes, headers=HEADERS) for _ in "ab"]
    assert [200, 429] == [answer.status_code for answer in infer]
    assert [429, 429] == [answer.status_code for answer in told]


def test_many_without_a_valid_key_are_turned_away(stage, caplog):
    """Past the bucket of all of them: 429 and no line in the log; a valid key is never in their way."""
    headers = {"Authorization": "Bearer nk_all.guess"}
    answers = [stage.predict(ONE, headers=headers) for _ in range(FAILURES.burst + 400)]
    codes = [answer.status_code for answer in answers]

    assert {401, 429} == set(codes)
    last = answers[codes.index(429)]
    assert ("1", "close") == (last.headers["retry-after"], last.headers["connection"])
    assert codes.count(401) == sum(record.message == "request refused" for record in caplog.records)
    assert 200 == stage.predict(ONE).status_code


@pytest.fixture
def together(tmp_path, triton):
    """Start gateways that share a Redis; each call starts one more."""
    with ExitStack() as stack, running_redis() as url:
        settings = {"coordination_url": url}
        homes = iter(range(10))
        yield lambda **changes: stack.enter_context(
            serving(tmp_path / f"home-{next(homes)}", triton, settings=settings, **changes)
        )


def test_two_gateways_admit_together_what_one_would(together):
    """A hundred requests at both at once: the key's burst passes, wherever it is asked."""
    stages = [together(more_keys=[slow_key(30)]) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: asked(stages[number % 2]), range(100)))
    codes = [answer.status_code for answer in answers]

    assert (30, 70) == (codes.count(200), codes.count(429))
    assert 0 == sum(stage.metric("gateway_coordination_misses_total") for stage in stages)


def test_without_redis_each_gateway_counts_for_itself(tmp_path, triton, caplog):
    """Told of once and counted; nobody is refused for it, and the limit still holds."""
    with running_redis() as url:
        options = {"settings": {"coordination_url": url}, "more_keys": [slow_key()]}
        with serving(tmp_path / "home", triton, **options) as stage:
            assert [*[200] * 10, 429] == [asked(stage).status_code for _ in range(11)]
    with serving(tmp_path / "home", triton, **options) as stage:
        assert [*[200] * 10, 429] == [asked(stage).status_code for _ in range(11)]
        assert 11 == stage.metric("gateway_coordination_misses_total")
    away = [record for record in caplog.records if "coordination is away" in record.message]
    assert 1 == len(away)
