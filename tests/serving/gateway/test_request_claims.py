"""One request at several gateways that share a Redis: one answers, all say the same."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256

import msgspec
import pytest

from include.adapters.coordination import ClaimState, Coordination
from serving.gateway.request_claims import name_of
from serving.gateway.request_window import Identity
from tests.servers import running_redis
from tests.serving.gateway.conftest import FRESH, Stage, serving, wait_for


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """A Redis of this module's own; where none is installed, the tests fail and say so."""
    with running_redis() as url:
        yield url


@pytest.fixture
def gateway(tmp_path, triton, redis) -> Iterator[Callable[..., Stage]]:
    """Start gateways, each with a home of its own."""
    with ExitStack() as stack:

        def start(home: str, url: str = redis) -> Stage:
            options = {"settings": {"coordination_url": url}}
            stage = stack.enter_context(serving(tmp_path / home, triton, **options))
            stage.features.rows[2] = FRESH
            return stage

        yield start


def body(request_id: str, *customers: int) -> dict[str, object]:
    """Ask for one customer, or several."""
    keys = [{"customer_id": customer} for customer in customers]
    asked = {"entities": keys} if len(keys) > 1 else {"entity": keys[0]}
    return {**asked, "request_id": request_id}


def claim_and_die(url: str, request_id: str, body_sha256: str, seconds: float) -> ClaimState:
    """Claim a request of the key that may do all, as a gateway does that is killed then."""

    async def claim() -> ClaimState:
        coordination = Coordination(url, 600.0, seconds)
        name = name_of(Identity("id-nk_all", "churn", request_id))
        (claimed,) = await coordination.claim([(name, body_sha256)])
        await coordination.close()
        return claimed.state

    return asyncio.run(claim())


def test_a_request_at_two_gateways_at_once_is_answered_by_one(gateway):
    """The other waits and says the same; there is one call of the model and one row."""
    first, second = gateway("first"), gateway("second")
    first.triton.gate.clear()
    asked = body("at once", 1)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first.predict, asked)
        wait_for(lambda: len(first.triton.calls) == 1)
        two = pool.submit(second.predict, asked)
        refused = second.predict(body("at once", 2))
        first.triton.gate.set()
        answers = [one.result(), two.result()]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert answers[0].content == answers[1].content == second.predict(asked).content
    assert "/docs#request-id-reused" == refused.json()["type"]
    assert (1, 0) == (len(first.rows()), len(second.rows()))


def test_several_entities_are_shared_as_they_were_answered(gateway):
    """What failed at one gateway is asked for at the next, and only that."""
    first, second = gateway("first"), gateway("second")
    asked = body("several", 1, 99)
    first.triton.unloaded = {"churn__1_0_0"}
    failed = first.predict(asked).json()["predictions"]
    first.triton.unloaded = set()
    answered = second.predict(asked)

    assert [503, 404] == [item["status"] for item in failed]
    assert [124.5, failed[1]] == [
        answered.json()["predictions"][0]["score"],
        answered.json()["predictions"][1],
    ]
    assert [0] == [row.request_index for row in second.rows()]
    assert answered.content == first.predict(asked).content


def test_the_claim_of_a_gateway_that_died_lapses(gateway, redis):
    """The next one that is asked takes over, and its answer is everybody's."""
    stage = gateway("next")
    content = msgspec.json.encode(body("orphan", 1))
    digest = sha256(content).hexdigest()
    assert ClaimState.CLAIMED == claim_and_die(redis, "orphan", digest, 0.3)
    assert ClaimState.BUSY == claim_and_die(redis, "orphan", digest, 0.3)
    headers = {"Content-Type": "application/json"}
    answer = stage.client.post("/v1/predict/churn", content=content, headers=headers)

    assert 200 == answer.status_code
    assert ClaimState.ANSWERED == claim_and_die(redis, "orphan", digest, 0.3)
    assert ClaimState.OTHER_BODY == claim_and_die(redis, "orphan", "other", 0.3)


def test_without_redis_each_gateway_remembers_by_itself(tmp_path, triton, caplog):
    """Told of once and counted; repeats at the same gateway are still recognised."""
    with running_redis() as url:
        pass
    options = {"settings": {"coordination_url": url}}
    with serving(tmp_path / "alone", triton, **options) as stage:
        first, second = stage.predict(body("alone", 1)), stage.predict(body("alone", 1))
        assert (200, first.content) == (first.status_code, second.content)
        assert 1 == len(stage.rows())
        assert 1 == stage.metric("gateway_coordination_misses_total")
    assert 1 == sum("coordination is away" in record.message for record in caplog.records)


def test_what_gateways_agreed_on_outweighs_an_answer_nobody_got(gateway, tmp_path, triton, redis):
    """A gateway killed between its log and its answer says, once it is back, what another has said since."""
    with serving(tmp_path / "killed", triton) as alone:  # its answer reached its log and nobody else
        alone.predict(body("agreed", 1))
    second = gateway("second").predict(body("agreed", 1))
    back = gateway("killed").predict(body("agreed", 1))

    assert second.content == back.content


def test_an_answer_in_the_log_alone_is_shared_when_it_is_repeated(gateway, tmp_path, triton):
    """Nobody else was asked: the restarted gateway's own row is the answer of all."""
    with serving(tmp_path / "killed", triton) as alone:
        logged = alone.predict(body("logged", 1))
    back = gateway("killed").predict(body("logged", 1))
    other = gateway("other")

    assert logged.content == back.content == other.predict(body("logged", 1)).content
    assert [] == other.rows()
