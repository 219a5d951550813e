"""When a decline asks for a training, day by day."""

from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.performance import RetrainDecision
from include.contracts.rules import RetrainTrigger
from include.monitoring.retrain_rule import LONGEST_GAP, DayResult, decide

RULE = RetrainTrigger(metric=None, ratio=0.15, days=3)
START = datetime(2017, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BAD, MILD, GOOD, GAP, NOISE = "bmgo?"
WORTH = {BAD: (0.2, True), MILD: (0.12, True), GOOD: (0.0, False), GAP: (None, False), NOISE: (0.3, False)}
ASK, SHORT, ALREADY = RetrainDecision.ASK, RetrainDecision.TOO_SHORT, RetrainDecision.ASKED_ALREADY


def days_of(text: str, version: str = "1.0.0") -> list[DayResult]:
    """Return days by letter: bad, mild, good, gap (o) and noise (?)."""
    return [
        DayResult(START + number * DAY, version if letter != GAP else None, *WORTH[letter])
        for number, letter in enumerate(text)
    ]


def decision(
    text: str, *asked: int, cool_down: timedelta = DAY, is_under_way: bool = False
) -> RetrainDecision:
    """Return what the rule says after some days, of which some had asked."""
    moments = {START + number * DAY for number in asked}
    return decide(RULE, days_of(text), moments, cool_down=cool_down, is_under_way=is_under_way).decision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ggbbb", ASK),
        ("ggbb", SHORT),
        ("bbgb", SHORT),
        ("bbmb", SHORT),
        ("bbb" + "g", RetrainDecision.NOT_WORSE),
        ("bbb" + "m", RetrainDecision.NOT_WORSE),
        ("bbob", ASK),
        ("bb?b", ASK),
        ("bb" + "o" * LONGEST_GAP + "b", ASK),
        ("bb" + "o" * (LONGEST_GAP + 1) + "b", SHORT),
        ("???", RetrainDecision.NOT_WORSE),
        ("ooo", RetrainDecision.NO_DAYS),
        ("", RetrainDecision.NO_DAYS),
    ],
)
def test_so_many_bad_days_in_a_row(text, expected):
    """Judged days that are not bad end the run; gaps, and what chance may explain, do nothing."""
    assert expected is decision(text)


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("bbb", 2, ALREADY),
        ("bbbb", 2, ALREADY),
        ("bbbmbbb", 2, ALREADY),
        ("bbbgbbb", 2, ASK),
    ],
)
def test_a_decline_asks_once(text, asked, expected):
    """Until a day below two thirds of the ratio ended it; a day between does not."""
    assert expected is decision(text, asked)


def test_the_cool_down_counts_from_the_day_that_asked():
    """Another decline too soon waits."""
    assert RetrainDecision.COOLING_DOWN is decision("bbbgbbb", 2, cool_down=5 * DAY)
    assert ASK is decision("bbbgbbb", 2, cool_down=4 * DAY)


def test_another_version_begins_anew():
    """Its days are its own, and it may ask for itself."""
    old, new = days_of("bbb"), days_of("bbb", "1.1.0")
    later = [DayResult(day.start + 3 * DAY, day.version, day.degradation, day.is_shown) for day in new]
    asked = {old[-1].start}

    assert SHORT is decide(RULE, [*old, *later[:2]], asked, cool_down=DAY).decision
    assert ASK is decide(RULE, [*old, *later], asked, cool_down=DAY).decision


def test_nothing_is_asked_while_a_training_is_under_way():
    """The bad days are told all the same."""
    found = decide(RULE, days_of("gbbb"), (), is_under_way=True)
    assert (RetrainDecision.UNDER_WAY, 3) == (found.decision, len(found.bad_days))
