"""Shapley values by permutation sampling: how much each input moved one score.

Castro, Gómez and Tejada 2009, "Polynomial calculation of the Shapley value based on sampling"; the value of
a set of inputs is the mean score of a background in which only that set is replaced (interventional, as
Štrumbelj and Kononenko 2014). Each permutation is walked in both directions, which takes away most of the
sampling error (antithetic sampling, Mitchell et al. 2022).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Score = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.intp]], Array]
"""Scores [n] of n mixtures: given which inputs are the explained row's [n, d] (the others are the background
row's), and which background row each mixture stands on [n]."""

PERMUTATIONS = 64
FEWEST = 2
"""Below it a value has no standard error."""


@dataclass(frozen=True)
class Attribution:
    """What each input added to the mean score of the background; `base` and `values` add up to the score."""

    base: float
    """Mean score of the background rows that were used."""
    values: Array
    """By input [d]."""
    errors: Array
    """Standard error of each value, from the spread over the permutations [d]."""

    @property
    def total(self) -> float:
        """The base and every value, added up."""
        return self.base + float(self.values.sum())


def attribute(
    score: Score, inputs: int, background: int, *, seed: int, permutations: int = PERMUTATIONS
) -> Attribution:
    """Return the attribution of one row.

    Every permutation is exact in itself: its steps add up to the row's score minus that of its background
    row, so that the values add up whatever the sampling error is.

    Args:
        score: the model on mixtures of the row and the background.
        inputs: how many inputs there are, d.
        background: how many background rows there are; they are used in turn.
        seed: same seed, same values.
        permutations: how many; each costs 2 (d + 1) scores.

    Raises:
        ValueError: no inputs, no background, or fewer than two permutations.
    """
    if inputs < 1 or background < 1 or permutations < FEWEST:
        raise ValueError(
            f"needs at least 1 input, 1 background row and 2 permutations; got {inputs}, {background}, "
            f"{permutations}"
        )
    orders = _orders(inputs, permutations, np.random.default_rng(seed))
    rows = np.repeat(np.arange(permutations) % background, 2)
    scores = _walk(score, orders, rows)
    steps = np.empty((len(orders), inputs))
    np.put_along_axis(steps, orders, np.diff(scores, axis=1), axis=1)
    pairs = steps.reshape(permutations, 2, inputs).mean(axis=1)
    return Attribution(
        base=float(scores[:, 0].mean()),
        values=pairs.mean(axis=0),
        errors=pairs.std(axis=0, ddof=1) / np.sqrt(permutations),
    )


def _orders(inputs: int, permutations: int, generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return the orders [2 P, d] in which inputs are put in: each, and right after it its reverse."""
    forward = np.array([generator.permutation(inputs) for _ in range(permutations)])
    return np.stack([forward, forward[:, ::-1]], axis=1).reshape(-1, inputs)


def _walk(score: Score, orders: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]) -> Array:
    """Return the scores [2 P, d + 1] along each order, from the background row to the explained one."""
    count, inputs = orders.shape
    place = np.argsort(orders, axis=1)
    # After k steps the inputs whose place in the order is below k are the explained row's.
    taken = place[:, None, :] < np.arange(inputs + 1)[None, :, None]
    flat = score(taken.reshape(-1, inputs), np.repeat(rows, inputs + 1))
    return flat.reshape(count, inputs + 1)
