"""Requests of the two arms: failures, how alike those of one unit are, limits of a latency quantile."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from include.experiments.exposures import Exposed
from include.experiments.samples import MOMENTS, moments_of
from include.stats.guardrails import LATENCY_QUANTILE, Tally
from include.stats.intervals import Interval
from include.stats.quantiles import check_tail, quantile_levels
from include.stats.sufficient_statistics import JointMoments

_PER_UNIT = """
SELECT u.treated, {moments} FROM (
    SELECT unit, sum(({counts})::INTEGER)::DOUBLE AS x, count(*)::DOUBLE AS y FROM requests GROUP BY unit
) r JOIN units u USING (unit) WHERE u.analysed GROUP BY 1
"""
_QUANTILES = """
SELECT u.treated, quantile_disc(r.latency, {levels}) FROM requests r JOIN units u USING (unit)
WHERE u.analysed GROUP BY 1
"""


T = TypeVar("T")


@dataclass(frozen=True)
class Arms(Generic[T]):
    """Something of each arm."""

    control: T
    treatment: T


def per_unit(exposed: Exposed, counts: str) -> Arms[JointMoments]:
    """Return, per unit, the requests that count (x) and all of them (y).

    Args:
        exposed: the experiment's tables.
        counts: SQL condition on a request.
    """
    rows = exposed.rows(_PER_UNIT.format(moments=MOMENTS, counts=counts))
    found = {bool(treated): moments_of(moments) for treated, *moments in rows}
    return Arms(found.get(False, JointMoments()), found.get(True, JointMoments()))


def tallies(exposed: Exposed, counts: str) -> Arms[Tally]:
    """Return the requests that count, arm by arm, with the clustering of units."""
    arms = per_unit(exposed, counts)
    return Arms(tally(arms.control), tally(arms.treatment))


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


def latency_intervals(exposed: Exposed, confidence: float) -> Arms[Interval] | None:
    """Return the quantile of the latency in seconds, arm by arm; None where there are too few requests."""
    values = _looked_up(exposed, Arms((LATENCY_QUANTILE,), (LATENCY_QUANTILE,)))
    if values is None:
        return None
    slow = f"CASE WHEN treated THEN {values.treatment[0]!r} ELSE {values.control[0]!r} END"
    below = per_unit(exposed, f"latency <= {slow}")
    try:
        levels = Arms(*(_levels(arm, confidence) for arm in (below.control, below.treatment)))
    except ValueError:
        return None
    found = _looked_up(exposed, levels)
    if found is None:
        return None
    return Arms(*(Interval(*ends) for ends in (found.control, found.treatment)))


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
