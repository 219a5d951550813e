"""Callers that send a byte now and then: they cost nobody else an answer, and are shown out."""

import socket
from itertools import cycle, islice
from threading import Event

import pytest

from tests.serving.gateway.conftest import KEY

CONNECTIONS = 200
PATIENCE_SECONDS = 0.5
MOST_ROUNDS = 400
ONE = {"entity": {"customer_id": 1}}

KEYED = b"Host: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\nContent-Type: application/json\r\n"
BEGINNINGS = (
    b"GET /",
    b"POST /v1/predict/churn HTTP/1.1\r\nHost: x\r\nX-A: ",
    b"POST /v1/predict/churn HTTP/1.1\r\n" + KEYED + b"Content-Length: 1000\r\n\r\n",
    b"POST /v1/predict/churn HTTP/1.1\r\n" + KEYED + b"Content-Length: 1000000\r\n\r\n",
    b"POST /v1/outcomes HTTP/1.1\r\n" + KEYED + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n",
    b"POST /v2/models/churn/infer HTTP/1.1\r\n" + KEYED + b"Content-Length: 1000\r\n\r\n",
    b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
)
"""Of a request line, of a header, and of bodies on every way there is."""


def opened(stage, beginning):
    """Return a connection that has sent its beginning."""
    connection = socket.create_connection(("127.0.0.1", stage.settings.gateway_port), timeout=20)
    connection.sendall(beginning)
    connection.setblocking(False)
    return connection


def is_open(connection):
    """Send one byte more; say whether the other side still listens."""
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        pass
    except OSError:
        return False
    else:
        return False
    try:
        connection.send(b"G")
    except OSError:
        return False
    return True


@pytest.fixture
def dribbling(start):
    """Give a gateway of little patience and two hundred callers that have begun to send."""
    stage = start(settings={"body_timeout_seconds": PATIENCE_SECONDS})
    connections = [opened(stage, beginning) for beginning in islice(cycle(BEGINNINGS), CONNECTIONS)]
    yield stage, connections
    for connection in connections:
        connection.close()


def test_callers_that_dribble_are_shown_out_and_cost_nobody_an_answer(dribbling):
    """Everybody else is answered all along; once patience is over not one of the two hundred is left."""
    stage, connections = dribbling
    pause, answers, left = Event(), [], connections
    for _ in range(MOST_ROUNDS):
        left = [connection for connection in left if is_open(connection)]
        answers.append(stage.predict(ONE).status_code)
        if not left:
            break
        pause.wait(0.05)

    assert [] == left
    assert len(answers) > 1
    assert {200} == set(answers)
    assert len(answers) == len(stage.rows())
