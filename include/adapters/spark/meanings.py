"""Which SQL means the same on DuckDB and Spark, and how what does not is made to.

Every function and operator that a query may use is in one of two tables: `SAME`, whose translation by
sqlglot means the same, and `MENDS`, which rewrite the tree where it does not. A test holds both engines to
the same values for each. What is in neither is refused: an unknown difference is worse than no answer.
"""

from collections.abc import Callable

from sqlglot import exp

Mend = Callable[[exp.Expr], exp.Expr | None]
"""Rewrites a node of DuckDB's tree for Spark; None where there is no way to say it."""

GRAMMAR: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With, exp.CTE),
        *(exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Limit),
        *(exp.Order, exp.Ordered, exp.Distinct, exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Star),
        *(exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.DataType, exp.DataTypeParam, exp.Var),
        *(exp.Interval, exp.Window, exp.WindowSpec, exp.Filter, exp.Paren, exp.Tuple, exp.Placeholder),
        *(exp.Between, exp.Is, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Add, exp.Sub, exp.Mul, exp.IntDiv, exp.Mod, exp.Neg),
        *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.DPipe, exp.Dot, exp.PropertyEQ),
    }
)
"""What a query may be made of beside functions."""

SAME: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Sum, exp.Count, exp.Min, exp.Max, exp.Avg, exp.Stddev, exp.StddevSamp, exp.Variance),
        *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lead, exp.Lag, exp.LogicalOr, exp.LogicalAnd),
        *(exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.If, exp.Case, exp.Exists),
        *(exp.Abs, exp.Sign, exp.Sqrt, exp.Exp, exp.Pow),
        *(exp.Upper, exp.Lower, exp.Length),
        *(exp.Year, exp.Month, exp.Day, exp.Hour, exp.Minute),
        *(exp.TimestampTrunc, exp.DateTrunc),
        *(exp.And, exp.Or, exp.Not, exp.Struct),
    }
)
"""Functions whose translation means the same."""

_WHOLE = {exp.DType.BIGINT, exp.DType.INT, exp.DType.SMALLINT, exp.DType.TINYINT}
_KINDS = _WHOLE | {
    *(exp.DType.DOUBLE, exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.BOOLEAN),
    *(exp.DType.DATE, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ),
}
"""What may be cast to."""
_BOUNDARIES = frozenset({"SECOND", "MINUTE", "HOUR", "MONTH", "QUARTER", "YEAR"})
_ZONED, _NAIVE = exp.DataType.build("TIMESTAMPTZ"), exp.DataType.build("TIMESTAMPNTZ")


def _cast(node: exp.Expr, kind: str | exp.DataType) -> exp.Cast:
    return exp.Cast(this=node, to=exp.DataType.build(kind) if isinstance(kind, str) else kind.copy())


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _division(node: exp.Expr) -> exp.Expr:
    """DuckDB divides doubles, by zero too; Spark divides decimals as decimals, and fails at zero."""
    numbers = (_cast(node.this, "DOUBLE"), _cast(node.expression, "DOUBLE"))
    quotient = exp.Div(this=numbers[0], expression=numbers[1])
    if _is_never_zero(node.expression):
        return quotient
    is_zero = exp.EQ(this=numbers[1].copy(), expression=exp.Literal.number(0))
    endless = exp.Mul(this=numbers[0].copy(), expression=_INFINITY.copy())
    return exp.Case(ifs=[exp.If(this=is_zero, true=endless)], default=quotient)


def _is_never_zero(divisor: exp.Expr) -> bool:
    if isinstance(divisor, exp.Nullif):
        divisor = divisor.expression
        return isinstance(divisor, exp.Literal) and divisor.name == "0"
    return isinstance(divisor, exp.Literal) and divisor.name != "0"


def _cast_of(node: exp.Expr) -> exp.Expr | None:
    """DuckDB rounds to the next whole number, of doubles half to even; Spark cuts the fraction off."""
    kind, value = node.args["to"].this, node.this
    if kind not in _KINDS:
        return None
    if kind not in _WHOLE or isinstance(value, (exp.Boolean, exp.Round)):
        return node
    if any(each.is_number and not each.is_int for each in value.find_all(exp.Literal)):
        return None  # a decimal, which DuckDB rounds half away from zero
    rounded = node.copy()
    rounded.set("this", _call("BROUND", value.copy()))
    if _is_number(value):
        return rounded
    # Text goes in as it is: by way of a double it would lose digits.
    is_text = exp.EQ(this=_call("TYPEOF", value.copy()), expression=exp.Literal.string("string"))
    return exp.Case(ifs=[exp.If(this=is_text, true=node)], default=rounded)


def _is_number(value: exp.Expr) -> bool:
    """Say whether a mended node can be seen to be one, whatever its columns are."""
    if isinstance(value, (exp.Paren, exp.Window, exp.Filter, exp.Coalesce)):
        return _is_number(value.this)
    if isinstance(value, exp.Literal):
        return not value.is_string
    return isinstance(value, (exp.Sum, exp.Count, exp.Add, exp.Sub, exp.Mul, exp.Div))


def _in(node: exp.Expr) -> exp.Expr | None:
    """As a value, Spark's IN over a query is false where DuckDB's is null; as a condition they are alike."""
    return node if node.args.get("query") is None else None


_INFINITY = _cast(exp.Literal.string("Infinity"), "DOUBLE")


def _round(node: exp.Expr) -> exp.Expr | None:
    """To whole numbers both round half away from zero; to digits they look at different expansions."""
    return None if node.args.get("decimals") else node


def _floor(node: exp.Expr) -> exp.Expr:
    """Spark's is a BIGINT, which makes 0 of NaN and overflows; DuckDB's stays what it was."""
    rounded = _cast(node, "DOUBLE")
    within = exp.LT(this=exp.Abs(this=node.this.copy()), expression=exp.Literal.number(9 * 10**18))
    other = _cast(node.this.copy(), "DOUBLE")
    return exp.Case(ifs=[exp.If(this=within, true=rounded)], default=other)


def _is_nan(node: exp.Expr) -> exp.Expr:
    """Spark says of null that it is no NaN; DuckDB says nothing."""
    known = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
    return exp.Case(ifs=[exp.If(this=known, true=node)])


def _is_finite(value: exp.Expr) -> exp.Expr:
    """Spark has no `isfinite`; NaN compares as larger than anything, infinity included."""
    return exp.Paren(this=exp.LT(this=exp.Abs(this=value), expression=_INFINITY.copy()))


def _epoch_us(moment: exp.Expr) -> exp.Expr:
    """Spark counts microseconds of moments with a zone only; without one they are UTC."""
    return _call("UNIX_MICROS", _cast(moment, _ZONED))


def _epoch(node: exp.Expr) -> exp.Expr:
    """DuckDB's seconds have a fraction; Spark's UNIX_TIMESTAMP cuts it off."""
    million = _cast(exp.Literal.number(1_000_000), "DOUBLE")
    return exp.Div(this=_cast(_epoch_us(node.this), "DOUBLE"), expression=million)


def _date_diff(node: exp.Expr) -> exp.Expr | None:
    """DuckDB counts the boundaries between two moments; Spark counts whole spans."""
    unit, start, end = node.text("unit").upper(), node.expression, node.this
    if unit == "DAY":
        return _cast(_call("DATEDIFF", _cast(end, "DATE"), _cast(start, "DATE")), "BIGINT")
    if unit not in _BOUNDARIES:
        return None
    floors = (_call("DATE_TRUNC", exp.Literal.string(unit), each) for each in (start, end))
    return _cast(_call("TIMESTAMPDIFF", exp.var(unit), *floors), "BIGINT")


def _range(table: exp.Expr) -> exp.Expr | None:
    """As a table of whole numbers Spark has it under its own name; sqlglot would make an array of it."""
    series = table.this
    if not isinstance(series, exp.GenerateSeries):
        return table
    if not series.args.get("is_end_exclusive") or series.args.get("step"):
        return None
    table.set("this", _call("RANGE", series.args["start"], series.args["end"]))
    return table


def _of_extreme(node: exp.Expr) -> exp.Expr | None:
    """DuckDB passes over rows whose value is null; Spark would return that null."""
    if node.args.get("count"):
        return None
    known = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
    node.set("expression", exp.Case(ifs=[exp.If(this=known, true=node.expression)]))
    return node


def _join(join: exp.Expr) -> exp.Expr | None:
    """Spark has no ASOF and no positional joins."""
    return None if join.text("method").upper() in {"ASOF", "POSITIONAL"} else join


def _in_zone(node: exp.Expr) -> exp.Expr | None:
    """Only UTC: Spark's moments are converted by the session's zone, which is that."""
    zone, moment = node.expressions
    return _cast(moment, _NAIVE) if zone.is_string and zone.name.upper() == "UTC" else None


MENDS: dict[type[exp.Expr], Mend] = {
    exp.Div: _division,
    exp.Cast: _cast_of,
    exp.TryCast: _cast_of,
    exp.Round: _round,
    exp.In: _in,
    exp.Floor: _floor,
    exp.Ceil: _floor,
    exp.IsNan: _is_nan,
    exp.TimeToUnix: _epoch,
    exp.DateDiff: _date_diff,
    exp.ArgMax: _of_extreme,
    exp.ArgMin: _of_extreme,
    exp.Table: _range,
    exp.Join: _join,
    exp.ToDays: lambda node: _call("MAKE_DT_INTERVAL", node.this),
}
"""By the class sqlglot reads a function or operator as."""

NAMED_MENDS: dict[str, Mend] = {
    "ISFINITE": lambda node: _is_finite(node.expressions[0]),
    "EPOCH_US": lambda node: _epoch_us(node.expressions[0]),
    "TO_DAYS": lambda node: _call("MAKE_DT_INTERVAL", node.expressions[0]),
    "TIMEZONE": _in_zone,
}
"""By name, of functions sqlglot has no class for."""
