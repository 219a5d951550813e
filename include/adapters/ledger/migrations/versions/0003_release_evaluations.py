"""A release may show a report other than its package's: one made anew against a later champion."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the report's URI; releases before it showed the package's own."""
    op.add_column("releases", sa.Column("evaluation_uri", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    with op.batch_alter_table("releases") as releases:
        releases.drop_column("evaluation_uri")
