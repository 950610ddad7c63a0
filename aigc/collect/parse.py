"""Cells → values, each refused with a reason."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

__all__ = ["BadValueError", "parse_id", "parse_number", "parse_time_ms", "split_names"]

_EARLIEST_MS = -5_364_662_400_000  # 1800
_LATEST_MS = 7_258_118_400_000  # 2200
_SEPARATORS = re.compile(r"[|;]")


class BadValueError(ValueError):
    """A cell that cannot be used; the text is the reason, without the value."""


def parse_id(value: object) -> str:
    """An identifier: text of 1 to 256 bytes without control characters."""
    if type(value) is str and value.isascii() and value.isprintable() and 0 < len(value) <= 256 and value[0] != " ":
        return value.rstrip()
    if isinstance(value, bool) or value is None or (isinstance(value, float) and not value.is_integer()):
        raise BadValueError("is no identifier")
    text = str(int(value)) if isinstance(value, float) else str(value).strip()
    if not text:
        raise BadValueError("is empty")
    if not text.isprintable():
        raise BadValueError("holds a control character")
    if len(text) > 256 or len(text.encode("utf-8", "surrogatepass")) > 256:
        raise BadValueError("is longer than 256 bytes")
    return text


def parse_number(value: object) -> float:
    """A finite number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise BadValueError("is not finite") from None
    except (TypeError, ValueError):
        raise BadValueError("is no number") from None
    if not math.isfinite(number):
        raise BadValueError("is not finite")
    return number


def parse_time_ms(value: object) -> int:
    """Seconds or milliseconds since 1970, or ISO 8601; a time without a zone is UTC."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadValueError("is no time (seconds, milliseconds or ISO 8601)") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        milliseconds = moment.timestamp() * 1000
    else:
        if not math.isfinite(number):
            raise BadValueError("is not finite")
        # 1e11 s is the year 5138 and 1e11 ms is 1973: no data has both.
        milliseconds = number * 1000 if abs(number) < 1e11 else number
    if not _EARLIEST_MS <= milliseconds < _LATEST_MS:
        raise BadValueError("is not between 1800 and 2200")
    return round(milliseconds)


def split_names(value: object) -> tuple[str, ...]:
    """A JSON list, or text split at | or ; (or else at commas): distinct, trimmed, empty ones left out."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        parts = [str(v) for v in value]
    else:
        text = str(value)
        parts = _SEPARATORS.split(text) if _SEPARATORS.search(text) else text.split(",")
    return tuple(dict.fromkeys(p.strip() for p in parts if p.strip()))
