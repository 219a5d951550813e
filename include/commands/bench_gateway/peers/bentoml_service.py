"""BentoML's service, which `bentoml serve` runs; batching as its documentation shows: a batchable API.

A batchable API takes and gives a list, so that a request brings a list of one row.
"""

import os
from typing import Any

import bentoml

from include.commands.bench_gateway.peers.scoring import MOST_ROWS, Scorer

LONGEST_MILLISECONDS = 1000


@bentoml.service(
    workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}}, traffic={"timeout": 30}
)
class Churn:
    """The model."""

    def __init__(self) -> None:
        self._scorer = Scorer(os.environ["MODEL_PATH"])

    @bentoml.api(batchable=True, max_batch_size=MOST_ROWS, max_latency_ms=LONGEST_MILLISECONDS)  # type: ignore[untyped-decorator]
    def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, float]]:
        """Score a batch."""
        return [{"score": score} for score in self._scorer.scores(rows)]
