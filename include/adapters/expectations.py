"""Great Expectations: checks turned into suites, frames judged by them.

The verdict is always Great Expectations' own. What it would do slowly on many rows (looking values up in
another table, finding duplicates, counting a day's rows) DuckDB computes into columns beforehand; the suite
then judges those columns.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas

from include.contracts.checks import Checks, ColumnCheck, RowCount
from include.contracts.quality import Failure, Verdict

# Without it the library reports its use over the network.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations
    from great_expectations import expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.expectation import Expectation

FOUND_PREFIX = "found__"
"""A boolean column `found__<column>`: whether the value refers to something."""
FIRST = "first__"
"""A boolean column: whether the row is the first of its key."""
COUNT_RATIO = "rows_over_trailing_mean"
"""Column of a day's rows divided by the mean of the days before it."""

_OBSERVED = ("observed_value", "unexpected_percent")


def columns_exist(columns: Sequence[str]) -> list[Expectation]:
    """Return the expectation that each column is there."""
    return [expectations.ExpectColumnToExist(column=column) for column in columns]


def rows_are_fit(checks: Checks, not_null: Sequence[str]) -> list[Expectation]:
    """Return what each row of a batch must be like.

    Args:
        checks: declared in the YAML.
        not_null: columns that need a value; up to `checks.defect_ratio` of the rows may lack it.
    """
    mostly = 1 - checks.defect_ratio
    found: list[Expectation] = [expectations.ExpectTableRowCountToBeBetween(min_value=1)]
    found += [expectations.ExpectColumnValuesToNotBeNull(column=column, mostly=mostly) for column in not_null]
    for column, check in checks.columns.items():
        found += _column(column, check, mostly)
    for column, reference in checks.references.items():
        found.append(_is_true(f"{FOUND_PREFIX}{column}", 1 - reference.tolerance))
    if checks.key:
        found.append(_is_true(FIRST, 1 - checks.repeated_ratio))
    return found


def is_fresh(column: str, since: datetime) -> Expectation:
    """Return the expectation that the latest moment of a column is not before another."""
    naive = since.astimezone(UTC).replace(tzinfo=None)
    return expectations.ExpectColumnMaxToBeBetween(column=column, min_value=naive)


def counts_are_usual(rows: RowCount) -> Expectation:
    """Return the expectation that no day's rows collapse or explode."""
    return expectations.ExpectColumnValuesToBeBetween(
        column=COUNT_RATIO, min_value=rows.minimum_ratio, max_value=rows.maximum_ratio
    )


def judge(subject: str, frame: pandas.DataFrame, suite: Sequence[Expectation]) -> Verdict:
    """Return Great Expectations' verdict on a frame. Nothing is written to disk."""
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas(subject).add_dataframe_asset(subject)
    definition = great_expectations.ValidationDefinition(
        name=subject,
        data=asset.add_batch_definition_whole_dataframe(subject),
        suite=context.suites.add(great_expectations.ExpectationSuite(subject, expectations=list(suite))),
    )
    result = definition.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY").to_json_dict()
    failures = tuple(_failure(item) for item in result["results"] if not item["success"])
    return Verdict(subject, failures, len(result["results"]), (result,))


def _column(column: str, check: ColumnCheck, mostly: float) -> list[Expectation]:
    found: list[Expectation] = []
    if check.null_ratio < 1:
        found.append(expectations.ExpectColumnValuesToNotBeNull(column=column, mostly=1 - check.null_ratio))
    if check.minimum is not None or check.maximum is not None:
        found.append(
            expectations.ExpectColumnValuesToBeBetween(
                column=column, min_value=check.minimum, max_value=check.maximum, mostly=mostly
            )
        )
    if check.values is not None:
        found.append(
            expectations.ExpectColumnValuesToBeInSet(
                column=column, value_set=list(check.values), mostly=mostly
            )
        )
    return found


def _is_true(column: str, mostly: float) -> Expectation:
    return expectations.ExpectColumnValuesToBeInSet(column=column, value_set=[True], mostly=mostly)


def _failure(item: Mapping[str, Any]) -> Failure:
    config = item["expectation_config"]
    # The first values that broke it stay in the stored result: a failure travels into the ledger.
    details = {name: value for name, value in config["kwargs"].items() if name not in {"batch_id", "column"}}
    observed = next((item["result"][name] for name in _OBSERVED if name in item["result"]), None)
    raised = item["exception_info"].get("exception_message")
    return Failure(config["type"], config["kwargs"].get("column"), raised or observed, details)
