import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from include.contracts.rules import (
    DEGRADATION_GRAMMAR,
    TRIGGER_GRAMMAR,
    DegradationRule,
    RetrainTrigger,
    parse_degradation,
    parse_trigger,
)


@pytest.mark.parametrize(
    ("phrase", "ratio", "days"),
    [
        ("10% degradation vs trailing 30-day average", 0.10, 30),
        ("  2.5 % Degradation versus the trailing 7 day average ", 0.025, 7),
        ("50% degradation against trailing 1-days average", 0.5, 1),
    ],
)
def test_when_to_alert_is_read(phrase, ratio, days):
    """The phrase gives the ratio and the days; case, spaces and small words do not matter."""
    rule = parse_degradation(phrase)
    assert (ratio, days) == (rule.ratio, rule.trailing.days)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("performance degradation > 15% for 3 consecutive days", RetrainTrigger(None, 0.15, 3)),
        ("auc_roc degradation > 5% for 7 days", RetrainTrigger("auc_roc", 0.05, 7)),
        ("recall degradation >1.5% for 1 consecutive day", RetrainTrigger("recall", 0.015, 1)),
    ],
)
def test_when_to_retrain_is_read(phrase, expected):
    """`performance` means any metric that is monitored; else the one that is named."""
    assert expected == parse_trigger(phrase)


@pytest.mark.parametrize(
    "phrase",
    [
        "any",
        "",
        7,
        None,
        "10 degradation vs trailing 30-day average",
        "10% improvement vs trailing 30-day average",
        "0% degradation vs trailing 30-day average",
        "100% degradation vs trailing 30-day average",
        "10% degradation vs trailing 0-day average",
        "10% degradation vs trailing 30-day average, roughly",
    ],
)
def test_a_phrase_that_cannot_be_read_is_refused_with_the_grammar(phrase):
    """And with an example that works."""
    with pytest.raises(ValueError, match=re.escape(DEGRADATION_GRAMMAR)):
        parse_degradation(phrase)


@pytest.mark.parametrize(
    "phrase",
    [
        "performance degradation for 3 consecutive days",
        "performance degradation < 15% for 3 consecutive days",
        "performance degradation > 15% for 0 consecutive days",
        "performance degradation > 115% for 3 consecutive days",
        "performance degradation > 15%",
        "drift",
        3,
    ],
)
def test_a_trigger_that_cannot_be_read_is_refused_with_the_grammar(phrase):
    """And with examples that work."""
    with pytest.raises(ValueError, match=re.escape(TRIGGER_GRAMMAR)):
        parse_trigger(phrase)


@given(some.integers(1, 9_999).map(lambda n: n / 100), some.integers(1, 400))
def test_a_rule_is_written_as_it_is_read(percent, days):
    """Written out and read again, a rule is the same: contracts are hashed in their plain form."""
    rule = parse_degradation(f"{percent}% degradation vs trailing {days}-day average")
    assert rule == parse_degradation(str(rule)) == parse_degradation(rule)
    trigger = parse_trigger(f"accuracy degradation > {percent}% for {days} consecutive days")
    assert trigger == parse_trigger(str(trigger)) == parse_trigger(trigger)
    assert isinstance(rule, DegradationRule)
