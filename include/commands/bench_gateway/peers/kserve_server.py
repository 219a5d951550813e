"""KServe's model server, protocol v1; its batcher is a sidecar of the Kubernetes agent and has no part here.

`python -m include.commands.bench_gateway.peers.kserve_server <port> <model.onnx>`
"""

import sys
from typing import Any

from kserve import Model, ModelServer

from include.commands.bench_gateway.peers.scoring import Scorer


class Churn(Model):  # type: ignore[misc] # comes without types here
    """The model."""

    def __init__(self, path: str) -> None:
        super().__init__("churn")
        self._scorer = Scorer(path)
        self.ready = True

    async def predict(self, payload: Any, *_: object, **__: object) -> dict[str, Any]:  # noqa: ANN401
        """Score the instances of a request."""
        return {"predictions": self._scorer.scores(payload["instances"])}


if __name__ == "__main__":
    server = ModelServer(
        http_port=int(sys.argv[1]), workers=1, enable_grpc=False, enable_latency_logging=False
    )
    server.start([Churn(sys.argv[2])])
