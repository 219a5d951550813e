"""The peers: model servers of others, each in a virtual environment of its own, on the same ONNX graph."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from include.adapters.files import sha256_of, write_atomically
from include.adapters.tensors import CATEGORICAL, NUMERIC, Tensors
from include.commands.bench_gateway.answers import check_json
from include.commands.bench_gateway.closed_loop import Target, write_requests
from include.commands.bench_gateway.servers import running_server
from include.commands.bench_gateway.triton_http import json_body
from include.commands.environment import NO_TELEMETRY
from include.commands.package_index import check_index, read_pip_options, uv_environment
from include.commands.services import free_port
from include.commands.setup import build, run
from include.config.settings import LOOPBACK, REPOSITORY_ROOT

MODULES = "include.commands.bench_gateway.peers"
_FOLDER = Path(__file__).with_name("peers")
_STAMP = "requirements.sha256"
_MOST_ROWS, _WAIT_SECONDS = 64, 0.001
_SAMPLE = 32


@dataclass(frozen=True)
class Place:
    """Where a peer is installed, and what it serves."""

    environment: Path
    model: Path
    port: int
    folder: Path
    """For its configuration, and its home."""

    def program(self, name: str) -> str:
        """Return a program of its environment."""
        return str(self.environment / "bin" / name)


@dataclass(frozen=True)
class Peer:
    """A peer: how it is started, and how it speaks."""

    name: str
    command: Callable[[Place], Sequence[str]]
    ready: str
    """Path that answers 200 when it is ready."""
    path: str
    """Path that scores."""
    body: Callable[[Tensors], bytes]
    """A request of one row."""
    right: str
    """Text that a right answer holds."""
    score: tuple[str | int, ...]
    """Where in a JSON answer the score lies."""

    @property
    def requirements(self) -> Path:
        """What is installed for it, pinned."""
        return _FOLDER / f"{self.name}.txt"


def install(peer: Peer, folder: Path) -> Path:
    """Install a peer into an environment of its own and return it; nothing is done if it is there.

    Raises:
        PlatformError: it cannot be installed; the message says why.
    """
    environment = folder / peer.name
    stamp, wanted = environment / _STAMP, sha256_of(peer.requirements)
    if stamp.is_file() and stamp.read_text("ascii") == wanted:
        return environment
    build(environment, with_pip=False)
    options = read_pip_options(REPOSITORY_ROOT / ".venv" / "bin" / "python")
    check_index(options)
    uv = str(REPOSITORY_ROOT / ".venv" / "bin" / "uv")
    python = str(environment / "bin" / "python")
    run(
        [uv, "pip", "install", "--python", python, "-r", str(peer.requirements)],
        uv_environment(options, os.environ),
    )
    write_atomically(stamp, wanted.encode("ascii"))
    return environment


def version_of(peer: Peer) -> str:
    """Return the version that is pinned."""
    return peer.requirements.read_text("utf-8").splitlines()[0].partition("==")[2]


@contextmanager
def serving(peer: Peer, environment: Path, model: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Run a peer for the length of a block; yield its URL and its Unix session.

    Raises:
        PlatformError: it did not get ready.
    """
    place = Place(environment, model, free_port(), folder / peer.name)
    place.folder.mkdir(parents=True, exist_ok=True)
    url = f"http://{LOOPBACK}:{place.port}"
    command, log = peer.command(place), place.folder / "server.log"
    # Sockets have short paths, so that what a peer writes meanwhile does not lie under its folder.
    with TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as temporary:
        variables = _environment(place, temporary)
        with running_server(command, variables, log, url + peer.ready) as session:
            yield url, session


def target(peer: Peer, url: str, folder: Path, rows: Sequence[Tensors], expected: Sequence[float]) -> Target:
    """Return a peer as a target, once a sample of its answers is right.

    Raises:
        PlatformError: an answer is not the expected score of its row.
    """
    bodies = [peer.body(row) for row in rows]
    requests = write_requests(folder / f"{peer.name}.requests", bodies)
    found = Target(url + peer.path, requests, peer.right, {"Content-Type": "application/json"})
    check_json(found, bodies[:_SAMPLE], expected[:_SAMPLE], *peer.score)
    return found


def _environment(place: Place, temporary: str) -> dict[str, str]:
    own = {
        "PATH": os.pathsep.join([str(place.environment / "bin"), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(REPOSITORY_ROOT),
        "HOME": str(place.folder),
        "TMPDIR": temporary,
        "MODEL_PATH": str(place.model),
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return NO_TELEMETRY | own


def _module(name: str) -> Callable[[Place], Sequence[str]]:
    return lambda place: [
        place.program("python"),
        "-m",
        f"{MODULES}.{name}",
        str(place.port),
        str(place.model),
    ]


def _mlserver(place: Place) -> Sequence[str]:
    """Write MLServer's two files of settings and return how it is started."""
    settings = {"host": LOOPBACK, "http_port": place.port, "parallel_workers": 0, "debug": False}
    ports = {"grpc_port": free_port(), "metrics_port": free_port()}
    model = {
        "name": "churn",
        "implementation": f"{MODULES}.mlserver_runtime.Churn",
        "max_batch_size": _MOST_ROWS,
        "max_batch_time": _WAIT_SECONDS,
        "parameters": {"uri": str(place.model)},
    }
    _write(place.folder / "settings.json", settings | ports)
    _write(place.folder / "model-settings.json", model)
    return [place.program("mlserver"), "start", str(place.folder)]


def _bentoml(place: Place) -> Sequence[str]:
    service = f"{MODULES}.bentoml_service:Churn"
    return [place.program("bentoml"), "serve", service, "--host", LOOPBACK, "--port", str(place.port)]


def _write(path: Path, document: Mapping[str, object]) -> None:
    write_atomically(path, json.dumps(document, indent=1).encode())


def _row(tensors: Tensors) -> dict[str, object]:
    return {
        NUMERIC: tensors[NUMERIC][0].tolist(),
        CATEGORICAL: [text.decode() for text in tensors[CATEGORICAL][0].tolist()],
    }


def _plain(tensors: Tensors) -> bytes:
    return json.dumps(_row(tensors)).encode()


PEERS = (
    Peer(
        "kserve",
        _module("kserve_server"),
        "/v2/health/ready",
        "/v1/models/churn:predict",
        lambda tensors: json.dumps({"instances": [_row(tensors)]}).encode(),
        '"predictions":[',
        ("predictions", 0),
    ),
    Peer(
        "mlserver",
        _mlserver,
        "/v2/models/churn/ready",
        "/v2/models/churn/infer",
        json_body,
        '"data":[',
        ("outputs", 0, "data", 0),
    ),
    Peer("litserve", _module("litserve_server"), "/health", "/predict", _plain, '"score":', ("score",)),
    Peer(
        "bentoml",
        _bentoml,
        "/readyz",
        "/predict",
        lambda tensors: json.dumps({"rows": [_row(tensors)]}).encode(),
        '"score":',
        (0, "score"),
    ),
    Peer("ray", _module("ray_server"), "/-/healthz", "/", _plain, '"score":', ("score",)),
)
"""All that are compared."""
