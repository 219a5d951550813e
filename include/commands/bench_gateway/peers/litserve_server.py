"""LitServe, batching as its documentation shows: `max_batch_size` and `batch_timeout` of the API.

`python -m include.commands.bench_gateway.peers.litserve_server <port> <model.onnx>`
"""

import sys
from typing import Any

import litserve

from include.commands.bench_gateway.peers.scoring import MOST_ROWS, WAIT_SECONDS, Row, Scorer


class Churn(litserve.LitAPI):  # type: ignore[misc] # comes without types here
    """The model; without its own `batch`, LitServe would stack rows as tensors."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Open the graph in the worker."""
        self._scorer = Scorer(sys.argv[2])

    def decode_request(self, request: Row) -> Row:
        """Take the JSON as it is."""
        return request

    def batch(self, inputs: list[Row]) -> list[Row]:
        """Join requests."""
        return list(inputs)

    def predict(self, x: list[Row]) -> list[float]:
        """Score a batch."""
        return self._scorer.scores(x)

    def unbatch(self, output: list[float]) -> list[float]:
        """Part the answers."""
        return output

    def encode_response(self, output: float) -> dict[str, Any]:
        """Give the JSON."""
        return {"score": output}


if __name__ == "__main__":
    api = Churn(max_batch_size=MOST_ROWS, batch_timeout=WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
