"""A shift that was there a week ago too: a season, or something that has lasted; and when it is neither."""

from collections.abc import Iterator, Sequence

from include.contracts.alerts import Severity
from include.contracts.measurements import Measurement, Verdict
from include.monitoring.judgement import LASTING_WINDOWS, DriftReason
from include.monitoring.score_shifts import WEEK_AGO

_SHIFTED = frozenset({Verdict.WARNING, Verdict.ALARM})


def with_last_week(judged: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return measurements with what the comparison with a week ago says about those with the reference.

    | against the reference | against a week ago | means |
    |---|---|---|
    | shifted | shifted | it happened this week: as bad as it looks |
    | shifted | not, and it has not lasted | as every week: told, nobody is called |
    | shifted | not, and it has lasted | it has lasted for longer than a week: as bad as it looks |
    | shifted | cannot be told | as bad as it looks |
    | not | shifted | last week was unusual, or all is within what training has seen: nothing |
    """
    return tuple(_seen(each, judged) for each in judged)


def _seen(measurement: Measurement, judged: Sequence[Measurement]) -> Measurement:
    if measurement.verdict not in _SHIFTED:
        return measurement
    metric = measurement.metric
    if metric.endswith(WEEK_AGO):
        main = next(_beside(measurement, metric.removesuffix(WEEK_AGO), judged), None)
        return (
            measurement if main is not None and main.verdict in _SHIFTED else _within_reference(measurement)
        )
    other = next(_beside(measurement, metric + WEEK_AGO, judged), None)
    lasting = measurement.details["windows"] >= LASTING_WINDOWS
    if other is None or other.verdict is not Verdict.OK or lasting:
        return measurement
    told = {**measurement.details, "severity": Severity.INFO.value}
    reason = DriftReason.AS_A_WEEK_AGO.value
    return measurement.model_copy(update={"verdict": Verdict.WARNING, "reason": reason, "details": told})


def _within_reference(measurement: Measurement) -> Measurement:
    kept = {name: each for name, each in measurement.details.items() if name not in {"severity", "since"}}
    reason = DriftReason.WITHIN_REFERENCE.value
    return measurement.model_copy(update={"verdict": Verdict.OK, "reason": reason, "details": kept})


def _beside(of: Measurement, metric: str, judged: Sequence[Measurement]) -> Iterator[Measurement]:
    return (each for each in judged if (each.subject, each.metric) == (of.subject, metric))
