"""What a query is made of means the same on both engines, and what nobody knows is refused."""

import pytest

from include.adapters.spark.dialect import UntranslatableError, translate


@pytest.mark.parametrize(
    ("sql", "line", "name"),
    [
        ("SELECT a,\n  strftime(b, '%d')\nFROM t", 2, "STRFTIME"),
        ("SELECT\n\n  my_own(a) FROM t", 3, "my_own"),
        ("SELECT unnest(a) FROM t", 1, "UNNEST"),
        ("SELECT round(a, 2) FROM t", 1, "ROUND(a, 2)"),
        ("SELECT (a * 0.5)::BIGINT FROM t", 1, "CAST((a * 0.5) AS BIGINT)"),
        ("SELECT a::DECIMAL(9, 2) FROM t", 1, "DECIMAL(9, 2)"),
        ("SELECT date_diff('week', a, b) FROM t", 1, "DATE_DIFF('WEEK', a, b)"),
        ("SELECT timezone('Asia/Tokyo', a) FROM t", 1, "timezone"),
        ("SELECT t.a FROM t\nASOF JOIN u ON t.a >= u.a", 2, "ASOF"),
        ("SELECT a FROM t TABLESAMPLE 10%", 1, "TABLESAMPLE"),
        ("SELECT a -> 'b' FROM t", 1, "b"),
        ("SELECT a IN (SELECT b FROM u) FROM t", 1, "IN (SELECT b FROM u)"),
        ("SELECT a FROM t WHERE a IN (SELECT b FROM u) OR c", 1, "IN (SELECT b FROM u)"),
        ("SELECT concat(a, b) FROM t", 1, "CONCAT"),
        ("SELECT * FROM range(1, 9, 2) AS r(n)", 1, "RANGE"),
    ],
)
def test_what_is_not_known_to_mean_the_same_is_refused(sql, line, name):
    """With its line and what it is."""
    with pytest.raises(UntranslatableError) as refused:
        translate(sql, {})
    assert f"line {line}: " in str(refused.value)
    assert name.upper() in str(refused.value).upper()


@pytest.mark.parametrize(
    "sql", ["", "SELECT 1; SELECT 2", "CREATE TABLE t AS SELECT 1", "SELECT FROM WHERE ("]
)
def test_only_one_query_is_taken(sql):
    """No statement that changes anything, no two of them, none that cannot be read."""
    with pytest.raises(UntranslatableError):
        translate(sql, {})


def test_relations_are_found_under_other_names_and_called_as_before():
    """Not those of the query's own common table expressions, which may hide one."""
    sql = (
        "WITH u AS (SELECT t.a FROM t) SELECT u.a, (SELECT max(v.a) FROM t AS v) FROM u "
        "WHERE a IN (SELECT a FROM t)"
    )
    assert translate(sql, {"t": "x1", "u": "x2"}) == (
        "WITH u AS (SELECT t.a FROM `x1` AS `t`) SELECT u.a, (SELECT MAX(v.a) FROM `x1` AS v) FROM u "
        "WHERE a IN (SELECT a FROM `x1` AS `t`)"
    )
