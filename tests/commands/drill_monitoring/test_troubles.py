from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from include.commands.drill_monitoring.troubles import CATEGORY, GROUP, MONEY, TROUBLES
from include.commands.drill_monitoring.weeks import LABEL, UNIT, Healthy
from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT

MOMENT = datetime(2017, 9, 1, tzinfo=UTC)
BY_NAME = {trouble.name: trouble for trouble in TROUBLES}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Rows of three hundred units, three each."""
    dice = np.random.default_rng(1)
    size = 900
    money = {name: dice.gamma(2.0, 30.0, size) for name in MONEY}
    return pd.DataFrame(
        {
            UNIT: np.repeat([str(number) for number in range(300)], 3),
            LABEL: dice.integers(0, 2, size) * 1.0,
            CATEGORY: dice.choice(["GROCERY", "FUEL"], size),
            GROUP: dice.integers(0, 40, size) * 1.0,
            **money,
        }
    )


def test_a_day_has_each_unit_once(rows: pd.DataFrame) -> None:
    """The same for the same day and seed, others on another day."""
    healthy = Healthy(rows)
    day = healthy.day(MOMENT, 7, 200)
    assert (200, 200) == (len(day), day[UNIT].nunique())
    pd.testing.assert_frame_equal(day, healthy.day(MOMENT, 7, 200))
    assert list(day[UNIT]) != list(healthy.day(MOMENT + timedelta(days=1), 7, 200)[UNIT])


def test_each_trouble_touches_what_it_says(rows: pd.DataFrame) -> None:
    """Money alone in cents, names alone renamed, labels alone flipped, and of the population half is gone."""
    cents = BY_NAME["cents"].spoil(rows)
    assert all((cents[name] == 100 * rows[name]).all() for name in MONEY)
    pd.testing.assert_frame_equal(cents.drop(columns=list(MONEY)), rows.drop(columns=list(MONEY)))
    renamed = BY_NAME["renamed"].spoil(rows)
    assert {"GROCERY AND FOOD", "FUEL"} == set(renamed[CATEGORY])
    assert list(renamed[CATEGORY] == "FUEL") == list(rows[CATEGORY] == "FUEL")
    flipped = BY_NAME["concept"].spoil(rows)
    touched = flipped[LABEL] != rows[LABEL]
    assert rows[GROUP][touched].min() > rows[GROUP][~touched].max() - 1
    assert 0.3 < touched.mean() < 0.4
    pd.testing.assert_frame_equal(flipped.drop(columns=LABEL), rows.drop(columns=LABEL))
    rare = BY_NAME["population"].spoil(rows)
    assert 0.45 < len(rare) / len(rows) < 0.55
    assert rare[GROUP].max() <= rows[GROUP].median()


def test_troubles_speak_of_inputs_there_are() -> None:
    """A trouble with what the model does not read would be found by nobody."""
    contract = model_folder((REPOSITORY_ROOT / "include" / "models",), "churn").written
    assert {*MONEY, CATEGORY, GROUP} <= {item.name for item in contract.features.inputs}
