"""Items, contents, events, preferences, recommendations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables. Written out, not taken from the schema, which later migrations will change."""
    text, big = sa.Text(), sa.BigInteger()
    op.create_table(
        "items",
        sa.Column("id", text, primary_key=True),
        *(sa.Column(n, text, nullable=False) for n in ("kind", "title", "text", "categories", "tags")),
        *(sa.Column(n, text, nullable=False) for n in ("author", "language")),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.Column("attributes", text, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("revision", big, nullable=False),
    )
    op.create_index("items_revision", "items", ["revision"], unique=True)
    op.create_table(
        "contents",
        sa.Column("item_id", text, primary_key=True),
        sa.Column("media_type", text, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("seq", big.with_variant(sa.Integer(), "sqlite"), sa.Identity(), primary_key=True),
        sa.Column("id", text, nullable=False, unique=True),
        *(sa.Column(n, text, nullable=False) for n in ("user_id", "item_id", "type")),
        sa.Column("time_ms", big, nullable=False),
        sa.Column("value", sa.Float()),
        *(sa.Column(n, text, nullable=False) for n in ("recommendation_id", "text")),
    )
    op.create_index("events_user", "events", ["user_id", "time_ms", "seq"])
    op.create_table(
        "preferences",
        sa.Column("user_id", text, primary_key=True),
        *(sa.Column(n, text, nullable=False) for n in ("interests", "dislikes")),
        *(sa.Column(n, sa.Boolean(), nullable=False) for n in ("allow_generated", "allow_personalisation")),
    )
    op.create_table(
        "recommendations",
        sa.Column("id", text, primary_key=True),
        *(sa.Column(n, text, nullable=False) for n in ("user_id", "strategy", "experiment", "snapshot", "item_ids")),
        sa.Column("created_ms", big, nullable=False),
    )
    op.create_index("recommendations_user", "recommendations", ["user_id", "created_ms"])
