import pytest

from include.contracts.schedules import SCHEDULE_GRAMMAR, check_cron, cron_of


@pytest.mark.parametrize(
    ("phrase", "cron"),
    [
        ("every 6 hours", "0 */6 * * *"),
        ("every 1 hour", "0 * * * *"),
        ("Every hour", "0 * * * *"),
        ("hourly", "0 * * * *"),
        ("every 24 hours", "0 0 * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ("every minute", "* * * * *"),
        ("every 60 minutes", "0 * * * *"),
        ("daily", "0 0 * * *"),
        ("every day", "0 0 * * *"),
        ("weekly", "0 0 * * 1"),
        ("every 1 week", "0 0 * * 1"),
        ("30 6,18 * * *", "30 6,18 * * *"),
        ("0 5 * * mon-fri", "0 5 * * mon-fri"),
    ],
)
def test_a_schedule_is_cron(phrase, cron):
    """Phrases become cron, cron stays."""
    assert cron == cron_of(phrase) == check_cron(cron_of(phrase))


@pytest.mark.parametrize(
    "phrase",
    ["every 5 hours", "every 7 minutes", "every 2 days", "every 2 weeks", "every 0 hours", "often", "* * *"],
)
def test_what_no_clock_can_keep_is_refused_with_the_grammar(phrase):
    """Every five hours is now five and now four hours in cron: better refused than nearly right."""
    with pytest.raises(ValueError, match="write 'every <number> minutes'") as caught:
        cron_of(phrase)
    assert SCHEDULE_GRAMMAR in str(caught.value)
