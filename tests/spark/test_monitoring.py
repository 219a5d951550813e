"""The label join and the shifts of inputs on the cluster, held against the ones of one machine."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from math import inf, nan

import numpy as np
import pyarrow
import pytest

from include.adapters.engines import open_engine
from include.config.settings import Settings
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task
from include.monitoring.label_join import LABELS, OUTCOMES, PREDICTIONS, join_labels
from include.monitoring.samples import sample
from include.monitoring.shifts import input_shifts

pytestmark = pytest.mark.spark
MIDNIGHT = datetime(2017, 11, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def joined_inputs(seed: int) -> tuple[pyarrow.Table, pyarrow.Table, pyarrow.Table]:
    """Return predictions, labels and outcomes with every trouble there is, duplicates among them."""
    dice = np.random.default_rng(seed)

    def hours(rows: int) -> list[datetime]:
        return [MIDNIGHT + int(each) * HOUR for each in dice.integers(0, 72, rows)]

    predictions = [
        {
            "prediction_id": f"p{number}",
            "unit": f"u{dice.integers(0, 60)}",
            "predicted_at": moment + timedelta(microseconds=int(dice.integers(0, 9))),
            "served_version": "1.0.0",
            "assigned_variant": None if number % 7 == 0 else "champion",
            "outputs": [float(dice.random())] * int(dice.integers(0, 3)),
        }
        for number, moment in enumerate(hours(400))
    ]
    values = (0.0, 1.0, 0.0, 1.0, 0.5, 2.0, nan, inf, -1.0)
    labels = [
        {
            "unit": f"u{dice.integers(0, 60)}",
            "event_at": moment if number % 9 == 0 else moment.replace(hour=0),
            "known_at": moment + int(dice.choice([14, 14, 20, 40, -3])) * DAY,
            "value": float(dice.choice(values)),
            "version": int(dice.integers(1, 4)),
            "source": str(dice.choice(["label.sql", "by hand"])),
        }
        for number, moment in enumerate(hours(500))
    ]
    outcomes = [
        {
            "outcome_id": f"o{number}",
            "prediction_id": f"p{dice.integers(0, 420)}" if number % 2 else None,
            "unit": None if number % 2 else f"u{dice.integers(0, 60)}",
            "value": float(dice.choice(values)),
            "occurred_at": moment,
            "recorded_at": moment + int(dice.integers(-5, 300)) * HOUR,
        }
        for number, moment in enumerate(hours(120))
    ]
    tables = zip((predictions, labels + labels[:40], outcomes), (PREDICTIONS, LABELS, OUTCOMES), strict=True)
    return tuple(pyarrow.Table.from_pylist(rows, schema) for rows, schema in tables)


def sorted_rows(table: pyarrow.Table) -> list[str]:
    """Return a table's rows in one order, NaN equal to itself."""
    return sorted(map(repr, table.to_pylist()))


@pytest.mark.parametrize(
    ("task", "classes", "days"),
    [
        (Task.BINARY, (), 16),
        (Task.MULTICLASS, ("x", "y", "z"), 30),
        (Task.REGRESSION, (), 45),
        (Task.BINARY, (), 0),
    ],
)
def test_the_label_join_is_the_same(on_spark, tmp_path, task, classes, days):
    """Every labelled prediction, every refusal with its reason, every superseded row."""
    inputs = (FeatureInput(name="a", kind=FeatureKind.NUMERIC, view="v"),)
    signature = Signature(task=task, inputs=inputs, classes=classes)
    tables, as_of = joined_inputs(days), MIDNIGHT + days * DAY
    here = join_labels(signature, *tables, as_of)
    engine = open_engine(on_spark(Settings(home=tmp_path)))
    there = join_labels(signature, *tables, as_of, engine=engine)
    assert here.superseded == there.superseded
    assert sorted_rows(here.labelled) == sorted_rows(there.labelled)
    assert sorted_rows(here.refused) == sorted_rows(there.refused)
    assert here.labelled.schema == there.labelled.schema
    if days:
        assert here.labelled.num_rows > 10
        assert here.refused.num_rows > 10


def alike(expected: object, found: object) -> bool:
    """Say whether details are equal, numbers but for rounding, whatever is nested in them."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and expected.keys() == found.keys()
            and all(alike(each, found[name]) for name, each in expected.items())
        )
    if isinstance(expected, list | tuple):
        return len(expected) == len(found) and all(map(alike, expected, found))
    if isinstance(expected, float):
        return found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)
    return expected == found


def asked_with(rows: int, seed: int, shift: float) -> pyarrow.Table:
    """Return inputs of every kind: rounded and whole numbers, ties, infinities, NaN, nulls, an empty one."""
    dice = np.random.default_rng(seed)
    smooth = dice.lognormal(shift, 1, rows)
    smooth[:4] = [inf, -inf, 0.0, -0.0]
    tied = np.round(dice.normal(5 + shift, 3, rows), 1)
    tied[dice.random(rows) < 0.05] = nan
    return pyarrow.table(
        {
            "smooth": smooth,
            "tied": pyarrow.array(tied, mask=dice.random(rows) < 0.03),
            "whole": pyarrow.array(dice.poisson(4 + 3 * shift, rows)),
            "truth": pyarrow.array(dice.random(rows) < 0.4 + shift / 10),
            "empty": pyarrow.array([None] * rows, pyarrow.float64()),
            "word": pyarrow.array(
                dice.choice(["x", "y", "", "ü", "it's", f"new{seed}"], rows), mask=dice.random(rows) < 0.1
            ),
            "unit": dice.integers(0, 300, rows).astype(str),
        }
    )


KINDS = {
    "smooth": "numeric",
    "tied": "numeric",
    "whole": "numeric",
    "truth": "numeric",
    "empty": "numeric",
    "word": "categorical",
}
SIGNATURE = Signature(
    task=Task.BINARY,
    inputs=tuple(
        FeatureInput(name=name, kind=kind, view="v", **({"minimum": 0} if name == "tied" else {}))
        for name, kind in KINDS.items()
    ),
)


def test_shifts_of_inputs_are_the_same(on_spark, tmp_path):
    """KS, PSI, chi-squared, ranges, medians, unseen categories, independent rows: up to 1e-12."""
    reference, current = asked_with(3_000, 1, 0.0), asked_with(20_000, 2, 0.2)
    here = input_shifts(sample(reference), sample(current, current["unit"]), SIGNATURE)
    with closing(open_engine(on_spark(Settings(home=tmp_path)))) as engine:
        there = input_shifts(sample(reference), sample(current, current["unit"]), SIGNATURE, engine)
    assert len(here) == len(there) == 18
    for expected, found in zip(here, there, strict=True):
        assert (expected.subject, expected.metric, expected.rows) == (found.subject, found.metric, found.rows)
        for name in ("value", "effect", "independent", "p_value"):
            one, other = getattr(expected, name), getattr(found, name)
            assert (one is None) == (other is None), (expected, found)
            assert one is None or one == pytest.approx(other, rel=1e-9, abs=1e-12)
        assert alike(expected.details, found.details), (expected.details, found.details)
