"""What a snapshot says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aigc import durable
from aigc.errors import CorruptDataError

__all__ = ["FORMAT", "MANIFEST", "Manifest", "read_manifest"]

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """See ``docs/snapshot.md``, which describes every key."""

    id: str
    created_ms: int
    counts: Mapping[str, int]
    embedding_size: int
    kinds: list[str]
    categories: list[str]
    models: Mapping[str, Mapping[str, Any]]
    encoder: Mapping[str, str]
    event_seq: int
    item_revision: int
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> str:
        """Indented JSON, keys in order, so that two manifests can be compared by eye."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @property
    def model_versions(self) -> dict[str, str]:
        """Model name → version, the encoder among them."""
        versions = {name: str(model["version"]) for name, model in self.models.items()}
        if self.encoder:
            versions[self.encoder["name"]] = self.encoder["version"]
        return versions

    @property
    def bytes(self) -> int:
        """The snapshot's size on disk, the manifest left out."""
        return sum(int(f["bytes"]) for f in self.files.values())


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        CorruptDataError: The file is absent, is no JSON, lacks a key, or is of a newer format.
    """
    path = folder / MANIFEST
    remedy = "build a new snapshot with `aigc train`, or point CURRENT at an older one"
    raw = durable.read_manifest(path, reason="SNAPSHOT_CORRUPT", remedy=remedy)
    found = raw.get("format")
    if found != FORMAT:
        raise CorruptDataError(
            f"{path} is of snapshot format {found!r}, this version reads {FORMAT}; upgrade aigc or {remedy}",
            reason="SNAPSHOT_FORMAT",
        )
    try:
        return Manifest(**raw)
    except TypeError as error:
        raise CorruptDataError(f"{path}: {error}; {remedy}", reason="SNAPSHOT_CORRUPT") from error
