"""Ray Serve, batching as its documentation shows: `serve.batch` around a replica's method.

`python -m include.commands.bench_gateway.peers.ray_server <port> <model.onnx>`
"""

import signal
import sys
from threading import Event

import ray
from ray import serve
from starlette.requests import Request

from include.commands.bench_gateway.peers.scoring import MOST_ROWS, WAIT_SECONDS, Row, Scorer

IN_FLIGHT = 512


@serve.deployment(num_replicas=1, max_ongoing_requests=IN_FLIGHT)
class Churn:
    """The model."""

    def __init__(self, path: str) -> None:
        self._scorer = Scorer(path)

    @serve.batch(max_batch_size=MOST_ROWS, batch_wait_timeout_s=WAIT_SECONDS)  # type: ignore[untyped-decorator]
    async def scores(self, rows: list[Row]) -> list[float]:
        """Score a batch."""
        return self._scorer.scores(rows)

    async def __call__(self, request: Request) -> dict[str, float]:
        """Answer a request."""
        return {"score": await self.scores(await request.json())}


if __name__ == "__main__":
    over = Event()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config={"enable_access_log": False},
    )
    serve.run(Churn.bind(sys.argv[2]), route_prefix="/")  # type: ignore[attr-defined] # the decorator adds it
    signal.signal(signal.SIGTERM, lambda *_: over.set())  # Ray put its own in place
    over.wait()
    serve.shutdown()
    ray.shutdown()
