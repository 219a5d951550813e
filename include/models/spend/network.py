"""Spend's network: next month's money as a correction of a straight line through the same numbers."""

from collections.abc import Mapping

import torch
from torch import nn

from include.contracts.networks import NetworkSignature


class SpendNetwork(nn.Module):  # type: ignore[misc] # torch comes without types here
    """A linear path beside a perceptron of two hidden layers over numbers and embedded categories."""

    def __init__(self, signature: NetworkSignature, *, hidden: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, embedding) for size in signature.vocabularies)
        width = 2 * signature.numeric + embedding * len(signature.vocabularies)
        self.straight = nn.Linear(width, signature.outputs)
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Linear(hidden // 2, signature.outputs),
        )

    def forward(self, numeric: torch.Tensor, categorical: torch.Tensor) -> torch.Tensor:
        """Return standardised predictions [B, outputs]."""
        embedded = [layer(categorical[:, index]) for index, layer in enumerate(self.embeddings)]
        inputs = torch.cat([numeric, *embedded], dim=1)
        return self.straight(inputs) + self.layers(inputs)


def build(signature: NetworkSignature, hyperparameters: Mapping[str, float | int | str | bool]) -> nn.Module:
    """Return an untrained network; reads the hyperparameters hidden, embedding and dropout."""
    return SpendNetwork(
        signature,
        hidden=int(hyperparameters["hidden"]),
        embedding=int(hyperparameters["embedding"]),
        dropout=float(hyperparameters["dropout"]),
    )
