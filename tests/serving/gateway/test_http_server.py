"""The connection itself: order, patience and what comes in pieces, on raw sockets."""

import gc
import json
import socket

import pytest

from serving.gateway.http_server import GatewayProtocol
from tests.serving.gateway.conftest import KEY, wait_for

BODY = b'{"entity": {"customer_id": 1}}'


def request(path="/v1/predict/churn", body=BODY, extra=b"", method=b"POST"):
    """Return a request as it travels."""
    lines = (
        b"%b %b HTTP/1.1" % (method, path.encode()),
        b"Host: x",
        b"Authorization: Bearer " + KEY.encode(),
        *((extra,) if extra else ()),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def connected(stage):
    """Return a connection to a stage's gateway."""
    return socket.create_connection(("127.0.0.1", stage.settings.gateway_port), timeout=20)


def answers(connection, count):
    """Read so many answers: status, headers and body of each."""
    stream = connection.makefile("rb")
    found = []
    for _ in range(count):
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b": ")
            headers[name] = value
        found.append((status, headers, stream.read(int(headers[b"content-length"]))))
    return found


def test_pipelined_requests_are_answered_in_their_order(stage):
    """Predictions and other paths mixed in one write: one answer each, in order, on one connection."""
    with connected(stage) as connection:
        connection.sendall(
            request()
            + request("/v2/health/live", b"", method=b"GET")
            + request(body=b'{"entity": {"customer_id": 2}}')
            + request("/nowhere")
            + request()
        )
        assert [200, 200, 404, 404, 200] == [status for status, _, _ in answers(connection, 5)]


def test_a_request_in_pieces_is_one_request(stage):
    """Byte by byte through headers and body; the answer has a date, a type and a length."""
    with connected(stage) as connection:
        whole = request()
        for start in range(len(whole)):
            connection.sendall(whole[start : start + 1])
        [(status, headers, body)] = answers(connection, 1)
    assert (200, b"application/json") == (status, headers[b"content-type"])
    assert b"date" in headers
    assert "churn" == json.loads(body)["model"]


@pytest.mark.parametrize("kept", [len(request()) - 5, 30])
def test_a_request_that_does_not_become_whole_is_given_up(start, kept):
    """In the middle of its body or of its headers: 408, and the connection is closed."""
    stage = start(settings={"body_timeout_seconds": 0.2})
    with connected(stage) as connection:
        connection.sendall(request()[:kept])
        [(status, headers, _)] = answers(connection, 1)
        assert (408, b"close") == (status, headers[b"connection"])
        assert b"" == connection.recv(1)


def test_an_expectation_is_met_before_the_body_is_sent(stage):
    """`Expect: 100-continue` is answered, then the request."""
    with connected(stage) as connection:
        whole = request(extra=b"Expect: 100-continue")
        connection.sendall(whole[: -len(BODY)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY)
        assert 200 == answers(connection, 1)[0][0]


def test_a_caller_that_goes_away_leaves_its_row_and_the_others_their_answers(stage):
    """The connection is gone before the model answers: the row is logged, the next caller is served."""
    stage.triton.gate.clear()
    with connected(stage) as connection:
        connection.sendall(request())
        wait_for(lambda: stage.triton.calls)
    stage.triton.gate.set()
    assert 200 == stage.predict(json.loads(BODY)).status_code
    assert 2 == len(stage.rows())


def test_a_connection_that_asks_to_be_closed_is_closed_after_its_answer(stage):
    """`Connection: close` is honoured on the short way."""
    with connected(stage) as connection:
        connection.sendall(request(extra=b"Connection: close"))
        [(status, headers, _)] = answers(connection, 1)
        assert (200, b"close", b"") == (status, headers[b"connection"], connection.recv(1))


@pytest.mark.parametrize(
    "sent", [request(), request("/v2/health/live", b"", method=b"GET")], ids=["short", "ASGI"]
)
def test_a_closed_connection_leaves_nothing(stage, sent):
    """No circle keeps it until a collection of old objects: memory follows those who are connected."""
    gc.collect()
    gc.disable()
    try:
        connections = [connected(stage) for _ in range(5)]
        for connection in connections:
            connection.sendall(sent)
            assert 200 == answers(connection, 1)[0][0]
        assert 5 == len(protocols())
        for connection in connections:
            connection.close()
        wait_for(lambda: not protocols())
    finally:
        gc.enable()


def protocols():
    """Return the connections that are still in memory."""
    # Not isinstance, which asks objects of others for their class: some of torch's warn of being asked.
    return [each for each in gc.get_objects() if type(each) is GatewayProtocol]


def test_a_reader_that_never_reads_is_not_read_either(stage):
    """A flood of pipelined requests whose answers nobody takes: what waits to be sent stays bounded."""
    with connected(stage) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1.0)
        sent = flood(connection, 20_000_000)
    assert sent < 20_000_000


def flood(connection, most):
    """Send requests until the other side takes no more for a second; return the bytes sent."""
    sent = 0
    while sent < most:
        try:
            sent += connection.send(request() * 50)
        except TimeoutError:
            break
    return sent
