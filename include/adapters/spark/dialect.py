"""DuckDB's SQL as Spark's: parsed, mended on the tree, written again; what has no equal is refused.

sqlglot translates the grammar and most functions; `meanings` knows where the translation would mean something
else.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlglot import exp, parse
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError
from sqlglot.optimizer.scope import traverse_scope

from include.adapters.engines import EngineError, Parameters
from include.adapters.spark.meanings import GRAMMAR, MENDS, NAMED_MENDS, SAME, Mend

_SHOWN = 60


class UntranslatableError(EngineError):
    """A query uses what Spark has no equal of; the message names line and function."""


def translate(sql: str, tables: Mapping[str, str], parameters: Parameters | None = None) -> str:
    """Return a query of DuckDB's dialect in Spark's.

    Args:
        sql: one SELECT.
        tables: what each relation is called in Spark, by its name in the query.
        parameters: values for `$name`.

    Raises:
        UntranslatableError: it is not one SELECT, or a function in it has no equal.
    """
    tree = _parsed(sql)
    _rename(tree, tables)
    filled = tree.transform(lambda node: _filled(node, parameters or {}), copy=False)
    try:
        return _mended(filled).sql(dialect="spark", unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise UntranslatableError(f"Spark cannot say it: {error}") from error


def _parsed(sql: str) -> exp.Expr:
    try:
        trees = [tree for tree in parse(sql, dialect="duckdb") if tree is not None]
    except SqlglotError as error:
        raise UntranslatableError(f"the query cannot be read: {error}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise UntranslatableError("the query is not one SELECT")
    return trees[0]


def _rename(tree: exp.Expr, tables: Mapping[str, str]) -> None:
    """Let relations be found under Spark's names, and still be called what the query calls them."""
    for scope in traverse_scope(tree):
        for source in scope.sources.values():
            if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
                continue
            name = source.name
            if name not in tables:
                continue
            if not source.alias:
                source.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
            source.set("this", exp.to_identifier(tables[name], quoted=True))


def _filled(node: exp.Expr, parameters: Parameters) -> exp.Expr:
    if not isinstance(node, exp.Placeholder):
        return node
    value = parameters[node.name]
    if isinstance(value, datetime):
        return exp.cast(exp.Literal.string(value.isoformat()), "TIMESTAMPTZ")
    return exp.convert(value)


def _mended(tree: exp.Expr) -> exp.Expr:
    # Parents come first in this list, so that from its end what a mend looks at is mended already.
    for node in reversed(list(tree.bfs())):
        mend = _mend_of(node)
        if mend is not None:
            mended = mend(node.copy())
            if mended is None:
                raise _refused(node)
            node.replace(mended)
    return tree


def _mend_of(node: exp.Expr) -> Mend | None:
    """Return what makes a node mean the same; None where it does.

    Raises:
        UntranslatableError: nobody knows whether it does.
    """
    if isinstance(node, exp.Anonymous) and node.name.upper() in NAMED_MENDS:
        return NAMED_MENDS[node.name.upper()]
    if isinstance(node, exp.In) and _is_condition(node):
        return None
    if type(node) in MENDS:
        return MENDS[type(node)]
    is_series = isinstance(node, exp.GenerateSeries) and isinstance(node.parent, exp.Table)
    if is_series or type(node) in GRAMMAR or type(node) in SAME:
        return None
    raise _refused(node)


def _is_condition(node: exp.Expr) -> bool:
    """Say whether rows are kept by a node, alone or beside others, so that null is as good as false."""
    parent = node.parent.parent if isinstance(node.parent, exp.Not) else node.parent
    while isinstance(parent, (exp.And, exp.Paren)):
        parent = parent.parent
    return isinstance(parent, (exp.Where, exp.Having))


def _refused(node: exp.Expr) -> UntranslatableError:
    name = node.name if isinstance(node, exp.Anonymous) else _written(node)
    return UntranslatableError(
        f"line {_line(node)}: Spark has no known equal of {name}; say it with what docs/spark.md lists, or "
        "compute on one machine (NINETY_ENGINE=duckdb)"
    )


def _line(node: exp.Expr) -> int:
    """Return the line a node stands on, or what it is part of where it bears none."""
    lines = [line for each in node.walk() if (line := each.meta.get("line")) is not None]
    if lines or node.parent is None:
        return int(min(lines, default=1))
    return _line(node.parent)


def _written(node: exp.Expr) -> str:
    """Return a node as its query writes it, cut short."""
    text = node.sql(dialect="duckdb")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
