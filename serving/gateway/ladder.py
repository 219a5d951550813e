"""The fallback ladder: who answers when the assigned version cannot."""

from dataclasses import dataclass

from include.contracts.assignment import bucket
from include.contracts.errors import DeadlineError, ModelUnavailableError, ServingError
from include.contracts.predictions import FallbackReason
from include.contracts.routes import CHAMPION, Fallback, ModelRoute, VersionRoute


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant a unit belongs to; bucket and share are None where nothing is split."""

    variant: str
    bucket: float | None
    share: float | None


_UNSPLIT = Assignment(CHAMPION, None, None)


def assign(route: ModelRoute, unit: str) -> Assignment:
    """Assign a unit to a variant of a route."""
    if route.challenger is None or route.change_id is None:
        return _UNSPLIT
    place = bucket(route.change_id, unit)
    return Assignment(route.variant_at(place), place, route.share)


def rungs(route: ModelRoute, variant: str) -> tuple[VersionRoute | tuple[float, ...], ...]:
    """Return what may answer, in order: versions, and the default score as a tuple of outputs.

    The assigned version comes first; where one beside the champion fails, the champion is next. Past the end
    the request is refused.
    """
    ladder: list[VersionRoute | tuple[float, ...]] = [route.champion]
    ladder[:0] = [arm.version for arm in route.challengers if arm.variant == variant]
    for fallback in route.fallbacks:
        if fallback is Fallback.REFUSE:
            break
        if fallback is Fallback.PREVIOUS_VERSION and route.previous is not None:
            ladder.append(route.previous)
        if fallback is Fallback.DEFAULT_SCORE and route.default_score is not None:
            ladder.append(route.default_score)
    return tuple(ladder)


def reason_of(error: ServingError) -> FallbackReason:
    """Return the reason an answer carries for a version's failure."""
    if isinstance(error, ModelUnavailableError):
        return FallbackReason.MODEL_UNAVAILABLE
    if isinstance(error, DeadlineError):
        return FallbackReason.DEADLINE
    return FallbackReason.MODEL_ERROR
