import json
import logging
import sys

import grpc

from serving.gateway.logs import JsonFormatter
from tests.serving.gateway.conftest import FRESH

ENTITY, AMOUNT, CATEGORY = 918273645, 6421.1875, "SECRET-CATEGORY"


def formatted(error: Exception) -> dict[str, str]:
    """Return the line of a logged error."""
    try:
        raise error
    except type(error):
        record = logging.LogRecord("gateway", logging.ERROR, "f", 1, "it failed", None, sys.exc_info())
    return json.loads(JsonFormatter().format(record))


def test_a_traceback_says_where_and_what_but_no_value():
    """A KeyError's message is the value it missed."""
    line = formatted(KeyError(CATEGORY))["traceback"]
    assert CATEGORY not in line
    assert "test_logs.py" in line
    assert line.endswith("builtins.KeyError\n")


def test_what_the_system_says_is_kept():
    """No space left on device: the reader needs to know."""
    assert "FileNotFoundError: No such file" in formatted(FileNotFoundError(2, "No such file"))["traceback"]


def test_no_line_holds_a_value_whatever_goes_wrong(stage, caplog):
    """Entities and features stay out of the logs: refusals, model errors, outages and bugs alike."""
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(JsonFormatter())
    ask = {"entity": {"customer_id": ENTITY}, "request_id": "r-1"}
    known = FRESH.having(total_spend_30d=AMOUNT, preferred_category=CATEGORY)
    assert 404 == stage.predict(ask).status_code
    stage.features.rows[ENTITY] = known.having(total_spend_30d=-AMOUNT)
    assert 422 == stage.predict({**ask, "request_id": "r-2"}).status_code
    stage.features.rows[ENTITY] = known
    assert 200 == stage.predict({**ask, "request_id": "r-3"}).status_code
    assert 422 == stage.predict({**ask, "features": {"amount": AMOUNT}}).status_code
    stage.triton.faults["churn__1_0_0"] = lambda _: grpc.StatusCode.INTERNAL
    assert 503 == stage.predict({"entity": {"customer_id": ENTITY}}).status_code
    stage.features.is_down = True
    assert 503 == stage.predict({"entity": {"customer_id": ENTITY}}).status_code
    stage.features.is_down, stage.features.rows[ENTITY] = False, CATEGORY
    assert 500 == stage.predict({"entity": {"customer_id": ENTITY}}).status_code

    text = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert "request refused" in text
    assert "Traceback" not in text
    assert [] == [value for value in (ENTITY, AMOUNT, CATEGORY) if str(value) in text]
