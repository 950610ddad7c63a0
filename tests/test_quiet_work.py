"""What is done quietly: its result, its errors, and whom it lets go first."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aigc.errors import CorruptDataError
from aigc.quiet_work import quietly, stand_back


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_gives_what_the_work_gives() -> None:
    assert quietly(lambda: 7) == 7


def test_raises_what_the_work_raises() -> None:
    def broken() -> None:
        raise CorruptDataError("item_flags.npy is missing")

    with pytest.raises(CorruptDataError, match=r"item_flags\.npy"):
        quietly(broken)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux alone")
def test_yields_to_other_threads_and_leaves_the_caller_as_it_was() -> None:
    before = _niceness()

    def inside() -> tuple[int, int]:
        with ThreadPoolExecutor(1) as pool:
            return _niceness(), pool.submit(_niceness).result()

    assert quietly(inside) == (19, 19)
    assert _niceness() == before


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux alone")
def test_steps_add_up_and_idle_work_is_told_apart() -> None:
    seen: list[int] = []

    def inside() -> None:
        begun = _niceness()
        for steps in (2, 3):
            stand_back(steps)
        seen.extend((begun, _niceness(), os.sched_getscheduler(threading.get_native_id())))
        stand_back(19, idle=True)
        seen.extend((_niceness(), os.sched_getscheduler(threading.get_native_id())))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [seen[0], min(19, seen[0] + 5), os.SCHED_OTHER, 19, os.SCHED_IDLE]
