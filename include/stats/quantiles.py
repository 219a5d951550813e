"""Quantile metrics such as p99 latency, for requests that cluster in units.

The share of requests below the quantile is a ratio metric, whose error the delta method knows; mapped back
through the order statistics it gives limits of the quantile itself, with no density to estimate and nothing
to resample (Woodruff 1952, JASA 47:635; Deng, Knoblich & Lu 2018, section 4).
"""

from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from include.stats.delta_method import ratio
from include.stats.intervals import Interval, difference_of_intervals
from include.stats.spending import Floats, probability
from include.stats.sufficient_statistics import JointMoments

MINIMUM_TAIL = 10
"""Requests needed on either side of a quantile before it is estimated at all."""


def quantile_interval(
    values: ArrayLike, units: ArrayLike, quantile: float, confidence: float = 0.95
) -> Interval:
    """Return a quantile over requests with limits that allow for requests of one unit being alike.

    Args:
        values: one number a request, shape (requests,).
        units: the unit of each request, shape (requests,); each its own where requests are independent.
        quantile: 0.99 for p99.
        confidence: of the two limits together.

    Raises:
        ValueError: shapes that differ, values that are not finite, a quantile or confidence outside (0, 1),
            or too few requests in the tail to bound the quantile on both sides.
    """
    numbers, codes = _clustered(values, units)
    check_tail(numbers.size, probability(quantile, "quantile"))
    ordered = np.sort(numbers)
    value = _order_statistic(ordered, quantile)
    low, high = quantile_levels(_below(numbers <= value, codes), quantile, confidence)
    return Interval(_order_statistic(ordered, low), value, _order_statistic(ordered, high))


def check_tail(requests: int, quantile: float) -> None:
    """Refuse a quantile with too little beyond it.

    Raises:
        ValueError: fewer than `MINIMUM_TAIL` requests lie on its thin side.
    """
    tail = min(quantile, 1.0 - quantile) * requests
    if tail < MINIMUM_TAIL:
        raise ValueError(
            f"{requests} requests leave {tail:.1f} beyond quantile {quantile:g}: fewer than {MINIMUM_TAIL}"
        )


def quantile_levels(below: JointMoments, quantile: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two quantiles whose values are a quantile's limits; who keeps the rows looks them up.

    Args:
        below: per unit, its requests at or below the quantile's value (x) and all of them (y).
        quantile: 0.99 for p99.
        confidence: of the two limits together.

    Raises:
        ValueError: a quantile or confidence outside (0, 1), or too few units to bound it on both sides.
    """
    thin = min(probability(quantile, "quantile"), 1.0 - quantile)
    z = float(ndtri((1.0 + probability(confidence, "confidence")) / 2.0))
    half = z * ratio(below).standard_error
    if half >= thin:
        raise ValueError(
            f"too few units to bound quantile {quantile:g}: its limits are {quantile:g} +- {half:.2g}"
        )
    return quantile - half, quantile + half


def difference_of_quantiles(control: Interval, treatment: Interval) -> Interval:
    """Return treatment less control from a `quantile_interval` of each, of the same confidence."""
    return difference_of_intervals(control, treatment)


def _below(below: NDArray[np.bool_], codes: NDArray[np.intp]) -> JointMoments:
    """Return requests below (x) and all requests (y) by unit."""
    requests = np.bincount(codes).astype(np.float64)
    return JointMoments.of(np.bincount(codes, weights=below), requests)


def _order_statistic(ordered: Floats, quantile: float) -> float:
    """Return the smallest value with at least that share of the requests at or below it."""
    return float(ordered[min(max(ceil(quantile * ordered.size), 1), ordered.size) - 1])


def _clustered(values: ArrayLike, units: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """Return the values and the units as codes 0..n-1."""
    numbers, names = np.asarray(values, dtype=np.float64), np.asarray(units)
    if numbers.ndim != 1 or numbers.shape != names.shape:
        raise ValueError(f"one unit a request, please; got shapes {numbers.shape} and {names.shape}")
    if not np.all(np.isfinite(numbers)):
        raise ValueError("values must be finite")
    return numbers, pd.factorize(names)[0]
