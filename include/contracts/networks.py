"""What a model folder's network.py is given: the only thing it needs to know of the platform."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSignature:
    """Shapes of a network's inputs and output.

    `network.py` defines `build(signature, hyperparameters) -> torch.nn.Module`. The module's
    `forward(numeric, categorical)` takes float32 [B, 2 * numeric] and int64 [B, len(vocabularies)]
    and returns logits float32 [B, outputs].
    """

    numeric: int
    """Count of numeric features; each is two columns: all standardised values, then all missing flags."""
    vocabularies: tuple[int, ...]
    """Size of each categorical feature's vocabulary; code 0 is an unknown or missing category."""
    outputs: int
    """Width of the output: classes of a multiclass model, else 1."""
