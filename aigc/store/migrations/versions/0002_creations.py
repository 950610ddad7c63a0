"""What was generated, and the propensities of what was tried."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and a column."""
    text, big = sa.Text(), sa.BigInteger()
    op.add_column("recommendations", sa.Column("propensities", text, nullable=False, server_default="{}"))
    op.create_index("recommendations_time", "recommendations", ["created_ms"])
    op.create_table(
        "creations",
        sa.Column("id", text, primary_key=True),
        *(sa.Column(n, text, nullable=False) for n in ("item_id", "user_id", "state", "kind", "model", "condition")),
        sa.Column("recipe", text, nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("title", text, nullable=False),
        sa.Column("source_item_ids", text, nullable=False),
        sa.Column("quality", sa.Float()),
        *(sa.Column(n, text, nullable=False) for n in ("reason", "detail")),
        sa.Column("reviewed_ms", big, nullable=False),
        sa.Column("reviewer", text, nullable=False),
    )
    op.create_index("creations_item", "creations", ["item_id"])
    op.create_index("creations_time", "creations", ["created_ms", "id"])
    op.create_index("creations_user", "creations", ["user_id", "created_ms"])
