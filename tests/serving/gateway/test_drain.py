"""How a gateway ends, through a real socket; signals reach a main thread only, and are handed over here."""

import asyncio
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
import uvloop

from serving.gateway.drain import ACCEPTED_A_TURN, bound_socket, copies_of, refuse_connections
from tests.serving.gateway.conftest import serving, wait_for

ONE = {"entity": {"customer_id": 1}}


def test_a_gateway_that_is_told_to_end_answers_on(tmp_path, triton):
    """Not ready any more, it answers old and new connections, asks them to close, and then is gone."""
    with serving(tmp_path, triton, settings={"drain_seconds": 0.5}) as stage, ThreadPoolExecutor(1) as pool:
        assert "connection" not in stage.predict(ONE).headers
        stage.triton.gate.clear()
        in_flight = pool.submit(
            httpx.post, f"{stage.url}/v1/predict/churn", json=ONE, headers=stage.client.headers
        )
        wait_for(lambda: len(stage.triton.calls) == 2)
        stage.server.handle_exit(signal.SIGTERM, None)
        ready = stage.client.get("/v2/health/ready")
        stage.triton.gate.set()
        answers = [in_flight.result(), stage.predict(ONE), stage.predict({})]

        assert (503, ["the gateway is about to end"]) == (ready.status_code, ready.json()["reasons"])
        assert [200, 200, 422] == [answer.status_code for answer in answers]
        assert {"close"} == {answer.headers["connection"] for answer in (ready, *answers)}
        wait_for(lambda: not stage.server.server_state.connections and stage.server.should_exit)
        with pytest.raises(httpx.ConnectError):
            stage.predict(ONE)


def test_told_twice_it_ends_at_once(tmp_path, triton):
    """Who does not want to wait need not."""
    with serving(tmp_path, triton, settings={"drain_seconds": 3600.0}) as stage:
        stage.server.handle_exit(signal.SIGTERM, None)
        assert not stage.server.should_exit
        stage.server.handle_exit(signal.SIGTERM, None)
        assert stage.server.should_exit


def test_who_is_connected_is_kept_when_nobody_may_connect_any_more():
    """What waits to be accepted is; a later caller gets no answer from this socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        with socket.create_connection(listener.getsockname()) as early:
            refuse_connections(listener)
            with socket.socket() as late:
                late.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    late.connect(listener.getsockname())
            accepted, _ = listener.accept()
            early.sendall(b"here")
            assert b"here" == accepted.recv(4)
            accepted.close()


def test_a_port_is_shared_only_where_both_say_so(caplog):
    """Nobody takes traffic from a gateway that was not told to share."""
    with bound_socket("127.0.0.1", 0, shared=True) as first:
        first.listen()
        port = first.getsockname()[1]
        bound_socket("127.0.0.1", port, shared=True).close()
        with pytest.raises(SystemExit):
            bound_socket("127.0.0.1", port, shared=False)
    assert "Address already in use" == caplog.records[-1].fields["error"]


def test_all_who_connect_at_once_are_soon_accepted(stage):
    """Not one a turn of the event loop, however long its turns are."""
    assert ACCEPTED_A_TURN == len(stage.server.servers)
    callers = 64
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert uvloop.run(turns_until_accepted(listener, callers)) < callers / 2


async def turns_until_accepted(listener, callers):
    """Connect so often, and count the turns of the loop until all are accepted."""
    loop, accepted = asyncio.get_running_loop(), []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport):
            accepted.append(transport)

    servers = [await loop.create_server(Accepted, sock=copy) for copy in copies_of(listener)]
    turns = 0
    with ExitStack() as stack:
        for _ in range(callers):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        while len(accepted) < callers and turns < 10 * callers:
            await asyncio.sleep(0)
            turns += 1
    for transport in (*accepted, *servers):
        transport.close()
    return turns


def test_a_gateway_takes_all_the_connections_it_may():
    """A shell's low limit of open files is not the gateway's."""
    script = "from serving.gateway.__main__ import allow_connections as allow; allow(); import resource as r;"
    script += "print(*r.getrlimit(r.RLIMIT_NOFILE))"
    command = f"ulimit -Sn 200; exec {sys.executable} -c '{script}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    soft, hard = done.stdout.split()
    assert soft == hard
