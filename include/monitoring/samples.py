"""A window's rows, column by column: what a drift test needs of a sample, and whether a table can give it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from include.contracts.signatures import FeatureInput, FeatureKind, Signature
from include.stats.effective_rows import effective_rows

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NumericColumn:
    """Values of a number."""

    values: Array
    """Ascending, nothing missing among them."""
    missing: int


@dataclass(frozen=True)
class CategoricalColumn:
    """Rows by category."""

    counts: Mapping[str, int]
    missing: int


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class Sample:
    """Rows of one window or training set; its columns are taken out one by one, since they may be large."""

    table: pyarrow.Table
    """A column a feature, under its own name."""
    independent_ratio: float
    """Part of the rows that counts as independent: rows of one unit repeat one another."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.table.num_rows)

    @property
    def independent(self) -> float:
        """How many independent rows they are worth."""
        return self.rows * self.independent_ratio

    def column(self, feature: FeatureInput) -> Column:
        """Return one feature's values, sorted or counted."""
        values = self.table[feature.name]
        if feature.kind is FeatureKind.CATEGORICAL:
            return _counted(values)
        return _sorted(values)


def sample(table: pyarrow.Table, units: pyarrow.ChunkedArray | None = None) -> Sample:
    """Return a table's rows as a sample.

    Args:
        table: a column a feature.
        units: what each row is about; None where nothing says that rows repeat.
    """
    if units is None or not len(units):
        return Sample(table, 1.0)
    rows_by_unit = units.value_counts().field("counts").to_numpy()
    return Sample(table, effective_rows(rows_by_unit) / len(units))


def misfits(table: pyarrow.Table, signature: Signature) -> Iterator[tuple[str, str]]:
    """Yield each feature of a signature that a table cannot give, with what is wrong."""
    for feature in signature.inputs:
        if feature.name not in table.column_names:
            yield feature.name, "has no such column"
            continue
        kind = _value_type(table.schema.field(feature.name).type)
        is_text = pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
        is_number = pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind)
        fits = is_text if feature.kind is FeatureKind.CATEGORICAL else is_number or kind == pyarrow.bool_()
        if not fits:
            yield feature.name, f"has {kind}, the model reads it as {feature.kind.value}"


def _value_type(kind: pyarrow.DataType) -> pyarrow.DataType:
    return kind.value_type if pyarrow.types.is_dictionary(kind) else kind


def _sorted(values: pyarrow.ChunkedArray) -> NumericColumn:
    numbers = values.cast(pyarrow.float64()).drop_null().to_numpy()
    ascending = np.sort(numbers)
    present = int(np.searchsorted(ascending, np.nan))  # NaN is sorted behind all numbers
    return NumericColumn(ascending[:present], len(values) - present)


def _counted(values: pyarrow.ChunkedArray) -> CategoricalColumn:
    found = compute.value_counts(values.cast(pyarrow.string()))
    counts = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
    missing = counts.pop(None, 0) + counts.pop("", 0)  # the tensors' form of a missing category is ""
    return CategoricalColumn(counts, missing)
