"""Experiments keep versions, size, share and approval; nothing was written there before."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEPT = (
    ("experiment_id", sa.String(length=200), False),
    ("model", sa.String(length=80), False),
    ("plan", sa.Text(), False),
    ("plan_sha256", sa.String(length=64), False),
    ("state", sa.String(length=40), False),
    ("started_by", sa.String(length=200), False),
    ("revision", sa.Integer(), False),
    ("started_at", sa.String(length=40), False),
    ("ended_at", sa.String(length=40), True),
)
_ADDED = (
    ("name", sa.String(length=80), False),
    ("size", sa.Text(), False),
    ("control_version", sa.String(length=40), False),
    ("treatment_version", sa.String(length=40), False),
    ("treatment_sha256", sa.String(length=64), False),
    ("share", sa.Float(), False),
    ("began_at", sa.String(length=40), False),
    ("approved_by", sa.Text(), False),
    ("reason", sa.Text(), True),
)


def upgrade() -> None:
    """Make the table anew with all columns."""
    _replace((*_KEPT, *_ADDED))


def downgrade() -> None:
    """Make it anew as it was."""
    _replace(_KEPT)


def _replace(columns: tuple[tuple[str, sa.types.TypeEngine[Any], bool], ...]) -> None:
    op.drop_index("ix_experiments_model", table_name="experiments")
    op.drop_table("experiments")
    op.create_table(
        "experiments",
        *(sa.Column(name, kind, nullable=nullable) for name, kind, nullable in columns),
        sa.PrimaryKeyConstraint("experiment_id"),
    )
    op.create_index("ix_experiments_model", "experiments", ["model", "started_at"])
