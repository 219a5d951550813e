"""Preprocessing, fitted on training rows alone and exported inside the graph."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from include.adapters.onnx_model import Categorical, Numeric

CLIP = 10.0
"""Standardised values are cut at this many standard deviations, so that an extreme input stays finite."""

UNKNOWN = 0
"""Code of a category the training rows did not have, and of a missing one."""


class Preprocessing(nn.Module):  # type: ignore[misc] # torch comes without types here
    """Numbers: logarithm where skewed, standardised, cut; missing ones become the mean and a flag."""

    def __init__(self, use_log: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.width = len(centre)
        self.register_buffer("use_log", use_log)
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)

    def forward(self, numeric: torch.Tensor) -> torch.Tensor:
        """Turn float32 [B, N] with NaN for missing into float32 [B, 2N]: values, then missing flags."""
        if not self.width:
            return numeric
        missing = torch.isnan(numeric)
        shrunk = torch.where(self.use_log, torch.sign(numeric) * torch.log(1 + numeric.abs()), numeric)
        standard = ((shrunk - self.centre) / self.scale).clamp(-CLIP, CLIP)
        values = torch.where(missing, torch.zeros_like(standard), standard)
        return torch.cat([values, missing.to(numeric.dtype)], dim=1)


@dataclass(frozen=True)
class Vocabulary:
    """Categories of each categorical feature, sorted; a category's code is its place plus one."""

    categories: tuple[tuple[str, ...], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Count of codes by feature, the unknown one included."""
        return tuple(len(known) + 1 for known in self.categories)

    def encode(self, categorical: Categorical) -> npt.NDArray[np.int64]:
        """Return the codes [n, M] of strings [n, M]."""
        codes = np.zeros(categorical.shape, np.int64)
        for column, known in enumerate(self.categories):
            places = {category: place for place, category in enumerate(known, start=1)}
            codes[:, column] = [places.get(text, UNKNOWN) for text in categorical[:, column]]
        return codes


def fit_preprocessing(numeric: Numeric) -> Preprocessing:
    """Fit on training rows [n, N].

    A feature is taken as sign(x) * log(1 + |x|) where that leaves it less skewed. A feature that is
    constant or always missing is only centred.
    """
    columns = [_fit_column(numeric[:, index]) for index in range(numeric.shape[1])]
    use_log, centre, scale = zip(*columns, strict=True) if columns else ((), (), ())
    return Preprocessing(
        torch.tensor(use_log, dtype=torch.bool),
        torch.tensor(centre, dtype=torch.float32),
        torch.tensor(scale, dtype=torch.float32),
    )


def fit_vocabulary(categorical: Categorical) -> Vocabulary:
    """Return the categories of training rows [n, M]; the empty string is a missing one."""
    columns = (set(categorical[:, index]) - {""} for index in range(categorical.shape[1]))
    return Vocabulary(tuple(tuple(sorted(found)) for found in columns))


def _fit_column(column: Numeric) -> tuple[bool, float, float]:
    values = column[np.isfinite(column)].astype(np.float64)
    if not len(values):
        return False, 0.0, 1.0
    shrunk = np.sign(values) * np.log1p(np.abs(values))
    use_log = _skewness(shrunk) < _skewness(values)
    chosen = shrunk if use_log else values
    return use_log, float(chosen.mean()), float(chosen.std()) or 1.0


def _skewness(values: npt.NDArray[np.float64]) -> float:
    """Return the absolute third standardised moment; 0 for a constant."""
    deviations = values - values.mean()
    spread = deviations.std()
    return abs(float((deviations**3).mean() / spread**3)) if spread else 0.0
