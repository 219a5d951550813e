"""Ledger events: append-only, hash-chained, free of entity values."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.canonical import content_hash
from include.contracts.moments import UtcDatetime

GENESIS_HASH = "0" * 64
"""`previous_hash` of the first event."""

SYSTEM = "system"
"""Actor of scheduled work; it excludes nobody from approving."""


class EventKind(StrEnum):
    """What happened."""

    VERSION_REGISTERED = "version_registered"
    VERSION_RETIRED = "version_retired"
    MODEL_RETIRED = "model_retired"
    MODEL_TRAINED = "model_trained"
    RELEASE_OPENED = "release_opened"
    APPROVAL_RECORDED = "approval_recorded"
    RELEASE_ADVANCED = "release_advanced"
    RELEASE_ENDED = "release_ended"
    ROUTE_CHANGED = "route_changed"
    EXPERIMENT_ANSWERED = "experiment_answered"
    EXPERIMENT_STARTED = "experiment_started"
    EXPERIMENT_ADVANCED = "experiment_advanced"
    EXPERIMENT_ANALYSED = "experiment_analysed"
    EXPERIMENT_ENDED = "experiment_ended"
    RETRAIN_REQUESTED = "retrain_requested"
    RETRAIN_CLAIMED = "retrain_claimed"
    RETRAIN_RETURNED = "retrain_returned"
    RETRAIN_ENDED = "retrain_ended"
    ALERT_RAISED = "alert_raised"
    ALERT_ESCALATED = "alert_escalated"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERT_RESOLVED = "alert_resolved"
    KEY_ISSUED = "key_issued"
    KEY_ROTATED = "key_rotated"
    KEY_REVOKED = "key_revoked"
    ACTION_ASKED = "action_asked"
    ENTITY_ERASED = "entity_erased"


class LedgerEvent(BaseModel):
    """One link of the chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(ge=1)
    kind: EventKind
    model: str | None
    subject: str
    """Id of what the event is about: a version, release, experiment, request, alert or key."""
    actor: str
    """User name, or `system`."""
    recorded_at: UtcDatetime
    payload: dict[str, Any]
    previous_hash: str
    hash: str


def event_hash(
    *,
    sequence: int,
    kind: str,
    model: str | None,
    subject: str,
    actor: str,
    recorded_at: str,
    payload: dict[str, Any],
    previous_hash: str,
) -> str:
    """Return the hash of an event over all its fields and the hash before it.

    `recorded_at` is the ISO 8601 text that is stored, so that no database's idea of time enters.
    """
    return content_hash([sequence, kind, model, subject, actor, recorded_at, payload, previous_hash])
