"""What a model was asked with in a window: its logged inputs, as one sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from include.adapters.logged_columns import read_columns
from include.config.settings import Settings
from include.contracts.signatures import FeatureKind, Signature
from include.monitoring.samples import Sample, sample


@dataclass(frozen=True)
class Asked:
    """Inputs of the live requests of a window, refused ones among them."""

    rows: Sample
    """Those that had any input at all."""
    without_inputs: int
    """Those that had none: refused before, or the feature store was away."""
    ages: Mapping[str, npt.NDArray[np.float64]]
    """By view: seconds between a value's stamp and the prediction."""

    @property
    def total(self) -> int:
        """How many requests there were."""
        return self.rows.rows + self.without_inputs


def asked_in(settings: Settings, model: str, signature: Signature, start: datetime, end: datetime) -> Asked:
    """Return what a model was asked with in [start, end).

    Raises:
        DataError: the log is damaged.
    """
    features = {item.name: f"feature.{item.name}" for item in signature.inputs}
    stamps = {view: f"timestamp.{view}" for view in signature.views}
    texts = {item.name for item in signature.inputs if item.kind is FeatureKind.CATEGORICAL}
    columns = ("unit", "predicted_at", *features.values(), *stamps.values())
    logged = read_columns(settings, model, start, end, columns, texts=texts)
    known = logged.filter(reduce(compute.or_, (compute.is_valid(logged[name]) for name in features.values())))
    table = known.select(list(features.values())).rename_columns(list(features))
    return Asked(
        rows=sample(table, known["unit"]),
        without_inputs=logged.num_rows - known.num_rows,
        ages={view: _ages(known["predicted_at"], known[column]) for view, column in stamps.items()},
    )


def _ages(predicted_at: pyarrow.ChunkedArray, stamps: pyarrow.ChunkedArray) -> npt.NDArray[np.float64]:
    microseconds = [moments.cast(pyarrow.int64()) for moments in (predicted_at, stamps)]
    ages = compute.subtract(*microseconds).drop_null()
    seconds: npt.NDArray[np.float64] = ages.to_numpy() / 1e6
    return seconds
