"""The window by itself: what is remembered, how long, and what is asked for again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from serving.gateway.problems import REQUEST_ID_REUSED, Problem
from serving.gateway.request_window import Claims, Identity, Remembered, RequestWindow, Whose

FIRST, SECOND = Identity("key", "churn", "r-1"), Identity("key", "churn", "r-2")


class Asked:
    """Answers entities, negatively where they are to fail, and notes what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.failing: set[int] = set()
        self.now = 0.0

    async def __call__(self, places: Sequence[int]) -> list[int]:
        """Answer the entities at these places."""
        self.calls.append(list(places))
        await asyncio.sleep(0)
        return [-1 if place in self.failing else 100 * len(self.calls) + place for place in places]

    def window(self, size: int = 10, claims: Claims[int] | None = None) -> RequestWindow[int]:
        """Return a window of ten seconds."""
        return RequestWindow(size, 10.0, lambda answer: answer >= 0, claims, clock=lambda: self.now)


def run(scenario: Callable[[Asked], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own."""
    asyncio.run(scenario(Asked()))


def test_a_repeat_is_answered_while_it_is_remembered():
    """For the stated time from the first request on; the other request of the same key is another one."""

    async def scenario(asked: Asked) -> None:
        window = asked.window()
        assert [100, 101] == await window.once(FIRST, "body", 2, asked)
        assert [200] == await window.once(SECOND, "body", 1, asked)
        asked.now = 9.9
        assert [100, 101] == await window.once(FIRST, "body", 2, asked)
        asked.now = 10.0
        assert [300, 301] == await window.once(FIRST, "body", 2, asked)

    run(scenario)


def test_another_body_is_refused_while_it_is_remembered():
    """Also while the first is in flight."""

    async def scenario(asked: Asked) -> None:
        window = asked.window()
        first = asyncio.ensure_future(window.once(FIRST, "body", 1, asked))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="new request_id"):
            await window.once(FIRST, "other", 1, asked)
        await first
        with pytest.raises(Problem, match="new request_id"):
            await window.once(FIRST, "other", 1, asked)
        asked.now = 10.0
        assert [200] == await window.once(FIRST, "other", 1, asked)

    run(scenario)


def test_repeats_in_flight_wait_for_the_first():
    """Asked for once, also when the first caller goes away meanwhile."""

    async def scenario(asked: Asked) -> None:
        window = asked.window()
        callers = [asyncio.ensure_future(window.once(FIRST, "body", 1, asked)) for _ in range(3)]
        await asyncio.sleep(0)
        callers[0].cancel()
        assert [[100], [100]] == await asyncio.gather(*callers[1:])
        assert [[0]] == asked.calls

    run(scenario)


def test_only_what_failed_is_asked_for_again():
    """The answers there are stay; a request of which nothing was answered begins anew."""

    async def scenario(asked: Asked) -> None:
        window = asked.window()
        asked.failing = {1}
        assert [100, -1, 102] == await window.once(FIRST, "body", 3, asked)
        asked.failing = {0}
        assert [100, 201, 102] == await window.once(FIRST, "body", 3, asked)
        assert [-1] == await window.once(SECOND, "body", 1, asked)
        asked.failing = set()
        assert [400] == await window.once(SECOND, "other", 1, asked)
        assert [[0, 1, 2], [1], [0], [0]] == asked.calls

    run(scenario)


def test_memory_is_bounded_by_entities():
    """The oldest requests are forgotten first; one alone may be larger than the window."""

    async def scenario(asked: Asked) -> None:
        window = asked.window(size=3)
        await window.once(FIRST, "body", 2, asked)
        await window.once(SECOND, "body", 2, asked)
        assert [200, 201] == await window.once(SECOND, "body", 2, asked)
        assert [300, 301] == await window.once(FIRST, "body", 2, asked)
        assert [400, 401, 402, 403] == await window.once(SECOND, "large", 4, asked)
        assert [400, 401, 402, 403] == await window.once(SECOND, "large", 4, asked)

    run(scenario)


def test_what_the_log_tells_is_answered_for_the_rest_of_its_time():
    """What is missing of it is asked for; a count of entities it cannot have had makes it another request."""

    async def scenario(asked: Asked) -> None:
        window = asked.window()
        window.restore([Remembered(FIRST, "body", [7, None, 9], 4.0), Remembered(SECOND, "body", [8], 1.0)])
        assert [8] == await window.once(SECOND, "body", 1, asked)
        assert [7, 101, 9] == await window.once(FIRST, "body", 3, asked)
        assert [200, 201] == await window.once(SECOND, "body", 2, asked)
        asked.now = 6.0
        assert [300, 301, 302] == await window.once(FIRST, "body", 3, asked)

    run(scenario)


def test_a_bug_is_every_callers_and_not_remembered():
    """What asking raises reaches all who wait; the next one asks anew."""

    async def broken(_: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    async def scenario(asked: Asked) -> None:
        window = asked.window()
        callers = [window.once(FIRST, "body", 1, broken) for _ in range(2)]
        failures = await asyncio.gather(*callers, return_exceptions=True)
        assert [ZeroDivisionError] * 2 == [type(failure) for failure in failures]
        assert [100] == await window.once(FIRST, "body", 1, asked)

    run(scenario)


class Elsewhere:
    """Another gateway that answered the first request, of the body `right`, and says so when told to."""

    def __init__(self) -> None:
        self.may_tell = asyncio.Event()
        self.kept: list[Sequence[int | None]] = []

    async def claim(self, _: Identity, body_sha256: str) -> tuple[Whose, Sequence[int | None]]:
        """Refuse another body, and tell the first of two answers."""
        await self.may_tell.wait()
        if body_sha256 != "right":
            raise Problem(REQUEST_ID_REUSED, "elsewhere")
        return Whose.OURS, [7, None]

    async def keep(self, _: Identity, parts: Sequence[int | None]) -> None:
        """Note what is to be kept."""
        self.kept.append(list(parts))


def test_a_body_that_is_refused_elsewhere_is_in_nobodys_way():
    """Until the others have been asked, an id is not this gateway's to refuse another body for."""

    async def scenario(asked: Asked) -> None:
        claims = Elsewhere()
        window = asked.window(claims=claims)
        wrong = asyncio.ensure_future(window.once(FIRST, "wrong", 2, asked))
        await asyncio.sleep(0)
        right = asyncio.ensure_future(window.once(FIRST, "right", 2, asked))
        await asyncio.sleep(0)
        claims.may_tell.set()
        assert [7, 101] == await right
        with pytest.raises(Problem, match="elsewhere"):
            await wrong
        assert [[1]] == asked.calls
        assert [[7, 101]] == claims.kept
        assert [7, 101] == await window.once(FIRST, "right", 2, asked)
        assert 1 == len(claims.kept)

    run(scenario)
