"""What monitors of drift say: measurements that are about a whole run, and a run's line for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict, worst
from include.monitoring.judgement import DriftReason

ROWS = "rows"
_NAMED = 3
"""Subjects a summary names."""
_NOTHING = {Verdict.NO_DATA: "no data", Verdict.TOO_FEW: "too few rows to judge"}


def alone(template: Measurement, verdict: Verdict, reason: DriftReason, **details: Any) -> Measurement:  # noqa: ANN401
    """Return what stands for a whole run that could measure nothing."""
    return template.model_copy(update={"verdict": verdict, "reason": reason.value, "details": details})


def row_count(template: Measurement, rows: int, independent: float, minimum: int) -> Measurement:
    """Return how many rows a window had, and whether they are enough."""
    enough = independent >= minimum
    return template.model_copy(
        update={
            "value": float(rows),
            "n": rows,
            "verdict": Verdict.OK if enough else Verdict.TOO_FEW,
            "reason": (DriftReason.NO_SHIFT if enough else DriftReason.TOO_FEW_ROWS).value,
            "details": {"independent_rows": independent, "minimum_rows": minimum},
        }
    )


def template(
    model: str, monitor: Monitor, version: str | None, start: datetime, end: datetime, **rest: str | None
) -> Measurement:
    """Return a measurement of rows that the others of a run are made from."""
    return Measurement(
        model=model,
        monitor=monitor,
        version=version,
        subject=ROWS,
        metric=ROWS,
        window_start=start,
        window_end=end,
        n=0,
        verdict=Verdict.NO_DATA,
        reason=DriftReason.NO_ROWS.value,
        **rest,
    )


def run_of(found: Sequence[Measurement], as_of: datetime, recorded_at: datetime) -> MonitorRun:
    """Return the run that measurements make up; there is at least one."""
    return MonitorRun(
        model=found[0].model,
        monitor=found[0].monitor,
        as_of=as_of,
        recorded_at=recorded_at,
        verdict=worst(tuple(each.verdict for each in found)),
        summary=summary(found),
    )


def summary(found: Sequence[Measurement]) -> str:
    """Return what a run saw, in one line."""
    unable = [each for each in found if each.verdict is Verdict.BROKEN]
    if unable:
        return "cannot judge: " + "; ".join(dict.fromkeys(str(each.details["what"]) for each in unable))
    rows = sum(each.n for each in found if each.metric == ROWS)
    shifted = [each for each in found if each.verdict in {Verdict.ALARM, Verdict.WARNING}]
    if not shifted:
        verdict = worst(tuple(each.verdict for each in found))
        return f"{_NOTHING.get(verdict, 'nothing drifted')}; {rows} rows"
    shifted.sort(key=lambda each: (each.verdict is not Verdict.ALARM, -each.details["effect"]))
    named = [f"{each.subject} ({each.metric} {each.value:.3g})" for each in shifted[:_NAMED]]
    more = ", …" if len(shifted) > _NAMED else ""
    return f"{len({each.subject for each in shifted})} drifted: {', '.join(named)}{more}; {rows} rows"
