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

    @property
    def rank(self) -> int:
        """Its place among them: the higher, the worse."""
        return list(Severity).index(self)


class AlertKind(StrEnum):
    """What is wrong; `docs/runbooks/<kind>.md` says what to do.

    A kind is never taken away: events of the past speak of it.
    """

    DATA_QUALITY = "data_quality"
    """A source or view did not pass its checks."""
    FEATURE_SKEW = "feature_skew"
    """What was served differs from what the sources give."""
    FEATURE_DRIFT = "feature_drift"
    """Inputs in production are not what the model was trained on."""
    PREDICTION_DRIFT = "prediction_drift"
    """Scores are not what they were."""
    PERFORMANCE = "performance"
    """The model is worse than it was."""
    OBJECTIVE_BURN = "objective_burn"
    """The service spends its error budget too fast."""
    MONITOR_SILENT = "monitor_silent"
    """A monitor did not look for two of its periods."""
    MONITOR_BROKEN = "monitor_broken"
    """A monitor looks and cannot judge."""
    EXPERIMENT = "experiment"
    """An experiment has a verdict, or is broken: a person decides."""
    RAMP_HELD = "ramp_held"
    """A release's ramp waits for a person: evidence is missing, or decides nothing."""
    RAMP_ROLLED_BACK = "ramp_rolled_back"
    """A release's ramp went back by itself."""
    ALERT_ROUTE_FAILING = "alert_route_failing"
    """Alerts do not get through by one of the ways they go out."""

    @property
    def runbook(self) -> str:
        """File in the repository that says what to do."""
        return f"docs/runbooks/{self.value}.md"


class AlertContent(BaseModel):
    """What a stage has to say. No entity values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: AlertKind
    """What is wrong."""
    subject: str
    """What it is about: `source:<name>`, `view:<name>`, a feature, a version."""
    model: str | None = None
    severity: Severity = Severity.ERROR
    message: str
    """One line for people."""
    figures: dict[str, Any] = Field(default_factory=dict)
    """The figures behind it, plain JSON."""
    page: str | None = Field(default=None, pattern=r"^/")
    """Path in Airflow's UI where it can be looked into, such as `/dags/<model>_feature_drift`."""
    report_uri: str | None = None
    """Where the report behind it lies in the artefact store."""

    @property
    def fingerprint(self) -> str:
        """What makes two alerts the same: kind, subject and model, not the figures."""
        return content_hash([self.kind, self.subject, self.model])

    @property
    def group(self) -> str:
        """What alerts are told of together: one kind of trouble of one model."""
        return f"{self.model or 'platform'}:{self.kind.value}"


class Alert(BaseModel):
    """An alert in the outbox."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert_id: str
    content: AlertContent
    """As it was raised, or as it was when it last got worse."""
    raised_at: UtcDatetime
    escalated_at: UtcDatetime | None = None
    """When its severity last rose."""
    delivered_at: UtcDatetime | None = None
    """The last change that every route was told of; a courier's note, of which no event tells."""
    acknowledged_at: UtcDatetime | None = None
    acknowledged_by: str | None = None
    """Who looks after it."""
    acknowledgement: str | None = None
    """What they said about it."""
    resolved_at: UtcDatetime | None = None
    resolved_by: str | None = None
    """`system` where the stage found all well again."""
    resolution: str | None = None
    """Why it is over."""

    @property
    def changed_at(self) -> UtcDatetime:
        """When something last happened to it."""
        moments = (self.raised_at, self.escalated_at, self.acknowledged_at, self.resolved_at)
        return max(moment for moment in moments if moment is not None)
