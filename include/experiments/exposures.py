"""Who was exposed to what, first, and when: an experiment's part of the prediction log, folded into tables.

    requests(unit, arm, seen_at, failed, fell_back, latency, …)  every request of the experiment
    exposed(unit, first_at, share, arm, analysed, requests, …)   every unit, by its first exposure; sums
    named(prediction_id, unit, inside)                           predictions that outcomes speak of

A unit's arm (0: control, then the treatments by their number) follows from its place under the salt and the
share at its first exposure. In a ramp, control units that a later stage moves to a treatment are set aside
from the beginning, so that nobody who is analysed ever changes arms; their place is random, so nothing but
their number is lost.

Treatments are compared with control one at a time: `units` and `judged_requests` are what is seen of control
and of the treatment that `Exposed.compare` named last.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from include.adapters.logged_parts import logged_parts
from include.adapters.outcome_columns import OutcomeColumns, outcome_columns
from include.config.settings import Settings
from include.contracts.assignment import bucket
from include.contracts.errors import DataError
from include.contracts.experiment_plan import Condition
from include.contracts.model import ModelContract
from include.contracts.predictions import NOT_ANSWERED
from include.contracts.predictions import Source as LoggedSource
from include.contracts.routes import CHALLENGER, EntityType
from include.contracts.signatures import Task

MEMORY = "1500MB"
"""Most that DuckDB holds before it spills to disk."""
CHECKED_UNITS = 1_000
"""Units whose place is computed anew from salt and unit."""
_KEYS = {EntityType.INT64: "BIGINT", EntityType.STRING: "VARCHAR"}

_TABLES = """
CREATE TABLE requests (
    unit {key}, arm UTINYINT, seen_at TIMESTAMPTZ, failed BOOLEAN, fell_back BOOLEAN, latency FLOAT,
    score FLOAT, share DOUBLE, bucket DOUBLE, fits BOOLEAN, covariate DOUBLE, inside BOOLEAN,
    prediction_id VARCHAR
);
"""
_FOLD = """
INSERT INTO requests
SELECT
    TRY_CAST(unit AS {key}), {arm}, predicted_at, {failed}, status = 'fallback', latency_seconds, {score},
    {share}, {bucket}, {fits}, {covariate}, {inside}, {asked}
FROM {logged} WHERE {window} AND ({inside} OR {asked} IS NOT NULL)
"""
# The log is read once: rows that are no part of the experiment are in it only if an outcome names them.
_NAMED = """
CREATE TABLE named AS SELECT prediction_id, unit, inside FROM requests WHERE prediction_id IS NOT NULL;
DELETE FROM requests WHERE NOT inside;
"""
# The share only rises and the place never changes, so the smallest share is that of the first exposure.
_UNITS = """
CREATE TABLE exposed AS
WITH seen AS (
    SELECT unit, min(seen_at) AS first_at, min(share) AS share, min(bucket) AS bucket,
        bool_or(arm <> {arm}) OR min(bucket) <> max(bucket) AS broken, {fits} AS fits,
        {covariate} AS covariate, count(*) AS requests, count_if(failed) AS failed,
        count_if(fell_back) AS fell_back, sum(latency) AS latency, count(score) AS scores,
        sum(score) AS score, sum({sure}) AS sure
    FROM requests GROUP BY unit
)
SELECT *, {arm}::UTINYINT AS arm, {arm} = 0 AND bucket < {end} AS reserved,
    fits AND NOT ({arm} = 0 AND bucket < {end}) AND first_at < TIMESTAMPTZ '{last}' AS analysed
FROM seen
"""
_COMPARED = """
CREATE OR REPLACE VIEW units AS SELECT *, arm = {number} AS treated FROM exposed {among};
CREATE OR REPLACE VIEW judged_requests AS
SELECT *, arm = {number} AS treated FROM requests {analysed} {among};
"""


@dataclass(frozen=True)
class Source:
    """Which rows of the log are exposures."""

    start: datetime
    end: datetime
    experiment_id: str | None = None
    """None: all traffic counts as control, as when an experiment is planned."""
    finals: tuple[float, ...] = ()
    """Share of each treatment at the end of the ramp."""
    population: tuple[Condition, ...] = ()
    last_exposure_at: datetime | None = None
    """Units first exposed from then on do not count."""
    covariate: str | None = None
    """Feature that is kept as it was at a unit's first exposure."""


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

    def compare(self, number: int) -> None:
        """Let `units` and `judged_requests` be control and one treatment, by its number from 1 on."""
        among = f"WHERE arm IN (0, {number})" if len(self.source.finals) > 1 else ""
        some = self.rows("SELECT 1 FROM exposed WHERE NOT analysed LIMIT 1")
        analysed = "SEMI JOIN (SELECT unit FROM exposed WHERE analysed) USING (unit)" if some else ""
        self.connection.execute(_COMPARED.format(number=number, among=among, analysed=analysed))

    def misplaced(self) -> int:
        """Return how many units' rows contradict themselves, or the hash of the unit."""
        salt = self.source.experiment_id
        broken: int = int(self.rows("SELECT count(*) FROM exposed WHERE broken")[0][0])
        sampled = self.rows(f"SELECT unit, bucket FROM exposed ORDER BY hash(unit) LIMIT {CHECKED_UNITS}")  # noqa: S608
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
    config = {
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        exposed = Exposed(connection, contract, source, outcomes)
        _register_outcomes(exposed)
        _read_log(settings, exposed)
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
        "CREATE TABLE asked AS SELECT DISTINCT prediction_id FROM outcomes WHERE prediction_id IS NOT NULL"
    )


def _read_log(settings: Settings, exposed: Exposed) -> None:
    """Fold the log into the tables."""
    contract, source, connection = exposed.contract, exposed.source, exposed.connection
    connection.execute(_TABLES.format(key=exposed.key))
    asked = bool(exposed.rows("SELECT 1 FROM asked LIMIT 1"))
    fields = _fields(source, asked=asked)
    with logged_parts(settings, contract.name, source.start, source.end, fields) as parts:
        if parts.files:
            _fold(exposed, f"read_parquet({[str(path) for path in parts.files]})", asked=asked)
        for table in parts.tables:
            connection.register("logged", table)
            _fold(exposed, "logged", asked=asked)
            connection.unregister("logged")
    connection.execute(_NAMED)
    fits = "arg_min(fits, seen_at)" if source.population else "true"
    first = "arg_min_null(covariate, seen_at)" if source.covariate is not None else "NULL"
    last = min(source.last_exposure_at or source.end, source.end).isoformat()
    sure = "greatest(score, 1 - score)" if contract.task is Task.BINARY else "score"
    arm, end = _places(source.finals)
    connection.execute(_UNITS.format(arm=arm, end=end, fits=fits, last=last, sure=sure, covariate=first))
    exposed.compare(1)
    if exposed.rows("SELECT 1 FROM exposed WHERE unit IS NULL LIMIT 1"):
        raise DataError(f"{contract.name}: the log holds units that are no {exposed.key}")


def _fold(exposed: Exposed, logged: str, *, asked: bool) -> None:
    """Add a part's rows to the tables."""
    said = {"key": exposed.key, "logged": logged, "asked": "NULL", **_expressions(exposed)}
    if asked:
        said |= {"logged": f"{logged} LEFT JOIN asked a USING (prediction_id)", "asked": "a.prediction_id"}
    try:
        exposed.connection.execute(_FOLD.format(**said))
    except duckdb.IOException as error:
        raise DataError(f"the compacted log of {exposed.contract.name} cannot be read: {error}") from error


def _fields(source: Source, *, asked: bool) -> list[str]:
    return [
        "unit",
        "assigned_variant",
        "release_or_experiment_id",
        "predicted_at",
        "status",
        "fallback_reason",
        "source",
        "latency_seconds",
        "share",
        "bucket",
        "outputs",
        *(["prediction_id"] if asked else []),
        *(["features"] if source.population or source.covariate is not None else []),
    ]


def _expressions(exposed: Exposed) -> dict[str, str]:
    """Return what differs between an experiment and plain traffic, or between tasks."""
    source, contract = exposed.source, exposed.contract
    start, end = source.start.isoformat(), source.end.isoformat()
    reasons = ", ".join(f"'{reason.value}'" for reason in sorted(NOT_ANSWERED))
    shared = {
        "window": f"predicted_at >= TIMESTAMPTZ '{start}' AND predicted_at < TIMESTAMPTZ '{end}' "
        f"AND source = '{LoggedSource.LIVE.value}'",
        # The same as the ramp's guardrails count.
        "failed": f"status IN ('failed', 'refused') OR coalesce(fallback_reason IN ({reasons}), false)",
        "score": "list_max(outputs)" if contract.task is Task.MULTICLASS else "outputs[1]",
        "fits": " AND ".join(["true", *(_condition(each) for each in source.population)]),
        "covariate": "NULL" if source.covariate is None else _number(source.covariate),
    }
    if source.experiment_id is None:
        plain = {
            "arm": "0",
            "share": "0.0",
            "bucket": "0.5",
            "inside": "assigned_variant = 'champion'",
        }
        return shared | plain
    salt = source.experiment_id.replace("'", "''")
    inside = f"coalesce(release_or_experiment_id = '{salt}' AND bucket IS NOT NULL, false)"
    return shared | {
        "arm": logged_arm(len(source.finals)),
        "share": "share",
        "bucket": "bucket",
        "inside": inside,
    }


def logged_arm(treatments: int) -> str:
    """Return the arm of a logged row: 0 for control, then the treatments by their number."""
    names = (CHALLENGER, *(f"{CHALLENGER}_{number}" for number in range(2, treatments + 1)))
    cases = " ".join(f"WHEN '{name}' THEN {number}" for number, name in enumerate(names, start=1))
    return f"CASE assigned_variant {cases} ELSE 0 END"


def _places(finals: tuple[float, ...]) -> tuple[str, str]:
    """Return the arm of a place at a share, as `ExperimentPlan.slots` has it, and where all of them end."""
    cases, start = ["CASE"], 0.0
    for number, final in enumerate(finals, start=1):
        width = "share" if number == 1 else f"CASE WHEN share >= {finals[0]!r} THEN {final!r} ELSE share END"
        cases.append(f"WHEN bucket >= {start!r} AND bucket < {start!r} + {width} THEN {number}")
        start += final
    return (" ".join([*cases, "ELSE 0 END"]) if finals else "0"), repr(start)


def _number(feature: str) -> str:
    return f"TRY_CAST((features ->> '{feature}') AS DOUBLE)"


def _condition(condition: Condition) -> str:
    value = f"(features ->> '{condition.feature}')"
    if condition.values is not None:
        names = ", ".join("'" + value.replace("'", "''") + "'" for value in condition.values)
        return f"coalesce({value} IN ({names}), false)"
    bounds = [
        f"{_number(condition.feature)} {sign} {bound!r}"
        for sign, bound in ((">=", condition.minimum), ("<=", condition.maximum))
        if bound is not None
    ]
    return f"coalesce({' AND '.join(bounds)}, false)"
