"""Requests nobody means well by, at every endpoint that takes a body: refused, bounded, no harm done."""

import socket

import pytest

from tests.serving.gateway.conftest import KEY

POSTS = (
    "/v1/predict/churn",
    "/v1/outcomes",
    "/v2/models/churn/infer",
    "/v2/models/churn/versions/1.0.0/infer",
)
GOOD = b'{"entity": {"customer_id": 1}}'
OUTCOME = (
    b'{"outcome_id": "o", "model": "churn", "unit": "1", "metric": "m", '
    b'"occurred_at": "2017-11-02T00:00:00Z", "value": %b}'
)
NUMERIC = (
    b'{"inputs": [{"name": "categorical", "datatype": "BYTES", "shape": [1, 1], "data": ["DELI"]}, '
    b'{"name": "numeric", "datatype": "FP32", "shape": [1, 2], "data": [1, %b]}]}'
)
PREDICT = b'{"entity": {"customer_id": %b}}'
VALUES = {
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "a huge integer": b"1" + b"0" * 400,
    "a huge negative integer": b"-1" + b"0" * 400,
    "a float beyond doubles": b"1e400",
    "lists 5,000 deep": b"[" * 5_000 + b"]" * 5_000,
    "objects 5,000 deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "half a surrogate pair": b'"\\ud800"',
    "invalid UTF-8": b'"\xff\xfe"',
    "an overlong NUL": b'"\xc0\x80"',
    "a truth": b"true",
    "a bare control character": b'"\x01"',
}
WHOLE = {
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "two documents": GOOD * 2,
    "null": b"null",
    "a number": b"10" * 200,
    "binary": bytes(range(256)),
}
TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "*/*",
    "json",
    "\xff",
)


@pytest.fixture(scope="module")
def unharmed(refusing):
    """Give a gateway, and check at the end that it is as well as before."""
    yield refusing
    assert [200, 200] == [refusing.client.get(f"/v2/health/{name}").status_code for name in ("live", "ready")]
    assert [] == refusing.triton.calls


@pytest.fixture
def no_traceback(caplog):
    """Check that no request failed for a reason of the gateway's own."""
    yield
    assert [] == [record.getMessage() for record in caplog.records if record.exc_info]


def check_refused(response, statuses=(400, 422)):
    """It is a problem document of one of the statuses."""
    assert response.status_code in statuses, response.text[:200]
    assert "application/problem+json" == response.headers["content-type"]
    assert response.status_code == response.json()["status"]
    assert len(response.content) < 2_000


@pytest.mark.parametrize("template", [PREDICT, OUTCOME, NUMERIC], ids=["predict", "outcomes", "infer"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_is_none_is_refused(unharmed, no_traceback, template, value):
    """Numbers that are not finite or too large, depth, broken text: 400 or 422 wherever they stand."""
    path = {PREDICT: POSTS[0], OUTCOME: POSTS[1], NUMERIC: POSTS[2]}[template]
    check_refused(
        unharmed.client.post(path, content=template % value, headers={"Content-Type": "application/json"})
    )


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_a_body_that_is_not_the_endpoints_is_refused(unharmed, no_traceback, path, body):
    """400 or 422, at every endpoint."""
    check_refused(unharmed.client.post(path, content=body, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("path", POSTS)
def test_another_content_type_is_refused(unharmed, no_traceback, path):
    """415 for everything that is not announced as JSON."""
    for name in TYPES:
        headers = {"Content-Type": name.encode("latin-1")}
        check_refused(unharmed.client.post(path, content=GOOD, headers=headers), (415,))


@pytest.mark.parametrize("path", POSTS)
def test_a_chunked_body_over_the_limit_is_not_read_to_its_end(unharmed, no_traceback, path):
    """Endless chunks: 413 long before the caller stops, and the connection is closed."""
    limit = unharmed.settings.body_limit_bytes
    with connected(unharmed) as connection:
        connection.sendall(head(path, b"Transfer-Encoding: chunked"))
        assert sent_until_cut_off(connection, 100 * limit) < 10 * limit


def sent_until_cut_off(connection, most):
    """Send chunks until the other side closes; return the bytes sent."""
    chunk, sent = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0
    while sent < most:
        try:
            connection.sendall(chunk)
        except OSError:
            break
        sent += len(chunk)
    return sent


def test_a_key_that_stands_twice_is_taken_once(stage):
    """The last one counts, for the score and for the log alike."""
    response = stage.client.post(
        "/v1/predict/churn",
        content=b'{"entity": {"customer_id": 2, "customer_id": 1}, "entity": {"customer_id": 1}}',
        headers={"Content-Type": "application/json"},
    )
    assert 200 == response.status_code
    assert ["1"] == [row.unit for row in stage.rows()]


POST = b"POST /v1/predict/churn HTTP/1.1\r\nHost: x\r\n"
RAW = {
    "NUL in a header": b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
    "NUL in the path": b"GET /v2/health/li\0ve HTTP/1.1\r\nHost: x\r\n\r\n",
    "an encoded NUL in the path": b"GET /v2/models/chu%00rn HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes beyond ASCII in the path": b"GET /v2/models/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes beyond ASCII in a prediction's path": POST.replace(b"churn", b"\xff")
    + b"Content-Length: 0\r\n\r\n",
    "encoded bytes that are no UTF-8": b"GET /v2/models/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that climbs": b"GET /v2/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "an encoded climb": b"GET /v2/models/%2e%2e%2f%2e%2e%2fetc HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "another host's path": b"GET http://example.org/v2/health/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"BREW /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no method at all": b"\r\n\r\n\0\0\0\0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET /v2/health/live HTTP/9.9\r\nHost: x\r\n\r\n",
    "a very long path": b"GET /v2/models/" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a very long header": b"GET /v2/models/churn HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 2**20 + b"\r\n\r\n",
    "very many headers": b"GET /v2/models/churn HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 2**16 + b"\r\n",
    "a negative length": b"POST /v1/outcomes HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a length that is a word": b"POST /v1/outcomes HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "a length in other digits": POST + b"Content-Length: \xb2\r\n\r\n",
    "a length of many digits": POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": POST + b"Content-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "a chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a key beyond ASCII": b"GET /v2/models/churn HTTP/1.1\r\nHost: x\r\nAuthorization: \xff\xfe\r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_what_is_hardly_http_is_refused_or_cut_off(unharmed, no_traceback, raw):
    """4xx or a closed connection, at once, and never a failure of the gateway's own."""
    with connected(unharmed) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was closed before all was sent
        assert status_of(connection) in {None, *range(400, 500)}


def connected(stage):
    """Return a connection to a stage's gateway."""
    return socket.create_connection(("127.0.0.1", stage.settings.gateway_port), timeout=20)


def head(path, *more):
    """Return the headers of a request that has a key."""
    lines = (
        b"POST %b HTTP/1.1" % path.encode(),
        b"Host: x",
        b"Authorization: Bearer " + KEY.encode(),
        b"Content-Type: application/json",
        *more,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def status_of(connection):
    """Return the status of the first answer; None where the connection was closed without one."""
    try:
        line = connection.makefile("rb").readline()
    except ConnectionResetError:
        return None
    return int(line.split()[1]) if line else None
