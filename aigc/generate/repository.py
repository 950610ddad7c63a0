"""The models of a data directory: name → numbered versions, and aliases such as ``champion``."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aigc import durable
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from aigc.generate.base import Generator
from aigc.generate.loading import load_generator

__all__ = ["CHAMPION", "ModelInfo", "ModelRepository", "check_name"]

CHAMPION = "champion"
_FORMAT = 1
_MANIFEST = "manifest.json"
_ALIASES = "aliases.json"
_EVALUATIONS = "evaluations.json"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_REMEDY = "restore the file, or train the model again and set the alias"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A version of a model.

    Attributes:
        name: Lower-case letters, digits, ``.``, ``_`` and ``-``.
        version: From 1, rising.
        kind: A recipe's name: ``gan``, ``vae``, ``gpt`` …
        created_ms: Milliseconds since the epoch.
        details: What the generator says of itself.
        measures: Of its training's last validation and of its evaluation.
        options: What it was trained with.
        data: What it was trained on: source, count, hash.
        files: Relative path → {bytes, sha256}.
        aliases: Names for this version, set apart from it.
    """

    name: str
    version: int
    kind: str
    created_ms: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(int(f["bytes"]) for f in self.files.values())


class ModelRepository:
    """The folder ``models/``: ``<name>/<version>/`` written durably and never changed, ``<name>/aliases.json``."""

    def __init__(self, root: Path) -> None:
        """Args: root: made when a model is added."""
        self.root = root
        self._lock = threading.Lock()

    def models(self) -> list[ModelInfo]:
        """All versions of all models, by name and version; a damaged one is left out (``get`` says what is wrong)."""
        found = []
        for name in self._names():
            aliases = self._aliases(name)
            for version in self._versions(name):
                try:
                    found.append(self._read(name, version, aliases))
                except CorruptDataError:
                    continue
        return found

    def get(self, reference: str, field_path: str = "model") -> ModelInfo:
        """The version that ``name``, ``name@version`` or ``name@alias`` means.

        A bare name means its champion, or the newest version while there is none.

        Raises:
            InvalidInputError: The reference is malformed.
            NotFoundError: No such model; names those there are.
            CorruptDataError: Its manifest is damaged.
        """
        name, _, wanted = reference.partition("@")
        check_name(name, field_path)
        versions = self._versions(name)
        if not versions:
            there = ", ".join(self._names()) or "none: train one with `aigc generator train`"
            raise NotFoundError(
                f"{field_path} {name!r} does not exist; there are: {there}",
                reason="MODEL_NOT_FOUND",
                metadata={"model": name[:64]},
            )
        aliases = self._aliases(name)
        if not wanted:
            version = aliases.get(CHAMPION, versions[-1])
        elif wanted.isdigit():
            version = int(wanted)
        else:
            version = aliases.get(wanted, 0)
        if version not in versions:
            known = ", ".join([*map(str, versions), *aliases])
            raise NotFoundError(
                f"{field_path} {name!r} has no version or alias {wanted or version!r}; there are: {known}",
                reason="MODEL_NOT_FOUND",
                metadata={"model": reference[:128]},
            )
        return self._read(name, version, aliases)

    def add(
        self,
        name: str,
        generator: Generator,
        *,
        measures: Mapping[str, float] | None = None,
        options: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        extra: Callable[[Path], None] | None = None,
    ) -> ModelInfo:
        """Save a generator as the next version of ``name``; the first version becomes its champion.

        Args:
            name: Of the model.
            generator: Saved by its own ``save``.
            measures: Kept with it.
            options: Kept with it.
            data: Kept with it.
            extra: Adds further files, such as a sample sheet.

        Raises:
            InvalidInputError: The name is none.
            ResourceExhaustedError: The disk is full.
        """
        check_name(name, "name")
        with self._lock:
            version = (self._versions(name) or [0])[-1] + 1
            info = ModelInfo(
                name,
                version,
                generator.kind,
                int(time.time() * 1000),
                dict(generator.described),
                dict(measures or {}),
                dict(options or {}),
                dict(data or {}),
            )

            def fill(folder: Path) -> None:
                generator.save(folder)
                if extra is not None:
                    extra(folder)

            def describe(files: dict[str, dict[str, Any]]) -> str:
                told = {k: v for k, v in asdict(replace(info, files=files)).items() if k != "aliases"}
                return json.dumps({"format": _FORMAT, **told}, ensure_ascii=False, indent=1) + "\n"

            (self.root / name).mkdir(parents=True, exist_ok=True)
            durable.write_folder(self.root / name / str(version), fill, _MANIFEST, describe, what=f"model {info.id}")
        if version == 1:
            self.set_alias(info.id, CHAMPION)
        return self.get(info.id)

    def open(self, info: ModelInfo) -> Generator:
        """Verify the files and load the model.

        Raises:
            CorruptDataError: A file does not match its checksum, or is no model; names it.
        """
        folder = self.folder(info)
        durable.verify_files(folder, info.files, hashes=True, reason="MODEL_CORRUPT", remedy=_REMEDY)
        return load_generator(folder)

    def folder(self, info: ModelInfo) -> Path:
        """Where a version's files are."""
        return self.root / info.name / str(info.version)

    def set_alias(self, reference: str, alias: str) -> ModelInfo:
        """Let ``alias`` mean this version from now on.

        Raises:
            InvalidInputError: The alias is no name, or a number.
            NotFoundError: No such model.
        """
        check_name(alias, "alias")
        if alias.isdigit():
            raise InvalidInputError(
                f"alias is {alias!r}, which reads as a version; begin it with a letter", field="alias"
            )
        info = self.get(reference)
        with self._lock:
            aliases = self._aliases(info.name) | {alias: info.version}
            self._write_aliases(info.name, aliases)
        return self.get(info.id)

    def delete_alias(self, name: str, alias: str) -> None:
        """Let ``alias`` mean nothing.

        Raises:
            NotFoundError: It means nothing already.
        """
        check_name(name, "model")
        with self._lock:
            aliases = self._aliases(name)
            if alias not in aliases:
                raise NotFoundError(f"model {name!r} has no alias {alias!r}", reason="ALIAS_NOT_FOUND")
            del aliases[alias]
            self._write_aliases(name, aliases)

    def note_measures(self, reference: str, measures: Mapping[str, float]) -> ModelInfo:
        """Add what an evaluation measured of a version; it comes before what its training measured by the same names.

        Raises:
            NotFoundError: No such model.
        """
        info = self.get(reference)
        with self._lock:
            noted = self._evaluations(info.name)
            noted[str(info.version)] = {**noted.get(str(info.version), {}), **measures}
            durable.replace_file(self.root / info.name / _EVALUATIONS, json.dumps(noted, indent=1) + "\n")
        return self.get(info.id)

    def delete(self, reference: str) -> ModelInfo:
        """Remove one version, whose number is never given again while a newer one stands.

        Raises:
            NotFoundError: No such model.
            ConflictError: An alias means it.
        """
        info = self.get(reference)
        if info.aliases:
            raise ConflictError(
                f"model {info.id} is {', '.join(info.aliases)}; set or delete the alias first", reason="MODEL_IN_USE"
            )
        with self._lock:
            shutil.rmtree(self.folder(info))
        return info

    def _names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and self._versions(p.name))

    def _versions(self, name: str) -> list[int]:
        folder = self.root / name
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())

    def _read(self, name: str, version: int, aliases: Mapping[str, int]) -> ModelInfo:
        path = self.root / name / str(version) / _MANIFEST
        raw = durable.read_manifest(path, reason="MODEL_CORRUPT", remedy=_REMEDY)
        if raw.pop("format", None) != _FORMAT:
            raise CorruptDataError(f"{path} is of another format than {_FORMAT}; upgrade aigc", reason="MODEL_CORRUPT")
        noted = self._evaluations(name).get(str(version))
        if noted:
            raw["measures"] = {**raw.get("measures", {}), **noted}
        try:
            return ModelInfo(**raw, aliases=tuple(a for a, v in sorted(aliases.items()) if v == version))
        except TypeError as error:
            raise CorruptDataError(f"{path}: {error}; {_REMEDY}", reason="MODEL_CORRUPT") from error

    def _aliases(self, name: str) -> dict[str, int]:
        path = self.root / name / _ALIASES
        if not path.exists():
            return {}
        raw = durable.read_manifest(path, reason="MODEL_CORRUPT", remedy="remove the file and set the aliases again")
        return {str(k): int(v) for k, v in raw.items()}

    def _evaluations(self, name: str) -> dict[str, dict[str, float]]:
        path = self.root / name / _EVALUATIONS
        if not path.exists():
            return {}
        return durable.read_manifest(path, reason="MODEL_CORRUPT", remedy="remove the file and evaluate again")

    def _write_aliases(self, name: str, aliases: Mapping[str, int]) -> None:
        durable.replace_file(self.root / name / _ALIASES, json.dumps(aliases, indent=1) + "\n")


def check_name(name: str, field_path: str) -> None:
    """Raise InvalidInputError unless ``name`` can be a model's or an alias's: no path can hide in it."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{field_path} is {name[:64]!r}; give 1 to 64 lower-case letters, digits, '.', '_' or '-', beginning and "
            "ending with a letter or digit",
            field=field_path,
        )
