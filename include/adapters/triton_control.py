"""Triton's model control, spoken over gRPC: load, unload, look, and ask a single batch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from include.adapters.model_repository import MEMORY_KEY
from include.adapters.tensors import DATATYPES, SCORE, Tensors, to_tensors
from include.config.settings import Settings
from include.contracts.errors import ServingError
from include.contracts.model import Resources
from include.contracts.predictions import FeatureValue
from include.contracts.signatures import Signature

TIMEOUT_SECONDS = 60.0
"""Longest a load may take."""
LOOK_SECONDS = 5.0
"""Longest Triton may take to say what is loaded; a frozen one must not hold up the others."""


class TritonControl:
    """A Triton server at `host:port`; every error of it becomes a ServingError naming that endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._client = triton.InferenceServerClient(endpoint)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def load(self, name: str) -> None:
        """Load a model of the repository, or load it again where its files changed."""
        with self._speaking(f"load {name}"):
            self._client.load_model(name, client_timeout=TIMEOUT_SECONDS)

    def unload(self, name: str) -> None:
        """Unload a model; one that is not loaded is fine."""
        with self._speaking(f"unload {name}"):
            self._client.unload_model(name, client_timeout=TIMEOUT_SECONDS)

    def loaded(self) -> set[str]:
        """Return the names of all models that are ready."""
        with self._speaking("list its models"):
            index = self._client.get_model_repository_index(client_timeout=LOOK_SECONDS)
        return {model.name for model in index.models if model.state == "READY"}

    def memory_budgets(self) -> dict[str, int]:
        """Return the memory budget of each loaded model in megabytes; one staged without has the default."""
        budgets = {}
        for name in sorted(self.loaded()):
            with self._speaking(f"tell the configuration of {name}"):
                config = self._client.get_model_config(name, client_timeout=TIMEOUT_SECONDS).config
            budgets[name] = int(config.parameters[MEMORY_KEY].string_value or Resources().memory_mb)
        return budgets

    def is_ready(self, name: str) -> bool:
        """Say whether a model can be asked."""
        with self._speaking(f"say whether {name} is ready"):
            return bool(self._client.is_model_ready(name, client_timeout=LOOK_SECONDS))

    def infer(
        self, name: str, signature: Signature, rows: Sequence[Mapping[str, FeatureValue]]
    ) -> npt.NDArray[np.float32]:
        """Return the scores of rows, float32 [rows, outputs]."""
        return self.infer_tensors(name, to_tensors(signature, rows))

    def infer_tensors(self, name: str, tensors: Tensors) -> npt.NDArray[np.float32]:
        """Return the scores of a batch of tensors, float32 [B, outputs]."""
        inputs = [_input(key, tensor) for key, tensor in tensors.items()]
        with self._speaking(f"answer as {name}"):
            result = self._client.infer(name, inputs, client_timeout=TIMEOUT_SECONDS)
        scores = result.as_numpy(SCORE)
        if scores is None:
            raise ServingError(f"Triton at {self.endpoint}: {name} answered without a tensor {SCORE!r}")
        return np.asarray(scores, np.float32)

    @contextmanager
    def _speaking(self, purpose: str) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            raise ServingError(f"Triton at {self.endpoint} could not {purpose}: {error}") from error


def every_triton(settings: Settings) -> tuple[TritonControl, ...]:
    """Return the control of every Triton that serves."""
    return tuple(TritonControl(endpoint) for endpoint in settings.serving_endpoints)


def _input(name: str, tensor: npt.NDArray[Any]) -> triton.InferInput:
    filled = triton.InferInput(name, list(tensor.shape), DATATYPES[name])
    filled.set_data_from_numpy(tensor)
    return filled
