"""Who has which part of a model's traffic, and who had it when."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from include.adapters.ledger.routes import RouteChange
from include.contracts.moments import UtcDatetime
from include.contracts.releases import Approval, Decision
from include.contracts.routes import ModelRoute
from include.pages.airflow_facts import STRICT


class Variant(StrEnum):
    """What a version is in a route."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


class VariantShare(BaseModel):
    """A version's part of the units."""

    model_config = STRICT

    variant: Variant
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
    """Who had said yes to the version by then."""


def shares(route: ModelRoute) -> tuple[VariantShare, ...]:
    """Return the versions of a route with their shares, the champion first."""
    found = [VariantShare(variant=Variant.CHAMPION, version=route.champion.version, share=1 - route.share)]
    if route.challenger is not None:
        version = route.challenger.version
        found.append(VariantShare(variant=Variant.CHALLENGER, version=version, share=route.share))
    if route.shadow is not None:
        version = route.shadow.version
        found.append(VariantShare(variant=Variant.SHADOW, version=version, share=route.shadow_share))
    return tuple(found)


def reigns(changes: Sequence[RouteChange], answers: Sequence[Approval]) -> tuple[Reign, ...]:
    """Return who was champion from when to when, the latest first."""
    return tuple(reversed(list(_reigns(changes, answers))))


def _reigns(changes: Sequence[RouteChange], answers: Sequence[Approval]) -> Iterator[Reign]:
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
            approved_by=_approvers(answers, version, turn.recorded_at),
        )


def _turns(before: RouteChange, after: RouteChange) -> bool:
    return _champion(before) != _champion(after)


def _champion(change: RouteChange) -> str | None:
    return None if change.route is None else change.route.champion.version


def _approvers(answers: Sequence[Approval], version: str, moment: datetime) -> tuple[str, ...]:
    said_yes = (
        answer.decided_by
        for answer in answers
        if answer.version == version and answer.decision is Decision.APPROVED and answer.decided_at <= moment
    )
    return tuple(dict.fromkeys(name for name in said_yes if name))
