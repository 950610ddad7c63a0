"""One validated tree of settings, from a TOML file, the environment and flags, the later winning."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.promotion import PromotionOptions
from aigc.errors import InvalidInputError
from aigc.option_tree import build_options, check_known, put_value
from aigc.prepare.steps import PrepareOptions
from aigc.profiles.weights import DEFAULT_WEIGHTS
from aigc.recommend.train_options import TrainOptions
from aigc.services.background_options import BackgroundOptions
from aigc.services.generation_limits import GenerationLimits
from aigc.services.limits import Limits
from aigc.services.training_limits import TrainingLimits

__all__ = ["LogSettings", "Settings", "TraceSettings", "home_folder", "load_settings"]

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
class BatchingSettings:
    """How waiting calls are put together.

    Attributes:
        preferred: Calls that go at once when so many wait.
        maximum: Calls taken together at most.
        delay_us: Microseconds for which fewer than ``preferred`` wait for company; 0 for never.
        queue: Calls that may wait; one more is refused at once.
    """

    preferred: int = 1
    maximum: int = 64
    delay_us: int = 0
    queue: int = 1024

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name, least in (("preferred", 1), ("maximum", 1), ("delay_us", 0), ("queue", 1)):
            if getattr(self, name) < least:
                raise InvalidInputError(
                    f"batching {name} is {getattr(self, name)}; give at least {least}", field=f"server.ingress.{name}"
                )


@dataclass(frozen=True, slots=True)
class IngressSettings:
    """``[server.ingress]``: the C++ front.

    Attributes:
        mode: ``auto`` uses it where it was built, ``on`` insists on it, ``off`` does without.
        threads: That answer recommendations; 0 for one a core.
        recommend: The queue in front of these threads.
        searches: The queue in front of the thread that searches vectors, for strategies that have such a source.
        target_ms: Longest wait in a queue that has not been empty for ``interval_ms``: whose turn would come later is
            refused at once. 0 for no limit but the queue's length.
        interval_ms: How long a burst may take to go by.
        events: RecordEvents calls that are handed to the store together. Who is alone does not wait; callers who come
            back wait for each other, so that they share a commit, ``delay_us`` at most after the last was answered.
        keep_mb: Memory for answers that are given again, the same id included, to who asks the same before anything
            changed: an event or the preferences of the user, an item, the snapshot, a strategy. 0 for none.
        keep_seconds: For so long at most, because what is fresh ages.
    """

    mode: str = "auto"
    threads: int = 0
    recommend: BatchingSettings = field(default_factory=lambda: BatchingSettings(maximum=1))
    searches: BatchingSettings = field(default_factory=lambda: BatchingSettings(maximum=64))
    target_ms: float = 2.0
    interval_ms: float = 500.0
    events: BatchingSettings = field(default_factory=lambda: BatchingSettings(maximum=256, delay_us=2000))
    keep_mb: int = 64
    keep_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.mode not in ("auto", "on", "off"):
            raise InvalidInputError(
                f"server.ingress.mode is {self.mode!r}; give auto, on or off", field="server.ingress.mode"
            )
        if self.threads < 0:
            raise InvalidInputError(
                f"server.ingress.threads is {self.threads}; give 0 or more", field="server.ingress.threads"
            )
        for name in ("target_ms", "interval_ms"):
            if not 0 <= getattr(self, name) <= 60_000:
                raise InvalidInputError(
                    f"server.ingress.{name} is {getattr(self, name)}; give 0 to 60000", field=f"server.ingress.{name}"
                )
        if self.keep_mb < 0:
            raise InvalidInputError(
                f"server.ingress.keep_mb is {self.keep_mb}; give 0 or more", field="server.ingress.keep_mb"
            )
        if not 0 <= self.keep_seconds <= 86_400:
            raise InvalidInputError(
                f"server.ingress.keep_seconds is {self.keep_seconds}; give 0 to 86400",
                field="server.ingress.keep_seconds",
            )


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``[server]``.

    Attributes:
        listen: HOST:PORT of the gRPC port; port 0 lets the system choose.
        tls: Encryption; none by default.
        ingress: The C++ front, where it was built.
        metrics_listen: HOST:PORT of Prometheus' page; empty for none.
        max_message_bytes: Largest request and reply.
        max_concurrent: Calls in work at once.
        max_waiting: Calls that may wait for their turn; one more is refused at once.
        workers: Threads for calls that read or write the store.
        default_deadline_ms: For unary calls that bring none.
        notice_ms: How long after a signal to end calls are still accepted while health says NOT_SERVING already, so
            that balancers and clients that ask now and then have turned away before the port closes.
        drain_ms: How long accepted calls may go on after that.
        max_streams: Calls that one connection may have open at once; more wait at the caller.
        max_connection_age_ms: After which a connection is told to go, give or take a tenth; what it has open ends in
            peace. Callers connect anew, elsewhere if their balancer or resolver says so. 0 for never.
    """

    listen: str = "127.0.0.1:50051"
    tls: TlsSettings = field(default_factory=TlsSettings)
    ingress: IngressSettings = field(default_factory=IngressSettings)
    metrics_listen: str = ""
    max_message_bytes: int = 32_000_000
    max_concurrent: int = 64
    max_waiting: int = 1024
    workers: int = 16
    default_deadline_ms: int = 30_000
    notice_ms: int = 500
    drain_ms: int = 10_000
    max_streams: int = 1024
    max_connection_age_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("listen", "metrics_listen"):
            value = getattr(self, name)
            host, colon, port = value.rpartition(":")
            if (value or name == "listen") and not (host and colon and port.isdigit() and int(port) < 65536):
                raise InvalidInputError(
                    f"server.{name} is {value!r}; give HOST:PORT, such as 127.0.0.1:50051", field=f"server.{name}"
                )
        for name in ("max_message_bytes", "max_concurrent", "workers", "default_deadline_ms", "max_streams"):
            if getattr(self, name) < 1:
                raise InvalidInputError(
                    f"server.{name} is {getattr(self, name)}; give at least 1", field=f"server.{name}"
                )
        for name in ("max_waiting", "notice_ms", "drain_ms", "max_connection_age_ms"):
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
    """``[log]``: ``level`` debug, info, warning or error; ``format`` json or text.

    Unary calls that take ``slow_ms`` or longer are warned of; 0 warns of none.
    """

    level: str = "info"
    format: str = "json"
    slow_ms: int = 1000

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        if self.level not in ("debug", "info", "warning", "error"):
            raise InvalidInputError(
                f"log.level is {self.level!r}; give debug, info, warning or error", field="log.level"
            )
        if self.format not in ("json", "text"):
            raise InvalidInputError(f"log.format is {self.format!r}; give json or text", field="log.format")
        if self.slow_ms < 0:
            raise InvalidInputError(f"log.slow_ms is {self.slow_ms}; give 0 or more", field="log.slow_ms")


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """``[trace]``, for the extra ``otel``.

    Attributes:
        endpoint: HOST:PORT of an OpenTelemetry collector (OTLP over gRPC); empty for no traces.
        tls: Whether the collector is spoken to encrypted.
        share: Of the calls that bring no trace of their own; those that bring one follow its choice.
        service: Told as ``service.name``.
        flush_ms: How long a span waits for company.
    """

    endpoint: str = ""
    tls: bool = False
    share: float = 1.0
    service: str = "aigc"
    flush_ms: int = 1000

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 <= self.share <= 1:
            raise InvalidInputError(f"trace.share is {self.share}; give 0 to 1", field="trace.share")
        if self.flush_ms < 1:
            raise InvalidInputError(f"trace.flush_ms is {self.flush_ms}; give at least 1", field="trace.flush_ms")


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
    creation: BackgroundOptions = field(default_factory=BackgroundOptions)
    training: TrainingLimits = field(default_factory=TrainingLimits)
    promotion: PromotionOptions = field(default_factory=PromotionOptions)
    rewards: RewardOptions = field(default_factory=RewardOptions)
    log: LogSettings = field(default_factory=LogSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)


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
    check_known(Settings, tree, str(path), "")
    for name, text in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(_PREFIX) and "__" in name:
            put_value(tree, name.removeprefix(_PREFIX).lower().split("__"), text)
    for name, value in (flags or {}).items():
        if value is not None:
            put_value(tree, name.split("."), value)
    return build_options(Settings, tree, "")
