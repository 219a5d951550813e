"""Retrain requests say why, with the figures."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; requests before them say nothing."""
    op.add_column("retrain_requests", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("retrain_requests", sa.Column("figures", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Take them away again."""
    with op.batch_alter_table("retrain_requests") as retrain_requests:
        retrain_requests.drop_column("figures")
        retrain_requests.drop_column("why")
