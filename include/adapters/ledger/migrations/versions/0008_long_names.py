"""Names may be of any length: Airflow's ids of runs, for one, are longer than what there was room for."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAMES = (
    ("events", "subject"),
    ("events", "actor"),
    ("versions", "requested_by"),
    ("releases", "release_id"),
    ("releases", "requested_by"),
    ("releases", "triggered_by"),
    ("leases", "holder_id"),
    ("approvals", "release_id"),
    ("approvals", "decided_by"),
    ("experiments", "experiment_id"),
    ("experiments", "started_by"),
    ("retrain_requests", "requested_by"),
    ("retrain_requests", "claimed_by"),
    ("alerts", "acknowledged_by"),
    ("alerts", "resolved_by"),
    ("api_keys", "name"),
    ("measurements", "slice"),
    ("measurements", "subject"),
)


def upgrade() -> None:
    """Widen them; SQLite never looked at the length."""
    _retype(sa.String(length=200), sa.Text())


def downgrade() -> None:
    """Narrow them again; names that became too long meanwhile are in the way."""
    _retype(sa.Text(), sa.String(length=200))


def _retype(before: sa.types.TypeEngine[str], after: sa.types.TypeEngine[str]) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in _NAMES:
        op.alter_column(table, column, existing_type=before, type_=after)
