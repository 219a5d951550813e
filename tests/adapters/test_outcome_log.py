from datetime import UTC, datetime

import msgspec
import pytest

from include.adapters.outcome_log import INDEX_NAME, OutcomeLog, Receipt, read
from include.contracts.errors import ConflictError, LogWriteError
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
    """A killed writer's outcomes are known again, also those its index never heard of."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome("a")])
    with log._index.adding([]):
        log._writer.append(MOMENT.date(), [msgspec.msgpack.encode(outcome("b"))])
    log.close()
    path = next(tmp_path.rglob("*.log"))
    path.with_suffix(".open").touch()
    with path.open("ab") as file:
        file.write(b"torn")
    log = OutcomeLog(tmp_path, 2**20)

    assert (1, 4) == (log.recovery.torn_tails, log.recovery.bytes_removed)
    assert Receipt(1, 2) == log.append([outcome("a"), outcome("b"), outcome("c")])
    assert ["a", "b", "c"] == sorted(row.outcome_id for row in read(tmp_path))
    log.close()


@pytest.mark.parametrize("content", [None, b"no database " * 100])
def test_an_index_that_is_missing_or_broken_is_rebuilt(tmp_path, content):
    """The log is the truth; the index comes from it."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome("a")])
    log.close()
    (tmp_path / INDEX_NAME).unlink()
    if content is not None:
        (tmp_path / INDEX_NAME).write_bytes(content)
    log = OutcomeLog(tmp_path, 2**20)

    assert Receipt(0, 1) == log.append([outcome("a")])
    log.close()


def test_a_start_reads_no_sealed_segment(tmp_path):
    """However long the history and whatever became of it, a start costs the same."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome("a")])
    log.close()
    next(tmp_path.rglob("*.log")).write_bytes(b"no segment at all")
    log = OutcomeLog(tmp_path, 2**20)

    assert Receipt(1, 1) == log.append([outcome("a"), outcome("b")])
    log.close()


def test_a_damaged_segment_is_reported_and_does_not_stop_the_start(tmp_path):
    """What lies before the damage is known."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome("a"), outcome("b"), outcome("c")])
    log.close()
    (tmp_path / INDEX_NAME).unlink()
    path = next(tmp_path.rglob("*.log"))
    path.with_suffix(".open").touch()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    log = OutcomeLog(tmp_path, 2**20)

    assert 1 == len(log.recovery.damaged)
    assert Receipt(0, 1) == log.append([outcome("a")])
    log.close()


def test_what_cannot_be_logged_is_not_known(tmp_path):
    """The index follows the log, not the other way round."""
    log = OutcomeLog(tmp_path, 2**20)
    folder = tmp_path / "day=2017-11-01"
    folder.write_text("in the way")
    with pytest.raises(LogWriteError):
        log.append([outcome("a")])
    folder.unlink()

    assert Receipt(1, 0) == log.append([outcome("a")])
    log.close()
