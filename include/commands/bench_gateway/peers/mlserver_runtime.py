"""MLServer's custom runtime, which `mlserver start` loads; adaptive batching is set in model-settings.json.

The protocol's tensors are those Triton takes: `numeric` and `categorical`.
"""

from typing import Any

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from include.commands.bench_gateway.peers.scoring import Scorer


class Churn(MLModel):  # type: ignore[misc] # comes without types here
    """The model."""

    async def load(self) -> bool:
        """Open the graph."""
        self._scorer = Scorer(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score a batch that MLServer joined."""
        found = {item.name: item for item in payload.inputs}
        numeric = NumpyCodec.decode_input(found["numeric"]).astype(np.float32)
        texts = StringCodec.decode_input(found["categorical"])
        categorical: Any = np.array(texts, np.object_).reshape(len(numeric), -1)
        scores = np.array(self._scorer.run(numeric, categorical), np.float32)
        output = NumpyCodec.encode_output("score", scores.reshape(-1, 1))
        return InferenceResponse(model_name=self.name, outputs=[output])
