"""Row-level defects as SQL: why a single row of a source is set aside. Pure text, nothing is run here."""

from collections.abc import Iterator

from include.contracts.checks import ColumnCheck
from include.contracts.sources import ColumnType, SourceDefinition

DEFECT = "defect"
"""Column with the reason; null in a good row."""


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def defect_expression(source: SourceDefinition) -> str:
    """Return the expression that gives a row's first defect, or null."""
    cases = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in _defects(source))
    return f"CASE {cases} ELSE NULL END" if cases else "CAST(NULL AS VARCHAR)"


def _defects(source: SourceDefinition) -> Iterator[tuple[str, str]]:
    for name in source.required:
        yield f"{quoted(name)} IS NULL", f"{name} is null"
    for name, column in source.columns.items():
        if column.type is ColumnType.FLOAT64:
            yield f"NOT isfinite({quoted(name)})", f"{name} is not a finite number"
    for name, check in source.checks.columns.items():
        yield from _out_of_range(name, check)
    if source.event_at and source.ingested_at:
        yield (
            f"{quoted(source.event_at)} > {quoted(source.ingested_at)}",
            f"{source.event_at} lies after {source.ingested_at}",
        )


def _out_of_range(name: str, check: ColumnCheck) -> Iterator[tuple[str, str]]:
    if check.minimum is not None:
        yield f"{quoted(name)} < {check.minimum!r}", f"{name} is below {check.minimum:g}"
    if check.maximum is not None:
        yield f"{quoted(name)} > {check.maximum!r}", f"{name} is above {check.maximum:g}"
    if check.values is not None:
        known = ", ".join(literal(value) for value in check.values)
        yield f"{quoted(name)} NOT IN ({known})", f"{name} is none of {', '.join(check.values)}"
