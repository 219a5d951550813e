"""Refusals a few a turn, on an event loop."""

import asyncio

from serving.gateway.refusals import A_TURN, Refusals


def test_a_crowd_is_refused_a_few_a_turn_and_in_its_order():
    """None in the turn that read it, no more than so many in each after it, and none is forgotten."""

    async def main():
        told, refusals, counts = [], Refusals(), []
        for number in range(2 * A_TURN + 1):
            refusals.add(lambda number=number: told.append(number))
        for _ in range(4):
            counts.append(len(told))
            await asyncio.sleep(0)
        return told, counts

    told, counts = asyncio.run(main())
    assert [0, A_TURN, 2 * A_TURN, 2 * A_TURN + 1] == counts
    assert list(range(2 * A_TURN + 1)) == told


def test_who_asks_again_waits_behind_the_others():
    """A caller that asks again as soon as it is refused takes nobody's turn."""

    async def main():
        told, refusals = [], Refusals()

        def ask_again():
            told.append("again")
            refusals.add(ask_again)

        for _ in range(A_TURN):
            refusals.add(ask_again)
        refusals.add(lambda: told.append("patient"))
        for _ in range(2):
            await asyncio.sleep(0)
        return told

    assert ["again"] * A_TURN + ["patient"] == asyncio.run(main())[: A_TURN + 1]


def test_who_left_meanwhile_holds_nobody_up():
    """A waiting refusal that was given up is no error, and the next ones leave."""

    async def main():
        refusals = Refusals()
        first, second = (asyncio.create_task(refusals.turn()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        return first.cancelled() or first.cancelling()

    assert asyncio.run(main())
