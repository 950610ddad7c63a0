"""How much of what was freed the C library keeps."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

__all__ = ["bound_heaps"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def bound_heaps() -> None:
    """Have glibc give back more of what was freed; call it before threads start.

    A thread keeps to its heap, and what is freed there serves that heap alone: with tens of threads and bursts of
    calls, each of the heaps grows to the most that its threads ever held at once. So there is one heap a core, at least
    two, in place of eight a core. And glibc raises its bounds for what it returns to the system with the largest block
    that was ever freed; here they stay where they are.

    Who has set ``MALLOC_…`` variables or ``GLIBC_TUNABLES`` has chosen already; other C libraries keep their ways.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, max(2, len(os.sched_getaffinity(0))))
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        mallopt(_M_TRIM_THRESHOLD, 4 << 20)
