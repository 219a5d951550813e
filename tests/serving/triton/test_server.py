"""A real Triton under its supervisor."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient import grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from include.adapters.files import sha256_of
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.model_repository import config_text, stage_version, verify_staged
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import ArtefactError
from include.contracts.model import Resources
from include.contracts.routes import EntityKey, EntityType, Fallback, ModelRoute, StalePolicy, VersionRoute
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task
from serving.triton.server import LONGEST_DELAY_SECONDS, loadable, next_delay, server_command

SIGNATURE = Signature(
    task=Task.BINARY,
    inputs=(
        FeatureInput(name="spend", kind=FeatureKind.NUMERIC, view="v"),
        FeatureInput(name="visits", kind=FeatureKind.NUMERIC, view="v"),
        FeatureInput(name="category", kind=FeatureKind.CATEGORICAL, view="v"),
    ),
)
NAME = "adder__1_0_0"


def save_adder(path):
    """Write a graph whose score is spend + visits + (10 if the category is "DELI", else 0)."""
    graph = helper.make_graph(
        [
            helper.make_node(
                "LabelEncoder",
                ["categorical"],
                ["code"],
                domain="ai.onnx.ml",
                keys_strings=["DELI"],
                values_floats=[10.0],
                default_float=0.0,
            ),
            helper.make_node("Concat", ["numeric", "code"], ["all"], axis=1),
            helper.make_node("ReduceSum", ["all", "axis"], ["score"], keepdims=1),
        ],
        "adder",
        [
            helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("categorical", TensorProto.STRING, ["batch", 1]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.fixture
def package(tmp_path):
    """Return a package of one small graph and its manifest."""
    folder = tmp_path / "package"
    folder.mkdir()
    save_adder(folder / "model.onnx")
    files = {"model.onnx": sha256_of(folder / "model.onnx")}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def flip_a_byte(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def free_ports(count):
    """Return ports nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [item.getsockname()[1] for item in sockets]


class Running:
    """A supervisor in its own process, its log, and a client."""

    def __init__(self, home):
        self.home = home
        self.grpc_port, self.metrics_port = free_ports(2)
        self.settings = Settings(
            home=home, triton_grpc_port=self.grpc_port, triton_metrics_port=self.metrics_port
        )
        self.client = grpc.InferenceServerClient(f"127.0.0.1:{self.grpc_port}")
        self.log = home / "triton.log"
        home.mkdir(exist_ok=True)

    def start(self):
        environment = dict(os.environ) | {
            "NINETY_HOME": str(self.home),
            "NINETY_TRITON_GRPC_PORT": str(self.grpc_port),
            "NINETY_TRITON_METRICS_PORT": str(self.metrics_port),
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving.triton.server"],
                cwd=REPOSITORY_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def wait(self, condition):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(InferenceServerException):
                if condition():
                    return
            time.sleep(0.05)
        pytest.fail(f"not within 60 s; Triton said:\n{self.log.read_text()}")

    def want(self, champion, previous=None):
        versions = [
            VersionRoute(
                version=item, artefact_sha256="0" * 64, signature=SIGNATURE, endpoints=("127.0.0.1:1",)
            )
            for item in (champion, previous)
            if item
        ]
        route = ModelRoute(
            model="adder",
            entity=EntityKey(name="customer_id", type=EntityType.INT64),
            feature_ttl_seconds={},
            stale_policy=StalePolicy.REJECT,
            fallbacks=(Fallback.REFUSE,),
            deadline_seconds=1.0,
            champion=versions[0],
            previous=versions[1] if previous else None,
        )
        upgrade(self.settings.ledger_uri)
        ledger = Ledger(self.settings.ledger_uri)
        ledger.change_route(RouteUpdate(route, 0), actor="system", reason="a test")

    def server_pid(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def score(self, numeric, categories, name=NAME):
        inputs = []
        arrays = {
            "numeric": np.array(numeric, np.float32),
            "categorical": np.array(categories, np.object_),
        }
        for key, array in arrays.items():
            item = grpc.InferInput(key, array.shape, np_to_triton_dtype(array.dtype))
            item.set_data_from_numpy(array)
            inputs.append(item)
        return self.client.infer(name, inputs).as_numpy("score").tolist()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture
def triton(tmp_path):
    """Return a supervisor to start; it is ended afterwards."""
    running = Running(tmp_path / "home")
    yield running
    running.client.close()
    running.stop()


def test_a_killed_triton_comes_back_with_its_models(triton, package):
    """Triton gets kill -9: the supervisor starts it again, and the wanted version answers as before."""
    stage_version(package, triton.settings.triton_repository, NAME, SIGNATURE, Resources())
    triton.want("1.0.0")
    triton.start()
    triton.wait(lambda: triton.client.is_model_ready(NAME))
    before = triton.score([[1.0, 2.0], [3.0, 4.0]], [[b"DELI"], [b"?"]])
    first = triton.server_pid()
    group = [entry for entry in Path("/proc").glob("[0-9]*") if group_of(entry) == first]

    os.kill(first, signal.SIGKILL)
    triton.wait(lambda: triton.process.poll() is None and triton.client.is_model_ready(NAME))

    scored = [[13.0], [7.0]]
    assert scored == before
    assert before == triton.score([[1.0, 2.0], [3.0, 4.0]], [[b"DELI"], [b"?"]])
    assert first != triton.server_pid()
    assert len(group) >= 2, "the server and the process of its Python backend"
    assert not [entry for entry in Path("/proc").glob("[0-9]*") if group_of(entry) == first]
    assert not triton.stop()
    assert not list(Path("/dev/shm").glob(f"ninety_triton_{triton.grpc_port}_*"))  # noqa: S108


def group_of(entry):
    """Process group of a /proc entry; None when the process is gone."""
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[2])
    except (FileNotFoundError, ProcessLookupError):
        return None


def test_an_altered_version_is_skipped_and_the_others_serve(triton, package):
    """One byte flipped after staging: that version is not loaded and the log says why; the good one is."""
    repository = triton.settings.triton_repository
    stage_version(package, repository, NAME, SIGNATURE, Resources())
    altered = stage_version(package, repository, "adder__1_0_1", SIGNATURE, Resources())
    flip_a_byte(altered / "1" / "model.onnx")
    triton.want("1.0.0", "1.0.1")

    triton.start()
    triton.wait(lambda: triton.client.is_model_ready(NAME))

    assert not triton.client.is_model_ready("adder__1_0_1")
    assert "adder__1_0_1 is not loaded" in triton.log.read_text()
    assert "was altered" in triton.log.read_text()


def test_an_error_stays_with_its_request(triton, package):
    """A category that is not UTF-8 fails its own request; the same server goes on answering."""
    stage_version(package, triton.settings.triton_repository, NAME, SIGNATURE, Resources())
    triton.want("1.0.0")
    triton.start()
    triton.wait(lambda: triton.client.is_model_ready(NAME))

    with pytest.raises(InferenceServerException, match="UnicodeDecodeError"):
        triton.score([[1.0, 2.0]], [[b"\xff\xfe"]])

    expected = [[3.0]]
    assert expected == triton.score([[1.0, 2.0]], [[b"x"]])


def test_a_graph_that_does_not_fit_its_signature_is_refused_at_load(triton, package):
    """A signature that promises two outputs: the load fails and says so; Triton stays up."""
    classes = Signature(task=Task.MULTICLASS, inputs=SIGNATURE.inputs, classes=("a", "b"))
    stage_version(package, triton.settings.triton_repository, NAME, classes, Resources())
    triton.start()
    triton.wait(triton.client.is_server_ready)

    with pytest.raises(InferenceServerException, match=r"shape \(1, 1\) instead of \(1, 2\)"):
        triton.client.load_model(NAME)

    assert triton.client.is_server_ready()


def test_only_whole_versions_are_loadable(tmp_path, package, caplog):
    """A version that was never staged is skipped with its reason."""
    stage_version(package, tmp_path / "models", NAME, SIGNATURE, Resources())

    expected = [NAME]
    assert expected == loadable(tmp_path / "models", ["absent__1_0_0", NAME])
    assert "absent__1_0_0 is not loaded" in caplog.text


@pytest.mark.parametrize(
    ("previous", "lived", "expected"),
    [(0.5, 1.0, 1.0), (16.0, 1.0, LONGEST_DELAY_SECONDS), (30.0, 90.0, 0.5)],
)
def test_the_wait_doubles_while_triton_keeps_dying_young(previous, lived, expected):
    """Dying young doubles the wait up to its limit; a server that had settled starts over."""
    assert expected == next_delay(previous, lived)


def test_triton_listens_on_loopback_only(tmp_path):
    """HTTP is off; gRPC and metrics get the loopback address; models are loaded only when told."""
    command = server_command(Settings(home=tmp_path), [NAME])

    assert "--allow-http=false" in command
    assert "--grpc-address=127.0.0.1" in command
    assert "--metrics-address=127.0.0.1" in command
    assert "--model-control-mode=explicit" in command
    assert f"--load-model={NAME}" in command
    assert "max_queue_delay_microseconds: 0" in config_text(NAME, SIGNATURE, Resources(maximum_batch=8))
    with pytest.raises(ArtefactError, match="missing"):
        verify_staged(tmp_path / "nothing")
