"""All that turns raw features into a score, as one module: preprocessing, network, head."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from include.contracts.signatures import Task
from include.training.preprocessing import Preprocessing


class Head(nn.Module):  # type: ignore[misc] # torch comes without types here
    """From logits to scores: an affine map, then the task's activation.

    The affine map holds the calibration of a classifier, and of a regression the way back from the
    standardised target.
    """

    def __init__(self, task: Task, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.task = task
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return scores [B, K] of logits [B, K]."""
        adjusted = logits * self.scale + self.shift
        if self.task is Task.BINARY:
            return torch.sigmoid(adjusted)
        return torch.softmax(adjusted, dim=1) if self.task is Task.MULTICLASS else adjusted


class Pipeline(nn.Module):  # type: ignore[misc] # torch comes without types here
    """Raw features to scores; its graph, behind the vocabulary, is what is served."""

    def __init__(self, preprocessing: Preprocessing, network: nn.Module, head: Head) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self.head = head

    def logits(self, numeric: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the network's own output [B, K] for raw numbers [B, N] and codes [B, M]."""
        return self.network(self.preprocessing(numeric), codes)

    def forward(self, numeric: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return scores [B, K] for raw numbers float32 [B, N] and codes int64 [B, M]."""
        return self.head(self.logits(numeric, codes))


def apply(
    function: nn.Module, numeric: npt.NDArray[np.float32], codes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the output [n, K] of a pipeline (or of its `logits`) on whole arrays, without gradients."""
    with torch.no_grad():
        output: npt.NDArray[np.float32] = function(torch.from_numpy(numeric), torch.from_numpy(codes)).numpy()
    return output
