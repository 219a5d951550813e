"""Every function and operator that is let through gives the same values on both engines."""

import math
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time

import pyarrow
import pytest

from include.adapters.duckdb_engine import DuckDBEngine
from include.adapters.engines import Engine
from include.adapters.spark.engine import SparkEngine
from include.config.settings import Settings

pytestmark = pytest.mark.spark
INF, NAN = math.inf, math.nan
MOMENTS = ["2017-01-31T23:59:59.999999", "2017-02-01T00:00:00", "2016-12-31T22:30:00.500000", None]
ROWS = pyarrow.table(
    {
        "i": pyarrow.array([7, -7, 0, None, 2, 3, 100, 1], pyarrow.int64()),
        "j": pyarrow.array([2, 2, 3, 4, 0, None, -7, 1], pyarrow.int64()),
        "x": pyarrow.array([2.5, -2.5, 3.5, None, NAN, INF, -INF, 0.49999999999999994], pyarrow.float64()),
        "y": pyarrow.array([0.0, 1.0, 3.0, 2.0, 2.0, 2.0, 0.0, -1e300], pyarrow.float64()),
        "s": ["b", "B", "", None, "é", "a b", "ab", "_"],
        "f": [True, False, None, True, False, True, True, False],
        "t": pyarrow.array(
            [None if each is None else datetime.fromisoformat(each) for each in MOMENTS * 2],
            pyarrow.timestamp("us"),
        ),
        "u": pyarrow.array(
            [None if each is None else datetime.fromisoformat(each) for each in MOMENTS[::-1] * 2],
            pyarrow.timestamp("us"),
        ),
        "g": [1, 1, 1, 1, 2, 2, 2, 2],
        "n": pyarrow.array(range(8), pyarrow.int64()),
    }
)
OF_ROWS = [
    *("i + j", "i - j", "i * j", "-i", "i // nullif(j, 0)", "i % nullif(j, 0)", "i / j", "j / i", "i / 3"),
    *("x / y", "y / x", "x / 0", "i / 4 / 2", "i & 5", "i | 8", "xor(i, 3)", "s || 'z'", "0.5 * i / 3"),
    *("i = j", "i <> j", "x > y", "x >= 0", "x = x", "i BETWEEN 0 AND 7", "i IN (1, 2)", "s LIKE 'a%'"),
    *("i IS NULL", "i IS NOT DISTINCT FROM j", "i IS DISTINCT FROM j", "f AND i > 0", "f OR i > 0", "NOT f"),
    *(
        "coalesce(i, j, 5)",
        "nullif(i, 7)",
        "greatest(i, j)",
        "least(i, j)",
        "if(f, 1, 2)",
        "abs(i)",
        "sign(i)",
    ),
    *("CASE WHEN f THEN 'yes' WHEN i > 1 THEN 'i' ELSE 'no' END", "CASE i WHEN 7 THEN 1 END"),
    *("sqrt(abs(y))", "exp(i)", "pow(2, i)", "floor(x)", "ceil(x)", "floor(y)", "round(x)", "round(y)"),
    *("isfinite(x)", "isfinite(y)", "isnan(x)", "round(y / 1e290)::BIGINT"),
    *(
        "(i / 2)::BIGINT",
        "(i / 2)::INTEGER",
        "floor(i / 2)::BIGINT",
        "i::DOUBLE",
        "i::VARCHAR",
        "f",
        "s::VARCHAR",
    ),
    *(
        "'12'::BIGINT",
        "try_cast(s AS BIGINT)",
        "i::BIGINT",
        "(i + 1152921504606846976)::BIGINT",
        "i::INTEGER",
        "true::BIGINT",
        "t::DATE",
        "t::TIMESTAMPTZ",
    ),
    *("upper(s)", "lower(s)", "length(s)", "year(t)", "month(t)", "day(t)", "hour(t)", "minute(t)"),
    *(
        "t - INTERVAL 30 DAY",
        "t + INTERVAL 36 HOUR",
        "t - to_days(i::INTEGER)",
        "t > u",
        "t::DATE - INTERVAL 1 DAY",
    ),
    *(f"date_trunc('{unit}', t)" for unit in ("day", "hour", "month", "year", "week")),
    *(
        f"date_diff('{unit}', u, t)"
        for unit in ("day", "hour", "minute", "second", "month", "quarter", "year")
    ),
    *(
        "epoch(t)",
        "epoch(t)::BIGINT",
        "epoch_us(t)",
        "epoch_us(t::TIMESTAMPTZ)",
        "timezone('UTC', t::TIMESTAMPTZ)",
    ),
    *("TIMESTAMP '2017-01-01 10:00:00'", "TIMESTAMPTZ '2017-01-01 10:00:00+02'", "DATE '2017-03-26'"),
    *(
        "row_number() OVER (PARTITION BY g ORDER BY i)",
        "rank() OVER (ORDER BY i)",
        "lead(i) OVER (ORDER BY n)",
    ),
    *(
        "row_number() OVER (ORDER BY i DESC, n)",
        "dense_rank() OVER (ORDER BY g)",
        "lag(s, 2) OVER (ORDER BY n)",
    ),
    *(
        "row_number() OVER (ORDER BY s, n)",
        "row_number() OVER (ORDER BY x, n)",
        "row_number() OVER (ORDER BY f, n)",
    ),
    *("sum(i) OVER (PARTITION BY g ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",),
    *("sum(i) OVER (PARTITION BY g ORDER BY n)", "count(*) OVER (PARTITION BY g)"),
    *("(SELECT max(i) FROM rows_here)", "EXISTS (SELECT 1 FROM rows_here)"),
]
OF_GROUPS = [
    *("sum(i)", "sum(i)::BIGINT", "count(*)", "count(i)", "count(DISTINCT f)", "min(x)", "max(x)", "avg(i)"),
    *("min(s)", "max(s)", "min(t)", "max(t)", "stddev(i)", "var_samp(i)", "bool_or(f)", "bool_and(f)"),
    *("sum(i) FILTER (f)", "count(*) FILTER (i > 0)", "coalesce(sum(i) FILTER (i > 1000), 0)::BIGINT"),
    *("max({'a': g, 'b': n, 'c': s}).b", "min({'a': n, 'c': s}).c", "arg_max(s, i)", "arg_min(s, i)"),
    *("max_by(x, n)", "sum(i) / count(*) / 100", "max(g)"),
]


@pytest.fixture(scope="module")
def engines(on_spark, tmp_path_factory) -> Iterator[tuple[Engine, Engine]]:
    """Both engines with the same rows."""
    settings = on_spark(Settings(home=tmp_path_factory.mktemp("meanings")))
    with closing(DuckDBEngine.new()) as duckdb, closing(SparkEngine.of(settings)) as spark:
        for engine in (duckdb, spark):
            engine.register("rows_here", ROWS)
        yield duckdb, spark


def close(expected: object, found: object) -> bool:
    """Say whether two values are the same; of doubles, up to the last bits of a function's result."""
    if isinstance(expected, float) and isinstance(found, float):
        both_nan = math.isnan(expected) and math.isnan(found)
        return both_nan or math.isclose(expected, found, rel_tol=1e-15)
    return as_moment(expected) == as_moment(found)


def as_moment(value: object) -> object:
    """Return a date, or a moment with a zone, as the moment without one that it is."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return datetime.combine(value, time()) if isinstance(value, date) else value


@pytest.mark.parametrize(
    "sql",
    [f"SELECT n, {each} AS v FROM rows_here ORDER BY n" for each in OF_ROWS]  # noqa: S608
    + [f"SELECT g, {each} AS v FROM rows_here GROUP BY g ORDER BY g" for each in OF_GROUPS]  # noqa: S608
    + [
        "SELECT n, r FROM rows_here, range(1, 4) AS numbers(r) ORDER BY n, r",
        "SELECT n FROM rows_here WHERE i IN (SELECT j FROM rows_here) ORDER BY n",
        "SELECT n FROM rows_here WHERE i NOT IN (SELECT j FROM rows_here) ORDER BY n",
        "SELECT n FROM rows_here WHERE i NOT IN (SELECT j FROM rows_here WHERE j > 2) AND f ORDER BY n",
        "SELECT DISTINCT ON (g) g, n FROM rows_here ORDER BY g, n",
        "SELECT g, n FROM rows_here QUALIFY row_number() OVER (PARTITION BY g ORDER BY n) = 2 ORDER BY g",
        "SELECT g, f, count(*) AS c FROM rows_here GROUP BY ALL ORDER BY g, f NULLS FIRST",
        "SELECT date_trunc('day', t) AS d, count(*) AS c FROM rows_here GROUP BY d ORDER BY d",
        "SELECT n FROM rows_here SEMI JOIN (SELECT j AS i FROM rows_here) AS o USING (i) ORDER BY n",
        "SELECT n FROM rows_here ANTI JOIN (SELECT j AS i FROM rows_here) AS o USING (i) ORDER BY n",
        "SELECT n, s FROM rows_here ORDER BY s, n",
        "SELECT n, s FROM rows_here ORDER BY s DESC, n LIMIT 5",
        "SELECT i FROM rows_here UNION SELECT j FROM rows_here ORDER BY i",
        "SELECT i FROM rows_here EXCEPT SELECT j FROM rows_here ORDER BY i",
        "SELECT i FROM rows_here INTERSECT SELECT j FROM rows_here ORDER BY i",
        "SELECT a.n, b.s FROM rows_here AS a LEFT JOIN rows_here AS b ON a.i = b.j AND b.f ORDER BY a.n, b.n",
        "SELECT a.n, b.n AS m FROM rows_here AS a FULL JOIN rows_here AS b ON a.i = b.j ORDER BY a.n, m",
        "WITH c AS (SELECT g, sum(i) AS s FROM rows_here GROUP BY g HAVING sum(i) > 3) SELECT * FROM c",
    ],
)
def test_both_engines_give_the_same(engines, sql):
    """Row for row."""
    expected, found = ([tuple(row.values()) for row in engine.table(sql).to_pylist()] for engine in engines)
    assert len(expected) == len(found)
    assert all(len(a) == len(b) and all(map(close, a, b)) for a, b in zip(expected, found, strict=True)), (
        expected,
        found,
    )
