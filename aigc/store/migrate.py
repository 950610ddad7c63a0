"""Bring a database to this version's schema."""

from __future__ import annotations

from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from aigc.errors import ConflictError

__all__ = ["check_schema", "upgrade_schema"]


def upgrade_schema(connection: Connection) -> None:
    """Run the migrations that are missing.

    Raises:
        ConflictError: The database was written by a newer version.
    """
    config = _config()
    _refuse_newer(connection, config)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def check_schema(connection: Connection) -> None:
    """For readers, which may not migrate.

    Raises:
        ConflictError: The database is of another version, or empty.
    """
    config = _config()
    _refuse_newer(connection, config)
    found = MigrationContext.configure(connection).get_current_revision()
    head = ScriptDirectory.from_config(config).get_current_head()
    if found != head:
        raise ConflictError(
            f"the store {connection.engine.url.render_as_string()} is of schema {found or 'none'}, this version "
            f"needs {head}; open it for writing once (`aigc status` after an import, or `aigc serve`)",
            reason="STORE_SCHEMA",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("aigc.store") / "migrations"))
    return config


def _refuse_newer(connection: Connection, config: Config) -> None:
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {r.revision for r in script.walk_revisions()}:
        raise ConflictError(
            f"the store {connection.engine.url.render_as_string()} is of schema {found}, this version knows up to "
            f"{script.get_current_head()}; upgrade aigc",
            reason="STORE_SCHEMA",
        )
