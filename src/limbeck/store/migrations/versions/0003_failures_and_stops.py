"""Pausing studies; what failed and why; stops and what stopped runs would have come to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns and the table; what failed before with an exception's name keeps it."""
    op.add_column(
        "studies", sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("runs", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("total_steps", sa.Integer))
    op.add_column("runs", sa.Column("epoch_steps", sa.Integer))
    op.add_column(
        "runs", sa.Column("stop_requested", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column(
        "runs", sa.Column("error_type", sa.String, nullable=False, server_default=sa.text("''"))
    )
    op.add_column(
        "runs", sa.Column("traceback", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    runs = sa.table("runs", *map(sa.column, ("state", "reason", "error_type")))
    op.execute(
        runs.update()
        .where(runs.c.state == "failed", runs.c.reason.not_in(["killed", "exited"]))
        .values(error_type=runs.c.reason, reason="exception")
    )
    op.execute(
        runs.update()
        .where(runs.c.state == "failed", runs.c.reason == "exited")
        .values(reason="lost-worker")
    )
    op.create_table(
        "forecasts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("mean", sa.Double, nullable=False),
        sa.Column("std", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_forecasts"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_forecasts_run_id"),
        sa.UniqueConstraint("run_id", "name", name="uq_forecasts_run_id_name"),
    )
