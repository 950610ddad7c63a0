"""Chinese in one script: traditional characters as simplified ones, so that either finds the other."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

__all__ = ["simplified"]

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")


def simplified(text: str) -> str:
    """The text with traditional characters, and phrases of them, turned into simplified ones (OpenCC's ``t2s``).

    For comparing, not for showing: 乾 and 幹 both become 干.
    """
    return str(_converter().convert(text)) if _HAN.search(text) else text


@lru_cache(maxsize=1)
def _converter() -> Any:
    # Slow to open, and needed for Chinese only.
    from opencc import OpenCC

    return OpenCC("t2s")
