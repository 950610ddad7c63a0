"""Durable items, events and preferences: SQLite by default, PostgreSQL by URL."""
