"""What a model's service did: traffic, errors, time to answer, and what is left of its error budget."""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel

from include.contracts.measurements import Measurement
from include.contracts.moments import UtcDatetime
from include.contracts.objectives import Objective
from include.pages.airflow_facts import STRICT
from include.pages.trends import Trend, trends

BAD_RATIO = "bad_ratio"
BUDGET_LEFT = "budget_left"
LATENCY_P99 = "latency_p99_ms"
"""Of a span's details."""
TRAFFIC = "requests_per_second"


class Service(BaseModel):
    """The last span of requests that a look counted."""

    model_config = STRICT

    start: UtcDatetime
    end: UtcDatetime
    requests_per_second: float
    error_ratio: float | None
    slow_ratio: float | None
    """Answers that took longer than the contract promises."""
    latency_p99_ms: float | None
    budget_left: dict[Objective, float | None]


def service(measured: Sequence[Measurement]) -> Service | None:
    """Return what a look at the objectives says of the last requests; None where there were none."""
    spans = [each for each in measured if each.metric == BAD_RATIO and each.n]
    if not spans:
        return None
    end = max(each.window_end for each in spans)
    last = {each.subject: each for each in spans if each.window_end == end}
    counted = last.get(Objective.AVAILABILITY.value) or next(iter(last.values()))
    slow = last.get(Objective.LATENCY.value)
    return Service(
        start=counted.window_start,
        end=end,
        requests_per_second=_rate(counted),
        error_ratio=_value(last.get(Objective.AVAILABILITY.value)),
        slow_ratio=_value(slow),
        latency_p99_ms=slow.details.get(LATENCY_P99) if slow else None,
        budget_left={Objective(each.subject): each.value for each in measured if each.metric == BUDGET_LEFT},
    )


def service_trends(measured: Iterable[Measurement]) -> tuple[Trend, ...]:
    """Return the lines of a service, traffic and time to answer among them."""
    known = list(measured)
    return trends([*known, *_derived(known)])


def _derived(measured: Iterable[Measurement]) -> Iterator[Measurement]:
    for each in measured:
        if each.metric != BAD_RATIO:
            continue
        if each.subject == Objective.AVAILABILITY.value:
            yield each.model_copy(update={"metric": TRAFFIC, "subject": "requests", "value": _rate(each)})
        elif LATENCY_P99 in each.details:
            value = each.details[LATENCY_P99]
            yield each.model_copy(update={"metric": LATENCY_P99, "subject": "answers", "value": value})


def _rate(span: Measurement) -> float:
    return span.n / (span.window_end - span.window_start).total_seconds()


def _value(span: Measurement | None) -> float | None:
    return None if span is None else span.value
