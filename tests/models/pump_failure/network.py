"""A small perceptron; categories enter as one number each."""

import torch
from torch import nn


class PumpNetwork(nn.Module):
    """One hidden layer over numbers and embedded categories."""

    def __init__(self, signature, hidden):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, 1) for size in signature.vocabularies)
        width = 2 * signature.numeric + len(signature.vocabularies)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, signature.outputs))

    def forward(self, numeric, categorical):
        """Return logits [B, outputs]."""
        embedded = [layer(categorical[:, index]) for index, layer in enumerate(self.embeddings)]
        return self.layers(torch.cat([numeric, *embedded], dim=1))


def build(signature, hyperparameters):
    """Return an untrained network; reads the hyperparameter hidden."""
    return PumpNetwork(signature, int(hyperparameters["hidden"]))
