"""Releases say where they stand in their ramp."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the place; releases before it had none."""
    op.add_column("releases", sa.Column("ramp", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    with op.batch_alter_table("releases") as releases:
        releases.drop_column("ramp")
