"""Work that must not be felt by the threads that serve."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

__all__ = ["quietly", "stand_back"]

T = TypeVar("T")
_MOST = 19


def stand_back(niceness: int, *, idle: bool = False) -> None:
    """Have this thread, and all that it will start, yield to others by so many steps of niceness more.

    With ``idle`` it runs only while nothing else wants its core: such work is stopped the moment that other work is
    there, where a nice thread may end its turn of some milliseconds. On a core that is always busy it gets next to
    nothing (``SCHED_IDLE``, of Linux).
    """
    with suppress(AttributeError, OSError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(_MOST, os.getpriority(os.PRIO_PROCESS, thread) + niceness))
        if idle:
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def quietly(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread that yields its core to every other thread of the process, and give what it gives.

    A new thread each time, since one that has become nice may not go back. Threads that ``work`` starts inherit it.
    Where threads have no niceness of their own (it is Linux that gives them one) the work is done all the same.

    Raises:
        Exception: What ``work`` raised.
    """
    done: Future[T] = Future()

    def run() -> None:
        stand_back(_MOST)
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=run, name="quiet", daemon=True)
    thread.start()
    thread.join()
    return done.result()
