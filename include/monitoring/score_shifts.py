"""How far scores are from what they were: on unseen training rows, and in the same window a week ago."""

from scipy.stats import norm

from include.monitoring.scores import ScoreProfile
from include.monitoring.shifts import Shift
from include.stats.calibration_gap import CalibrationGap
from include.stats.category_shift import category_shift
from include.stats.intervals import Interval
from include.stats.proportions import score_z, wilson_interval
from include.stats.sufficient_statistics import Proportion

SCORE, CLASS = "score", "class"
DISTRIBUTION, POSITIVE, CALIBRATION = "chi_squared", "positive_ratio", "expected_calibration_error"
WEEK_AGO = "_week_ago"
"""Ends the metrics that compare with a week ago."""
_BINARY = 2
SCORE_FLOORS = {
    name + against: floor
    for name, floor in ((DISTRIBUTION, 0.1), (POSITIVE, 0.05))
    for against in ("", WEEK_AGO)
}
"""Of the distribution: of the stability index beyond chance; of the positive ratio: its difference."""


def score_shifts(was: ScoreProfile, now: ScoreProfile, against: str = "") -> list[Shift]:
    """Return how the scores, and for classes the predicted ones, have shifted.

    Args:
        was: the reference, or a week ago; over the same bins.
        now: the window.
        against: what the metrics' names end in.
    """
    independent = (was.independent, now.independent)
    found = [_distribution(SCORE, was.counts, now.counts, independent, against)]
    if len(now.classes) == _BINARY:
        found.append(_positives(was, now, against))
    elif now.classes:
        found.append(_distribution(CLASS, was.classes, now.classes, independent, against))
    return found


def calibration_shift(gap: CalibrationGap, rows: int, independent: float) -> Shift:
    """Return the calibration error; its effect is what the rows surely support."""
    return Shift(
        SCORE,
        CALIBRATION,
        gap.plain,
        max(0.0, gap.low),
        rows,
        independent,
        interval=Interval(min(gap.low, gap.plain), gap.plain, max(gap.high, gap.plain)),
        details={"debiased": gap.debiased},
    )


def _distribution(
    subject: str,
    was: tuple[int, ...],
    now: tuple[int, ...],
    independent: tuple[float, float],
    against: str,
) -> Shift:
    shift = category_shift(was, now, independent=independent)
    rows = sum(now)
    return Shift(
        subject,
        DISTRIBUTION + against,
        shift.chi_squared,
        shift.excess,
        rows,
        independent[1],
        shift.p_value,
        details={
            "degrees_of_freedom": shift.degrees_of_freedom,
            "psi": shift.index,
            "excess": shift.excess,
            "shares": [count / rows for count in now],
            "reference_shares": [count / sum(was) for count in was],
        },
    )


def _positives(was: ScoreProfile, now: ScoreProfile, against: str) -> Shift:
    arms = [_weighted(each) for each in (was, now)]
    before, share = was.classes[1] / was.rows, now.classes[1] / now.rows
    limits = wilson_interval(arms[1])
    return Shift(
        SCORE,
        POSITIVE + against,
        share,
        abs(share - before),
        now.rows,
        now.independent,
        float(2 * norm.sf(abs(score_z(*arms)))),
        Interval(min(limits.low, share), share, max(limits.high, share)),
        {"reference": before},
    )


def _weighted(profile: ScoreProfile) -> Proportion:
    trials = max(1, round(profile.independent))
    return Proportion(min(trials, round(profile.classes[1] / profile.rows * trials)), trials)
