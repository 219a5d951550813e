"""Repeats of requests whose gateway was stopped since."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc
import msgspec
import pytest

from include.adapters.prediction_log import PredictionLog
from include.contracts.predictions import PredictionRow
from tests.serving.gateway.conftest import FRESH, Stage, serving, version_route

ONE = {"entity": {"customer_id": 1}, "request_id": "r-1"}
MANY = {"entities": [{"customer_id": n} for n in (1, 2, 99)], "request_id": "r-1"}


@pytest.fixture
def on(tmp_path, triton):
    """Run a gateway on a home, with rows put into its log before, and return what is seen there."""

    def run(
        home: str, use: Callable[[Stage], Any], rows: Sequence[PredictionRow] = (), **changes: object
    ) -> Any:
        log = PredictionLog(tmp_path / home / "predictions", 2**20)
        log.append(rows)
        log.close()
        with serving(tmp_path / home, triton, **changes) as stage:
            stage.features.rows = {1: FRESH, 2: FRESH}
            return use(stage)

    return run


def asked_and_logged(body: object) -> Callable[[Stage], tuple[Any, list[PredictionRow]]]:
    """Return what asks a gateway and looks at its log then."""
    return lambda stage: (stage.predict(body), stage.rows())


def test_a_repeat_after_a_restart_gets_the_first_answer(on):
    """Byte for byte, from the log: one row stays; another body is refused."""
    first, _ = on("home", asked_and_logged(ONE))
    second, rows = on("home", asked_and_logged(ONE))
    other, _ = on("home", asked_and_logged({**ONE, "entity": {"customer_id": 2}}))

    assert first.content == second.content
    assert 1 == len(rows)
    assert "/docs#request-id-reused" == other.json()["type"]


def test_every_kind_of_answer_comes_back(on, triton):
    """Several entities with a refusal among them, a refusal alone, a model of classes."""
    classes = version_route("1.0.0", triton[1], task="multiclass", classes=["no", "yes"])
    triton[0].score = lambda numeric: (numeric * 0 + [[0.25, 0.75]]).astype("float32")
    bodies = [MANY, {**ONE, "request_id": "r-2"}, {"entity": {"customer_id": 99}, "request_id": "r-3"}]

    def ask(stage: Stage) -> Any:
        return [stage.predict(body) for body in bodies], len(stage.rows())

    (first, rows), (second, rows_after) = (on("home", ask, champion=classes) for _ in range(2))
    assert [200, 200, 404] == [answer.status_code for answer in first]
    assert [answer.content for answer in first] == [answer.content for answer in second]
    assert 5 == rows == rows_after
    assert {"no": 0.25, "yes": 0.75} == second[0].json()["predictions"][0]["scores"]


def test_a_fallback_comes_back_as_one(on, triton):
    """The default score that answered while the model was away answers the repeat, too."""
    options = {"fallbacks": ["default_score"], "default_score": [0.25]}
    triton[0].unloaded = {"churn__1_0_0"}
    first, _ = on("home", asked_and_logged(ONE), **options)
    triton[0].unloaded = set()
    second, _ = on("home", asked_and_logged(ONE), **options)

    assert ("model_unavailable", 0.25) == (second.json()["fallback"], second.json()["score"])
    assert first.content == second.content


def test_a_request_cut_off_between_two_writes_is_completed(on):
    """The entities in the log keep their prediction, the others are asked for: a row each in the end."""
    _, rows = on("whole", asked_and_logged(MANY))
    answer, left = on("cut", asked_and_logged(MANY), rows[:1])
    answers = answer.json()["predictions"]

    assert rows[0].prediction_id == answers[0]["prediction_id"]
    assert [124.5, 124.5, 404] == [item.get("score", item.get("status")) for item in answers]
    assert [(0, 3), (1, 3), (2, 3)] == [(row.request_index, row.request_entities) for row in left]


def test_a_failure_may_be_asked_for_again(on, triton):
    """Of a request with failed entities in the log, only these are asked for."""
    triton[0].faults["churn__1_0_0"] = lambda _: grpc.StatusCode.INTERNAL
    failed, _ = on("home", asked_and_logged(MANY))
    triton[0].faults.clear()
    answered, rows = on("home", asked_and_logged(MANY))

    assert [503, 503, 404] == [item["status"] for item in failed.json()["predictions"]]
    assert [124.5, 124.5] == [item["score"] for item in answered.json()["predictions"][:2]]
    assert [0, 1, 2, 0, 1] == [row.request_index for row in rows]


def test_what_is_older_than_the_window_is_a_new_request(on):
    """Its time goes on while no gateway runs."""
    _, rows = on("first", asked_and_logged(ONE))
    for age, expected in ((599, 1), (601, 2)):
        aged = [msgspec.structs.replace(rows[0], recorded_at=rows[0].recorded_at - timedelta(seconds=age))]
        _, left = on(f"aged {age}", asked_and_logged(ONE), aged)
        assert expected == len(left)
