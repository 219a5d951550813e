from datetime import UTC, datetime

import msgspec
import pytest

from include.adapters.outcome_log import OutcomeLog, Receipt, read
from include.contracts.errors import ConflictError
from include.contracts.predictions import OutcomeRow

MOMENT = datetime(2017, 11, 1, 12, tzinfo=UTC)


def outcome(outcome_id: str = "a", **changes: object) -> OutcomeRow:
    """An outcome of a unit of churn."""
    values = {"model": "churn", "metric": "churned", "value": 1.0, "unit": "1"}
    times = {"occurred_at": MOMENT, "recorded_at": MOMENT}
    return OutcomeRow(outcome_id=outcome_id, **(values | times | changes))


def test_an_outcome_sent_twice_is_kept_once(tmp_path):
    """The same outcome again, at another moment and with another key, changes nothing."""
    log = OutcomeLog(tmp_path, 2**20)

    assert Receipt(2, 0) == log.append([outcome("a"), outcome("b")])
    again = msgspec.structs.replace(outcome("a"), recorded_at=MOMENT.replace(hour=13), key_id="other")
    assert Receipt(0, 2) == log.append([again, outcome("b")])
    assert [outcome("a"), outcome("b")] == list(read(tmp_path))
    log.close()


def test_repeats_inside_one_batch_count_as_duplicates(tmp_path):
    """A batch that says the same thing twice is one outcome."""
    log = OutcomeLog(tmp_path, 2**20)

    assert Receipt(1, 1) == log.append([outcome(), outcome()])
    log.close()


def test_an_id_with_other_content_is_refused_with_its_whole_batch(tmp_path):
    """A conflict names the id; nothing of the batch is written."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome("a")])

    with pytest.raises(ConflictError, match="'a'"):
        log.append([outcome("b"), outcome("a", value=0.0)])
    with pytest.raises(ConflictError, match="'c'"):
        log.append([outcome("c"), outcome("c", value=0.0)])
    assert [outcome("a")] == list(read(tmp_path))
    log.close()


def test_what_is_known_is_known_after_a_restart(tmp_path):
    """Idempotency is rebuilt from the log, a torn tail cut off before."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome("a")])
    log.close()
    with next(tmp_path.rglob("*.log")).open("ab") as file:
        file.write(b"torn")
    log = OutcomeLog(tmp_path, 2**20)

    assert Receipt(1, 1) == log.append([outcome("a"), outcome("b")])
    assert ["a", "b"] == sorted(row.outcome_id for row in read(tmp_path))
    log.close()
