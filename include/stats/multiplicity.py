"""Several guardrails at once: p-values adjusted for how many there are."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from include.stats.spending import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values that keep the chance of any false alarm at alpha, whatever the dependence.

    Holm (1979, Scandinavian Journal of Statistics 6:65). Order is kept.

    Raises:
        ValueError: there are none, or some lie outside [0, 1].
    """
    values = _p_values(p_values)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values that keep the share of false alarms among all alarms at alpha.

    Benjamini & Hochberg (1995, JRSS B 57:289); for independent or positively dependent metrics. Order is
    kept.

    Raises:
        ValueError: there are none, or some lie outside [0, 1].
    """
    return np.asarray(false_discovery_control(_p_values(p_values), method="bh"), dtype=np.float64)


def _p_values(p_values: ArrayLike) -> Floats:
    values = np.array(p_values, dtype=np.float64, ndmin=1)
    if values.ndim != 1 or values.size == 0 or not np.all((values >= 0.0) & (values <= 1.0)):
        raise ValueError(f"give at least one p-value, all of them within [0, 1]; got {values.tolist()}")
    return values
