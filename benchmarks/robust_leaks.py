"""Does the ingress leak? LeakSanitizer's account at the exit, after calls of every kind and hostile clients.

The ingress is built with ASAN+UBSAN (`make test-ingress` builds it); Python, gRPC and the C library are not, but their
allocations are followed too. Python leaves much behind at its exit that is its own affair, so that what is found is
told apart by whose code stands in the stack: one with a frame of the ingress, the kernel or gRPC is judged, and the
rest is counted. Unwinding is by frame pointers, which gRPC lacks: what gRPC allocates shows at least its own frame.

Prediction, written before the run: nothing of the ingress or the kernel, and nothing of gRPC that grows with the calls.

python benchmarks/robust_leaks.py --sanitized build/ingress-address/_ingress.so [--home DIR] [--seconds 30]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from robust_server import Served, trained_home
from soak import Load, start_all

from tests.faults import hostile

OWNERS = {
    "ingress": ("_ingress.so", "<unknown module>"),
    "kernel": ("_kernel",),
    "gRPC": ("libgrpc",),
    "Python": ("python",),
}
"""Marks in a stack, in the order in which it is given to them. At the exit the ingress has lost its name."""


def leaks(log: str) -> tuple[Counter[str], Counter[str], list[str]]:
    """Bytes and blocks by owner, and the stacks that are judged."""
    bytes_of, blocks_of, judged = Counter[str](), Counter[str](), []
    for found in re.finditer(r"leak of (\d+) byte\(s\) in (\d+) object\(s\).*?\n\n", log, re.DOTALL):
        stack = found[0]
        owner = next((name for name, marks in OWNERS.items() if any(m in stack for m in marks)), "other")
        bytes_of[owner] += int(found[1])
        blocks_of[owner] += int(found[2])
        if owner in ("ingress", "kernel", "gRPC"):
            judged.append(stack)
    return bytes_of, blocks_of, judged


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sanitized", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=2000, help="That vanish")
    parser.add_argument("--scale", type=float, default=0.2, help="Of the soak's rates")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-leaks-") as name:
        home = trained_home(Path(name), options.home)
        server = Served(home, "ingress", sanitized=options.sanitized, leaks=True)
        load = Load(server, 0)
        start_all(load, options.scale, events_too=True)
        begun = time.monotonic()
        address = server.host, server.port
        gone = hostile.vanish(address, options.clients, threads=8)
        for what in hostile.MALFORMED.values():
            hostile.malform(address, what)
        for sock in hostile.slow_readers(address, 8, 32) + hostile.slow_senders(address, 50):
            sock.close()
        time.sleep(max(0.0, options.seconds - (time.monotonic() - begun)))
        load.stop()
        status = server.end(300)
        said = server.said()
    bytes_of, blocks_of, judged = leaks(said)
    print(
        f"calls {dict(load.calls)}, errors {dict(load.errors) or 'none'}, vanished {sum(gone.values())}; exit {status}"
    )
    for owner in (*OWNERS, "other"):
        print(f"{owner}: {blocks_of[owner]} blocks, {bytes_of[owner]} bytes")
    print(*judged[:20], sep="\n")
    print(f"LeakSanitizer looked: {'LeakSanitizer' in said}; wall {time.perf_counter() - started:.0f} s")
    return int(status != 0 or bool(judged) or "LeakSanitizer" not in said)


if __name__ == "__main__":
    sys.exit(main())
