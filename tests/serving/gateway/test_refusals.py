"""Refusals at a bounded rate, on an event loop."""

import asyncio

from serving.gateway import refusals
from serving.gateway.refusals import AT_ONCE, Refusals


def test_a_few_are_refused_at_once_and_in_their_order():
    """In the next turn of the event loop, not in the one that read them."""

    async def main():
        told, pace = [], Refusals()
        for number in range(AT_ONCE):
            pace.add(lambda number=number: told.append(number))
        before = list(told)
        await asyncio.sleep(0)
        return before, told

    assert ([], list(range(AT_ONCE))) == asyncio.run(main())


def test_a_crowd_is_refused_at_the_rate(monkeypatch):
    """By a clock of the test's own: so many at once, then so many a second, and none is forgotten."""
    clock = [100.0]
    monkeypatch.setattr(refusals, "monotonic", lambda: clock[0])

    async def main():
        told, pace, counts = [], Refusals(rate=1000), []
        for number in range(AT_ONCE + 30):
            pace.add(lambda number=number: told.append(number))
        await asyncio.sleep(0)
        for _ in range(3):
            counts.append((len(told), pace.waiting))
            clock[0] += 0.01
            pace._refuse()
        return told, counts

    told, counts = asyncio.run(main())
    assert [(AT_ONCE, 30), (AT_ONCE + 10, 20), (AT_ONCE + 20, 10)] == counts
    assert list(range(AT_ONCE + 30)) == told


def test_who_left_meanwhile_holds_nobody_up():
    """A waiting refusal that was given up is no error, and the next ones leave."""

    async def main():
        pace = Refusals()
        first, second = (asyncio.create_task(pace.turn()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        return first.cancelled() or first.cancelling()

    assert asyncio.run(main())
