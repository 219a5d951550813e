from datetime import timedelta

import pytest

from include.contracts.schedules import SCHEDULE_GRAMMAR, check_cron, cron_of, period_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("phrase", "cron", "period"),
    [
        ("every 6 hours", "0 */6 * * *", 6 * HOUR),
        ("every 1 hour", "0 * * * *", HOUR),
        ("Every hour", "0 * * * *", HOUR),
        ("hourly", "0 * * * *", HOUR),
        ("every 24 hours", "0 0 * * *", DAY),
        ("every 15 minutes", "*/15 * * * *", HOUR / 4),
        ("every minute", "* * * * *", HOUR / 60),
        ("every 60 minutes", "0 * * * *", HOUR),
        ("daily", "0 0 * * *", DAY),
        ("every day", "0 0 * * *", DAY),
        ("weekly", "0 0 * * 1", 7 * DAY),
        ("every 1 week", "0 0 * * 1", 7 * DAY),
        ("0 5 * * 1", "0 5 * * 1", 7 * DAY),
        ("30 6,18 * * *", "30 6,18 * * *", 12 * HOUR),
        ("0 8-17 * * *", "0 8-17 * * *", 15 * HOUR),
        ("0 5 * * mon-fri", "0 5 * * mon-fri", 3 * DAY),
        ("0 0 1 * *", "0 0 1 * *", 31 * DAY),
        ("0 0 1,15 * 1", "0 0 1,15 * 1", 7 * DAY),
        ("0 0 29 2 *", "0 0 29 2 *", 1461 * DAY),
        ("0 5/6 * * *", "0 5/6 * * *", 6 * HOUR),
        ("0 0 * * 7", "0 0 * * 7", 7 * DAY),
    ],
)
def test_a_schedule_is_cron_with_a_longest_gap(phrase, cron, period):
    """Phrases become cron, cron stays; the period is the longest time between two runs."""
    assert (cron, period) == (cron_of(phrase), period_of(phrase))
    assert cron == check_cron(cron_of(phrase))


@pytest.mark.parametrize(
    "phrase",
    ["every 5 hours", "every 7 minutes", "every 2 days", "every 2 weeks", "every 0 hours", "often", "* * *"],
)
def test_what_no_clock_can_keep_is_refused_with_the_grammar(phrase):
    """Every five hours is now five and now four hours in cron: better refused than nearly right."""
    with pytest.raises(ValueError, match="write 'every <number> minutes'") as caught:
        cron_of(phrase)
    assert SCHEDULE_GRAMMAR in str(caught.value)


def test_a_day_that_never_comes_has_no_period():
    """The thirtieth of February."""
    with pytest.raises(ValueError, match="never comes"):
        period_of("0 0 30 2 *")
