"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

__all__ = ["contents", "creations", "events", "items", "metadata", "preferences", "recommendations"]

metadata = MetaData()

items = Table(
    "items",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("categories", Text, nullable=False),  # a JSON array
    Column("tags", Text, nullable=False),  # a JSON array
    Column("author", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("generated", Boolean, nullable=False),
    Column("attributes", Text, nullable=False),  # a JSON object
    Column("deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("items_revision", "revision", unique=True),
)

contents = Table(
    "contents",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    # SQLite makes only a column of type INTEGER the row's own number.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("value", Float),
    Column("recommendation_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("events_user", "user_id", "time_ms", "seq"),
)

preferences = Table(
    "preferences",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("interests", Text, nullable=False),  # a JSON object
    Column("dislikes", Text, nullable=False),  # a JSON array
    Column("allow_generated", Boolean, nullable=False),
    Column("allow_personalisation", Boolean, nullable=False),
)

recommendations = Table(
    "recommendations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("experiment", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("item_ids", Text, nullable=False),  # a JSON array
    Column("created_ms", BigInteger, nullable=False),
    Column("propensities", Text, nullable=False, server_default="{}"),  # a JSON object
    Index("recommendations_user", "user_id", "created_ms"),
    Index("recommendations_time", "created_ms"),
)

creations = Table(
    "creations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("item_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("recipe", Text, nullable=False),  # a JSON object
    Column("created_ms", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("source_item_ids", Text, nullable=False),  # a JSON array
    Column("quality", Float),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("reviewed_ms", BigInteger, nullable=False),
    Column("reviewer", Text, nullable=False),
    Index("creations_item", "item_id"),
    Index("creations_time", "created_ms", "id"),
    Index("creations_user", "user_id", "created_ms"),
)
