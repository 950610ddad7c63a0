"""The registry of public data sets: what they are, their licence, and where their files are."""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aigc.errors import InvalidInputError, NotFoundError

__all__ = ["REGISTRY", "Dataset", "DatasetFile", "find_dataset", "read_datasets"]

REGISTRY = Path(__file__).with_name("datasets.toml")

_TEXTS = ("title", "description", "licence", "licence_url", "import")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DIGESTS = {"md5": re.compile(r"[0-9a-f]{32}"), "sha256": re.compile(r"[0-9a-f]{64}")}


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """One file of a set.

    Attributes:
        url: Where it is downloaded from, http or https.
        size: Exact bytes; 0 when they are not published.
        digest: The published checksum, such as ``md5:0e33…`` or ``sha256:86c4…``.
    """

    url: str
    size: int
    digest: str

    @property
    def name(self) -> str:
        """The file's name: the last part of the URL."""
        return urlsplit(self.url).path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set; ``import_template`` is the command that imports it, with ``{folder}``, or empty when none does."""

    name: str
    title: str
    description: str
    licence: str
    licence_url: str
    import_template: str
    files: tuple[DatasetFile, ...]

    @property
    def bytes(self) -> int:
        """What is downloaded in all; 0 when the size of some file is not published."""
        sizes = [file.size for file in self.files]
        return sum(sizes) if all(sizes) else 0

    def import_command(self, folder: Path) -> str:
        """The shell command that imports the set from ``folder``; empty when none does."""
        return self.import_template.replace("{folder}", shlex.quote(str(folder)))


def read_datasets(path: Path = REGISTRY) -> tuple[Dataset, ...]:
    """All sets of a registry, in its order.

    Raises:
        NotFoundError: No such file.
        InvalidInputError: The file is no TOML, or an entry lacks a field or has an unusable one; names both.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise NotFoundError(f"{path} is no file; give the path of a registry", reason="FILE_NOT_FOUND") from None
    except ValueError as error:
        raise InvalidInputError(f"{path} is no registry in TOML: {error}", field="registry") from error
    return tuple(_dataset(path, name, table) for name, table in tables.items())


def find_dataset(name: str, path: Path = REGISTRY) -> Dataset:
    """The set called ``name``.

    Raises:
        NotFoundError: There is none; lists the names, and suggests the nearest.
    """
    sets = {entry.name: entry for entry in read_datasets(path)}
    if name in sets:
        return sets[name]
    near = difflib.get_close_matches(name.lower(), sets, n=1)
    hint = f"did you mean {near[0]}? The" if near else "the"
    raise NotFoundError(
        f"there is no data set {name!r}; {hint} names are {', '.join(sets)}", reason="DATASET_NOT_FOUND"
    )


def _dataset(path: Path, name: str, table: Any) -> Dataset:
    def fault(field: str, problem: str) -> InvalidInputError:
        return InvalidInputError(f"{path}: {name}.{field} {problem}", field=f"{name}.{field}")

    if not _NAME.fullmatch(name) or not isinstance(table, dict):
        raise fault("", "is no usable entry; give a table whose name has only letters, digits, '.', '_' and '-'")
    for field in _TEXTS:
        if not isinstance(table.get(field), str):
            raise fault(field, "is missing; give a text")
    files = table.get("files")
    if not isinstance(files, list) or not files:
        raise fault("files", "is missing; give a list of {url, size, md5 or sha256}")
    read = tuple(_file(entry, lambda problem, i=i: fault(f"files[{i}]", problem)) for i, entry in enumerate(files))
    if len({file.name for file in read}) < len(read):
        raise fault("files", "has two files of one name; leave one out")
    title, description, licence, licence_url, import_template = (table[field] for field in _TEXTS)
    return Dataset(name, title, description, licence, licence_url, import_template, read)


def _file(entry: Any, fault: Any) -> DatasetFile:
    url, size = (entry.get("url"), entry.get("size", 0)) if isinstance(entry, dict) else (None, 0)
    if not isinstance(url, str) or not _NAME.fullmatch(urlsplit(url).path.rpartition("/")[2]):
        raise fault(f"has the url {url!r}; give one that ends with a file name")
    if type(size) is not int or size < 0:
        raise fault(f"has the size {size!r}; give bytes, or 0 when they are not known")
    for kind, pattern in _DIGESTS.items():
        if pattern.fullmatch(str(entry.get(kind, ""))):
            return DatasetFile(url, size, f"{kind}:{entry[kind]}")
    raise fault("has no checksum; give md5 (32 hexadecimal digits in lower case) or sha256 (64)")
