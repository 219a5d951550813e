"""The request window rebuilt from the log: which answers a repeat gets after this process was killed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from include.adapters.request_tail import LoggedAnswer
from include.contracts.predictions import Status
from include.contracts.routes import ModelRoute
from serving.gateway.parts import Part
from serving.gateway.problems import KINDS_BY_SLUG, Problem
from serving.gateway.request_window import Identity, Remembered
from serving.gateway.schemas import Prediction

_REFUSAL = re.compile(rf"(?:^|; )({'|'.join(map(re.escape, KINDS_BY_SLUG))}): (.*)", re.DOTALL)


@dataclass(slots=True)
class _Request:
    body_sha256: str
    recorded_at: datetime
    parts: list[Part | None]


def remembered(
    rows: Iterable[LoggedAnswer], routes: Mapping[str, ModelRoute], now: datetime
) -> list[Remembered[Part]]:
    """Return the requests that rows tell of, oldest first.

    An entity whose row is a failure, or that has none because the process was killed before, stays open: a
    repeat asks for it and gets what the log has of the others.

    Args:
        rows: newest first; of an id used with several bodies, the last one counts.
        routes: those in force, by model; they name the classes of outputs.
        now: wall time, aware.
    """
    found: dict[Identity, _Request] = {}
    for row in rows:
        answer = _answer(row, routes.get(row.model))
        if answer is None or row.key_id is None or not 0 <= row.request_index < row.request_entities:
            continue
        identity = Identity(row.key_id, row.model, row.request_id)
        unknown = _Request(row.body_sha256, row.recorded_at, [None] * row.request_entities)
        request = found.setdefault(identity, unknown)
        is_of_it = (request.body_sha256, len(request.parts)) == (row.body_sha256, row.request_entities)
        if is_of_it and request.parts[row.request_index] is None:
            request.parts[row.request_index] = answer
    return [
        Remembered(identity, known.body_sha256, known.parts, (now - known.recorded_at).total_seconds())
        for identity, known in reversed(found.items())
    ]


def _answer(row: LoggedAnswer, route: ModelRoute | None) -> Part | None:
    """Return what the row's caller was told; None for a failure, which is worth another try."""
    if row.status is Status.REFUSED:
        refusal = _REFUSAL.search(row.error or "")
        return refusal and Problem(KINDS_BY_SLUG[refusal[1]], refusal[2])
    if row.outputs is None or row.assigned_variant is None:
        return None
    classes = _classes(row, route)
    if len(row.outputs) > 1 and len(classes) != len(row.outputs):
        return None
    as_of = min((moment for moment in row.feature_timestamps.values() if moment is not None), default=None)
    return Prediction(
        prediction_id=row.prediction_id,
        model=row.model,
        version=row.served_version,
        variant=row.assigned_variant,
        score=msgspec.UNSET if classes else row.outputs[0],
        scores=dict(zip(classes, row.outputs, strict=True)) if classes else msgspec.UNSET,
        features_as_of=as_of.astimezone(UTC) if as_of else None,
        fallback=row.fallback_reason,
    )


def _classes(row: LoggedAnswer, route: ModelRoute | None) -> tuple[str, ...]:
    """Return the classes a row's outputs stand for, as its version names them; empty for a single score."""
    if route is None or len(row.outputs or ()) == 1:
        return ()
    served = (version for version in route.versions if version.version == row.served_version)
    return tuple(next(served, route.champion).signature.classes)
