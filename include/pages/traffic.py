"""Who has which part of a model's traffic, and who had it when."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import BaseModel

from include.adapters.ledger.routes import RouteChange
from include.contracts.moments import UtcDatetime
from include.contracts.releases import Approval, Release, is_granted
from include.contracts.routes import ModelRoute
from include.pages.airflow_facts import STRICT

SHADOW = "shadow"
"""Variant of the version that requests are mirrored to."""


class VariantShare(BaseModel):
    """A version's part of the units."""

    model_config = STRICT

    variant: str
    version: str
    share: float


class Reign(BaseModel):
    """A stretch of wall time in which one version was champion."""

    model_config = STRICT

    version: str
    start: UtcDatetime
    end: UtcDatetime | None
    """None: it serves still."""
    by: str
    reason: str | None
    change_id: str | None
    """The release or experiment behind it."""
    approved_by: tuple[str, ...]
    """Whose yeses let the version go by then: half of a quorum lets nothing go."""


def shares(route: ModelRoute) -> tuple[VariantShare, ...]:
    """Return the versions of a route with their shares, the champion first."""
    found = [
        VariantShare(variant=arm.variant, version=arm.version.version, share=arm.share) for arm in route.arms
    ]
    if route.shadow is not None:
        found.append(VariantShare(variant=SHADOW, version=route.shadow.version, share=route.shadow_share))
    return tuple(found)


def reigns(
    changes: Sequence[RouteChange], releases: Sequence[Release], answers: Sequence[Approval]
) -> tuple[Reign, ...]:
    """Return who was champion from when to when, the latest first."""
    return tuple(reversed(list(_reigns(changes, releases, answers))))


def approvers(
    version: str, releases: Sequence[Release], answers: Sequence[Approval], by: datetime | None = None
) -> tuple[str, ...]:
    """Return whose yeses let a version go, in each of its releases that had as many as it needs.

    Args:
        version: the version.
        releases: of its model.
        answers: to them.
        by: only answers that were given by this moment of wall time; None for all.
    """
    names: list[str | None] = []
    for release in releases:
        if release.version == version:
            own = (each for each in answers if each.release_id == release.release_id)
            given = [each for each in own if by is None or each.decided_at <= by]
            names += [each.decided_by for each in given] if is_granted(release.quorum, given) else []
    return tuple(dict.fromkeys(name for name in names if name))


def _reigns(
    changes: Sequence[RouteChange], releases: Sequence[Release], answers: Sequence[Approval]
) -> Iterator[Reign]:
    turns = [change for at, change in enumerate(changes) if at == 0 or _turns(changes[at - 1], change)]
    for at, turn in enumerate(turns):
        if turn.route is None:
            continue
        version = turn.route.champion.version
        yield Reign(
            version=version,
            start=turn.recorded_at,
            end=turns[at + 1].recorded_at if at + 1 < len(turns) else None,
            by=turn.actor,
            reason=turn.reason,
            change_id=turn.route.change_id,
            approved_by=approvers(version, releases, answers, turn.recorded_at),
        )


def _turns(before: RouteChange, after: RouteChange) -> bool:
    return _champion(before) != _champion(after)


def _champion(change: RouteChange) -> str | None:
    return None if change.route is None else change.route.champion.version
