"""What shifts mean: significance over all inputs and a week of looks, effect, importance, and how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from include.contracts.alerts import Severity
from include.contracts.measurements import Measurement, Verdict
from include.monitoring.shifts import ABSENT, KS, MISSING, OUT_OF_RANGE, PSI, STALE, UNSEEN, Shift
from include.stats.multiplicity import benjamini_hochberg

LASTING_WINDOWS = 3
"""Windows, one after the other, after which a shift counts as there to stay."""
FAR = 2.5
"""Multiple of its floor from which an effect is large."""
_UNIMPORTANT = 0.5
"""Part of the mean importance below which an input matters little to the scores."""


class DriftReason(StrEnum):
    """Why a figure was judged as it was."""

    NO_SHIFT = "no_shift"
    NOT_SIGNIFICANT = "not_significant"
    """The effect would matter, but chance may have made it."""
    BELOW_EFFECT_FLOOR = "below_effect_floor"
    """Chance did not make it, but it is too small to matter."""
    SHIFTED = "shifted"
    SHIFTED_FAR = "shifted_far"
    LASTING = "lasting"
    """Shifted in window after window."""
    AS_A_WEEK_AGO = "as_a_week_ago"
    """It differs from the reference as it did a week ago: a season, more likely than not."""
    WITHIN_REFERENCE = "within_reference"
    """It differs from a week ago, but not from the reference."""
    TOO_FEW_ROWS = "too_few_rows"
    NO_ROWS = "no_rows"
    NO_VALUES = "no_values"
    """There are rows, but the input is missing in all of them."""
    NO_LABELS = "no_labels"
    """There are predictions, but no truth to them yet."""
    NO_CHAMPION = "no_champion"
    REFERENCE_MISSING = "reference_missing"
    """It is gone, altered or cannot be read."""
    REFERENCE_MISMATCH = "reference_mismatch"
    """It lacks an input of the model, or holds it as another type."""
    REFERENCE_TOO_SMALL = "reference_too_small"


def feature_floors(distance: float, index: float) -> dict[str, float]:
    """Return, by metric of inputs, the effect below which a shift does not matter, however sure it is.

    Args:
        distance: the contract's, of continuous features.
        index: the contract's, of categorical features.
    """
    return {
        KS: distance,
        PSI: index,
        MISSING: 0.05,
        UNSEEN: 0.01,
        OUT_OF_RANGE: 0.01,
        STALE: 0.01,
        ABSENT: 0.05,
    }


@dataclass(frozen=True)
class Judge:
    """How shifts of one window are judged.

    A shift counts if it is both sure and large enough. Sure: its p-value, adjusted for all that are tested
    beside it, is below the level; or its effect is a confidence limit. The level of one look is the threshold
    by the looks of a week, so that the threshold is what a week of looks costs in false alarms.
    """

    threshold: float
    looks_per_week: float
    floors: Mapping[str, float]
    """By metric: the effect below which a shift does not matter."""
    minimum_rows: int
    window: timedelta
    importance: Mapping[str, float] = field(default_factory=dict)
    """Share of each input in what moves the scores; an input without one counts as important."""

    def __call__(
        self, shifts: Sequence[Shift], of: Measurement, before: Sequence[Measurement]
    ) -> tuple[Measurement, ...]:
        """Return the shifts as measurements.

        Args:
            shifts: the figures of a window.
            of: a measurement whose model, monitor, window and so on are those of all.
            before: what the run before found.
        """
        adjusted = _adjusted(shifts)
        return tuple(
            self._judged(shift, adjusted.get(place), of, before) for place, shift in enumerate(shifts)
        )

    def _judged(
        self, shift: Shift, adjusted: float | None, of: Measurement, before: Sequence[Measurement]
    ) -> Measurement:
        verdict, reason, told = self._verdict(shift, adjusted, of, before)
        figures = {"effect": shift.effect, "independent_rows": shift.independent}
        tested = {} if adjusted is None else {"p_value": shift.p_value, "adjusted_p_value": adjusted}
        interval = shift.interval
        return of.model_copy(
            update={
                "subject": shift.subject,
                "metric": shift.metric,
                "value": shift.value,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
                "n": shift.rows,
                "verdict": verdict,
                "reason": reason.value,
                "details": {**figures, **tested, **shift.details, **told},
            }
        )

    def _verdict(
        self, shift: Shift, adjusted: float | None, of: Measurement, before: Sequence[Measurement]
    ) -> tuple[Verdict, DriftReason, dict[str, object]]:
        if shift.value is None:
            return Verdict.NO_DATA, DriftReason.NO_VALUES, {}
        if shift.independent < self.minimum_rows:
            return Verdict.TOO_FEW, DriftReason.TOO_FEW_ROWS, {}
        sure = adjusted is None or adjusted <= self.threshold / self.looks_per_week
        large_enough = shift.effect >= self.floors[shift.metric]
        if not (sure and large_enough):
            unsure = DriftReason.NOT_SIGNIFICANT if large_enough else DriftReason.NO_SHIFT
            small = DriftReason.BELOW_EFFECT_FLOOR if adjusted is not None else DriftReason.NO_SHIFT
            return Verdict.OK, small if sure else unsure, {}
        since = _since(shift, of, before, self.window)
        windows = max(1, round((of.window_end - since) / self.window))
        return self._shifted(shift, windows, {"since": since.isoformat(), "windows": windows})

    def _shifted(
        self, shift: Shift, windows: int, told: dict[str, object]
    ) -> tuple[Verdict, DriftReason, dict[str, object]]:
        is_far = shift.effect >= FAR * self.floors[shift.metric]
        is_lasting = windows >= LASTING_WINDOWS
        matters = self._is_important(shift.subject)
        points = is_far + is_lasting + matters
        severity = (Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.ERROR)[points]
        reason = DriftReason.SHIFTED_FAR if is_far else DriftReason.SHIFTED
        return (
            Verdict.ALARM if severity is Severity.ERROR else Verdict.WARNING,
            DriftReason.LASTING if is_lasting else reason,
            {**told, "severity": severity.value, "importance": self.importance.get(shift.subject)},
        )

    def _is_important(self, subject: str) -> bool:
        share = self.importance.get(subject)
        return share is None or share * len(self.importance) >= _UNIMPORTANT


def _adjusted(shifts: Sequence[Shift]) -> dict[int, float]:
    """Return the adjusted p-value of each shift that has one, by its place."""
    tested = {place: shift.p_value for place, shift in enumerate(shifts) if shift.p_value is not None}
    if not tested:
        return {}
    adjusted = benjamini_hochberg(list(tested.values()))
    return {place: float(value) for place, value in zip(tested, adjusted, strict=True)}


def _since(shift: Shift, of: Measurement, before: Sequence[Measurement], window: timedelta) -> datetime:
    """Return from when on a shift has lasted without a break: the start of the first window it was found in.

    A run that is missing in between breaks nothing as long as no whole window lies between two that found it.
    Another version is held against another reference, and begins anew.
    """
    for found in before:
        same = _key(found, found.subject, found.metric) == _key(of, shift.subject, shift.metric)
        if same and "since" in found.details and of.window_start - found.window_end < window:
            return datetime.fromisoformat(found.details["since"])
    return of.window_start


def _key(of: Measurement, subject: str, metric: str) -> tuple[str | None, ...]:
    return of.version, of.variant, subject, metric
