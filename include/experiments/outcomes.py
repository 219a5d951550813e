"""What became of those who were exposed: each outcome of the plan's metrics is counted once, or told of."""

from collections.abc import Sequence
from enum import StrEnum

import pyarrow

from include.contracts.identifiers import uuid7
from include.contracts.model import ExperimentMetric
from include.experiments.exposures import Exposed


class Fate(StrEnum):
    """What becomes of an outcome."""

    COUNTED = "counted"
    NOT_FINITE = "not_finite"
    """Its value is no number."""
    DUPLICATE = "duplicate"
    """Its id came before."""
    UNKNOWN_PREDICTION = "unknown_prediction"
    """It names a prediction of the experiment's time that the log does not have."""
    BEFORE_EXPOSURE = "before_exposure"
    """It happened before its unit's first exposure, so the treatment cannot have caused it."""
    OUTSIDE_EXPERIMENT = "outside_experiment"
    """It names a prediction made before the experiment, or by no part of it."""
    NOT_EXPOSED = "not_exposed"
    """Its unit never saw the experiment."""
    NOT_ANALYSED = "not_analysed"
    """Its unit is outside the population, or reserved for a later stage of the ramp."""
    AFTER_HORIZON = "after_horizon"
    """It came after its metric had matured."""
    UNKNOWN_METRIC = "unknown_metric"
    """The contract has no such metric."""


DEFECTS = (
    Fate.NOT_FINITE,
    Fate.DUPLICATE,
    Fate.UNKNOWN_PREDICTION,
    Fate.BEFORE_EXPOSURE,
    Fate.UNKNOWN_METRIC,
)
"""Fates that somebody should look at: such outcomes are set aside in quarantine."""

_REPEATED = """
CREATE TABLE repeated AS
SELECT h FROM (SELECT hash(outcome_id) AS h FROM outcomes WHERE metric IN (SELECT metric FROM horizons))
GROUP BY h HAVING count(*) > 1
"""
_ONCE = """
CREATE VIEW numbered AS
SELECT *, false AS again FROM outcomes WHERE hash(outcome_id) NOT IN (SELECT h FROM repeated)
UNION ALL
SELECT *, row_number() OVER (PARTITION BY outcome_id ORDER BY recorded_at) > 1 AS again
FROM outcomes WHERE hash(outcome_id) IN (SELECT h FROM repeated)
"""
# In the order in which the first that holds is the fate.
_TOLD = """
CREATE TABLE told AS
SELECT metric, unit, value, fate, CASE WHEN fate IN {defects} THEN outcome_id END AS outcome_id
FROM (
    SELECT o.metric, u.unit, o.value, o.outcome_id, CASE
        WHEN NOT isfinite(o.value) THEN 'not_finite'
        WHEN o.again THEN 'duplicate'
        WHEN n.unit IS NULL AND o.prediction_id >= '{first_id}' THEN 'unknown_prediction'
        WHEN o.prediction_id IS NOT NULL AND (n.unit IS NULL OR NOT n.inside) THEN 'outside_experiment'
        WHEN u.unit IS NULL THEN 'not_exposed'
        WHEN NOT u.analysed THEN 'not_analysed'
        WHEN o.occurred_at < u.first_at THEN 'before_exposure'
        WHEN o.occurred_at >= u.first_at + h.horizon THEN 'after_horizon'
        ELSE 'counted'
    END AS fate
    FROM {outcomes} o
    JOIN horizons h USING (metric)
    LEFT JOIN named n ON n.prediction_id = o.prediction_id
    LEFT JOIN units u ON u.unit = coalesce(TRY_CAST(o.unit AS {key}), n.unit)
)
"""
_SET_ASIDE = """
SELECT outcome_id, metric, fate AS reason FROM told WHERE outcome_id IS NOT NULL
UNION ALL
SELECT outcome_id, metric, 'unknown_metric' FROM outcomes WHERE metric NOT IN (SELECT metric FROM known)
ORDER BY reason, outcome_id
"""
_COUNTS = """
SELECT fate, count(*) FROM told GROUP BY fate
UNION ALL
SELECT 'unknown_metric', count(*) FROM outcomes WHERE metric NOT IN (SELECT metric FROM known)
"""


def judge_outcomes(exposed: Exposed, metrics: Sequence[ExperimentMetric]) -> dict[Fate, int]:
    """Decide every outcome's fate, in a table `told`; return how many had each.

    Args:
        exposed: the experiment's tables.
        metrics: of the plan, those whose source is `outcome`.
    """
    _list_metrics(exposed, metrics)
    connection = exposed.connection
    connection.execute(_REPEATED)
    again = bool(exposed.rows("SELECT 1 FROM repeated LIMIT 1"))
    if again:
        connection.execute(_ONCE)
    every = "numbered" if again else "(SELECT *, false AS again FROM outcomes)"
    defects = f"({', '.join(repr(fate.value) for fate in DEFECTS)})"
    connection.execute(
        _TOLD.format(defects=defects, first_id=_first_id(exposed), outcomes=every, key=exposed.key)
    )
    counted = {Fate(fate): int(number) for fate, number in exposed.rows(_COUNTS)}
    return {fate: number for fate, number in counted.items() if number}


def set_aside(exposed: Exposed) -> pyarrow.Table:
    """Return the outcomes somebody should look at: id, metric and reason; no unit."""
    return exposed.connection.sql(_SET_ASIDE).to_arrow_table()


def _list_metrics(exposed: Exposed, metrics: Sequence[ExperimentMetric]) -> None:
    connection = exposed.connection
    connection.execute("CREATE TABLE horizons (metric VARCHAR, horizon INTERVAL)")
    connection.execute("CREATE TABLE known (metric VARCHAR)")
    for metric in metrics:
        connection.execute("INSERT INTO horizons VALUES (?, ?)", [metric.name, metric.matures_in])
    for metric in exposed.contract.experiment_metrics:
        connection.execute("INSERT INTO known VALUES (?)", [metric.name])


def _first_id(exposed: Exposed) -> str:
    """Return what no prediction id of the window lies below: the digits of its start."""
    return uuid7(exposed.source.start)[:13]
