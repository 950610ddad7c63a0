"""What is done quietly: its result, its errors, and whom it lets go first."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aigc.errors import CorruptDataError
from aigc.quiet_work import quietly


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
