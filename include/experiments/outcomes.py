"""What became of those who were exposed: each outcome of the plan's metrics is counted once, or told of."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

import numpy as np
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

_HASHES = "SELECT hash(outcome_id) AS h FROM outcomes WHERE metric IN (SELECT metric FROM horizons)"
_ONCE = """
CREATE VIEW numbered AS
SELECT *, false AS again FROM outcomes WHERE hash(outcome_id) NOT IN (SELECT h FROM repeated)
UNION ALL
SELECT *, row_number() OVER (PARTITION BY outcome_id ORDER BY recorded_at) > 1 AS again
FROM outcomes WHERE hash(outcome_id) IN (SELECT h FROM repeated)
"""
# An outcome names a prediction or a unit, never both. Moments are subtracted as numbers: adding an interval
# asks a calendar, millions of times. In the order in which the first that holds is the fate.
_FATED = """
CREATE VIEW fated AS
SELECT o.metric, n.unit, o.value, o.outcome_id, CASE
    WHEN NOT isfinite(o.value) THEN {not_finite}
    WHEN o.again THEN {duplicate}
    WHEN n.prediction_id IS NULL AND o.prediction_id >= '{first_id}' THEN {unknown_prediction}
    WHEN n.prediction_id IS NULL OR NOT n.inside THEN {outside_experiment}
    {of_unit}
END::UTINYINT AS fate
FROM {outcomes} o JOIN horizons h USING (metric)
LEFT JOIN (
    SELECT prediction_id, named.unit, inside, first_at, analysed FROM named LEFT JOIN exposed USING (unit)
) n ON n.prediction_id = o.prediction_id
WHERE o.prediction_id IS NOT NULL
UNION ALL
SELECT o.metric, n.unit, o.value, o.outcome_id, CASE
    WHEN NOT isfinite(o.value) THEN {not_finite}
    WHEN o.again THEN {duplicate}
    {of_unit}
END::UTINYINT AS fate
FROM {outcomes} o JOIN horizons h USING (metric)
LEFT JOIN exposed n ON n.unit = TRY_CAST(o.unit AS {key})
WHERE o.prediction_id IS NULL
"""
_OF_UNIT = """
    WHEN n.first_at IS NULL THEN {not_exposed}
    WHEN NOT n.analysed THEN {not_analysed}
    WHEN o.occurred_at < n.first_at THEN {before_exposure}
    WHEN epoch_us(o.occurred_at) - epoch_us(n.first_at) >= h.horizon THEN {after_horizon}
    ELSE {counted}
"""
_TOLD = """
CREATE TABLE told AS
SELECT metric, unit, fate, count(*) AS outcomes, sum(value) AS value FROM fated GROUP BY ALL
"""
_SET_ASIDE = """
SELECT outcome_id, metric, {named} AS reason FROM fated WHERE fate IN {defects}
UNION ALL
SELECT outcome_id, metric, 'unknown_metric' FROM outcomes WHERE metric NOT IN (SELECT metric FROM known)
ORDER BY reason, outcome_id
"""
_COUNTS = """
SELECT fate, sum(outcomes) FROM told GROUP BY fate
UNION ALL
SELECT {unknown_metric}, count(*) FROM outcomes WHERE metric NOT IN (SELECT metric FROM known)
"""
_FATES = tuple(Fate)
"""A fate's place here stands for it in tables: a name for each of millions of outcomes is slow."""
CODES = {fate.value: code for code, fate in enumerate(_FATES)}


def judge_outcomes(exposed: Exposed, metrics: Sequence[ExperimentMetric]) -> dict[Fate, int]:
    """Decide every outcome's fate, in a table `told`; return how many had each.

    Args:
        exposed: the experiment's tables.
        metrics: of the plan, those whose source is `outcome`.
    """
    _list_metrics(exposed, metrics)
    connection = exposed.connection
    again = _find_repeated(exposed)
    if again:
        connection.execute(_ONCE)
    every = "numbered" if again else "(SELECT *, false AS again FROM outcomes)"
    of_unit = _OF_UNIT.format(**CODES)
    said = {"first_id": _first_id(exposed), "outcomes": every, "key": exposed.key, "of_unit": of_unit}
    connection.execute(_FATED.format(**said, **CODES))
    connection.execute(_TOLD)
    found = {_FATES[code]: int(number) for code, number in exposed.rows(_COUNTS.format(**CODES))}
    return {fate: number for fate, number in found.items() if number}


def set_aside(exposed: Exposed) -> pyarrow.Table:
    """Return the outcomes somebody should look at: id, metric and reason; no unit."""
    defects = f"({', '.join(str(CODES[fate.value]) for fate in DEFECTS)})"
    named = f"CASE fate {' '.join(f'WHEN {code} THEN {name!r}' for name, code in CODES.items())} END"
    return exposed.connection.sql(_SET_ASIDE.format(defects=defects, named=named)).to_arrow_table()


def _find_repeated(exposed: Exposed) -> bool:
    """Make a table of the hashes that several outcomes have; say whether there are any.

    Sorted, those of ten million lie side by side in a tenth of a second; grouping them takes DuckDB twenty
    times as long.
    """
    hashes = np.sort(exposed.connection.sql(_HASHES).to_arrow_table()["h"].to_numpy())
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    exposed.connection.register("repeated", pyarrow.table({"h": repeated}))
    return bool(repeated.size)


def _list_metrics(exposed: Exposed, metrics: Sequence[ExperimentMetric]) -> None:
    connection = exposed.connection
    connection.execute("CREATE TABLE horizons (metric VARCHAR, horizon BIGINT)")
    connection.execute("CREATE TABLE known (metric VARCHAR)")
    for metric in metrics:
        horizon = metric.matures_in // timedelta(microseconds=1)
        connection.execute("INSERT INTO horizons VALUES (?, ?)", [metric.name, horizon])
    for metric in exposed.contract.experiment_metrics:
        connection.execute("INSERT INTO known VALUES (?)", [metric.name])


def _first_id(exposed: Exposed) -> str:
    """Return what no prediction id of the window lies below: the digits of its start."""
    return uuid7(exposed.source.start)[:13]
