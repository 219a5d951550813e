"""Alerts get a fingerprint: while one is open, the same is not raised again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the fingerprint; nothing wrote alerts before it."""
    with op.batch_alter_table("alerts") as alerts:
        alerts.add_column(sa.Column("fingerprint", sa.String(length=64), nullable=False, server_default=""))
        alerts.alter_column("fingerprint", server_default=None)
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("uq_alerts_open", "alerts")
    with op.batch_alter_table("alerts") as alerts:
        alerts.drop_column("fingerprint")
