"""How much of what was freed the C library keeps."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

__all__ = ["bound_heaps"]

_M_ARENA_MAX = -8


def bound_heaps() -> None:
    """Have glibc allocate from one heap a core, at least two, in place of eight a core; call it before threads start.

    A thread keeps to its heap, and what is freed there serves that heap alone: with tens of threads and answers of any
    size, each of the heaps grows to the most that its threads ever held at once. Who has set ``MALLOC_ARENA_MAX`` or
    ``GLIBC_TUNABLES`` has chosen already; other C libraries keep their ways.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "malloc.arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, max(2, len(os.sched_getaffinity(0))))
