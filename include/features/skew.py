"""Is a served value skewed, or only stale? The comparison itself: pure, over plain values."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.contracts.predictions import FeatureValue
from include.contracts.skew import FeatureSkew, SkewExample, SkewVerdict

EXAMPLES = 5
"""Most skewed values a report names for one feature."""


@dataclass(frozen=True)
class Prediction:
    """One prediction and the values of it that are looked at."""

    prediction_id: str
    model: str
    values: Mapping[str, FeatureValue]


@dataclass(frozen=True)
class Served(Prediction):
    """What one prediction got from one view."""

    key: int | str
    predicted_at: datetime
    stamp: datetime | None
    """Event time of the values; None where the view had no usable row."""
    recorded_at: datetime
    """Wall time of the prediction."""


@dataclass(frozen=True)
class Row:
    """A view's row of one entity, recomputed offline."""

    stamp: datetime
    values: Mapping[str, FeatureValue]


@dataclass(frozen=True)
class Expectation:
    """What a prediction should have been given, by feature."""

    told: Mapping[str, FeatureValue]
    """In the state of knowledge that explains most of what was served."""
    wanted: Mapping[str, FeatureValue]
    """As known at the prediction."""
    now: Mapping[str, FeatureValue]
    """As known at the audit."""
    is_materialised: bool = True
    """Whether any row that could be used had been brought online by then."""


class History:
    """A view as its sources told it at different moments.

    Attributes:
        ttl: age past which a row must not be used.
        online_since: wall time at which each of the view's days was first brought online.
        changes: moments at which what is known about the entities changed, ascending.
        rows: recomputes the view as of a moment: rows by key, each key's ascending by stamp.
    """

    def __init__(
        self,
        ttl: timedelta,
        online_since: Mapping[date, datetime],
        changes: Iterable[datetime],
        rows: Callable[[datetime], Mapping[int | str, list[Row]]],
    ) -> None:
        self.ttl = ttl
        self.online_since = online_since
        self.changes = sorted(changes)
        self._rows = rows
        self._known: dict[int, Mapping[int | str, list[Row]]] = {}

    def usable(self, served: Served, as_of: datetime) -> Row | None:
        """Return the newest row at or before the prediction, as known at a moment; None past its TTL."""
        return next(self._usable(served, as_of), None)

    def was_online(self, served: Served, as_of: datetime) -> bool:
        """Say whether a row that could be used, as known at a moment, was online before the prediction."""
        since = (self.online_since.get(row.stamp.date()) for row in self._usable(served, as_of))
        return any(moment is not None and moment <= served.recorded_at for moment in since)

    def stamped(self, served: Served, as_of: datetime) -> Row | None:
        """Return the row that has the served stamp, as known at a moment."""
        return next((row for row in self._of(served, as_of) if row.stamp == served.stamp), None)

    def moments(self, served: Served, stamp: datetime) -> list[datetime]:
        """Return a moment for each state of knowledge between a stamp and the prediction, newest first."""
        between = [moment for moment in self.changes if stamp <= moment < served.predicted_at]
        return [served.predicted_at, *reversed(between), stamp]

    def _usable(self, served: Served, as_of: datetime) -> Iterator[Row]:
        rows = (row for row in reversed(self._of(served, as_of)) if row.stamp <= served.predicted_at)
        return (row for row in rows if served.predicted_at - row.stamp <= self.ttl)

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


def expect(served: Served, history: History, audited_at: datetime) -> Expectation:
    """Return what a view should have given one prediction.

    The values of one row belong to one stamp and one state of knowledge: they are held against the state
    that explains most of them, so that values picked from several states are skewed.
    """
    wanted = history.usable(served, served.predicted_at)
    explanation = _explanation(served, history)
    told = _values(explanation or (None if _may_be_absent(served, history, wanted) else wanted), served)
    return Expectation(
        told=told,
        wanted=_values(wanted, served),
        now=_values(history.stamped(served, audited_at), served) if explanation else told,
        is_materialised=history.was_online(served, served.predicted_at),
    )


def judge(
    values: Mapping[str, FeatureValue], expected: Expectation
) -> dict[str, tuple[SkewVerdict, FeatureValue]]:
    """Return a verdict and the expected value for each served feature."""
    return {name: (_verdict(name, value, expected), expected.told[name]) for name, value in values.items()}


def summarise(
    view: str | None,
    verdicts: Iterable[tuple[Prediction, Mapping[str, tuple[SkewVerdict, FeatureValue]]]],
) -> list[FeatureSkew]:
    """Count one view's verdicts, or those of request-time features, by model and feature, ordered by both."""
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
            not_materialised=counted[SkewVerdict.NOT_MATERIALISED],
            corrected=counted[SkewVerdict.CORRECTED],
            examples=tuple(examples[model, feature]),
        )
        for (model, feature), counted in sorted(counts.items())
    ]


def _verdict(name: str, value: FeatureValue, expected: Expectation) -> SkewVerdict:
    if not equal(value, expected.told[name]):
        return SkewVerdict.SKEW
    if not equal(value, expected.wanted[name]):
        return SkewVerdict.DELAYED if expected.is_materialised else SkewVerdict.NOT_MATERIALISED
    return SkewVerdict.MATCH if equal(value, expected.now[name]) else SkewVerdict.CORRECTED


def _may_be_absent(served: Served, history: History, wanted: Row | None) -> bool:
    """Say whether in some state of knowledge since its day no row of the entity was online."""
    if served.stamp is not None or wanted is None:
        return False
    return not all(history.was_online(served, moment) for moment in history.moments(served, wanted.stamp))


def _explanation(served: Served, history: History) -> Row | None:
    """Return the served stamp's row in the state most values agree with; None if none may be served."""
    if served.stamp is None or not timedelta() <= served.predicted_at - served.stamp <= history.ttl:
        return None
    rows = (history.stamped(served, moment) for moment in history.moments(served, served.stamp))
    return max((row for row in rows if row), key=lambda row: _agreement(served, row), default=None)


def _agreement(served: Served, row: Row) -> int:
    return sum(equal(value, row.values.get(name)) for name, value in served.values.items())


def _values(row: Row | None, served: Served) -> dict[str, FeatureValue]:
    return {name: row.values.get(name) if row else None for name in served.values}
