"""Is a day worse than others, and can chance have done it?"""

import numpy as np
import pytest

from include.contracts.model import Metric
from include.stats.degradation import (
    ALPHA,
    FEWEST_DAYS,
    DayFigure,
    Degradation,
    Outcome,
    degradation,
    outcomes,
    reference_of,
)
from include.stats.intervals import Estimate


def days(values: list[float], error: float = 0.01, rows: int = 100) -> list[DayFigure]:
    """Return days of equal size."""
    return [DayFigure(Estimate(value, error), rows) for value in values]


def test_the_reference_is_the_mean_weighted_by_rows():
    """Two kinds of days; by hand."""
    uneven = [*days([0.8] * 5, rows=300), *days([0.6] * 5, rows=100)]
    reference = reference_of(uneven, 1)
    assert 0.75 == pytest.approx(reference.mean.value)
    # Ten values around 0.7 by 0.1 spread far more than 0.01: 0.1 * sqrt(10 / 9), less 0.01 squared.
    assert np.sqrt(0.1**2 * 10 / 9 - 0.01**2) == pytest.approx(reference.between)


def test_overlapping_labels_make_a_mean_less_sure_and_never_less_than_a_day():
    """Of days in a row that saw the same, the mean is as sure as one."""
    same = days([0.8] * 30)
    errors = [reference_of(same, overlap).mean.standard_error for overlap in (1, 14, 30, 100)]
    assert pytest.approx([0.01 / 30**0.5, 0.01 * (14 / 30) ** 0.5, 0.01, 0.01]) == errors


def test_worse_is_in_the_metrics_own_direction():
    """Lower AUC and higher loss; by a tenth both."""
    lower = degradation(Metric.ROC_AUC, Estimate(0.72, 0.01), reference_of(days([0.8] * 10), 1))
    higher = degradation(Metric.LOG_LOSS, Estimate(0.55, 0.01), reference_of(days([0.5] * 10), 1))
    assert [0.1, 0.1] == pytest.approx([lower.estimate.value, higher.estimate.value])
    assert (0.8, 0.72) == pytest.approx((lower.reference, lower.current))


def test_too_few_days_are_no_reference():
    """Nothing is compared with four days."""
    with pytest.raises(ValueError, match="too few"):
        reference_of(days([0.8] * (FEWEST_DAYS - 1)), 1)


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.12, 0.02, Outcome.WORSE),
        (0.12, 0.10, Outcome.NOT_SHOWN),
        (0.09, 0.01, Outcome.STEADY),
        (-0.5, 0.01, Outcome.STEADY),
        (0.12, 0.0, Outcome.WORSE),
    ],
)
def test_a_decline_must_be_large_and_no_chance(value, error, expected):
    """By the ratio, and by the interval."""
    found = outcomes({"a": Degradation(Estimate(value, error), 0.8, 0.7)}, 0.1)
    assert {"a": expected} == found
    assert {} == outcomes({}, 0.1)


def test_what_is_judged_together_is_held_to_one_chance():
    """A p-value that shows a decline alone shows none among forty."""
    lone = Degradation(Estimate(0.12, 0.12 / 2.6), 0.8, 0.7)
    assert lone.p_value < ALPHA
    others = {number: Degradation(Estimate(0.0, 0.05), 0.8, 0.8) for number in range(40)}
    assert Outcome.NOT_SHOWN is outcomes({"lone": lone, **others}, 0.1)["lone"]


def test_days_that_differ_by_themselves_do_not_alarm():
    """Weekends: between-day variance enters the error, and nights of chance alarm as seldom as promised."""
    generator, alarms = np.random.default_rng(1), 0
    for _ in range(400):
        values = 0.8 + 0.04 * generator.normal(size=31) + 0.01 * generator.normal(size=31)
        found = degradation(
            Metric.ACCURACY, Estimate(values[-1], 0.01), reference_of(days(list(values[:-1])), 1)
        )
        alarms += outcomes({"a": found}, 0.05)["a"] is Outcome.WORSE
    assert alarms / 400 <= 0.03
