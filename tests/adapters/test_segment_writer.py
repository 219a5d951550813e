from datetime import date, timedelta

import pytest

from include.adapters.segment_writer import OPEN_DAYS, SEGMENT_SECONDS, SegmentWriter
from include.adapters.segments import read_payloads, segments, unsealed
from include.contracts.errors import LogWriteError
from tests.adapters.lossy_disk import LossyDisk

DAY = date(2017, 11, 1)


def test_a_segment_is_sealed_after_an_hour_however_small(tmp_path):
    """The next record of its day goes to a new one; the segments of days that ended are sealed with it."""
    now = [0.0]
    writer = SegmentWriter(tmp_path, 2**20, clock=lambda: now[0])
    writer.append(DAY - timedelta(days=1), [b"yesterday"])
    writer.append(DAY, [b"first"])
    now[0] = SEGMENT_SECONDS - 1
    writer.append(DAY, [b"second"])
    assert 2 == len(unsealed(tmp_path))
    now[0] = SEGMENT_SECONDS
    writer.append(DAY, [b"third"])

    sealed, opened = segments(tmp_path)[1:]
    assert [opened] == unsealed(tmp_path)
    assert ([b"first", b"second"], [b"third"]) == (list(read_payloads(sealed)), list(read_payloads(opened)))
    writer.close()


def test_segments_of_few_days_are_open_at_once(tmp_path):
    """A replay through many days does not keep a file open for each."""
    writer = SegmentWriter(tmp_path, 2**20)
    for number in range(OPEN_DAYS + 3):
        writer.append(DAY + timedelta(days=number), [b"one"])

    assert OPEN_DAYS == len(unsealed(tmp_path))
    writer.close()
    assert [] == unsealed(tmp_path)


@pytest.mark.parametrize("durable", [False, True])
def test_a_full_disk_leaves_no_empty_segments(tmp_path, durable):
    """However often it is tried."""
    disk = LossyDisk()
    writer = SegmentWriter(tmp_path, 2**20, durable=durable, files=disk)
    disk.room = 5
    for _ in range(10):
        with pytest.raises(LogWriteError, match="no room"):
            writer.append(DAY, [b"record"])

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]
    disk.room = None
    writer.append(DAY, [b"record"])
    writer.close()
    assert 1 == len(segments(tmp_path))
