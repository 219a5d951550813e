"""Is a served value skewed, or only stale? The comparison itself: pure, over plain values."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.contracts.predictions import FeatureValue
from include.contracts.skew import FeatureSkew, SkewExample, SkewVerdict

EXAMPLES = 5
"""Most skewed values a report names for one feature."""


@dataclass(frozen=True)
class Served:
    """What one prediction got from one view."""

    prediction_id: str
    model: str
    key: int | str
    predicted_at: datetime
    stamp: datetime | None
    """Event time of the values; None where the view had no usable row."""
    values: Mapping[str, FeatureValue]
    newest_stamp: datetime | None
    """Newest stamp of the view that any prediction up to this one got."""


@dataclass(frozen=True)
class Row:
    """A view's row of one entity, recomputed offline."""

    stamp: datetime
    values: Mapping[str, FeatureValue]


class History:
    """A view as its sources told it at different moments.

    Attributes:
        ttl: age past which a row must not be used.
        changes: moments at which what is known about the entities changed, ascending.
        rows: recomputes the view as of a moment: rows by key, each key's ascending by stamp.
    """

    def __init__(
        self,
        ttl: timedelta,
        changes: Iterable[datetime],
        rows: Callable[[datetime], Mapping[int | str, list[Row]]],
    ) -> None:
        self.ttl = ttl
        self.changes = sorted(changes)
        self._rows = rows
        self._known: dict[int, Mapping[int | str, list[Row]]] = {}

    def usable(self, served: Served, as_of: datetime) -> Row | None:
        """Return the newest row at or before the prediction, as known at a moment; None past its TTL."""
        row = next(
            (row for row in reversed(self._of(served, as_of)) if row.stamp <= served.predicted_at), None
        )
        return row if row is not None and served.predicted_at - row.stamp <= self.ttl else None

    def stamped(self, served: Served, as_of: datetime) -> Row | None:
        """Return the row that has the served stamp, as known at a moment."""
        return next((row for row in self._of(served, as_of) if row.stamp == served.stamp), None)

    def moments(self, served: Served) -> list[datetime]:
        """Return a moment for each state of knowledge since the served stamp, newest first."""
        if served.stamp is None:
            return []
        between = [moment for moment in self.changes if served.stamp <= moment < served.predicted_at]
        return [served.predicted_at, *reversed(between), served.stamp]

    def _of(self, served: Served, as_of: datetime) -> list[Row]:
        # What arrives at a moment is seen by those who look after it.
        state = sum(change < as_of for change in self.changes)
        if state not in self._known:
            self._known[state] = self._rows(as_of)
        return self._known[state].get(served.key, [])


def equal(served: FeatureValue, expected: FeatureValue) -> bool:
    """Say whether a served value is the expected one: the same type and exactly the same value.

    Floats too: what is stored is the double that was computed. NaN equals NaN; null equals only null.
    """
    if type(served) is not type(expected):
        return False
    return served == expected or (served != served and expected != expected)  # noqa: PLR0124 - NaN


def judge(
    served: Served, history: History, audited_at: datetime
) -> dict[str, tuple[SkewVerdict, FeatureValue]]:
    """Return a verdict and the expected value for each served feature.

    The values of one row belong to one stamp and one state of knowledge: they are held against the state
    that explains most of them, so that values picked from several states are skewed.
    """
    expected = history.usable(served, served.predicted_at)
    wanted = _values(expected, served)
    explanation = _explanation(served, history)
    told = _values(explanation if _is_not_online_yet(served, expected) else explanation or expected, served)
    now = _values(history.stamped(served, audited_at), served) if explanation else told
    return {
        name: (_verdict(value, told[name], wanted[name], now[name]), told[name])
        for name, value in served.values.items()
    }


def summarise(
    view: str, verdicts: Iterable[tuple[Served, Mapping[str, tuple[SkewVerdict, FeatureValue]]]]
) -> list[FeatureSkew]:
    """Count one view's verdicts by model and feature, ordered by both."""
    counts: defaultdict[tuple[str, str], Counter[SkewVerdict]] = defaultdict(Counter)
    examples: defaultdict[tuple[str, str], list[SkewExample]] = defaultdict(list)
    for served, found in verdicts:
        for feature, (verdict, expected) in found.items():
            counts[served.model, feature][verdict] += 1
            if verdict is SkewVerdict.SKEW and len(examples[served.model, feature]) < EXAMPLES:
                example = SkewExample(
                    prediction_id=served.prediction_id, served=served.values[feature], expected=expected
                )
                examples[served.model, feature].append(example)
    return [
        FeatureSkew(
            model=model,
            view=view,
            feature=feature,
            compared=counted.total(),
            skewed=counted[SkewVerdict.SKEW],
            delayed=counted[SkewVerdict.DELAYED],
            corrected=counted[SkewVerdict.CORRECTED],
            examples=tuple(examples[model, feature]),
        )
        for (model, feature), counted in sorted(counts.items())
    ]


def _verdict(value: FeatureValue, told: FeatureValue, wanted: FeatureValue, now: FeatureValue) -> SkewVerdict:
    if not equal(value, told):
        return SkewVerdict.SKEW
    if not equal(value, wanted):
        return SkewVerdict.DELAYED
    return SkewVerdict.MATCH if equal(value, now) else SkewVerdict.CORRECTED


def _is_not_online_yet(served: Served, expected: Row | None) -> bool:
    """Say whether nothing was served since the row was stamped after all that any prediction got."""
    reached = served.newest_stamp
    return served.stamp is None and expected is not None and (reached is None or reached < expected.stamp)


def _explanation(served: Served, history: History) -> Row | None:
    """Return the served stamp's row in the state most values agree with; None if none may be served."""
    if served.stamp is None or not timedelta() <= served.predicted_at - served.stamp <= history.ttl:
        return None
    rows = (history.stamped(served, moment) for moment in history.moments(served))
    return max((row for row in rows if row), key=lambda row: _agreement(served, row), default=None)


def _agreement(served: Served, row: Row) -> int:
    return sum(equal(value, row.values.get(name)) for name, value in served.values.items())


def _values(row: Row | None, served: Served) -> dict[str, FeatureValue]:
    return {name: row.values.get(name) if row else None for name in served.values}
