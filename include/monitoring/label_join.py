"""The label join: predictions meet their truth. A pure function of its inputs and a moment.

A label of `label.sql` is about a unit and a midnight; it is the truth about every prediction of the unit on
the UTC day that begins then, whose features are stamped with the same midnight. An outcome of the metric
`label` is about the prediction it names, or about its unit's predictions on the day it occurred. Of several
the highest version counts; an outcome's version is the moment it was recorded, so it overrules the query, and
what was told later overrules what was told before.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import pyarrow

from include.adapters.duckdb_engine import DuckDBEngine
from include.adapters.engines import Engine
from include.adapters.labelled_store import SCHEMA
from include.contracts.labelled import Refusal
from include.contracts.signatures import FEWEST_CLASSES, Signature, Task

_MOMENT = pyarrow.timestamp("us", "UTC")
PREDICTIONS = pyarrow.schema([SCHEMA.field(place) for place in range(6)])
"""Answered predictions: prediction_id, unit, predicted_at, served_version, assigned_variant, outputs."""
LABELS = pyarrow.schema(
    [
        ("unit", pyarrow.string()),
        ("event_at", _MOMENT),
        ("known_at", _MOMENT),
        ("value", pyarrow.float64()),
        ("version", pyarrow.int64()),
        ("source", pyarrow.string()),
    ]
)
"""Labels, every version of each: the label store's columns but the model."""
OUTCOMES = pyarrow.schema(
    [
        ("outcome_id", pyarrow.string()),
        ("prediction_id", pyarrow.string()),
        ("unit", pyarrow.string()),
        ("value", pyarrow.float64()),
        ("occurred_at", _MOMENT),
        ("recorded_at", _MOMENT),
    ]
)
"""Outcomes of the metric `label`: each names a prediction or a unit."""
REFUSED = pyarrow.schema(
    [("reason", pyarrow.string()), ("outcome_id", pyarrow.string()), ("prediction_id", pyarrow.string())]
    + [LABELS.field(place) for place in range(len(LABELS))]
)
"""Labels and outcomes set aside, and why."""
OUTCOME_SOURCE = "outcome"
"""`label_source` of what `/v1/outcomes` told."""

# What is not known yet is left out before anything else: it is neither used nor refused.
_STATEMENTS = """
SELECT *, CASE
    WHEN is_unknown THEN $unknown_prediction
    WHEN is_early OR known_at > $as_of THEN $from_the_future
    WHEN NOT coalesce(isfinite(value) AND ($classes IS NULL
        OR (value >= 0 AND value < $classes AND value = floor(value))), FALSE) THEN $impossible_value
    WHEN prediction_id IS NULL AND date_trunc('day', event_at) <> event_at THEN $no_midnight
END AS reason
FROM (
    SELECT NULL::VARCHAR AS outcome_id, NULL::VARCHAR AS prediction_id, unit, event_at, known_at, value,
        version, source, FALSE AS is_unknown, known_at < event_at AS is_early
    FROM labels WHERE known_at <= $as_of
    UNION ALL
    SELECT outcome_id, told.prediction_id, told.unit, date_trunc('day', occurred_at), occurred_at, value,
        epoch_us(recorded_at), $outcome, told.prediction_id IS NOT NULL AND named.prediction_id IS NULL,
        coalesce(occurred_at < named.predicted_at, FALSE)
    FROM outcomes AS told LEFT JOIN predictions AS named ON told.prediction_id = named.prediction_id
    WHERE occurred_at <= $as_of OR recorded_at <= $as_of
)
"""
# Of structs the first field decides, then the next: equal versions differ only where a source contradicts
# itself; then known later, then larger, so that the order of the input decides nothing.
_BY_DAY = """
SELECT unit, event_at, count(*) AS rows, max({'n': version, 'k': known_at, 'v': value, 's': source}) AS truth
FROM statements WHERE reason IS NULL AND prediction_id IS NULL GROUP BY unit, event_at
"""
_BY_PREDICTION = """
SELECT prediction_id, count(*) AS rows, max({'n': version, 'k': known_at, 'v': value, 's': source}) AS truth
FROM statements WHERE reason IS NULL AND prediction_id IS NOT NULL GROUP BY prediction_id
"""
_JOINED = """
WITH found AS (
    SELECT predictions.*, CASE WHEN named.truth.n >= of_day.truth.n OR of_day.truth IS NULL
        THEN named.truth ELSE of_day.truth END AS truth
    FROM predictions
    LEFT JOIN by_day AS of_day
        ON predictions.unit = of_day.unit AND date_trunc('day', predicted_at) = of_day.event_at
    LEFT JOIN by_prediction AS named ON predictions.prediction_id = named.prediction_id
)
SELECT prediction_id, unit, predicted_at, served_version, assigned_variant, outputs, truth.v AS value,
    truth.k AS known_at, truth.n AS label_version, truth.s AS label_source
FROM found WHERE truth IS NOT NULL
"""
_SUPERSEDED = """
SELECT coalesce(sum(rows - 1), 0)::BIGINT
FROM (SELECT rows FROM by_day UNION ALL SELECT rows FROM by_prediction)
"""
_REFUSED = """
SELECT reason, outcome_id, prediction_id, unit, event_at, known_at, value, version, source
FROM statements WHERE reason IS NOT NULL ORDER BY ALL
"""


@dataclass(frozen=True)
class Joined:
    """What the join found."""

    labelled: pyarrow.Table
    """Predictions with their truth, columns of `labelled_store.SCHEMA`, in no particular order."""
    refused: pyarrow.Table
    """Columns of `REFUSED`."""
    superseded: int
    """Rows that say the same again or were corrected since."""


def join_labels(
    signature: Signature,
    predictions: pyarrow.Table,
    labels: pyarrow.Table,
    outcomes: pyarrow.Table,
    as_of: datetime,
    *,
    engine: Engine | None = None,
) -> Joined:
    """Return each prediction with the latest version of its label that is known as of a moment.

    Args:
        signature: says which values a label may have.
        predictions: columns of `PREDICTIONS`, each prediction once.
        labels: columns of `LABELS`; duplicates do nothing.
        outcomes: columns of `OUTCOMES`.
        as_of: what is known later is left out.
        engine: where to join; None means a DuckDB of its own. It is closed afterwards.
    """
    with closing(engine or DuckDBEngine.new(keeps_order=False)) as joining:
        tables = {"predictions": predictions, "labels": labels, "outcomes": outcomes}
        for name, table in tables.items():
            joining.register(name, table)
        said = {str(reason): str(reason) for reason in Refusal}
        parameters = said | {"as_of": as_of, "classes": _classes(signature), "outcome": OUTCOME_SOURCE}
        joining.create_table("statements", _STATEMENTS, parameters)
        joining.create_table("by_day", _BY_DAY)
        joining.create_table("by_prediction", _BY_PREDICTION)
        [(superseded,)] = joining.rows(_SUPERSEDED)
        return Joined(
            labelled=joining.table(_JOINED).cast(SCHEMA),
            refused=joining.table(_REFUSED).cast(REFUSED),
            superseded=int(str(superseded)),
        )


def _classes(signature: Signature) -> int | None:
    """Return how many classes a label may name; None where it is any finite number."""
    return None if signature.task is Task.REGRESSION else max(len(signature.classes), FEWEST_CLASSES)
