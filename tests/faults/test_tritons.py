"""One of two real Tritons is killed or frozen under load: no request fails, and it comes back by itself."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.tracking import Tracking
from include.adapters.triton_control import every_triton
from include.config.settings import Settings
from include.contracts.routes import ModelRoute
from include.rollout.load import load_release
from include.rollout.ramp import enter
from tests.registry.candidates import ROWS
from tests.rollout.platform import Platform
from tests.serving.gateway.conftest import NOW, Row, Stage, serving, wait_for
from tests.triton import running_triton, triton_ports

pytestmark = pytest.mark.faults

ENTITIES = len(ROWS)
THREADS, PAUSE_SECONDS = 4, 0.02
"""Four callers, each with a request every 20 ms: up to 200 requests a second."""
EXPECTED = (20.0, 14.0, 18.0)


@dataclass
class Load:
    """Callers that never stop asking, and what they got."""

    stage: Stage
    answers: list[tuple[int, str]] = field(default_factory=list)
    ended: Event = field(default_factory=Event)

    def __enter__(self) -> "Load":
        """Begin."""
        self._threads = [Thread(target=self._ask) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, once every caller has its last answer."""
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, requests: int) -> None:
        """Wait until so many more were answered."""
        wanted = len(self.answers) + requests
        wait_for(lambda: len(self.answers) >= wanted, 60)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.stage.url, headers=self.stage.client.headers, timeout=20) as client:
            place = 0
            while not self.ended.wait(PAUSE_SECONDS):
                place += 1
                response = client.post(
                    "/v1/predict/churn", json={"entity": {"customer_id": place % ENTITIES}}
                )
                self.answers.append((response.status_code, response.text))


@dataclass(frozen=True)
class Pair:
    """Two Tritons and a gateway in front of them."""

    stage: Stage
    endpoints: tuple[str, str]
    ports: tuple[int, int]

    def signal(self, position: int, number: signal.Signals) -> None:
        """Send one of the Tritons a signal; its supervisor gets none."""
        os.kill(triton_process(self.ports[position]), number)


def triton_process(port: int) -> int:
    """Return the process of the Triton that serves a port."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if words[0].endswith(b"tritonserver") and f"--grpc-port={port}".encode() in words:
            return int(path.parent.name)
    raise AssertionError(f"no Triton serves port {port}")


def released(home: Path, root: Path, settings: Settings) -> ModelRoute:
    """Bring a model to production on both Tritons; return its route."""
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    tritons = every_triton(settings)
    tracking = Tracking(settings, uri="http://127.0.0.1:9")
    platform = Platform(settings, ledger, tritons[0], tracking, root, "churn")
    release = load_release(settings, ledger, tritons, platform.approved(platform.register("a")))
    enter(platform.tools, release, "system")
    route = ledger.route("churn")
    assert route is not None
    for triton in tritons:
        triton.close()
    ledger.close()
    return route


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Start everything once; each test leaves it as it was."""
    root = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        each = [Settings(home=root / "home", **triton_ports()) for _ in range(2)]
        for one in each:
            stack.enter_context(running_triton(one))
        endpoints = tuple(one.triton_endpoint for one in each)
        settings = each[0].model_copy(update={"triton_endpoints": endpoints})
        route = released(root / "home", root, settings)
        changes = route.model_dump(include={"champion", "deadline_seconds"})
        ttl = dict.fromkeys(route.champion.signature.views, 1e9)
        stage = stack.enter_context(
            serving(root / "home", (Idle(), endpoints[0]), feature_ttl_seconds=ttl, **changes)
        )
        stage.features.rows.update({place: online_row(route, place) for place in range(ENTITIES)})
        yield Pair(stage, endpoints, tuple(one.triton_grpc_port for one in each))


class Idle:
    """Stands where a test's own Triton would."""

    gate = Event()


def online_row(route: ModelRoute, place: int) -> Row:
    """Return a row of features as the online store has it."""
    views = route.champion.signature.views
    features = {view: {name: ROWS[place][name] for name in names} for view, names in views.items()}
    return Row(features, dict.fromkeys(views, NOW))


def told(caplog: pytest.LogCaptureFixture, message: str, endpoint: str) -> Callable[[], bool]:
    """Return whether the gateway's log tells something of an endpoint."""
    return lambda: any(
        record.message == message and record.fields["endpoint"] == endpoint for record in caplog.records
    )


@pytest.mark.parametrize(
    ("position", "hit", "healed_by"),
    [(0, signal.SIGKILL, None), (1, signal.SIGSTOP, signal.SIGCONT)],
    ids=["killed", "frozen"],
)
def test_one_of_two_tritons_fails_and_no_request_does(pair, caplog, position, hit, healed_by):
    """Calls in flight are made again at the other; it is ejected, and back after right golden predictions."""
    endpoint = pair.endpoints[position]
    with Load(pair.stage) as load:
        load.go_on(100)
        pair.signal(position, hit)
        wait_for(told(caplog, "endpoint ejected", endpoint), 20)
        load.go_on(200)
        ready = pair.stage.client.get("/v2/health/ready")
        assert 200 == ready.status_code
        assert endpoint in str(ready.json()["degraded"]) or healed_by is None
        if healed_by is not None:
            pair.signal(position, healed_by)
        wait_for(told(caplog, "endpoint readmitted", endpoint), 60)
        load.go_on(100)
    answers = [(status, json.loads(text)) for status, text in load.answers]

    assert {200} == {status for status, _ in answers}
    assert {None} == {answer["fallback"] for _, answer in answers}
    assert set(EXPECTED) == {answer["score"] for _, answer in answers}
    assert len(load.answers) == len([row for row in pair.stage.rows() if row.prediction_id in ids(answers)])


def ids(answers: list[tuple[int, dict]]) -> set[str]:
    """Return the predictions' ids."""
    return {answer["prediction_id"] for _, answer in answers}
