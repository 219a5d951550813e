"""Coalescing as such: who starts a batch, how many run at once, and that nobody is left behind."""

import asyncio

from serving.gateway.coalescer import Coalescer


def test_an_item_that_comes_as_the_last_batch_ends_is_answered():
    """Between the end of a batch and the end of its task, an item starts a batch of its own."""

    async def scenario():
        answered = []
        coalescer = Coalescer(run, 8)

        async def late(items):
            if items == ["first"]:
                asyncio.get_running_loop().call_soon(coalescer.submit, "late", answered.append)
            return items

        coalescer._run = late
        coalescer.submit("first", answered.append)
        for _ in range(5):
            await asyncio.sleep(0)
        return answered

    async def run(items):
        return items

    assert ["first", "late"] == asyncio.run(scenario())


def test_two_batches_may_be_under_way_and_a_third_waits_for_a_place():
    """What queues while both places are taken goes out as one batch once one is free."""

    async def scenario():
        gates, batches = [asyncio.Event() for _ in range(3)], []

        async def run(items):
            batches.append(list(items))
            await gates[len(batches) - 1].wait()
            return items

        coalescer = Coalescer(run, 8, in_flight=2)
        futures = []
        for item in range(4):
            futures.append(coalescer.ask(item))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        waiting = coalescer.depth
        gates[1].set()
        await futures[1]
        await asyncio.sleep(0)
        gates[0].set()
        gates[2].set()
        return waiting, batches, await asyncio.gather(*futures)

    assert (2, [[0], [1], [2, 3]], [0, 1, 2, 3]) == asyncio.run(scenario())


def test_a_batch_that_fails_fails_each_of_its_items_only():
    """The next batch is answered; each caller of the failed one gets the error."""

    async def scenario():
        async def run(items):
            if "bad" in items:
                raise ValueError("no")
            return items

        coalescer = Coalescer(run, 1)
        return await asyncio.gather(coalescer.ask("bad"), coalescer.ask("good"), return_exceptions=True)

    failed, good = asyncio.run(scenario())
    assert ("no", "good") == (str(failed), good)
