"""How many independent rows repeated ones are worth."""

import numpy as np
from numpy.typing import ArrayLike


def effective_rows(rows_by_unit: ArrayLike) -> float:
    """Return Kish's effective sample size of rows that come in groups: (sum n)² / sum n².

    Kish (1965, Survey Sampling, section 8.2), for rows of a unit that say all the same, which is the worst
    case: a unit that asks a thousand times is one witness.

    Args:
        rows_by_unit: how many rows each unit has.
    """
    rows = np.asarray(rows_by_unit, np.float64)
    squares = float((rows**2).sum())
    return float(rows.sum()) ** 2 / squares if squares else 0.0
