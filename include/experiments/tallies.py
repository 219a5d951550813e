"""Requests of the two arms: failures, how alike those of one unit are, limits of a latency quantile."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from include.experiments.exposures import Exposed
from include.experiments.samples import MOMENTS, moments_of
from include.stats.guardrails import LATENCY_QUANTILE, Tally
from include.stats.intervals import Interval
from include.stats.quantiles import check_tail, quantile_levels
from include.stats.sufficient_statistics import JointMoments

_COUNTED = """
SELECT treated, {moments} FROM (
    SELECT treated, {counted}::DOUBLE AS x, requests::DOUBLE AS y FROM units WHERE analysed
) GROUP BY 1
"""
_LATENCIES = """
CREATE OR REPLACE TEMP TABLE latencies AS
SELECT treated, requests - coalesce(above, 0) AS below, coalesce(slow, 0) AS slow, requests
FROM units LEFT JOIN (
    SELECT unit, count_if(latency > CASE WHEN treated THEN {treatment} ELSE {control} END) AS above,
        count_if(latency > {slow}) AS slow
    FROM judged_requests WHERE latency > least({treatment}, {control}, {slow}) GROUP BY unit
) USING (unit) WHERE analysed
"""
# Few requests are that slow, so few are counted unit by unit; the others are the rest of their unit's.
_BY_LATENCY = """
SELECT treated, {moments} FROM (
    SELECT treated, {counted}::DOUBLE AS x, requests::DOUBLE AS y FROM latencies
) GROUP BY 1
"""
_QUANTILES = """
SELECT treated, quantile_disc(latency, {levels}) FROM judged_requests GROUP BY 1
"""


T = TypeVar("T")


@dataclass(frozen=True)
class Arms(Generic[T]):
    """Something of each arm."""

    control: T
    treatment: T


@dataclass(frozen=True)
class Latency:
    """The quantile of each arm in seconds, between its limits, and the requests slower than harm allows."""

    quantiles: Arms[Interval]
    slow: Arms[Tally]


def counted(exposed: Exposed, column: str) -> Arms[Tally]:
    """Return the requests that count, arm by arm, with the clustering of units.

    Args:
        exposed: the experiment's tables.
        column: of `units`: `failed`, `fell_back`, or `requests` for all of them.
    """
    arms = _arms(exposed, _COUNTED.format(moments=MOMENTS, counted=column))
    return Arms(tally(arms.control), tally(arms.treatment))


def _arms(exposed: Exposed, sql: str) -> Arms[JointMoments]:
    found = {bool(treated): moments_of(moments) for treated, *moments in exposed.rows(sql)}
    return Arms(found.get(False, JointMoments()), found.get(True, JointMoments()))


def tally(sample: JointMoments) -> Tally:
    """Return the tally of requests that count (x) among all (y), per unit."""
    requests = round(sample.units * sample.mean_y)
    if not requests:
        return Tally(0, 0)
    failures = round(sample.units * sample.mean_x)
    share = failures / requests
    # Sums of squares and products about zero, from those about the means.
    squares = sample.squares_y + sample.units * sample.mean_y**2
    largest = squares / requests
    clustering = largest
    if 0 < failures < requests:
        failed = sample.squares_x + sample.units * sample.mean_x**2
        both = sample.products + sample.units * sample.mean_x * sample.mean_y
        residual = failed - 2.0 * share * both + share**2 * squares
        clustering = residual / (requests * share * (1.0 - share))
    return Tally(failures, requests, min(max(clustering, 1.0), largest), largest)


def latency(exposed: Exposed, confidence: float, margin: float) -> Latency | None:
    """Return what is known of the latency; None where there are too few requests.

    Args:
        exposed: the experiment's tables.
        confidence: of the two limits of each quantile together.
        margin: seconds beyond control's quantile from which on a request counts as slow.
    """
    values = _looked_up(exposed, Arms((LATENCY_QUANTILE,), (LATENCY_QUANTILE,)))
    if values is None:
        return None
    [control], [treatment] = values.control, values.treatment
    exposed.connection.execute(
        _LATENCIES.format(
            control=f"{control!r}::FLOAT",
            treatment=f"{treatment!r}::FLOAT",
            slow=f"{control + margin!r}::FLOAT",
        )
    )
    below, slow = (
        _arms(exposed, _BY_LATENCY.format(moments=MOMENTS, counted=column)) for column in ("below", "slow")
    )
    try:
        levels = Arms(*(_levels(arm, confidence) for arm in (below.control, below.treatment)))
    except ValueError:
        return None
    found = _looked_up(exposed, levels)
    if found is None:
        return None
    quantiles = Arms(*(Interval(*ends) for ends in (found.control, found.treatment)))
    return Latency(quantiles, Arms(tally(slow.control), tally(slow.treatment)))


def _levels(below: JointMoments, confidence: float) -> tuple[float, ...]:
    check_tail(round(below.units * below.mean_y), LATENCY_QUANTILE)
    low, high = quantile_levels(below, LATENCY_QUANTILE, confidence)
    return (low, LATENCY_QUANTILE, high)


def _looked_up(exposed: Exposed, levels: Arms[tuple[float, ...]]) -> Arms[tuple[float, ...]] | None:
    """Return the latencies at quantiles of each arm."""
    both = [*levels.control, *levels.treatment]
    rows = {bool(treated): values for treated, values in exposed.rows(_QUANTILES.format(levels=both))}
    if set(rows) != {False, True}:
        return None
    size = len(levels.control)
    control, treatment = (tuple(map(float, rows[treated])) for treated in (False, True))
    return Arms(control[:size], treatment[size:])
