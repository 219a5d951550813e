"""Golden predictions: a few inputs with the outputs they must give, wherever the model runs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from include.adapters.onnx_model import OnnxModel
from include.contracts.errors import DataError, ModelError
from include.contracts.packages import GoldenCase, GoldenSet
from include.contracts.predictions import FeatureValue
from include.contracts.signatures import FeatureInput, FeatureKind, Signature

CASES = 32
TOLERANCE = 1e-5

_UNSEEN = "a category no training row had"


def golden_set(model: OnnxModel, rows: pd.DataFrame, signature: Signature) -> GoldenSet:
    """Return golden predictions on rows spread evenly over a frame in a fixed order.

    The last two cases are made up: every category unknown, and every nullable feature missing.
    The tolerance is relative to the largest output where that exceeds 1. A case for which the graph fails
    or gives no number is left out.

    Raises:
        DataError: there is no other case.
    """
    features = _spread(rows, signature, CASES - 2)
    features.append({**features[0], **_changed(signature, FeatureKind.CATEGORICAL, _UNSEEN)})
    features.append({**features[-2], **{item.name: None for item in signature.inputs if item.nullable}})
    answered = [(case, scores) for case in features if (scores := _finite_scores(model, case, signature))]
    if not answered:
        raise DataError(f"none of {len(features)} rows has a finite score, so no prediction can be kept")
    return GoldenSet(
        cases=tuple(GoldenCase(features=case, outputs=scores) for case, scores in answered),
        absolute_tolerance=TOLERANCE * max(1.0, *(abs(score) for _, scores in answered for score in scores)),
    )


def _finite_scores(
    model: OnnxModel, case: Mapping[str, FeatureValue], signature: Signature
) -> tuple[float, ...] | None:
    """Return a case's scores, or None where the graph has no number for it: evaluation judges that."""
    try:
        scores = model.predict(_columns([case], signature))[0]
    except ModelError:
        return None
    return tuple(scores.tolist()) if np.isfinite(scores).all() else None


def _spread(rows: pd.DataFrame, signature: Signature, count: int) -> list[dict[str, FeatureValue]]:
    places = np.linspace(0, len(rows) - 1, num=count).astype(int)
    chosen = [rows.iloc[place] for place in places]
    return [{item.name: _value(item, row[item.name]) for item in signature.inputs} for row in chosen]


def _value(item: FeatureInput, value: FeatureValue) -> FeatureValue:
    if pd.isna(value):
        return None
    return str(value) if item.kind is FeatureKind.CATEGORICAL else float(value)


def _changed(signature: Signature, kind: FeatureKind, value: FeatureValue) -> dict[str, FeatureValue]:
    return {item.name: value for item in signature.inputs if item.kind is kind}


def _columns(
    features: Sequence[Mapping[str, FeatureValue]], signature: Signature
) -> dict[str, list[FeatureValue]]:
    return {item.name: [case[item.name] for case in features] for item in signature.inputs}
