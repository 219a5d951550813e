"""Group commit: everything that was appended while the disk was busy shares the next sync."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from include.adapters.segment_writer import SegmentWriter, Sync
from include.contracts.errors import LogWriteError


class GroupCommit:
    """Syncs a durable writer in a thread of its own; used from one event loop."""

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-sync")
        self._waiting: asyncio.Future[None] | None = None
        """Those whose records no sync covers yet."""
        self._covered: asyncio.Future[None] | None = None
        """Those whose records are on their way to the disk."""
        self._running: _Running | None = None

    def settling(self) -> "asyncio.Future[None]":
        """Return a future of everything appended so far being on the disk; it raises LogWriteError.

        To be called in the same step of the event loop as the append it is about.
        """
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            if self._covered is None:
                # Whoever appends in this step of the loop is taken along.
                loop.call_soon(self._begin)
        return asyncio.shield(self._waiting)

    def close(self) -> None:
        """Wait for a sync that is under way, and begin no other: the writer's own close syncs the rest."""
        self._thread.shutdown()
        if self._running is not None:
            self._end(self._running)
        _fail(self._waiting, LogWriteError("the log was closed"))
        self._waiting = None

    def _begin(self) -> None:
        self._covered, self._waiting = self._waiting, None
        sync = self._writer.begin_sync()
        loop = asyncio.get_running_loop()
        self._running = running = _Running(sync, self._thread.submit(sync.run))
        running.done.add_done_callback(lambda _: loop.call_soon_threadsafe(self._proceed, running))

    def _proceed(self, running: "_Running") -> None:
        if self._running is not running:
            return  # the log was closed meanwhile
        self._end(running)
        if self._waiting is not None:
            self._begin()

    def _end(self, running: "_Running") -> None:
        self._running, covered = None, self._covered
        self._covered = None
        try:
            running.done.result()
            self._writer.end_sync(running.sync)
        except LogWriteError as error:
            # Who appended meanwhile fails as well: those records may be gone with the others.
            _fail(covered, error)
            _fail(self._waiting, error)
            self._waiting = None
        else:
            if covered is not None:
                covered.set_result(None)


@dataclass(frozen=True)
class _Running:
    sync: Sync
    done: "Future[None]"


def _fail(future: "asyncio.Future[None] | None", error: LogWriteError) -> None:
    if future is not None:
        future.set_exception(error)
