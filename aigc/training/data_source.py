"""Where the data of a training comes from: items of the catalogue, or of files that the readers of imports know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aigc.collect.audio_folder import NamePattern, read_audio
from aigc.collect.image_folder import read_images
from aigc.collect.items_file import ItemsFile, title_of
from aigc.collect.rejects import Rejects
from aigc.collect.table import FORMATS
from aigc.collect.text_source import TextSource
from aigc.entities import Item
from aigc.errors import InvalidInputError, NotFoundError
from aigc.profiles.weights import EventWeights
from aigc.store.base import Store
from aigc.training.liked import Liked, LikedItem, find_liked

__all__ = ["DIALOGUE", "DataChoice", "catalogue_items", "path_items"]

DIALOGUE = "dialogue"
IMAGES, TEXTS, RECORDINGS = "images", "texts", "recordings"
_MEDIA = {IMAGES: "image/", RECORDINGS: "audio/"}
_TEXT = (".txt", ".txt.gz")


@dataclass(frozen=True, slots=True)
class DataChoice:
    """Which data.

    Attributes:
        path: A file or folder; empty for the catalogue.
        item_kinds: Only items of one of these kinds; empty for all.
        categories: Only items of at least one of these; empty for all.
        include_generated: Generated items are left out without it, so that models do not learn from models.
        liked: Only items that were liked; None for all.
    """

    path: str = ""
    item_kinds: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    include_generated: bool = False
    liked: Liked | None = None

    def __post_init__(self) -> None:
        """A path has neither kinds nor generated items."""
        if self.path and (self.item_kinds or self.include_generated or self.liked):
            raise InvalidInputError(
                "kinds of items, generated and liked ones are told apart in the catalogue alone: leave them out, or "
                "leave out the path",
                field="data",
            )

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> DataChoice:
        """What :func:`dataclasses.asdict` gave, through JSON."""
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        liked = given.pop("liked", None)
        if liked is not None:
            liked = Liked(**{**liked, "user_ids": tuple(liked["user_ids"])})
        return cls(**given, liked=liked)

    def told(self) -> dict[str, Any]:
        """Source and filters, those that say something."""
        return {"source": self.path or "catalogue"} | {k: v for k, v in asdict(self).items() if v and k != "path"}

    @property
    def in_words(self) -> str:
        """For errors."""
        if self.path:
            return self.path
        parts = []
        if self.item_kinds:
            parts.append(f"of kind {' or '.join(self.item_kinds)}")
        if self.categories:
            parts.append(f"of category {' or '.join(self.categories)}")
        if self.liked:
            parts.append(self.liked.in_words)
        return " ".join(["the catalogue", *parts])

    def remedy(self, usual: str) -> str:
        """What to do when there is too little of it."""
        if self.liked is None:
            return usual
        return (
            "ask for fewer users (--liked-by), for a longer time (--liked-days), or for generated items too "
            "(--include-generated), or leave out --liked"
        )


def catalogue_items(
    store: Store,
    choice: DataChoice,
    modality: str,
    weights: EventWeights | None = None,
    found: dict[str, LikedItem] | None = None,
) -> Iterator[Item]:
    """The items to learn from, by id, with their content where pictures or recordings are wanted.

    Hidden items are left out, among them the near-duplicates that `aigc prepare --hide` found and the generated ones
    that wait for a person; what a person rejected is deleted.

    Args:
        store: The catalogue.
        choice: Which items.
        modality: ``images``, ``texts`` or ``recordings``.
        weights: Of event types, where liked items are asked for.
        found: Gets the liked items that were given, by id.
    """
    liked = find_liked(store, choice.liked, weights or EventWeights()) if choice.liked else None
    wanted = []
    for batch in store.iterate_items():
        for _, item in batch:
            if (
                isinstance(item, Item)
                and not item.hidden
                and (choice.include_generated or not item.generated)
                and (not choice.item_kinds or item.kind in choice.item_kinds)
                and (not choice.categories or not set(choice.categories).isdisjoint(item.categories))
                and (modality != TEXTS or item.text.strip())
                and (liked is None or item.id in liked)
            ):
                wanted.append(item)
    wanted.sort(key=lambda item: item.id)
    if modality == TEXTS:
        if liked is not None and found is not None:
            found.update((item.id, liked[item.id]) for item in wanted)
        yield from wanted
        return
    for start in range(0, len(wanted), 256):
        part = wanted[start : start + 256]
        contents = dict(store.iterate_contents([item.id for item in part]))
        for item in part:
            content = contents.get(item.id)
            if content is not None and content.media_type.startswith(_MEDIA[modality]):
                if liked is not None and found is not None:
                    found[item.id] = liked[item.id]
                yield replace(item, content=content)


def path_items(choice: DataChoice, modality: str, rejects: Rejects, *, name_pattern: str = "") -> Iterator[Item]:
    """The items that a file or folder holds, in its order.

    Raises:
        NotFoundError: Nothing is there, or nothing of the modality in it.
        InvalidInputError: A file is of another format, or broken.
    """
    path = Path(choice.path)
    if not path.exists():
        raise NotFoundError(f"{path} does not exist; give a file or folder to learn from", reason="FILE_NOT_FOUND")
    if modality == IMAGES:
        items = read_images(path, rejects)
    elif modality == RECORDINGS:
        items = read_audio(path, rejects, pattern=NamePattern(name_pattern) if name_pattern else None)
    else:
        items = _texts(path, rejects)
    for item in items:
        if not choice.categories or not set(choice.categories).isdisjoint(item.categories):
            yield item


def _texts(path: Path, rejects: Rejects) -> Iterator[Item]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    tables = (*FORMATS, *(f"{ending}.gz" for ending in FORMATS))
    known = [p for p in files if p.name.lower().endswith((*_TEXT, *tables))]
    if path.is_file() and not known:
        raise InvalidInputError(
            f"{path} is no text that can be read; give one of {', '.join(FORMATS)}, .txt (also gzipped)", field="data"
        )
    if not known:
        raise NotFoundError(f"{path} holds no file of texts ({', '.join(FORMATS)}, .txt)", reason="FILE_NOT_FOUND")
    for file in known:
        if file.name.lower().endswith(_TEXT):
            # A running text is one text: what it is cut into is the model's affair.
            text = "".join(line for _, line in TextSource(file, rejects).lines())
            if text.strip():
                yield Item(id=file.name, title=title_of(text), text=text)
        else:
            source = ItemsFile(file, rejects)
            kind = DIALOGUE if source.mapping.get("text") == "turns" else "text"
            yield from (replace(item, kind=kind) for item in source if item.text.strip())
