"""Two Tritons under one version: spread, retried, ejected, readmitted by golden predictions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import numpy as np
import pytest

from tests.serving.gateway.conftest import (
    FaultyTriton,
    Stage,
    serving,
    serving_triton,
    version_route,
    wait_for,
)
from tests.serving.gateway.golden import publish_golden

ONE = {"entity": {"customer_id": 1}}
NAME = "churn__1_0_0"


@dataclass
class Pair:
    """A gateway over two Tritons."""

    stage: Stage
    first: FaultyTriton
    second: FaultyTriton
    endpoints: tuple[str, str]

    def asked(self, triton: FaultyTriton, requests: int = 30) -> int:
        """Predict so often, all successfully; return how many calls reached one of the two."""
        before = len(triton.calls)
        assert {200} == {self.stage.predict(ONE).status_code for _ in range(requests)}
        return len(triton.calls) - before

    def messages(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        """Return what was logged about endpoints."""
        return [record.message for record in caplog.records if record.message.startswith("endpoint ")]


@pytest.fixture
def pair(tmp_path) -> Iterator[Pair]:
    """A gateway whose version has golden predictions and is at two Tritons."""
    with serving_triton() as (first, here), serving_triton() as (second, there):
        sha256 = publish_golden(tmp_path / "home" / "artefacts")
        champion = version_route("1.0.0", here) | {"endpoints": [here, there], "artefact_sha256": sha256}
        with serving(tmp_path / "home", (first, here), champion=champion) as stage:
            yield Pair(stage, first, second, (here, there))
            second.gate.set()


def test_calls_are_spread(pair):
    """Both endpoints get their share, and nothing is retried."""
    pair.asked(pair.first, 40)

    assert 40 == len(pair.first.calls) + len(pair.second.calls)
    assert min(len(pair.first.calls), len(pair.second.calls)) > 5


def test_a_broken_endpoint_costs_no_request_and_is_ejected(pair, caplog):
    """Calls are made again elsewhere; after three of them none goes there but probes."""
    pair.first.faults[NAME] = lambda _: grpc.StatusCode.UNAVAILABLE
    assert 3 == pair.asked(pair.first)
    assert 0 == pair.asked(pair.first, 10)
    assert ["endpoint ejected"] == pair.messages(caplog)

    del pair.first.faults[NAME]
    wait_for(lambda: "endpoint readmitted" in pair.messages(caplog))
    assert pair.asked(pair.first) > 0


def test_only_right_golden_predictions_readmit(pair, caplog):
    """An endpoint that answers again, but not as it should, stays out."""
    pair.first.faults[NAME] = lambda _: grpc.StatusCode.UNAVAILABLE
    pair.asked(pair.first)
    right, pair.first.score = pair.first.score, lambda numeric: numeric[:, :1] * np.float32(0)
    del pair.first.faults[NAME]
    probes = len(pair.first.calls)
    wait_for(lambda: len(pair.first.calls) > probes)
    assert (NAME, 3) == pair.first.calls[-1]
    assert 0 == pair.asked(pair.first, 10)
    assert ["endpoint ejected"] == pair.messages(caplog)

    pair.first.score = right
    wait_for(lambda: "endpoint readmitted" in pair.messages(caplog))


def test_a_frozen_endpoint_costs_no_request(pair):
    """It takes calls and never answers: what waits for it is asked elsewhere in time."""
    pair.asked(pair.first, 5)  # how fast answers are is known
    pair.first.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: pair.stage.predict(ONE).status_code, range(60)))

    assert [200] * 60 == answers
    assert {None} == {row.fallback_reason for row in pair.stage.rows()}


def test_one_broken_endpoint_is_degraded_and_both_are_unready(pair):
    """The answer names the version and the endpoint."""
    ready = pair.stage.client.get("/v2/health/ready")
    assert (200, [], []) == (ready.status_code, ready.json()["reasons"], ready.json()["degraded"])

    pair.first.score = lambda numeric: numeric[:, :1] * np.float32(0)
    told = f"churn 1.0.0 at {pair.endpoints[0]} gives wrong golden predictions"
    wait_for(lambda: [told] == pair.stage.client.get("/v2/health/ready").json()["degraded"])
    assert 200 == pair.stage.client.get("/v2/health/ready").status_code
    # What is known to answer wrongly is not asked any more.
    assert 0 == pair.asked(pair.first, 10)

    pair.second.faults[NAME] = lambda _: grpc.StatusCode.INTERNAL
    wait_for(lambda: pair.stage.client.get("/v2/health/ready").status_code == 503)
    reasons = pair.stage.client.get("/v2/health/ready").json()["reasons"]
    assert [told, f"churn 1.0.0 at {pair.endpoints[1]} fails on its golden predictions"] == reasons


def test_with_both_broken_the_ladder_is_climbed(pair):
    """No endpoint is left: the caller gets the version's failure, and answers once one is back."""
    for triton in (pair.first, pair.second):
        triton.faults[NAME] = lambda _: grpc.StatusCode.UNAVAILABLE
    assert {503} == {pair.stage.predict(ONE).status_code for _ in range(8)}

    del pair.second.faults[NAME]
    wait_for(lambda: pair.stage.predict(ONE).status_code == 200)


def test_golden_predictions_that_were_altered_count_for_nothing(tmp_path, triton, caplog):
    """They are proven by the artefact's hash; without them a loaded version is ready, and the log tells."""
    sha256 = publish_golden(tmp_path / "home" / "artefacts")
    path = tmp_path / "home" / "artefacts" / "packages" / "churn" / sha256 / "golden.json"
    path.write_bytes(path.read_bytes() + b" ")
    champion = version_route("1.0.0", triton[1]) | {"artefact_sha256": sha256}
    with serving(tmp_path / "home", triton, champion=champion) as stage:
        assert 200 == stage.client.get("/v2/health/ready").status_code
        assert [] == stage.triton.calls
    assert "golden predictions cannot be read" in caplog.text
