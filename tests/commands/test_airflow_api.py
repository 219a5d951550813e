"""The client repeats what is safe to repeat, against a server that fails as Airflow on SQLite does."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from include.commands import airflow_api
from include.commands.airflow_api import AirflowApi
from include.contracts.errors import PlatformError

RUNS = "/api/v2/dags/churn_rollback/dagRuns"


class Airflow(BaseHTTPRequestHandler):
    """Keeps runs by id; answers a POST with the next of `troubles`, after or before it kept the run."""

    runs: dict[str, dict]
    troubles: list[tuple[bool, int]]

    def do_POST(self) -> None:
        """Log in, or make a run."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            return self.say(201, {"access_token": "token"})
        kept, status = self.troubles.pop(0) if self.troubles else (True, 200)
        if body["dag_run_id"] in self.runs:
            return self.say(409, {"detail": "a run of this id exists"})
        if kept:
            self.runs[body["dag_run_id"]] = body
        return self.say(status, body if status == 200 else {"detail": "database is locked"})

    def do_GET(self) -> None:
        """Return a run."""
        run = self.runs.get(self.path.removeprefix(f"{RUNS}/"))
        self.say(200 if run else 404, run or {"detail": "not found"})

    def say(self, status: int, body: dict) -> None:
        """Answer in JSON."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def airflow(monkeypatch) -> Iterator[tuple[AirflowApi, type[Airflow]]]:
    """Return a client and the server it talks to."""
    monkeypatch.setattr(airflow_api, "_POLL_SECONDS", 0.01)
    Airflow.runs, Airflow.troubles = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Airflow)
    Thread(target=server.serve_forever, args=(0.01,)).start()
    yield AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "admin"), Airflow
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("status", [500, 503])
def test_a_run_is_made_once_whenever_the_database_was_locked(airflow, kept, status):
    """Whether the failed call had kept the run or not, there is one, and its id comes back."""
    client, server = airflow
    server.troubles = [(kept, status)]
    assert [client.trigger("churn_rollback", {"to": "1.0.0"})] == list(server.runs)


def test_a_conflict_with_another_run_is_told(airflow):
    """A 409 that is not our own run's is Airflow's refusal."""
    client, server = airflow
    server.troubles = [(False, 409)]
    with pytest.raises(PlatformError, match=rf"{RUNS}: 409 .*locked"):
        client.trigger("churn_rollback", {"to": "1.0.0"})


def test_trouble_that_stays_is_told(airflow):
    """After the last attempt the server's own words are shown."""
    client, server = airflow
    server.troubles = [(False, 500)] * 50
    with pytest.raises(PlatformError, match=r"500 .*database is locked"):
        client.trigger("churn_rollback", {"to": "1.0.0"})
