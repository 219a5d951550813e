"""Monitors store what they saw: runs and measurements, beside the chain and not in it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "monitor_runs",
        sa.Column("model", sa.String(length=80), primary_key=True),
        sa.Column("monitor", sa.String(length=40), primary_key=True),
        sa.Column("as_of", sa.String(length=40), primary_key=True),
        sa.Column("recorded_at", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("report_uri", sa.Text(), nullable=True),
    )
    op.create_table(
        "measurements",
        sa.Column("model", sa.String(length=80), primary_key=True),
        sa.Column("monitor", sa.String(length=40), primary_key=True),
        sa.Column("as_of", sa.String(length=40), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("version", sa.String(length=40), nullable=True),
        sa.Column("variant", sa.String(length=40), nullable=True),
        sa.Column("slice", sa.String(length=200), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("metric", sa.String(length=80), nullable=False),
        sa.Column("window_start", sa.String(length=40), nullable=False),
        sa.Column("window_end", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "monitor", "as_of"],
            ["monitor_runs.model", "monitor_runs.monitor", "monitor_runs.as_of"],
            name="fk_measurements",
        ),
    )
    op.create_index(
        "ix_measurements_trend", "measurements", ["model", "monitor", "metric", "subject", "window_end"]
    )
    op.create_index("ix_measurements_window", "measurements", ["model", "monitor", "window_end"])


def downgrade() -> None:
    """Take them away again, with what was measured."""
    op.drop_table("measurements")
    op.drop_table("monitor_runs")
