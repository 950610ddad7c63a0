"""One validated tree of settings, from a TOML file, the environment and flags, the later winning."""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from aigc.errors import InvalidInputError
from aigc.prepare.steps import PrepareOptions
from aigc.profiles.weights import DEFAULT_WEIGHTS
from aigc.recommend.train_options import TrainOptions
from aigc.services.generation_limits import GenerationLimits
from aigc.services.limits import Limits

__all__ = ["Settings", "home_folder", "load_settings"]

T = TypeVar("T")
_PREFIX = "AIGC_"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``[server.tls]``: paths of PEM files; with ``client_ca`` callers must show a certificate (mutual TLS)."""

    certificate: str = ""
    key: str = ""
    client_ca: str = ""

    def __post_init__(self) -> None:
        """A certificate needs its key."""
        if bool(self.certificate) != bool(self.key):
            raise InvalidInputError(
                "server.tls needs both certificate and key, or neither", field="server.tls.certificate"
            )
        if self.client_ca and not self.certificate:
            raise InvalidInputError("server.tls.client_ca needs certificate and key too", field="server.tls.client_ca")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``[server]``.

    Attributes:
        listen: HOST:PORT of the gRPC port; port 0 lets the system choose.
        tls: Encryption; none by default.
        metrics_listen: HOST:PORT of Prometheus' page; empty for none.
        max_message_bytes: Largest request and reply.
        max_concurrent: Calls in work at once.
        max_waiting: Calls that may wait for their turn; one more is refused at once.
        workers: Threads for calls that read or write the store.
        default_deadline_ms: For unary calls that bring none.
        drain_ms: How long accepted calls may go on after a signal to end.
    """

    listen: str = "127.0.0.1:50051"
    tls: TlsSettings = field(default_factory=TlsSettings)
    metrics_listen: str = ""
    max_message_bytes: int = 32_000_000
    max_concurrent: int = 64
    max_waiting: int = 1024
    workers: int = 16
    default_deadline_ms: int = 30_000
    drain_ms: int = 10_000

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("listen", "metrics_listen"):
            value = getattr(self, name)
            host, colon, port = value.rpartition(":")
            if (value or name == "listen") and not (host and colon and port.isdigit() and int(port) < 65536):
                raise InvalidInputError(
                    f"server.{name} is {value!r}; give HOST:PORT, such as 127.0.0.1:50051", field=f"server.{name}"
                )
        for name in ("max_message_bytes", "max_concurrent", "workers", "default_deadline_ms"):
            if getattr(self, name) < 1:
                raise InvalidInputError(
                    f"server.{name} is {getattr(self, name)}; give at least 1", field=f"server.{name}"
                )
        for name in ("max_waiting", "drain_ms"):
            if getattr(self, name) < 0:
                raise InvalidInputError(
                    f"server.{name} is {getattr(self, name)}; give 0 or more", field=f"server.{name}"
                )


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``[store]``: ``url`` of the database; empty for SQLite inside the data directory."""

    url: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """``[snapshots]``: how many to ``keep``, how often to look for new ones, whether to ``verify`` checksums."""

    keep: int = 3
    poll_ms: int = 1000
    verify: bool = True

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.keep < 1 or self.poll_ms < 0:
            raise InvalidInputError(
                f"snapshots.keep is {self.keep} and poll_ms {self.poll_ms}; give at least 1 and 0", field="snapshots"
            )


@dataclass(frozen=True, slots=True)
class EventSettings:
    """``[events]``: ``weights`` of event types in [-1, 1]; those given are added to the built-in ones."""

    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``[log]``: ``level`` debug, info, warning or error; ``format`` json or text."""

    level: str = "info"
    format: str = "json"

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        if self.level not in ("debug", "info", "warning", "error"):
            raise InvalidInputError(
                f"log.level is {self.level!r}; give debug, info, warning or error", field="log.level"
            )
        if self.format not in ("json", "text"):
            raise InvalidInputError(f"log.format is {self.format!r}; give json or text", field="log.format")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole tree; every value has a default."""

    server: ServerSettings = field(default_factory=ServerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    events: EventSettings = field(default_factory=EventSettings)
    limits: Limits = field(default_factory=Limits)
    prepare: PrepareOptions = field(default_factory=PrepareOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    generation: GenerationLimits = field(default_factory=GenerationLimits)
    log: LogSettings = field(default_factory=LogSettings)


def home_folder(flag: str | None = None) -> Path:
    """The data directory: the flag, or ``AIGC_HOME``, or ``~/.aigc``."""
    return Path(flag or os.environ.get("AIGC_HOME") or Path.home() / ".aigc").expanduser()


def load_settings(
    home: Path,
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Read the tree.

    Args:
        home: The data directory, whose ``aigc.toml`` is read when there is one and no other is given.
        config: Another TOML file.
        environment: ``AIGC_SERVER__LISTEN`` and the like; the process's own by default.
        flags: ``server.listen`` → value; None is left out.

    Raises:
        InvalidInputError: Names the source, the key, the value and what is allowed.
    """
    tree: dict[str, Any] = {}
    path = config or home / "aigc.toml"
    if config is not None or path.exists():
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidInputError(f"settings {path} cannot be read: {error.strerror}", field="config") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"settings {path} is no valid TOML: {error}", field="config") from error
    _known(Settings, tree, str(path), "")
    for name, text in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(_PREFIX) and "__" in name:
            _put(tree, name.removeprefix(_PREFIX).lower().split("__"), text)
    for name, value in (flags or {}).items():
        if value is not None:
            _put(tree, name.split("."), value)
    return _build(Settings, tree, "")


def _put(tree: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = value


def _known(kind: type[Any], tree: Mapping[str, Any], source: str, prefix: str) -> None:
    """Refuse unknown keys, naming the nearest known one and the file."""
    hints = get_type_hints(kind)
    for key, value in tree.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(prefix + h for h in hints)}"
            raise InvalidInputError(f"{source}: {prefix}{key} is no setting; {hint}", field=f"{prefix}{key}")
        if is_dataclass(hints[key]) and isinstance(value, dict):
            _known(hints[key], value, source, f"{prefix}{key}.")


def _build(kind: type[T], tree: Mapping[str, Any], prefix: str) -> T:
    _known(kind, tree, "settings", prefix)
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for spec in fields(kind):  # type: ignore[arg-type]
        if spec.name not in tree:
            continue
        path, wanted, raw = f"{prefix}{spec.name}", hints[spec.name], tree[spec.name]
        if is_dataclass(wanted):
            if not isinstance(raw, Mapping):
                raise InvalidInputError(f"{path} is {raw!r}; give a table", field=path)
            values[spec.name] = _build(wanted, raw, f"{path}.")  # type: ignore[arg-type]
        elif wanted in (str, int, float, bool):
            values[spec.name] = _scalar(wanted, raw, path)
        elif wanted == tuple[str, ...]:
            values[spec.name] = _names(raw, path)
        elif isinstance(raw, Mapping):
            default = spec.default_factory() if spec.default_factory is not MISSING else {}
            values[spec.name] = dict(default) | {k: _scalar(float, v, f"{path}.{k}") for k, v in raw.items()}
        elif isinstance(raw, str):
            values[spec.name] = raw
        else:
            raise InvalidInputError(f"{path} is {raw!r}; give a table or a string", field=path)
    return kind(**values)


def _names(raw: object, path: str) -> tuple[str, ...]:
    """A list of strings, or one string with commas from the environment."""
    entries = [part.strip() for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise InvalidInputError(f"{path} is {raw!r}; give a list of strings", field=path)
    return tuple(entries)


def _scalar(kind: type[Any], raw: object, path: str) -> Any:
    """The value as ``kind``; text from the environment is parsed, everything else must be of the kind."""
    if isinstance(raw, str) and kind is not str:
        lowered = raw.strip().lower()
        try:
            if kind is bool:
                return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[lowered]
            raw = kind(raw)
        except (KeyError, ValueError):
            raise InvalidInputError(f"{path} is {raw!r}; give a {_NAMES[kind]}", field=path) from None
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        raw = float(raw)
    if type(raw) is not kind or (isinstance(raw, float) and not math.isfinite(raw)):
        raise InvalidInputError(f"{path} is {raw!r}; give a {_NAMES[kind]}", field=path)
    return raw


_NAMES = {str: "string", int: "whole number", float: "finite number", bool: "true or false"}
