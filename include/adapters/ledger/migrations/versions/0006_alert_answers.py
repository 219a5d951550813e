"""Alerts say who acknowledged and resolved them and why, can get worse, and keep what each route was told."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ADDED = {
    "escalated_at": sa.String(length=40),
    "acknowledged_by": sa.String(length=200),
    "acknowledgement": sa.Text(),
    "resolved_by": sa.String(length=200),
    "resolution": sa.Text(),
}
_WORDS = {
    "alert_acknowledged": ("acknowledged_by", "acknowledgement", "note"),
    "alert_resolved": ("resolved_by", "resolution", "reason"),
}


def upgrade() -> None:
    """Add the columns, filled from the events that tell of them, and the couriers' notes."""
    for name, type_ in _ADDED.items():
        op.add_column("alerts", sa.Column(name, type_, nullable=True))
    for kind, words in _WORDS.items():
        _fill(kind, *words)
    op.create_table(
        "alert_deliveries",
        sa.Column("alert_id", sa.String(length=80), nullable=False),
        sa.Column("route", sa.String(length=80), nullable=False),
        sa.Column("told_at", sa.String(length=40), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", sa.String(length=40), nullable=True),
        sa.Column("next_attempt_at", sa.String(length=40), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.alert_id"], name="fk_deliveries"),
        sa.PrimaryKeyConstraint("alert_id", "route"),
    )


def downgrade() -> None:
    """Take them away again; the events still tell who and why."""
    op.drop_table("alert_deliveries")
    with op.batch_alter_table("alerts") as alerts:
        for name in _ADDED:
            alerts.drop_column(name)


def _fill(kind: str, who: str, words: str, key: str) -> None:
    events = sa.table("events", *(sa.column(name) for name in ("kind", "subject", "actor", "payload")))
    alerts = sa.table("alerts", *(sa.column(name) for name in ("alert_id", who, words)))
    connection = op.get_bind()
    found = connection.execute(sa.select(events).where(events.c.kind == kind)).mappings().all()
    for event in found:
        values = {who: event["actor"], words: json.loads(event["payload"]).get(key)}
        connection.execute(alerts.update().where(alerts.c.alert_id == event["subject"]).values(values))
