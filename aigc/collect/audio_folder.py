"""Recordings from a folder or a zip file; a sub-folder's name is the category, or the file's name says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from aigc.collect.media_files import media_files
from aigc.collect.rejects import Rejects
from aigc.entities import Item, ItemContent
from aigc.errors import InvalidInputError, NotFoundError
from aigc.prepare.sound import BadSoundError, decode_sound

__all__ = ["NamePattern", "read_audio"]

_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg"}
_FIELDS = ("category", "author", "tag", "title", "language", "")
_PLACE = re.compile(r"\{(\w*)\}")


class NamePattern:
    """What the parts of a file's name mean, such as ``{category}_{author}_{}`` for ``7_theo_12.wav``."""

    def __init__(self, text: str) -> None:
        """Args: text: fields in braces among other characters; ``{}`` is passed over; the extension is left out.

        Raises:
            InvalidInputError: A field is unknown or named twice.
        """
        self.text = text
        self.fields = _PLACE.findall(text)
        named = [f for f in self.fields if f]
        unknown = [f for f in named if f not in _FIELDS]
        if unknown or not named or len(set(named)) < len(named):
            raise InvalidInputError(
                f"--name-pattern {text!r}: give each of {', '.join(f'{{{f}}}' for f in _FIELDS if f)} at most once, "
                "and {} for what means nothing",
                field="name_pattern",
            )
        literals = _PLACE.split(text)[::2]
        self._regex = re.compile("(.+?)".join(map(re.escape, literals)))

    def read(self, stem: str) -> dict[str, str] | None:
        """Field → what the name says; None when the name does not fit."""
        found = self._regex.fullmatch(stem)
        return {f: value for f, value in zip(self.fields, found.groups(), strict=True) if f} if found else None


def read_audio(path: Path, rejects: Rejects, *, pattern: NamePattern | None = None, limit: int = 0) -> Iterator[Item]:
    """Items of kind ``audio``, in order of their names; the id is the path inside the folder.

    Args:
        path: A folder of recordings, of sub-folders, or of zip files; or one zip file.
        rejects: Told of files that are links, lead outside, are too large, do not decode or do not fit the pattern.
        pattern: What the parts of a name mean.
        limit: Recordings at most; 0 for all.

    Raises:
        NotFoundError: Nothing is there, or no recording in it.
        InvalidInputError: A zip file is broken.
    """
    taken = 0
    for name, data in media_files(path, _TYPES, rejects):
        pure = PurePosixPath(name)
        said = pattern.read(pure.stem) if pattern is not None else {}
        if said is None:
            rejects.add(name, "name", pure.stem, f"does not fit the pattern {pattern.text if pattern else ''}")
            continue
        try:
            sound = decode_sound(data)
        except BadSoundError as error:
            rejects.add(name, "", "", str(error))
            continue
        category = said.get("category") or pure.parent.name
        yield Item(
            id=name,
            kind="audio",
            title=said.get("title") or pure.stem,
            categories=(category,) if category else (),
            tags=(said["tag"],) if "tag" in said else (),
            author=said.get("author", ""),
            language=said.get("language", ""),
            attributes={"seconds": f"{sound.seconds:.2f}"},
            content=ItemContent(_TYPES[pure.suffix.lower()], data),
        )
        taken += 1
        if limit and taken >= limit:
            return
    if not taken and not rejects.total:
        raise NotFoundError(f"{path} holds no recording ({', '.join(sorted(_TYPES))})", reason="FILE_NOT_FOUND")
