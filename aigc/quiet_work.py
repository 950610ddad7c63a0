"""Work that must not be felt by the threads that serve."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

__all__ = ["quietly"]

T = TypeVar("T")
_NICENESS = 19


def quietly(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread that yields its core to every other thread of the process, and give what it gives.

    A new thread each time, since one that has become nice may not go back. Threads that ``work`` starts inherit it.
    Where threads have no niceness of their own (it is Linux that gives them one) the work is done all the same.

    Raises:
        Exception: What ``work`` raised.
    """
    done: Future[T] = Future()

    def run() -> None:
        with suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=run, name="quiet", daemon=True)
    thread.start()
    thread.join()
    return done.result()
