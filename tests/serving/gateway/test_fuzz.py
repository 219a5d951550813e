"""Every endpoint, called with what its OpenAPI document lets one send, and with what it does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.gateway.conftest import KEY, Stage

CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)
KNOWN = {"model": "churn", "version": "1.0.0"}
EXAMPLES, MANY_EXAMPLES = 4, 100
QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


@dataclass(frozen=True)
class Fuzz:
    """A gateway and one connection to it."""

    stage: Stage
    session: requests.Session
    schema: schemathesis.BaseSchema

    def operations(self) -> list[schemathesis.APIOperation]:
        """Return every method and path of the document."""
        return [result.ok() for result in self.schema.get_all_operations()]

    def call(self, case: schemathesis.Case, *, known: bool) -> None:
        """Call an endpoint, of a known model or any, and hold its answer against the document."""
        if known:
            case.path_parameters = {name: KNOWN[name] for name in case.path_parameters}
        response = case.call(base_url=self.stage.url, session=self.session)
        assert response.status_code < 500 or response.status_code == 503, response.text
        case.validate_response(response, checks=CHECKS)


def seldom(other: st.SearchStrategy, usual: Any) -> st.SearchStrategy:
    """Return the usual value, four times out of five."""
    return st.integers(0, 4).flatmap(lambda drawn: st.just(usual) if drawn else other)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), FINITE, st.text())
MOMENT = st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
SHAPE = st.lists(st.integers(-1, 2**70), max_size=3)


def tensor(name: str, datatype: str, width: int, usual: list) -> st.SearchStrategy:
    """Return tensors that are nearly right."""
    return st.fixed_dictionaries(
        {
            "name": seldom(st.text(), name),
            "datatype": seldom(st.text(), datatype),
            "shape": seldom(SHAPE, [1, width]),
            "data": seldom(st.lists(SCALAR | st.lists(SCALAR, max_size=2), max_size=3), usual),
        },
        optional={"parameters": st.dictionaries(st.just("binary_data_size"), st.integers(), max_size=1)},
    )


NEARLY_RIGHT = {
    "/v1/predict/churn": st.fixed_dictionaries(
        {"entity": st.fixed_dictionaries({"customer_id": seldom(st.integers() | st.text(), 1)})},
        optional={"request_id": st.text(max_size=3), "features": st.dictionaries(st.text(), SCALAR)},
    ),
    "/v1/outcomes": st.fixed_dictionaries(
        {
            "outcome_id": seldom(st.text(), "o"),
            "metric": seldom(st.text(), "m"),
            "value": seldom(st.integers() | FINITE, 1),
            "occurred_at": seldom(MOMENT, "2017-11-02T00:00:00Z"),
            "model": seldom(st.text(), "churn"),
            "unit": seldom(st.none() | st.text(), "1"),
            "prediction_id": seldom(st.uuids().map(str) | st.text(), None),
        }
    ),
    "/v2/models/churn/infer": st.fixed_dictionaries(
        {
            "inputs": st.tuples(
                tensor("categorical", "BYTES", 1, ["DELI"]), tensor("numeric", "FP32", 2, [1, None])
            ).flatmap(st.permutations)
        },
        optional={
            "id": st.text(),
            "outputs": st.lists(st.fixed_dictionaries({"name": seldom(st.text(), "score")}), max_size=2),
        },
    ),
}


@pytest.fixture
def fuzz(stage: Stage) -> Iterator[Fuzz]:
    """Give a gateway with its document."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        schema = schemathesis.openapi.from_dict(session.get(f"{stage.url}/openapi.json").json())
        schema.config.generation.update(with_security_parameters=False)
        yield Fuzz(stage, session, schema)


@contextmanager
def without_a_trace(fuzz: Fuzz, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that afterwards the gateway is as well as before and its log knows of no error."""
    yield
    assert [] == [record.getMessage() for record in caplog.records if record.exc_info]
    for path in ("live", "ready"):
        assert 200 == fuzz.stage.client.get(f"/v2/health/{path}").status_code
    assert 200 == fuzz.stage.predict({"entity": {"customer_id": 1}}).status_code


def tried(examples: int) -> settings:
    """Return how often, and that it is always the same."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=QUIET,
    )


def attack(fuzz: Fuzz, operation: schemathesis.APIOperation, mode: GenerationMode, examples: int) -> None:
    """Call one operation over and over."""

    @tried(examples)
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def call(case: schemathesis.Case, known: bool) -> None:
        fuzz.call(case, known=known)

    call()


def attack_nearly_right(fuzz: Fuzz, path: str, examples: int) -> set[int]:
    """Send bodies that an endpoint takes but for a detail; return the statuses."""
    statuses = set()

    @tried(examples)
    @given(body=NEARLY_RIGHT[path])
    def call(body: dict) -> None:
        response = fuzz.session.post(f"{fuzz.stage.url}{path}", json=body)
        statuses.add(response.status_code)
        assert response.status_code in {200, 400, 404, 409, 422}, response.text

    call()
    return statuses


def attack_all(fuzz: Fuzz, examples: int) -> None:
    """Call every operation with what fits the document, what does not, and what nearly would be answered."""
    for operation in fuzz.operations():
        attack(fuzz, operation, GenerationMode.POSITIVE, examples)
        if operation.body:
            attack(fuzz, operation, GenerationMode.NEGATIVE, examples)
    for path in NEARLY_RIGHT:
        assert {200, 422} <= attack_nearly_right(fuzz, path, 10 * examples), path


def test_no_request_makes_it_fail(fuzz, caplog):
    """A few requests an endpoint, always the same ones: documented answers only, and no harm done."""
    with without_a_trace(fuzz, caplog):
        attack_all(fuzz, EXAMPLES)


@pytest.mark.slow
def test_none_of_many_requests_makes_it_fail(fuzz, caplog):
    """Hundreds of requests an endpoint."""
    with without_a_trace(fuzz, caplog):
        attack_all(fuzz, MANY_EXAMPLES)
