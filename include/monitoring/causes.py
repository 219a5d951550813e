"""Data or concept: rows of a reference and of the decline, with their inputs, handed to the reweighting."""

from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from include.adapters.labelled_store import LabelledStore, days_between
from include.config.settings import Settings
from include.contracts.model import Metric, ModelContract
from include.contracts.signatures import FeatureKind
from include.monitoring.figures import rows_of, usable
from include.monitoring.label_days import answered_predictions
from include.stats.metrics import Array
from include.stats.reweighting import Explanation, Sample, explain

MOST_ROWS = 20_000
"""Rows of either side; more say little more and take longer."""
Span = tuple[datetime, datetime]


def why_worse(
    settings: Settings, contract: ModelContract, metric: Metric, spans: tuple[Span, Span], as_of: datetime
) -> Explanation:
    """Say whether other inputs explain that a metric fell from one span of days to another.

    Args:
        settings: says where logs and stores lie.
        contract: the model's; its numeric and categorical inputs are weighed.
        metric: what fell.
        spans: midnights of the reference, and of the decline, each [start, end).
        as_of: labels known later are not seen.

    Raises:
        ValueError: the metric has no value on one of them.
    """
    reference, current = (_labelled(settings, contract, span, as_of) for span in spans)
    codes = _codes(contract, [reference, current])
    return explain(
        metric,
        contract.task,
        _sample(contract, reference, codes),
        _sample(contract, current, codes),
        seed=contract.training.seed,
    )


def _labelled(settings: Settings, contract: ModelContract, span: Span, as_of: datetime) -> pyarrow.Table:
    """Return some labelled predictions of each day of a span, with the inputs they were made from."""
    days = days_between(*span)
    most = -(-MOST_ROWS // len(days))
    return pyarrow.concat_tables([_of_day(settings, contract, day, as_of, most) for day in days])


def _of_day(
    settings: Settings, contract: ModelContract, day: datetime, as_of: datetime, most: int
) -> pyarrow.Table:
    end = day + timedelta(days=1)
    truth = LabelledStore(settings, contract.name).read(day, end, as_of, ("prediction_id", "value"))
    truth = truth.sort_by("prediction_id")
    # Every so many-th by id, so that the same are taken again.
    chosen = truth.take(np.arange(0, len(truth), max(1, -(-len(truth) // most))))
    inputs = answered_predictions(
        settings,
        contract.name,
        day,
        end,
        columns=[f"feature.{item.name}" for item in contract.signature.inputs],
        texts=contract.signature.categorical,
    )
    places = compute.index_in(inputs["prediction_id"], chosen["prediction_id"].combine_chunks())
    found = inputs.append_column("value", chosen["value"].take(places.combine_chunks()))
    return usable(contract.signature, found.filter(compute.is_valid(places)).sort_by("prediction_id"))


def _codes(contract: ModelContract, tables: list[pyarrow.Table]) -> dict[str, pyarrow.Array]:
    """Return the categories of each text input, the most frequent first."""
    found = {}
    for name in contract.signature.categorical:
        values = pyarrow.chunked_array([part for each in tables for part in each[f"feature.{name}"].chunks])
        counted = compute.value_counts(values.drop_null())
        order = np.argsort(-counted.field("counts").to_numpy(), kind="stable")
        found[name] = counted.field("values").take(pyarrow.array(order))
    return found


def _sample(contract: ModelContract, table: pyarrow.Table, codes: dict[str, pyarrow.Array]) -> Sample:
    rows = rows_of(contract.signature, table)
    columns = [
        _numbers(table[f"feature.{item.name}"])
        if item.kind is FeatureKind.NUMERIC
        else _numbers(compute.index_in(table[f"feature.{item.name}"], codes[item.name]))
        for item in contract.signature.inputs
    ]
    return Sample(np.column_stack(columns), rows.labels, rows.scores, rows.units)


def _numbers(column: pyarrow.ChunkedArray) -> Array:
    values: npt.NDArray[np.float64] = column.cast(pyarrow.float64()).to_numpy()
    return np.where(np.isinf(values), np.sign(values) * np.finfo(np.float32).max, values)
