"""Alerts: what somebody must look at, in the ledger's outbox until it is resolved."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.canonical import content_hash
from include.contracts.moments import UtcDatetime


class Severity(StrEnum):
    """How much an alert matters, in PagerDuty's words."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class AlertContent(BaseModel):
    """What a stage has to say. No entity values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """What is wrong, as its runbook is called: `data_quality`, `features_skew`."""
    subject: str
    """What it is about: `source:<name>`, `view:<name>`, a feature, a version."""
    model: str | None = None
    severity: Severity = Severity.ERROR
    message: str
    """One line for people."""
    figures: dict[str, Any] = Field(default_factory=dict)
    """The figures behind it, plain JSON."""

    @property
    def fingerprint(self) -> str:
        """What makes two alerts the same: kind, subject and model, not the figures."""
        return content_hash([self.kind, self.subject, self.model])


class Alert(BaseModel):
    """An alert in the outbox."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert_id: str
    content: AlertContent
    raised_at: UtcDatetime
    delivered_at: UtcDatetime | None = None
    acknowledged_at: UtcDatetime | None = None
    resolved_at: UtcDatetime | None = None
