"""Requests claimed among several gateways: one answers, the others give its answer."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from include.adapters.coordination import Answers, Claim, ClaimState
from serving.gateway.coalescer import Coalescer
from serving.gateway.parts import Part
from serving.gateway.problems import KINDS_BY_SLUG, REQUEST_ID_REUSED, Problem
from serving.gateway.request_window import Identity, Whose
from serving.gateway.schemas import Prediction
from serving.gateway.shared_state import SharedState

MOST_REQUESTS = 128
"""Most requests that one call of Redis claims or keeps."""


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entity's final answer as it is shared: a prediction or a refusal."""

    prediction: Prediction | None = None
    problem: str = ""
    detail: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Kept | None]).decode


class RequestClaims:
    """Claims through Redis; while it is away nobody can tell, and each gateway goes on by itself."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._claims: Coalescer[tuple[str, str], Claim | None] = Coalescer(self._claim_all, MOST_REQUESTS)
        self._answers: Coalescer[Answers, None] = Coalescer(self._keep_all, MOST_REQUESTS)

    async def claim(self, identity: Identity, body_sha256: str) -> tuple[Whose, Sequence[Part | None]]:
        """Claim a request; return whose it is, and what is known of its answers.

        Raises:
            Problem: 422, the id was used with another body.
        """
        claim = await self._claims.ask((name_of(identity), body_sha256))
        if claim is None:
            return Whose.UNKNOWN, []
        if claim.state is ClaimState.OTHER_BODY:
            raise Problem(REQUEST_ID_REUSED, "use a new request_id for another request")
        if claim.state is ClaimState.BUSY:
            return Whose.BUSY, []
        is_answered = claim.state is ClaimState.ANSWERED
        return Whose.ANSWERED if is_answered else Whose.OURS, _parts(claim.answers)

    async def keep(self, identity: Identity, parts: Sequence[Part | None]) -> None:
        """Share the answers of a request that was claimed."""
        content = _encode([_kept(part) for part in parts])
        await self._answers.ask(Answers(name_of(identity), content, is_complete=None not in parts))

    async def _claim_all(self, requests: Sequence[tuple[str, str]]) -> Sequence[Claim | None]:
        claims = await self._shared.attempt(lambda redis: redis.claim(requests))
        return [None] * len(requests) if claims is None else claims

    async def _keep_all(self, answered: Sequence[Answers]) -> Sequence[None]:
        await self._shared.attempt(lambda redis: redis.keep(answered))
        return [None] * len(answered)


def name_of(identity: Identity) -> str:
    """Return a request's name among gateways, of bounded length whatever the caller sent."""
    return sha256(msgspec.json.encode(identity)).hexdigest()


def _kept(part: Part | None) -> _Kept | None:
    if isinstance(part, Problem):
        return _Kept(problem=part.kind.slug, detail=part.detail)
    return _Kept(prediction=part) if isinstance(part, Prediction) else None


def _parts(answers: bytes) -> list[Part | None]:
    return [_part(kept) for kept in _decode(answers)] if answers else []


def _part(kept: _Kept | None) -> Part | None:
    if kept is None:
        return None
    return kept.prediction or Problem(KINDS_BY_SLUG[kept.problem], kept.detail)
