"""The load generators against a small real HTTP server."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from include.commands.bench_gateway.closed_loop import (
    Answers,
    Target,
    closed_loop,
    read_answers,
    write_requests,
)
from include.commands.bench_gateway.open_loop import compiled, open_loop
from include.contracts.errors import PlatformError
from tests.servers import needed

Handler = Callable[[bytes], tuple[int, bytes]]


@pytest.fixture
def gcc() -> str:
    """The compiler that the open loop's program needs."""
    return needed("gcc", "gcc")


@contextmanager
def http_server(handler: Handler, stall_seconds: float = 0.0, *, chunked: bool = False) -> Iterator[str]:
    """Serve POST requests on loopback; the first answer comes after a stall."""
    stalls = [stall_seconds]

    class Served(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            """Answer."""
            status, body = handler(self.rfile.read(int(self.headers["Content-Length"])))
            Event().wait(stalls.pop() if stalls else 0.0)
            self.send_response(status)
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/score"
        server.shutdown()
        thread.join(10)


def target(url: str, folder: Path, count: int = 50) -> Target:
    """A target with so many different requests."""
    bodies = [json.dumps({"customer": "x" * number}).encode() for number in range(count)]
    return Target(url, write_requests(folder / "requests", bodies), '"score":', {"Authorization": "Bearer k"})


def test_the_closed_loop_counts_right_answers_only(tmp_path: Path) -> None:
    """Refusals and answers without a score are answers, but not right ones."""
    needed("wrk", "wrk")
    seen: list[bytes] = []

    def handler(body: bytes) -> tuple[int, bytes]:
        seen.append(body)
        return [(200, b'{"score":1}'), (503, b'{"score":1}'), (200, b"{}")][len(seen) % 3]

    with http_server(handler) as url:
        found = closed_loop(target(url, tmp_path), 4, 1)
    assert 0 < found.right <= found.answers / 3 + 4
    assert found.failed >= 2 * found.right - 8
    assert len(set(seen)) == 50


@pytest.mark.usefixtures("gcc")
def test_the_open_loop_sends_at_its_rate_and_counts_right_answers_only(tmp_path: Path) -> None:
    """As many requests as rate and length say are sent, from all there are; refusals are not right."""
    seen: list[bytes] = []

    def handler(body: bytes) -> tuple[int, bytes]:
        seen.append(body)
        return (200, b'{"score":1}') if len(seen) % 2 else (503, b'{"score":1}')

    with http_server(handler) as url:
        found = open_loop(compiled(tmp_path), target(url, tmp_path), 400, 1, connections=8)
    assert found.answers == 400
    assert (found.right, found.refused) == (200, 200)
    assert (found.lost, found.unsent) == (0, 0)
    assert len(set(seen)) == 50


@pytest.mark.usefixtures("gcc")
def test_an_answer_in_chunks_is_read_to_its_end(tmp_path: Path) -> None:
    """Some servers tell no length."""
    with http_server(lambda _: (200, b'{"score":1}'), chunked=True) as url:
        found = open_loop(compiled(tmp_path), target(url, tmp_path), 100, 0.5, connections=2)
    assert found.right == 50
    assert found.lost == 0


@pytest.mark.usefixtures("gcc")
def test_a_stall_is_charged_to_every_request_that_was_due_meanwhile(tmp_path: Path) -> None:
    """With one connection and a stall of half the run, half of the requests waited, on average a quarter."""
    with http_server(lambda _: (200, b'{"score":1}'), stall_seconds=0.5) as url:
        found = open_loop(compiled(tmp_path), target(url, tmp_path), 200, 1, connections=1)
    assert found.right == 200
    assert found.max_ms >= 500
    assert found.p99_ms >= 450
    assert found.served_p99_ms < found.p99_ms


@pytest.mark.usefixtures("gcc")
def test_connections_may_be_used_once_before_the_clock_starts(tmp_path: Path) -> None:
    """What is sent to open them counts nowhere."""
    seen: list[bytes] = []

    def handler(body: bytes) -> tuple[int, bytes]:
        seen.append(body)
        return 200, b'{"score":1}'

    with http_server(handler, stall_seconds=0.5) as url:
        found = open_loop(compiled(tmp_path), target(url, tmp_path), 100, 0.5, connections=20, warm=True)
    assert (found.right, found.answers) == (50, 50)
    assert len(seen) == 70
    assert found.served_p99_ms < 500


@pytest.mark.usefixtures("gcc")
def test_a_request_that_gets_no_answer_is_lost_and_counts_with_its_wait(tmp_path: Path) -> None:
    """Nobody listens: all is lost."""
    program = compiled(tmp_path)
    with http_server(lambda _: (200, b"")) as url:
        pass
    found = open_loop(program, target(url.replace("/score", ""), tmp_path), 100, 0.5, connections=4)
    assert found.right == 0
    assert found.failed >= 50


def test_an_output_without_a_result_is_refused() -> None:
    """The message carries what the generator said instead."""
    with pytest.raises(PlatformError, match="unable to connect"):
        read_answers("unable to connect to 127.0.0.1:1")


def test_latencies_are_read_as_milliseconds() -> None:
    """The line of results tells microseconds."""
    line = (
        'RESULT {"right": 90, "answers": 100, "seconds": 2.0, "lost": 3, '
        '"p50": 1500.0, "p99": 2500.0, "p999": 3500.0, "max": 4500.0}'
    )
    found = read_answers(f"Running 1s test\n{line}\n")
    assert found == Answers(90, 100, 3, 2.0, 1.5, 2.5, 3.5, 4.5)
    assert found.rps == 45.0
    assert found.failed == 13
