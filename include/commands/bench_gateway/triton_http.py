"""The baseline: a bare Triton over HTTP on the same model repository, fed with model-ready tensors."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.adapters.tensors import DATATYPES, SCORE, Tensors, serialise
from include.commands.bench_gateway.closed_loop import Target, write_requests
from include.commands.bench_gateway.servers import running_server
from include.commands.services import free_port
from include.config.settings import LOOPBACK, Settings
from include.contracts.errors import PlatformError
from serving.triton.server import server_command, server_environment

_HTTP_OFF = "--allow-http=false"
_BATCHING = re.compile(r"^dynamic_batching \{[^}]*\}\n", re.MULTILINE)
_HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class BareTriton:
    """A Triton that answers over HTTP."""

    url: str
    session: int
    """Its Unix session."""

    def infer_url(self, name: str) -> str:
        """Return where a model infers."""
        return f"{self.url}/v2/models/{name}/infer"


@contextmanager
def bare_triton(settings: Settings, name: str, *, batching: bool = True) -> Iterator[BareTriton]:
    """Run another Triton, with HTTP, on the model repository of the settings for the length of a block.

    Args:
        settings: whose repository it serves; its ports are not used.
        name: Triton's name of the version to load.
        batching: whether it joins requests as the repository says; if not, it serves a copy that says no.

    Raises:
        PlatformError: it did not start.
    """
    home = settings.home if batching else _unbatched_home(settings)
    ports = {"triton_grpc_port": free_port(), "triton_metrics_port": free_port()}
    own, port = settings.model_copy(update=ports | {"home": home}), free_port()
    command = [word for word in server_command(own, [name]) if word != _HTTP_OFF]
    command += ["--allow-http=true", f"--http-address={LOOPBACK}", f"--http-port={port}"]
    url = f"http://{LOOPBACK}:{port}"
    ready = f"{url}/v2/models/{name}/ready"
    with running_server(command, server_environment(), home / "bare-triton.log", ready) as session:
        yield BareTriton(url, session)


def json_target(triton: BareTriton, name: str, folder: Path, rows: Sequence[Tensors]) -> Target:
    """Return the target of the protocol's JSON; each request has one of the rows."""
    requests = write_requests(folder / "triton-json.requests", [json_body(row) for row in rows])
    return Target(triton.infer_url(name), requests, '"data":[', {"Content-Type": "application/json"})


def binary_target(triton: BareTriton, name: str, folder: Path, rows: Sequence[Tensors]) -> Target:
    """Return the target of the protocol's binary tensors; each request has one of the rows."""
    bodies, length = binary_bodies(rows)
    requests = write_requests(folder / "triton-binary.requests", bodies)
    headers = {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(length)}
    return Target(triton.infer_url(name), requests, '"binary_data_size":4', headers)


def json_body(row: Tensors) -> bytes:
    """Return a row of tensors as the protocol's JSON, which has no NaN: Triton takes none either."""
    inputs = [
        _described(name, tensor) | {"data": [_plain(value) for value in tensor.ravel().tolist()]}
        for name, tensor in row.items()
    ]
    return _compact({"inputs": inputs})


def binary_bodies(rows: Sequence[Tensors]) -> tuple[list[bytes], int]:
    """Return rows of tensors as binary requests, and the length of the JSON before each one's tensors.

    The JSON is padded to one length, so that all requests share their headers.
    """
    raw = [{name: serialise(tensor) for name, tensor in row.items()} for row in rows]
    heads = [_binary_head(row, parts) for row, parts in zip(rows, raw, strict=True)]
    length = max(map(len, heads))
    bodies = [head.ljust(length) + b"".join(parts.values()) for head, parts in zip(heads, raw, strict=True)]
    return bodies, length


def _binary_head(row: Tensors, raw: Mapping[str, bytes]) -> bytes:
    inputs = [
        _described(name, tensor) | {"parameters": {"binary_data_size": len(raw[name])}}
        for name, tensor in row.items()
    ]
    return _compact({"inputs": inputs, "outputs": [{"name": SCORE, "parameters": {"binary_data": True}}]})


def _described(name: str, tensor: Any) -> dict[str, Any]:  # noqa: ANN401 - an array of numbers or of text
    return {"name": name, "shape": list(tensor.shape), "datatype": DATATYPES[name]}


def _plain(value: float | bytes) -> float | str:
    return value.decode() if isinstance(value, bytes) else value


def _compact(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _unbatched_home(settings: Settings) -> Path:
    """Copy the model repository without dynamic batching; return the copy's home."""
    home = settings.home / "unbatched"
    copy = settings.model_copy(update={"home": home}).triton_repository
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(settings.triton_repository, copy)
    for path in copy.glob("*/config.pbtxt"):
        text, times = _BATCHING.subn("", path.read_text("utf-8"))
        if times != 1:
            raise PlatformError(f"{path} does not say once how requests are batched")
        path.write_text(text, "utf-8")
    return home
