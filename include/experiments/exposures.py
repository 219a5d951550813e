"""Who was exposed to what, first, and when: an experiment's part of the prediction log, folded day by day.

    requests(unit, treated, seen_at, failed, fell_back, latency, score)  every request of the experiment
    units(unit, first_at, share, treated, requests, analysed)            every unit, by its first exposure
    named(prediction_id, unit, inside)                                   predictions that outcomes speak of

Whether a unit is treated follows from its place under the salt and the share at its first exposure. In a
ramp, control units that a later stage moves to treatment are set aside from the beginning, so that nobody who
is analysed ever changes arms; their place is random, so nothing but their number is lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from math import ceil
from typing import Any

import duckdb
import pyarrow

from include.adapters.logged_columns import read_columns
from include.adapters.outcome_columns import OutcomeColumns, outcome_columns
from include.config.settings import Settings
from include.contracts.assignment import bucket
from include.contracts.errors import DataError
from include.contracts.experiments import CHALLENGER, Condition
from include.contracts.model import ModelContract
from include.contracts.predictions import NOT_ANSWERED
from include.contracts.routes import EntityType
from include.contracts.signatures import FeatureKind, Task

MEMORY = "1200MB"
"""Most that DuckDB holds before it spills to disk."""
CHECKED_UNITS = 1_000
"""Units whose place is computed anew from salt and unit."""
_DAY = timedelta(days=1)
_KEYS = {EntityType.INT64: "BIGINT", EntityType.STRING: "VARCHAR"}

_TABLES = """
CREATE TABLE requests (
    unit {key}, treated BOOLEAN, seen_at TIMESTAMPTZ, failed BOOLEAN, fell_back BOOLEAN,
    latency FLOAT, score FLOAT
);
CREATE TABLE firsts (
    unit {key}, first_at TIMESTAMPTZ, share DOUBLE, bucket DOUBLE, requests INTEGER,
    broken BOOLEAN, fits BOOLEAN
);
CREATE TABLE named (prediction_id UUID, unit {key}, inside BOOLEAN);
"""
# The share only rises and the place never changes, so the smallest share is that of the first exposure.
_DAY_SQL = """
INSERT INTO requests
    SELECT unit, treated, seen_at, failed, fell_back, latency, score FROM exposed;
INSERT INTO firsts
    SELECT unit, min(seen_at), min(share), min(bucket), count(*),
        bool_or(treated <> (bucket < share)) OR min(bucket) <> max(bucket), {fits}
    FROM exposed GROUP BY unit;
"""
_EXPOSED = """
CREATE OR REPLACE TEMP VIEW exposed AS
SELECT
    TRY_CAST(unit AS {key}) AS unit,
    {treated} AS treated,
    predicted_at AS seen_at,
    {failed} AS failed,
    status = 'fallback' AS fell_back,
    latency_seconds AS latency,
    {score} AS score,
    {share} AS share,
    {bucket} AS bucket,
    {conditions} AS fits
FROM logged WHERE {inside}
"""
_NAMED = """
INSERT INTO named
SELECT prediction_id::UUID, TRY_CAST(unit AS {key}), {inside}
FROM logged SEMI JOIN asked ON asked.prediction_id = logged.prediction_id::UUID
"""
_UNITS = """
CREATE TABLE units AS
WITH seen AS (
    SELECT unit, min(first_at) AS first_at, min(share) AS share, min(bucket) AS bucket,
        sum(requests)::INTEGER AS requests,
        bool_or(broken) OR min(bucket) <> max(bucket) AS broken, {fits} AS fits
    FROM firsts GROUP BY unit
)
SELECT *, bucket < share AS treated, bucket >= share AND bucket < {final} AS reserved,
    fits AND NOT (bucket >= share AND bucket < {final}) AND first_at < TIMESTAMPTZ '{last}' AS analysed
FROM seen;
DROP TABLE firsts;
"""


@dataclass(frozen=True)
class Source:
    """Which rows of the log are exposures."""

    start: datetime
    end: datetime
    experiment_id: str | None = None
    """None: all traffic counts as control, as when an experiment is planned."""
    final_share: float = 0.0
    """Treatment's share at the end of the ramp."""
    population: tuple[Condition, ...] = ()
    last_exposure_at: datetime | None = None
    """Units first exposed from then on do not count."""

    @property
    def days(self) -> Iterator[tuple[datetime, datetime]]:
        """The window, a day at a time."""
        first = datetime.combine(self.start.astimezone(UTC).date(), time(), UTC)
        for number in range(ceil((self.end - first) / _DAY)):
            day = first + number * _DAY
            yield max(day, self.start), min(day + _DAY, self.end)


@dataclass(frozen=True)
class Exposed:
    """The tables of an experiment, open for questions."""

    connection: duckdb.DuckDBPyConnection
    contract: ModelContract
    source: Source
    outcomes: OutcomeColumns

    @property
    def key(self) -> str:
        """DuckDB's type of a unit."""
        return _KEYS[self.contract.entity.type]

    def rows(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        found: list[tuple[Any, ...]] = self.connection.execute(sql, parameters or None).fetchall()
        return found

    def misplaced(self) -> int:
        """Return how many units' rows contradict themselves, or the hash of the unit."""
        salt = self.source.experiment_id
        broken: int = int(self.rows("SELECT count(*) FROM units WHERE broken")[0][0])
        sampled = self.rows(f"SELECT unit, bucket FROM units ORDER BY hash(unit) LIMIT {CHECKED_UNITS}")  # noqa: S608
        moved = sum(bucket(salt or "", str(unit)) != place for unit, place in sampled)
        return broken + int(moved)


@contextmanager
def exposures(settings: Settings, contract: ModelContract, source: Source) -> Iterator[Exposed]:
    """Read an experiment's log into tables, which are gone afterwards.

    Raises:
        DataError: a segment is damaged before its tail, or a compacted file is.
    """
    outcomes = outcome_columns(settings.outcomes_folder, source.start, source.end)
    spill = settings.home / "scratch"
    config = {"memory_limit": MEMORY, "temp_directory": str(spill), "preserve_insertion_order": False}
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        exposed = Exposed(connection, contract, source, outcomes)
        _register_outcomes(exposed)
        _read_days(settings, exposed)
        yield exposed


def _register_outcomes(exposed: Exposed) -> None:
    """Make a view of the model's outcomes in the window, and a table of the predictions they name."""
    connection, found = exposed.connection, exposed.outcomes
    connection.register("unsealed", found.rest)
    parts = ["SELECT * FROM unsealed"]
    if found.files:
        names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in found.files)
        parts.append(f"SELECT * FROM read_parquet([{names}], hive_partitioning = false)")  # noqa: S608 - our own files
    model, end = exposed.contract.name, exposed.source.end.isoformat()
    connection.execute(
        f"CREATE VIEW outcomes AS SELECT * FROM ({' UNION ALL '.join(parts)}) "  # noqa: S608 - ours
        f"WHERE model = '{model}' AND occurred_at < TIMESTAMPTZ '{end}'"
    )
    connection.execute(
        "CREATE TABLE asked AS SELECT DISTINCT TRY_CAST(prediction_id AS UUID) AS prediction_id "
        "FROM outcomes WHERE prediction_id IS NOT NULL"
    )


def _read_days(settings: Settings, exposed: Exposed) -> None:
    contract, source, connection = exposed.contract, exposed.source, exposed.connection
    connection.execute(_TABLES.format(key=exposed.key))
    asked = bool(exposed.rows("SELECT 1 FROM asked LIMIT 1"))
    columns = _columns(exposed, asked=asked)
    texts = [item.name for item in contract.features.inputs if item.kind is FeatureKind.CATEGORICAL]
    fits = "arg_min(fits, {at})" if source.population else "true"
    for start, end in source.days:
        logged = read_columns(settings, contract.name, start, end, columns, texts=texts)
        _fold(exposed, logged, fits=fits.format(at="seen_at"), asked=asked)
    final = source.final_share if source.experiment_id is not None else 0.0
    last = min(source.last_exposure_at or source.end, source.end).isoformat()
    connection.execute(_UNITS.format(final=repr(final), fits=fits.format(at="first_at"), last=last))
    if exposed.rows("SELECT 1 FROM units WHERE unit IS NULL LIMIT 1"):
        raise DataError(f"{contract.name}: the log holds units that are no {exposed.key}")


def _fold(exposed: Exposed, logged: pyarrow.Table, *, fits: str, asked: bool) -> None:
    """Add a day's rows to the tables."""
    connection = exposed.connection
    connection.register("logged", logged)
    connection.execute(_EXPOSED.format(key=exposed.key, **_expressions(exposed)))
    connection.execute(_DAY_SQL.format(fits=fits))
    if asked:
        connection.execute(_NAMED.format(key=exposed.key, inside=_expressions(exposed)["inside"]))
    connection.execute("DROP VIEW exposed")
    connection.unregister("logged")


def _columns(exposed: Exposed, *, asked: bool) -> list[str]:
    named = ["prediction_id"] if asked else []
    asked_about = [f"feature.{condition.feature}" for condition in exposed.source.population]
    return [
        "unit",
        "assigned_variant",
        "release_or_experiment_id",
        "predicted_at",
        "status",
        "fallback_reason",
        "latency_seconds",
        "share",
        "bucket",
        *_outputs(exposed.contract),
        *named,
        *dict.fromkeys(asked_about),
    ]


def _outputs(contract: ModelContract) -> list[str]:
    return [f"output.{place}" for place in range(contract.signature.outputs)]


def _expressions(exposed: Exposed) -> dict[str, str]:
    """Return what differs between an experiment and plain traffic, or between tasks."""
    source, contract = exposed.source, exposed.contract
    outputs = ", ".join(f'"{name}"' for name in _outputs(contract))
    reasons = ", ".join(f"'{reason.value}'" for reason in sorted(NOT_ANSWERED))
    shared = {
        # The same as the ramp's guardrails count.
        "failed": f"status IN ('failed', 'refused') OR coalesce(fallback_reason IN ({reasons}), false)",
        "score": f"greatest({outputs})" if contract.task is Task.MULTICLASS else outputs,
        "conditions": " AND ".join(["true", *(_condition(each) for each in source.population)]),
    }
    if source.experiment_id is None:
        plain = {
            "treated": "false",
            "share": "0.0",
            "bucket": "0.5",
            "inside": "assigned_variant = 'champion'",
        }
        return shared | plain
    salt = source.experiment_id.replace("'", "''")
    inside = f"coalesce(release_or_experiment_id = '{salt}' AND bucket IS NOT NULL, false)"
    treated = f"assigned_variant = '{CHALLENGER}'"
    return shared | {"treated": treated, "share": "share", "bucket": "bucket", "inside": inside}


def _condition(condition: Condition) -> str:
    column = f'"feature.{condition.feature}"'
    if condition.values is not None:
        names = ", ".join("'" + value.replace("'", "''") + "'" for value in condition.values)
        return f"coalesce({column} IN ({names}), false)"
    bounds = [
        f"{column} {sign} {bound!r}"
        for sign, bound in ((">=", condition.minimum), ("<=", condition.maximum))
        if bound is not None
    ]
    return f"coalesce({' AND '.join(bounds)}, false)"
