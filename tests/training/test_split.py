import numpy as np
import pytest

from include.contracts.errors import DataError
from include.contracts.windows import training_windows
from include.training.split import split
from tests.synthetic import AS_OF, churn_folder, customers


@pytest.fixture
def contract(tmp_path):
    """Churn's contract, content with fewer rows."""
    return churn_folder(tmp_path).contract


def cut(frame, contract):
    """Split a frame as of the moment the dice stop."""
    return split(frame, training_windows(contract.training, contract.label, AS_OF), contract)


def test_no_label_reaches_into_the_next_window(contract):
    """The latest label of each window was known when the next one starts, and all windows have rows."""
    rows = cut(customers(), contract)
    windows = training_windows(contract.training, contract.label, AS_OF)
    assert rows.train["known_at"].max() <= windows.validation.start
    assert rows.validation["known_at"].max() <= windows.test.start
    assert rows.test["known_at"].max() <= AS_OF
    assert rows.train["event_at"].max() < rows.validation["event_at"].min()
    assert rows.validation["event_at"].max() < rows.test["event_at"].min()


def test_the_order_of_stored_rows_does_not_matter(contract):
    """A shuffled training set is cut into the very same tables."""
    frame = customers()
    shuffled = frame.sample(frac=1.0, random_state=4)
    assert cut(frame, contract).train.equals(cut(shuffled, contract).train)


def test_a_missing_feature_is_named(contract):
    """A snapshot without a column of the contract is refused with its name."""
    with pytest.raises(DataError, match="lacks the columns: total_spend_30d"):
        cut(customers().drop(columns="total_spend_30d"), contract)


def test_too_few_rows_are_refused_with_window_and_count(contract):
    """Window, dates, found and needed rows are in the message."""
    with pytest.raises(
        DataError, match=r"training window of churn, 2017-02-04 to 2017-08-09: \d+ rows .* 500"
    ):
        cut(customers(units=10), contract)
    recent = customers()
    with pytest.raises(DataError, match=r"test window of churn, 2017-09-20 to 2017-11-01: 0 rows"):
        cut(recent[recent["event_at"] < "2017-09-20"], contract)


def test_one_class_is_refused(contract):
    """Training data in which nobody churns teaches nothing."""
    with pytest.raises(DataError, match="all 6000 labels are 0"):
        cut(customers().assign(label=0.0), contract)


def test_a_label_outside_the_task_is_refused(contract):
    """A binary label is 0 or 1."""
    frame = customers()
    frame["label"] = np.where(frame["label"] == 1, 2.0, 0.0)
    with pytest.raises(DataError, match=r"labels must be \[0, 1\]; found \[0.0, 2.0\]"):
        cut(frame, contract)
