"""What attempts, and the version's breaker, make of an answer or a failure of the version."""

from collections.abc import Sequence
from math import isfinite
from time import monotonic

import numpy as np
import numpy.typing as npt

from include.contracts.errors import DeadlineError, ModelError, ServingError
from include.contracts.predictions import FallbackReason
from include.contracts.routes import VersionRoute
from serving.gateway.attempts import Attempt
from serving.gateway.breaker import Breaker
from serving.gateway.ladder import reason_of


def admitted(version: VersionRoute, breaker: Breaker, group: Sequence[Attempt]) -> Sequence[Attempt]:
    """Return whom the breaker lets in; the others go on to the next rung at once."""
    count = breaker.admit(len(group), monotonic())
    for attempt in group[count:]:
        attempt.fall(FallbackReason.BREAKER_OPEN, f"{version.version}: its breaker is open")
    return group[:count]


def fall(version: VersionRoute, group: Sequence[Attempt], error: ServingError) -> None:
    """Send a group to its next rung."""
    for attempt in group:
        attempt.fall(reason_of(error), f"{version.version}: {error}")


def lose(
    version: VersionRoute, breaker: Breaker, group: Sequence[Attempt], error: ServingError, *, had_time: bool
) -> None:
    """Send a group to its next rung; a deadline that was half over is not held against the version."""
    fall(version, group, error)
    if had_time or not isinstance(error, DeadlineError):
        breaker.record(monotonic(), failed=len(group))
    else:
        breaker.record(monotonic(), undecided=len(group))


def take(
    version: VersionRoute, breaker: Breaker, group: Sequence[Attempt], score: npt.NDArray[np.float32]
) -> None:
    """Give a group its outputs; one that is not finite is a failure of the version."""
    failed = 0
    for attempt, outputs in zip(group, score.tolist(), strict=True):
        if all(map(isfinite, outputs)):
            attempt.outputs = tuple(outputs)
        else:
            failed += 1
            fall(version, [attempt], ModelError("the score is not finite"))
    breaker.record(monotonic(), answered=len(group) - failed, failed=failed)
