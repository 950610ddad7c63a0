"""Pictures from a folder or a zip file; a sub-folder's name is the category, ``captions.jsonl`` names them."""

from __future__ import annotations

import io
import json
import mimetypes
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from aigc.collect.media_files import media_files
from aigc.collect.parse import split_names
from aigc.collect.rejects import Rejects
from aigc.entities import Item, ItemContent
from aigc.errors import NotFoundError

__all__ = ["read_images"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
_MAX_PIXELS = 50_000_000


def read_images(path: Path, rejects: Rejects, *, limit: int = 0) -> Iterator[Item]:
    """Items of kind ``image``, in order of their names; the id is the path inside the folder.

    Args:
        path: A folder of pictures, of sub-folders, or of zip files; or one zip file.
        rejects: Told of files that are links, lead outside, are too large, or do not decode.
        limit: Pictures at most; 0 for all.

    Raises:
        NotFoundError: Nothing is there, or no picture in it.
        InvalidInputError: A zip file is broken.
    """
    base = path if path.is_dir() else path.parent
    captions = _captions(base, rejects)
    taken = 0
    for name, data in media_files(path, _SUFFIXES, rejects):
        content = _checked(name, data, rejects)
        if content is None:
            continue
        yield _item(name, content, captions.get(PurePosixPath(name).name, captions.get(PurePosixPath(name).stem, {})))
        taken += 1
        if limit and taken >= limit:
            return
    if not taken and not rejects.total:
        raise NotFoundError(f"{path} holds no picture ({', '.join(sorted(_SUFFIXES))})", reason="FILE_NOT_FOUND")


def _item(name: str, content: ItemContent, caption: dict[str, Any]) -> Item:
    parent = PurePosixPath(name).parent.name
    titles = [str(caption[k]) for k in ("title", "en", "zh", "name") if isinstance(caption.get(k), str)]
    tags = [
        t
        for k in ("tags", "keywords", "keywords_en", "keywords_zh", "en_keywords", "zh_keywords")
        for t in split_names(caption.get(k))
    ]
    category = caption.get("category") or caption.get("group") or parent
    sub = caption.get("subgroup")
    return Item(
        id=name,
        kind="image",
        title=" · ".join(dict.fromkeys(titles)) or PurePosixPath(name).stem,
        categories=tuple(str(c) for c in (category, sub) if c),
        tags=tuple(dict.fromkeys(tags)),
        content=content,
    )


def _checked(name: str, data: bytes, rejects: Rejects) -> ItemContent | None:
    """The picture, if it decodes completely and is not absurdly large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > _MAX_PIXELS:
                    rejects.add(name, "", f"{image.width} × {image.height}", "has more than 50 million pixels")
                    return None
                media_type = Image.MIME.get(image.format or "", mimetypes.guess_type(name)[0] or "image/png")
                image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        rejects.add(name, "", "", "has more than 50 million pixels")
        return None
    except (OSError, ValueError, SyntaxError) as error:
        rejects.add(name, "", str(error), "does not decode")
        return None
    return ItemContent(media_type, data)


def _captions(folder: Path, rejects: Rejects) -> dict[str, dict[str, Any]]:
    """File name, or its stem → the entry of ``captions.jsonl``."""
    path = folder / "captions.jsonl"
    captions: dict[str, dict[str, Any]] = {}
    if not path.is_file():
        return captions
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                rejects.add(f"captions.jsonl:{number}", "", line, "is no JSON")
                continue
            if not isinstance(entry, dict):
                rejects.add(f"captions.jsonl:{number}", "", line, "is no JSON object")
                continue
            key = next(
                (entry[k] for k in ("file", "path", "image", "id", "code") if isinstance(entry.get(k), str)), None
            )
            if key is not None:
                captions[PurePosixPath(key).name] = entry
    return captions
