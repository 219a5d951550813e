import asyncio
from contextlib import suppress
from datetime import date
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Event

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from include.adapters import segments as segments_module
from include.adapters.prediction_log import PredictionLog, read, recover
from include.adapters.segment_writer import SegmentWriter, Sync
from include.adapters.segments import read_payloads, segments, unsealed
from include.config.settings import LogDurability
from include.contracts.errors import LogWriteError
from tests.adapters.lossy_disk import LossyDisk
from tests.adapters.test_prediction_log import row

DAYS = (date(2017, 11, 1), date(2017, 11, 2))


class Disk(RuleBasedStateMachine):
    """A durable writer whose syncs, failures and machine are at the mercy of the search."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(mkdtemp()) / "log"
        self.disk = LossyDisk()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(segments_module, "FILES", self.disk)
        self.count = 0
        self.tried: set[bytes] = set()
        self.acknowledged: set[bytes] = set()
        self.waiting: set[bytes] = set()
        self.covered: set[bytes] = set()
        self.sync: Sync | None = None
        self.start()

    def start(self) -> None:
        self.writer = SegmentWriter(self.root, 100, durable=True, files=self.disk)
        self.waiting, self.covered, self.sync, self.has_run = set(), set(), None, False

    @rule(days=st.lists(st.sampled_from(DAYS), min_size=1, max_size=4), rows=st.integers(1, 3))
    def append(self, days, rows):
        for day in days:
            self.append_one(day, rows)

    def append_one(self, day: date, rows: int) -> None:
        batch = [b"%06d" % (self.count + number) * 4 for number in range(rows)]
        self.count += rows
        self.tried |= set(batch)
        with suppress(LogWriteError):
            self.writer.append(day, batch)
            self.waiting |= set(batch)

    @rule()
    def advance_a_sync(self):
        """Begin one, run it, end it: one step at a time, so that all else may come between."""
        if self.sync is None:
            self.sync = self.writer.begin_sync()
            self.covered, self.waiting = self.waiting, set()
        elif not self.has_run:
            self.sync.run()
            self.has_run = True
        else:
            self.end_sync()

    def end_sync(self) -> None:
        try:
            self.writer.end_sync(self.sync)
        except LogWriteError:
            self.waiting = set()
        else:
            self.acknowledged |= self.covered
        self.sync, self.has_run = None, False

    @rule()
    def sync_whole(self):
        self.advance_a_sync()
        while self.sync is not None:
            self.advance_a_sync()

    @rule(failing=st.sampled_from(("nothing", "sync", "room")), room=st.integers(0, 150), cut=st.booleans())
    def fail(self, failing, room, cut):
        self.disk.failing = {".log"} if failing == "sync" else set()
        self.disk.failing |= {"truncate"} if cut else set()
        self.disk.room = room if failing == "room" else None

    @rule(
        how=st.sampled_from(("power", "power", "kill", "close")),
        picks=st.lists(st.integers(0, 10_000), min_size=20, max_size=20),
    )
    def end(self, how, picks):
        numbers = iter(picks * 50)
        if how == "power":
            self.disk.lose_power(lambda most: next(numbers) % (most + 1))
        elif how == "kill":
            self.disk.kill()
        elif self.sync is None:
            self.close()
        self.restart()

    def close(self) -> None:
        with suppress(LogWriteError):
            self.writer.close()
            self.acknowledged |= self.waiting

    def restart(self) -> None:
        self.disk.kill()
        assert () == recover(self.root).damaged
        assert [] == unsealed(self.root)
        self.check_rows()
        self.disk.settle()
        self.start()

    def check_rows(self) -> None:
        rows = [bytes(each) for path in segments(self.root) for each in read_payloads(path)]
        assert len(rows) == len(set(rows))
        assert self.acknowledged <= set(rows) <= self.tried

    def teardown(self):
        self.restart()
        self.disk.kill()
        self.patch.undo()
        rmtree(self.root.parent)


Disk.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestEveryAcknowledgedRowSurvivesAPowerLoss = Disk.TestCase


def synced(writer: SegmentWriter) -> None:
    """Sync what was appended."""
    sync = writer.begin_sync()
    sync.run()
    writer.end_sync(sync)


def found(root: Path) -> list[bytes]:
    """Return all records, as they are after a restart."""
    recover(root)
    return [bytes(each) for path in segments(root) for each in read_payloads(path)]


def nothing_more(_: int) -> int:
    """Leave only what is safe."""
    return 0


def test_what_is_appended_while_a_sync_runs_waits_for_the_next(tmp_path):
    """A sync vouches for what was written when it began, and the next one for the rest."""
    disk = LossyDisk()
    writer = SegmentWriter(tmp_path / "log", 1_000, durable=True, files=disk)
    writer.append(DAYS[0], [b"first"])
    sync = writer.begin_sync()
    sync.run()
    writer.append(DAYS[0], [b"second"])
    writer.end_sync(sync)

    assert 1 == writer.lag.records
    synced(writer)
    assert (0, 0) == (writer.lag.records, writer.lag.size)
    disk.lose_power(nothing_more)
    assert [b"first", b"second"] == found(tmp_path / "log")


def test_a_failed_sync_ends_its_segment(tmp_path):
    """What no sync reached is cut off, and nothing is written behind it: the next sync would lie."""
    disk = LossyDisk()
    writer = SegmentWriter(tmp_path / "log", 1_000, durable=True, files=disk)
    writer.append(DAYS[0], [b"first"])
    synced(writer)
    writer.append(DAYS[0], [b"lost"])
    disk.failing = {".log"}
    with pytest.raises(LogWriteError, match="the disk failed"):
        synced(writer)

    assert [b"first"] == [bytes(each) for path in segments(tmp_path / "log") for each in read_payloads(path)]
    writer.append(DAYS[0], [b"third"])
    synced(writer)
    disk.lose_power(nothing_more)
    assert [b"first", b"third"] == sorted(found(tmp_path / "log"))


class SlowDisk(LossyDisk):
    """A disk whose syncs wait until they are let go; counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0
        self.gate = Event()

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        self.gate.wait(10)
        super().sync(descriptor)


def durable(root: Path, disk: LossyDisk) -> PredictionLog:
    """A log that survives a loss of power."""
    return PredictionLog(root, 2**20, LogDurability.DISK, files=disk)


def test_whoever_appends_while_the_disk_is_busy_shares_the_next_sync(tmp_path):
    """Twenty batches take two syncs: one begins with the first, the other has all that came meanwhile."""
    disk = SlowDisk()
    log = durable(tmp_path, disk)

    async def append_all() -> None:
        settling = []
        for _ in range(20):
            log.append([row()])
            settling.append(log.settling())
            await asyncio.sleep(0)
        assert not any(each.done() for each in settling)
        disk.gate.set()
        await asyncio.gather(*settling)

    asyncio.run(append_all())
    assert 2 == disk.syncs
    log.close()
    assert 20 == len(list(read(tmp_path)))


def test_a_failed_sync_fails_all_who_wait_for_it_and_for_the_next(tmp_path):
    """Rows that were appended while it ran may be gone with its own; later ones are well again."""
    disk = SlowDisk()
    log = durable(tmp_path, disk)

    async def append_all() -> list[BaseException | None]:
        disk.failing = {".log"}
        log.append([row()])
        first = log.settling()
        while not disk.syncs:
            await asyncio.sleep(0)
        log.append([row()])
        second = log.settling()
        disk.gate.set()
        ends = await asyncio.gather(first, second, return_exceptions=True)
        log.append([row(unit="later")])
        return [*ends, await log.settling()]

    first, second, third = asyncio.run(append_all())
    assert (LogWriteError, LogWriteError, None) == (type(first), type(second), third)
    log.close()
    assert ["later"] == [item.unit for item in read(tmp_path)]


def test_a_log_that_need_not_outlive_the_machine_waits_for_nothing(tmp_path):
    """Under `os` there is nothing to wait for, and nothing is behind."""
    log = PredictionLog(tmp_path, 2**20)
    log.append([row()])

    assert log.settling() is None
    assert 0 == log.lag.size
    log.close()
