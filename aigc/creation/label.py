"""Labels of generated content: one to be shown, one inside the file.

The one inside follows China's GB 45438-2025 (in force since 2025-09-01): a metadata field named ``AIGC`` whose JSON
states that the content is generated, by whom, and under which content number.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from aigc.errors import InvalidInputError

__all__ = [
    "LABEL_ATTRIBUTE",
    "METADATA_KEY",
    "explicit_label",
    "implicit_label",
    "label_file",
    "read_label",
    "title_label",
]

METADATA_KEY = "AIGC"
LABEL_ATTRIBUTE = "generated_label"
_HAN = re.compile(r"[\u3400-\u9fff]")
_CHUNK_HEAD = 8
_RIFF_HEAD = 12


def explicit_label(language: str) -> str:
    """What is shown beside the content."""
    return "人工智能生成" if language.lower().startswith("zh") else "AI-generated"


def title_label(title: str) -> str:
    """The same for a list that shows titles: in the language of this one."""
    return explicit_label("zh" if _HAN.search(title) else "en")


def implicit_label(creation_id: str, provider: str) -> str:
    """The JSON of the metadata field: ``Label`` 1 is 'generated for certain'."""
    return json.dumps(
        {"Label": "1", "ContentProducer": provider, "ProduceID": creation_id}, ensure_ascii=False, sort_keys=True
    )


def label_file(media_type: str, data: bytes, label: str) -> bytes:
    """The file with the label in its metadata; the pixels or samples stay as they are.

    Raises:
        InvalidInputError: Files of this type cannot be labelled.
    """
    if media_type == "image/png":
        info = PngInfo()
        info.add_itxt(METADATA_KEY, label)
        target = io.BytesIO()
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            picture.save(target, "PNG", pnginfo=info)
        return target.getvalue()
    if media_type == "audio/wav":
        text = label.encode()
        text += b"\0" * (2 - len(text) % 2)
        comment = b"INFO" + b"ICMT" + struct.pack("<I", len(text)) + text
        body = data[8:] + b"LIST" + struct.pack("<I", len(comment)) + comment
        return b"RIFF" + struct.pack("<I", len(body)) + body
    raise InvalidInputError(
        f"a label cannot be written into {media_type}; give image/png or audio/wav", field="media_type"
    )


def read_label(media_type: str, data: bytes) -> Mapping[str, Any] | None:
    """What the metadata field says; None where there is none, or the file is broken."""
    text = ""
    try:
        if media_type == "image/png":
            with Image.open(io.BytesIO(data)) as picture:
                text = str(picture.info.get(METADATA_KEY, ""))
        elif media_type == "audio/wav":
            text = _wav_comment(data)
        told = json.loads(text) if text else None
    except (OSError, ValueError, struct.error):
        return None
    return told if isinstance(told, dict) else None


def _wav_comment(data: bytes) -> str:
    at = _RIFF_HEAD
    while at + _CHUNK_HEAD <= len(data):
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        body = data[at + 8 : at + 8 + size]
        if name == b"LIST" and body[:8] == b"INFOICMT":
            return body[12:].rstrip(b"\0").decode()
        at += 8 + size + size % 2
    return ""
