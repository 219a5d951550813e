"""Comparisons of samples that lie on an engine: every input in one query, nothing sorted in one place.

Values are counted, parted into buckets at quantiles of the reference, and added up within buckets; what the
buckets before hold is added to that. So no step needs all values of an input together.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow

from include.adapters.defects import literal, quoted
from include.adapters.engines import Engine
from include.contracts.signatures import FeatureInput, FeatureKind
from include.monitoring.comparisons import (
    CategoricalComparison,
    Comparison,
    NumericComparison,
    Pair,
    bounds_of,
)
from include.monitoring.samples import Array

_REFERENCE, _CURRENT = "reference", "current"
_BUCKETS = 64

_CUMULATED = """
WITH counted AS (
    SELECT feature, value, sum(was)::BIGINT AS was, sum(now)::BIGINT AS now
    FROM ({values}) AS every GROUP BY feature, value
),
placed AS (
    SELECT counted.feature, counted.value, counted.was, counted.now, cuts.bucket,
        counted.value < cuts.minimum OR counted.value > cuts.maximum AS is_outside
    FROM counted JOIN cuts ON counted.feature = cuts.feature
        AND (cuts.low IS NULL OR counted.value >= cuts.low)
        AND (cuts.high IS NULL OR counted.value < cuts.high)
),
buckets AS (
    SELECT feature, bucket, sum(was)::BIGINT AS was, sum(now)::BIGINT AS now,
        coalesce(sum(now) FILTER (is_outside), 0)::BIGINT AS outside
    FROM placed GROUP BY feature, bucket
),
before AS (
    SELECT feature, bucket,
        coalesce(sum(was) OVER earlier, 0)::BIGINT AS was, coalesce(sum(now) OVER earlier, 0)::BIGINT AS now,
        (sum(was) OVER every)::BIGINT AS every_was, (sum(now) OVER every)::BIGINT AS every_now,
        (sum(outside) OVER every)::BIGINT AS outside
    FROM buckets
    WINDOW
        earlier AS (PARTITION BY feature ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        every AS (PARTITION BY feature)
),
running AS (
    SELECT placed.feature, placed.value, before.every_was, before.every_now, before.outside,
        (before.was + sum(placed.was) OVER up_to)::BIGINT AS up_to_was,
        (before.now + sum(placed.now) OVER up_to)::BIGINT AS up_to_now
    FROM placed JOIN before ON placed.feature = before.feature AND placed.bucket = before.bucket
    WINDOW up_to AS (
        PARTITION BY placed.feature, placed.bucket ORDER BY placed.value
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
SELECT feature, max(every_was) AS was, max(every_now) AS now, max(outside) AS outside,
    max(abs(up_to_was / nullif(every_was, 0) - up_to_now / nullif(every_now, 0))) AS distance,
    min(value) FILTER (up_to_was > every_was // 2) AS median_was,
    min(value) FILTER (up_to_now > every_now // 2) AS median_now
FROM running GROUP BY feature
"""
_COUNTED = """
SELECT feature, value, sum(was)::BIGINT AS was, sum(now)::BIGINT AS now
FROM ({values}) AS every GROUP BY feature, value
"""
Row = Mapping[str, Any]


def compared_on(
    engine: Engine, features: Sequence[FeatureInput], reference: pyarrow.Table, current: pyarrow.Table
) -> dict[str, Comparison]:
    """Return what `compared` does, by input.

    Args:
        engine: where to count.
        features: the inputs; each has a column in both tables.
        reference: what the model learned from; its quantiles part the values into buckets.
        current: what it was asked with.
    """
    names = [each.name for each in features]
    engine.register(_REFERENCE, reference.select(names))
    engine.register(_CURRENT, current.select(names))
    numbers = [each for each in features if each.kind is not FeatureKind.CATEGORICAL]
    words = [each for each in features if each.kind is FeatureKind.CATEGORICAL]
    totals = Pair(reference.num_rows, current.num_rows)
    found: dict[str, Comparison] = {}
    if words:
        counted = engine.table(_COUNTED.format(values=_values(words, "VARCHAR", "<> ''"))).to_pylist()
        found |= {each.name: _categorical(each, counted, totals) for each in words}
    if numbers:
        ascending = {each.name: _ascending(reference[each.name]) for each in numbers}
        bounds = {each.name: bounds_of(each, ascending[each.name]) for each in numbers}
        engine.register("cuts", _cuts(ascending, bounds))
        values = _values(numbers, "DOUBLE", "= value AND NOT isnan(value)")
        rows = {row["feature"]: row for row in engine.table(_CUMULATED.format(values=values)).to_pylist()}
        found |= {name: _numeric(rows.get(name), bounds[name], totals) for name in ascending}
    return found


def _values(features: Sequence[FeatureInput], kind: str, condition: str) -> str:
    """Return the query of every value there is: its feature, and which sample it is of."""
    return " UNION ALL ".join(
        f"SELECT {literal(each.name)} AS feature, value, {was} AS was, {now} AS now FROM "  # noqa: S608
        f"(SELECT CAST({quoted(each.name)} AS {kind}) AS value FROM {quoted(relation)}) AS one "
        f"WHERE value {condition}"
        for each in features
        for relation, was, now in ((_REFERENCE, 1, 0), (_CURRENT, 0, 1))
    )


def _ascending(values: pyarrow.ChunkedArray) -> Array:
    numbers = values.cast(pyarrow.float64()).drop_null().to_numpy()
    return np.sort(numbers[~np.isnan(numbers)])


def _cuts(ascending: Mapping[str, Array], bounds: Mapping[str, tuple[float, float]]) -> pyarrow.Table:
    """Return the buckets of each feature: [low, high), the first and the last without an end."""
    rows = []
    for name, values in ascending.items():
        places = np.linspace(0, len(values) - 1, _BUCKETS + 1)[1:-1].astype(np.int64)
        edges = [None, *np.unique(values[places] if len(values) else []).tolist(), None]
        rows += [(name, bucket, *between, *bounds[name]) for bucket, between in enumerate(pairwise(edges))]
    columns = zip(*rows, strict=True)
    return pyarrow.table(
        {field.name: pyarrow.array(values, field.type) for field, values in zip(_CUTS, columns, strict=True)}
    )


_CUTS = pyarrow.schema(
    [
        ("feature", pyarrow.string()),
        ("bucket", pyarrow.int64()),
        *((name, pyarrow.float64()) for name in ("low", "high", "minimum", "maximum")),
    ]
)


def _categorical(feature: FeatureInput, counted: Sequence[Row], totals: Pair) -> CategoricalComparison:
    rows = [row for row in counted if row["feature"] == feature.name]
    was, now = ({row["value"]: row[side] for row in rows if row[side]} for side in ("was", "now"))
    missing = Pair(totals.was - sum(was.values()), totals.now - sum(now.values()))
    return CategoricalComparison(was, now, missing)


def _numeric(row: Row | None, bounds: tuple[float, float], totals: Pair) -> NumericComparison:
    present = Pair(row["was"], row["now"]) if row else Pair(0, 0)
    both = row if row and present.was and present.now else None
    return NumericComparison(
        present=present,
        missing=Pair(totals.was - present.was, totals.now - present.now),
        distance=both["distance"] if both else None,
        medians=(both["median_was"], both["median_now"]) if both else None,
        bounds=bounds,
        outside=row["outside"] if row else 0,
    )
