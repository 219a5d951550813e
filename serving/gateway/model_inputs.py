"""A version's tensors, made and checked for a whole batch at once."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from include.adapters.tensors import CATEGORICAL, NUMERIC, Tensors
from include.contracts.predictions import FeatureValue
from include.contracts.signatures import FeatureInput, FeatureKind, Signature

Row = Mapping[str, FeatureValue]

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_NUMBERS = frozenset({float, int, bool, type(None)})


class ModelInputs:
    """Makes what `to_tensors` makes, unless `invalid_feature` would refuse a row.

    Looking at every value of every row costs more than the model does; a batch is compared with the
    signature's bounds as a whole, and only one that does not fit needs to be looked at row by row.
    """

    def __init__(self, signature: Signature) -> None:
        numeric = [item for item in signature.inputs if item.kind is FeatureKind.NUMERIC]
        texts = [item for item in signature.inputs if item.kind is FeatureKind.CATEGORICAL]
        self._numbers_of = _getter(numeric)
        self._texts_of = _getter(texts)
        self._nullable_texts = [item.nullable for item in texts]
        self._least = np.array([-_FLOAT32_MAX if item.minimum is None else item.minimum for item in numeric])
        self._most = np.array([_FLOAT32_MAX if item.maximum is None else item.maximum for item in numeric])
        self._required = np.array([not item.nullable for item in numeric])
        self._has_required = bool(self._required.any())

    def tensors(self, rows: Sequence[Row]) -> Tensors | None:
        """Return the tensors of a batch of B rows; None where a row does not fit the signature.

        Returns:
            As `to_tensors`: `numeric` float32 [B, N] and `categorical` object [B, M], those without
            columns left out.
        """
        made: Tensors = {}
        if self._numbers_of is not None:
            numbers = self._numbers(rows, self._numbers_of)
            if numbers is None:
                return None
            made[NUMERIC] = numbers
        if self._texts_of is not None:
            texts = self._texts(rows, self._texts_of)
            if texts is None:
                return None
            made[CATEGORICAL] = texts
        return made

    def _numbers(
        self, rows: Sequence[Row], values_of: Callable[[Row], Sequence[FeatureValue]]
    ) -> npt.NDArray[np.float32] | None:
        values = [values_of(row) for row in rows]
        found = np.array(values)
        if found.dtype.kind == "O" and all(type(value) in _NUMBERS for row in values for value in row):
            try:
                found = found.astype(np.float64)
            except OverflowError:  # an integer past every float
                return None
        if found.dtype.kind not in "fiub":
            return None
        # A comparison with NaN, which is a missing value, is never true.
        if (found < self._least).any() or (found > self._most).any():
            return None
        if self._has_required and (np.isnan(found.astype(np.float64)) & self._required).any():
            return None
        return found.astype(np.float32)

    def _texts(
        self, rows: Sequence[Row], values_of: Callable[[Row], Sequence[FeatureValue]]
    ) -> npt.NDArray[np.object_] | None:
        made: list[list[bytes]] = []
        for row in rows:
            line: list[bytes] = []
            for value, nullable in zip(values_of(row), self._nullable_texts, strict=True):
                if type(value) is str:
                    line.append(value.encode())
                elif value is None and nullable:
                    line.append(b"")
                else:
                    return None
            made.append(line)
        return np.array(made, np.object_)


def _getter(items: Sequence[FeatureInput]) -> Callable[[Row], Sequence[FeatureValue]] | None:
    if not items:
        return None
    names = [item.name for item in items]
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)
