"""Tables of the ledger: the chain of events, the state it speaks about, and what monitors measured."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

from include.contracts.canonical import canonical_json

Name = String(200).with_variant(Text(), "postgresql")
"""What people and other systems name; SQLite never minds the length, PostgreSQL must be told not to."""


def utc_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 text in UTC with microseconds; such texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class Moment(TypeDecorator[datetime]):
    """An aware datetime, stored as `utc_text`, so that no database's idea of time enters."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write a moment."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read a moment."""
        return None if value is None else datetime.fromisoformat(value)


class Document(TypeDecorator[Any]):
    """A JSON value, stored as canonical JSON text."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write a value."""
        return None if value is None else canonical_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:  # noqa: ARG002
        """Read a value."""
        return None if value is None else json.loads(value)


metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("model", String(80)),
    Column("subject", Name, nullable=False),
    Column("actor", Name, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_events_model_kind", "model", "kind", "sequence"),
)

chain_head = Table(
    "chain_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("recorded_at", Moment, nullable=False),
    CheckConstraint("id = 1", name="ck_chain_head_single"),
)

versions = Table(
    "versions",
    metadata,
    Column("model", String(80), primary_key=True),
    Column("version", String(40), primary_key=True),
    Column("artefact_sha256", String(64), nullable=False),
    Column("package_uri", Text, nullable=False),
    Column("run_id", String(80), nullable=False),
    Column("requested_by", Name, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("retired_at", Moment),
    UniqueConstraint("model", "artefact_sha256", name="uq_versions_artefact"),
    UniqueConstraint("model", "run_id", name="uq_versions_run"),
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", Name, primary_key=True),
    Column("model", String(80), nullable=False),
    Column("version", String(40), nullable=False),
    Column("champion_version", String(40)),
    Column("artefact_sha256", String(64), nullable=False),
    Column("evaluation_uri", Text),
    Column("contract_sha256", String(64), nullable=False),
    Column("plan", Document, nullable=False),
    Column("thresholds", Document, nullable=False),
    Column("approvers", Document, nullable=False),
    Column("quorum", Integer, nullable=False),
    Column("stage", String(40), nullable=False),
    Column("share", Float, nullable=False),
    Column("ramp", Document),
    Column("requested_by", Name, nullable=False),
    Column("triggered_by", Name, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("ended_at", Moment),
    ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"], name="fk_releases"),
    Index("ix_releases_model", "model", "opened_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("holder_id", Name, primary_key=True),
    Column("model", String(80), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
    CheckConstraint("kind IN ('release', 'experiment')", name="ck_leases_kind"),
    Index(
        "uq_leases_open",
        "model",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

approvals = Table(
    "approvals",
    metadata,
    Column("sequence", Integer, ForeignKey("events.sequence", name="fk_approvals_event"), primary_key=True),
    Column("release_id", Name, ForeignKey("releases.release_id", name="fk_approvals"), nullable=False),
    Column("model", String(80), nullable=False),
    Column("version", String(40), nullable=False),
    Column("artefact_sha256", String(64), nullable=False),
    Column("decision", String(20), nullable=False),
    Column("decided_by", Name),
    Column("decided_at", Moment, nullable=False),
    Column("evidence_sha256", String(64), nullable=False),
    Column("reason", Text),
    Index("ix_approvals_release", "release_id"),
)

routes = Table(
    "routes",
    metadata,
    Column("model", String(80), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("route", Document, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

route_snapshots = Table(
    "route_snapshots",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("snapshot_id", String(80), nullable=False, unique=True),
    Column("snapshot", Document, nullable=False),
    Column("recorded_at", Moment, nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", Name, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("model", String(80), nullable=False),
    Column("plan", Document, nullable=False),
    Column("plan_sha256", String(64), nullable=False),
    Column("size", Document, nullable=False),
    Column("control_version", String(40), nullable=False),
    Column("treatment_version", String(40), nullable=False),
    Column("treatment_sha256", String(64), nullable=False),
    Column("further", Document, nullable=False, server_default="[]"),
    Column("share", Float, nullable=False),
    Column("state", String(40), nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("started_by", Name, nullable=False),
    Column("approved_by", Document, nullable=False),
    Column("reason", Text),
    Column("revision", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_experiments_model", "model", "started_at"),
)

retrain_requests = Table(
    "retrain_requests",
    metadata,
    Column("request_id", String(80), primary_key=True),
    Column("model", String(80), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("requested_by", Name, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("claimed_by", Name),
    Column("claimed_at", Moment),
    Column("ended_at", Moment),
    Column("outcome", Text),
    Column("why", Text),
    Column("figures", Document, nullable=False, server_default="{}"),
    Index("ix_retrain_requests_model", "model", "claimed_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", String(80), primary_key=True),
    Column("model", String(80)),
    Column("kind", String(80), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("body", Document, nullable=False),
    Column("raised_at", Moment, nullable=False),
    Column("delivered_at", Moment),
    Column("acknowledged_at", Moment),
    Column("resolved_at", Moment),
    Column("escalated_at", Moment),
    Column("acknowledged_by", Name),
    Column("acknowledgement", Text),
    Column("resolved_by", Name),
    Column("resolution", Text),
    Index("ix_alerts_delivered", "delivered_at", "raised_at"),
    Index(
        "uq_alerts_open",
        "fingerprint",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("alert_id", String(80), ForeignKey("alerts.alert_id", name="fk_deliveries"), primary_key=True),
    Column("route", String(80), primary_key=True),
    Column("told_at", Moment),
    Column("receipt", Text),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", Moment),
    Column("next_attempt_at", Moment),
    Column("error", Text),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(80), primary_key=True),
    Column("name", Name, nullable=False),
    Column("prefix", String(40), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("models", Document, nullable=False),
    Column("verbs", Document, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("rate_per_second", Float),
    Column("burst", Integer),
)

# What monitors measured is no state: no event tells of it.
monitor_runs = Table(
    "monitor_runs",
    metadata,
    Column("model", String(80), primary_key=True),
    Column("monitor", String(40), primary_key=True),
    Column("as_of", Moment, primary_key=True),
    Column("recorded_at", Moment, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("summary", Text, nullable=False),
    Column("report_uri", Text),
)

measurements = Table(
    "measurements",
    metadata,
    Column("model", String(80), primary_key=True),
    Column("monitor", String(40), primary_key=True),
    Column("as_of", Moment, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("version", String(40)),
    Column("variant", String(40)),
    Column("slice", Name),
    Column("subject", Name, nullable=False),
    Column("metric", String(80), nullable=False),
    Column("window_start", Moment, nullable=False),
    Column("window_end", Moment, nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("n", BigInteger, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reason", String(80), nullable=False),
    Column("details", Document, nullable=False),
    ForeignKeyConstraint(
        ["model", "monitor", "as_of"],
        ["monitor_runs.model", "monitor_runs.monitor", "monitor_runs.as_of"],
        name="fk_measurements",
    ),
    Index("ix_measurements_trend", "model", "monitor", "metric", "subject", "window_end"),
    Index("ix_measurements_window", "model", "monitor", "window_end"),
)
