"""Standard errors of metric values."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Let metric values have one; those that are there have none."""
    op.add_column("metric_values", sa.Column("standard_error", sa.Double))
