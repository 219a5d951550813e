from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.measurements import Monitor, Verdict
from include.monitoring.findings import summary, template
from include.monitoring.judgement import Judge, feature_floors
from include.monitoring.looks import looks_per_week
from include.monitoring.shifts import KS, MISSING, UNSEEN, Shift

NOW, DAY = datetime(2017, 11, 10, tzinfo=UTC), timedelta(days=1)
OF = template("churn", Monitor.FEATURE_DRIFT, "1.0.0", NOW - DAY, NOW)


def judge(threshold: float = 0.05, looks: float = 1.0, **importance: float) -> Judge:
    """Return a judge of days."""
    return Judge(
        threshold=threshold,
        looks_per_week=looks,
        floors=feature_floors(0.1, 0.2),
        minimum_rows=200,
        window=DAY,
        importance=importance,
    )


def ks(effect: float, p_value: float = 1e-6, subject: str = "spend", rows: int = 1_000) -> Shift:
    """Return a distance."""
    return Shift(subject, KS, effect, effect, rows, float(rows), p_value)


def since(day: int) -> dict[str, object]:
    """Return what a measurement of a shift that began some days before remembers."""
    return {"since": (NOW - (day + 1) * DAY).isoformat()}


@pytest.mark.parametrize(
    ("shift", "verdict", "reason"),
    [
        (ks(0.05, 0.5), "ok", "no_shift"),
        (ks(0.05, 1e-9), "ok", "below_effect_floor"),
        (ks(0.15, 0.2), "ok", "not_significant"),
        (ks(0.15), "warning", "shifted"),
        (ks(0.30), "alarm", "shifted_far"),
        (ks(0.30, rows=150), "too_few", "too_few_rows"),
        (Shift("spend", KS, None, 0.0, 0, 0.0), "no_data", "no_values"),
        (Shift("spend", UNSEEN, 0.04, 0.005, 900, 900.0), "ok", "no_shift"),
        (Shift("spend", UNSEEN, 0.05, 0.02, 900, 900.0), "warning", "shifted"),
        (Shift("spend", UNSEEN, 0.08, 0.05, 900, 900.0), "alarm", "shifted_far"),
        (Shift("spend", MISSING, 0.3, 0.2, 900, 900.0, 1e-9), "alarm", "shifted_far"),
    ],
)
def test_a_shift_counts_if_it_is_sure_and_large_enough(shift, verdict, reason):
    """Each figure by its own floor, and what is not judged says why."""
    [judged] = judge()([shift], OF, ())
    assert (verdict, reason) == (judged.verdict.value, judged.reason)


@pytest.mark.parametrize(
    ("effect", "importance", "began", "expected"),
    [
        (0.15, 0.02, None, ("warning", "info", 1)),
        (0.15, 0.40, None, ("warning", "warning", 1)),
        (0.30, 0.02, None, ("warning", "warning", 1)),
        (0.30, 0.40, None, ("alarm", "error", 1)),
        (0.15, 0.40, 1, ("warning", "warning", 2)),
        (0.15, 0.40, 2, ("alarm", "error", 3)),
        (0.15, 0.02, 2, ("warning", "warning", 3)),
        (0.30, 0.02, 2, ("alarm", "error", 3)),
    ],
)
def test_severity_follows_effect_importance_and_how_long(effect, importance, began, expected):
    """Two of the three make an alarm; an input that hardly matters makes the least of it."""
    others = {"b": 0.3, "c": 0.3}
    before = OF.model_copy(
        update={
            "subject": "spend",
            "metric": KS,
            "window_start": NOW - 2 * DAY,
            "window_end": NOW - DAY,
            "details": {} if began is None else since(began),
        }
    )
    [judged] = judge(spend=importance, **others)([ks(effect)], OF, [before])
    severity, windows = judged.details["severity"], judged.details["windows"]
    assert expected == (judged.verdict.value, severity, windows)


def test_a_shift_that_went_away_begins_anew():
    """A whole window without a look that found it, and the count starts again."""
    old = {"subject": "spend", "metric": KS, "details": since(9)}
    apart = OF.model_copy(update=old | {"window_start": NOW - 4 * DAY, "window_end": NOW - 3 * DAY})
    [judged] = judge()([ks(0.15)], OF, [apart])
    assert 1 == judged.details["windows"]
    near = OF.model_copy(update=old | {"window_start": NOW - 3 * DAY, "window_end": NOW - 1.5 * DAY})
    [judged] = judge()([ks(0.15)], OF, [near])
    assert 10 == judged.details["windows"]


def test_another_version_begins_anew():
    """What the last version's inputs did against its own training set is no history of this one's."""
    old = {"subject": "spend", "metric": KS, "details": since(9), "version": "0.9.0"}
    before = OF.model_copy(update=old | {"window_start": NOW - 2 * DAY, "window_end": NOW - DAY})
    [judged] = judge()([ks(0.15)], OF, [before])
    assert 1 == judged.details["windows"]


def test_twenty_healthy_features_are_one_question():
    """Raw p < 0.05 would alert in two runs of three; adjusted for all of them it does not."""
    shifts = [ks(0.15, p_value=(place + 1) / 21, subject=f"f{place}") for place in range(20)]
    assert {"not_significant"} == {each.reason for each in judge()(shifts, OF, ())}
    shifts[0] = ks(0.15, p_value=0.002, subject="f0")
    assert ["f0"] == [each.subject for each in judge()(shifts, OF, ()) if each.verdict is Verdict.WARNING]


def test_a_week_of_looks_shares_the_threshold():
    """The same shift alerts a monitor that looks once a week, and not yet one that looks every hour."""
    shift = ks(0.15, p_value=0.001)
    assert "shifted" == judge(looks=looks_per_week("weekly"))([shift], OF, ())[0].reason
    assert "not_significant" == judge(looks=looks_per_week("hourly"))([shift], OF, ())[0].reason


@pytest.mark.parametrize(
    ("schedule", "looks"),
    [
        ("every 6 hours", 28),
        ("hourly", 168),
        ("daily", 7),
        ("weekly", 1),
        ("0 0 1 * *", 1),
        ("0 5 * * 1-5", 5),
    ],
)
def test_looks_of_a_week_are_counted(schedule, looks):
    """A monitor that looks less than weekly counts as one that looks weekly."""
    assert looks == looks_per_week(schedule)


def test_the_worst_is_named_first():
    """The line for people: how many, which three, over how many rows."""
    rows = OF.model_copy(update={"n": 500, "verdict": Verdict.OK})
    shifts = [ks(0.15, subject="a"), ks(0.4, subject="b"), ks(0.12, subject="c"), ks(0.2, subject="d")]
    told = summary([rows, *judge()(shifts, OF, ())])
    assert "4 drifted: b (ks 0.4), d (ks 0.2), a (ks 0.15), …; 500 rows" == told
