"""The server's memory: threads share a few heaps."""

import os
import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, threading
from aigc_server.heaps import bound_heaps

bound_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.open_memstream.restype = ctypes.c_void_p
# All at once, so that each wants a heap of its own.
together = threading.Barrier(16)

def allocate():
    together.wait()
    libc.malloc(10_000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
told, size = ctypes.c_char_p(), ctypes.c_size_t()
stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(told), ctypes.byref(size)))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(told.value.count(b"<heap"))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")
@pytest.mark.parametrize("chosen", ["", "5"])
def test_threads_share_one_heap_a_core_unless_the_operator_chose(chosen: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    if chosen:
        environment["MALLOC_ARENA_MAX"] = chosen
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(chosen or max(2, len(os.sched_getaffinity(0))))
