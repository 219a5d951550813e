"""Experiments may try several versions."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the treatments beside the first; experiments before it had none."""
    op.add_column("experiments", sa.Column("further", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Take them away again."""
    with op.batch_alter_table("experiments") as experiments:
        experiments.drop_column("further")
