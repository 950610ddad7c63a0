# ruff: noqa: T201
"""Clients that vanish in the middle of a call, speak nonsense, read slowly or send slowly: raw HTTP/2 over sockets.

python -m tests.faults.hostile HOST:PORT [--clients 10000]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aigc.v1 import event_pb2
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb

__all__ = ["MALFORMED", "VANISHING", "malform", "slow_readers", "slow_senders", "vanish"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
TIMEOUT_S = 10.0


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113, 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field of HPACK that enters no table (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def headers(path: str) -> bytes:
    """The header block of a gRPC call."""
    return (
        b"\x83\x86\x04" + bytes((len(path),)) + path.encode() + b"\x01\x09localhost"
        + literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
    )  # fmt: skip


def message(data: bytes) -> bytes:
    """gRPC's length-prefixed message."""
    return b"\x00" + struct.pack(">I", len(data)) + data


def settings(**values: int) -> bytes:
    """By name: header_table, window, frame."""
    numbers = {"header_table": 1, "window": 4, "frame": 5}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", numbers[k], v) for k, v in values.items()))


def _requests() -> list[tuple[str, bytes]]:
    users = [pb.RecommendRequest(user_id=str(u), n=20) for u in range(1, 65)]
    views = [event_pb2.Event(id=f"hostile-{i}", user_id="1", item_id="1", type="view") for i in range(8)]
    recommending, recording = "/aigc.v1.RecommendationService/", "/aigc.v1.EventService/"
    return [
        (recommending + "Recommend", users[0].SerializeToString()),
        (recommending + "BatchRecommend", pb.BatchRecommendRequest(requests=users).SerializeToString()),
        (recommending + "SimilarItems", pb.SimilarItemsRequest(item_id="1", n=20).SerializeToString()),
        (recommending + "SimilarUsers", pb.SimilarUsersRequest(user_id="1", n=20).SerializeToString()),
        (recording + "RecordEvents", events.RecordEventsRequest(events=views).SerializeToString()),
        (recording + "StreamEvents", events.StreamEventsRequest(events=views).SerializeToString()),
        ("/aigc.v1.AdminService/GetStatus", b""),
        ("/grpc.health.v1.Health/Check", b""),
        ("/grpc.health.v1.Health/Watch", b""),
    ]


REQUESTS = _requests()


def call(stream: int, which: tuple[str, bytes], *, part: int | None = None) -> bytes:
    """The frames of one call; with ``part`` so many bytes of its message only, and the call stays open."""
    path, request = which
    data = message(request)
    body = frame(DATA, END_STREAM, stream, data) if part is None else frame(DATA, 0, stream, data[:part])
    return frame(HEADERS, END_HEADERS, stream, headers(path)) + body


def _reset(sock: socket.socket) -> None:
    """Close with RST, as a process that is killed with unread data does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Way = Callable[[socket.socket, random.Random], None]


def _silent(sock: socket.socket, rng: random.Random) -> None:
    pass


def _half_preface(sock: socket.socket, rng: random.Random) -> None:
    sock.sendall(PREFACE[: rng.randrange(1, len(PREFACE))])


def _headers_only(sock: socket.socket, rng: random.Random) -> None:
    sock.sendall(PREFACE + settings() + frame(HEADERS, END_HEADERS, 1, headers(rng.choice(REQUESTS)[0])))
    _reset(sock)


def _part_of_a_request(sock: socket.socket, rng: random.Random) -> None:
    which = rng.choice(REQUESTS)
    sock.sendall(PREFACE + settings() + call(1, which, part=rng.randrange(0, len(which[1]) + 5)))
    if rng.random() < 0.5:
        _reset(sock)


def _part_of_a_frame(sock: socket.socket, rng: random.Random) -> None:
    whole = call(1, rng.choice(REQUESTS))
    sock.sendall(PREFACE + settings() + whole[: rng.randrange(1, len(whole))])
    _reset(sock)


def _whole_then_gone(sock: socket.socket, rng: random.Random) -> None:
    sock.sendall(PREFACE + settings() + call(1, rng.choice(REQUESTS)))
    if rng.random() < 0.5:
        _reset(sock)


def _many_then_gone(sock: socket.socket, rng: random.Random) -> None:
    calls = b"".join(call(1 + 2 * i, rng.choice(REQUESTS)) for i in range(20))
    sock.sendall(PREFACE + settings() + calls)
    if rng.random() < 0.5:
        _reset(sock)


def _cancelled(sock: socket.socket, rng: random.Random) -> None:
    sock.sendall(PREFACE + settings() + call(1, rng.choice(REQUESTS)))
    time.sleep(rng.random() * 0.002)
    sock.sendall(frame(RST_STREAM, 0, 1, struct.pack(">I", 8)))


def _answer_half_read(sock: socket.socket, rng: random.Random) -> None:
    sock.sendall(PREFACE + settings() + call(1, REQUESTS[1]))
    sock.recv(64)
    _reset(sock)


VANISHING: tuple[Way, ...] = (
    _silent,
    _half_preface,
    _headers_only,
    _part_of_a_request,
    _part_of_a_frame,
    _whole_then_gone,
    _many_then_gone,
    _cancelled,
    _answer_half_read,
)


def _connected(address: tuple[str, int]) -> socket.socket:
    sock = socket.create_connection(address, timeout=TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def vanish(address: tuple[str, int], clients: int, *, seed: int = 0, threads: int = 32) -> Counter[str]:
    """So many clients, each gone in one of the ways of :data:`VANISHING`; gives how often each, and refusals."""
    done: Counter[str] = Counter()

    def one(number: int) -> str:
        rng = random.Random(seed * 1_000_003 + number)
        way = rng.choice(VANISHING)
        try:
            with _connected(address) as sock:
                way(sock, rng)
        except OSError as error:
            return type(error).__name__
        return way.__name__

    with ThreadPoolExecutor(threads) as pool:
        done.update(pool.map(one, range(clients)))
    return done


def _malformed() -> dict[str, bytes]:
    rng = random.Random(7)
    start = PREFACE + settings()
    path, request = REQUESTS[0]
    opened = start + frame(HEADERS, END_HEADERS, 1, headers(path))
    many = [1 + 2 * i for i in range(1000)]
    return {
        "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(508),
        "random bytes": rng.randbytes(4096),
        "a wrong preface": PREFACE[:-3] + b"XX\n" + settings(),
        "random bytes after the preface": PREFACE + rng.randbytes(4096),
        "a frame of 16 MB": start + b"\xff\xff\xff" + bytes((DATA, 0)) + b"\0\0\0\1" + bytes(65536),
        "SETTINGS of 5 bytes": PREFACE + frame(SETTINGS, 0, 0, b"12345"),
        "SETTINGS with a window of 4 GB": PREFACE + settings(window=2**32 - 1),
        "SETTINGS with frames of 1 byte": PREFACE + settings(frame=1),
        "HPACK of random bytes": start + frame(HEADERS, END_HEADERS, 1, rng.randbytes(512)),
        "HPACK index beyond the table": start + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\x0f"),
        "HPACK length beyond the frame": start + frame(HEADERS, END_HEADERS, 1, b"\x00\x7f\xff\xff\x0fabc"),
        "headers of 1 MB": start + frame(HEADERS, 0, 1, headers(path))
        + b"".join(frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 120) * 128) for _ in range(64)),
        "CONTINUATION of nothing": start + frame(CONTINUATION, END_HEADERS, 1, headers(path)),
        "DATA for no stream": start + frame(DATA, 0, 0, b"abc"),
        "DATA for a stream never opened": start + frame(DATA, END_STREAM, 9, message(request)),
        "an even stream": start + frame(HEADERS, END_HEADERS, 2, headers(path)),
        "streams that go back": opened + frame(HEADERS, END_HEADERS, 9, headers(path))
        + frame(HEADERS, END_HEADERS, 3, headers(path)),
        "WINDOW_UPDATE by 0": opened + frame(WINDOW_UPDATE, 0, 1, bytes(4)),
        "WINDOW_UPDATE over 2^31": opened + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
        "RST_STREAM of 3 bytes": opened + frame(RST_STREAM, 0, 1, b"abc"),
        "PRIORITY on itself": opened + frame(PRIORITY, 0, 1, b"\0\0\0\1\0"),
        "a frame of no known kind": opened + frame(0xEE, 0xFF, 1, rng.randbytes(100)),
        "no path": start + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x83\x86"),
        "a path of bytes": start + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x83\x86\x04\x04\xff\xfe\x00/"),
        "GET": start + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86\x84\x01\x01x"),
        "a message of 4 GB": opened + frame(DATA, END_STREAM, 1, b"\x00\xff\xff\xff\xffabc"),
        "a message shorter than it says": opened + frame(DATA, END_STREAM, 1, b"\x00\0\0\0\x50abc"),
        "a message longer than it says": opened + frame(DATA, END_STREAM, 1, b"\x00\0\0\0\x01abcdef"),
        "two messages in a unary call": opened + frame(DATA, END_STREAM, 1, message(request) * 2),
        "compressed, nobody knows how": opened + frame(DATA, END_STREAM, 1, b"\x01" + message(request)[1:]),
        "no message": opened + frame(DATA, END_STREAM, 1),
        "10,000 pings": start + frame(PING, 0, 0, bytes(8)) * 10_000,
        "10,000 SETTINGS": start + settings(window=65535) * 10_000,
        "1,000 streams, each reset at once": start
        + b"".join(call(i, REQUESTS[0]) + frame(RST_STREAM, 0, i, b"\0\0\0\x08") for i in many),
        "3,000 calls at once": start + b"".join(call(1 + 2 * i, REQUESTS[0]) for i in range(3000)),
    }  # fmt: skip


MALFORMED = _malformed()


def malform(address: tuple[str, int], what: bytes, *, patience_s: float = 0.05) -> bytes:
    """Say it, and listen for a moment; gives what was answered."""
    answer = b""
    with contextlib.suppress(OSError), _connected(address) as sock:
        sock.setblocking(False)
        end = time.monotonic() + TIMEOUT_S
        while what and time.monotonic() < end:
            _, ready, _ = select.select([], [sock], [], patience_s)
            if not ready:
                break
            what = what[sock.send(what) :]
        while select.select([sock], [], [], patience_s)[0]:
            if not (got := sock.recv(65536)):
                break
            answer += got
            if len(answer) > 1 << 20:
                break
    return answer


def slow_readers(address: tuple[str, int], clients: int, calls: int) -> list[socket.socket]:
    """So many connections with a window of zero bytes and so many calls each; nobody reads. Close them when done."""
    socks = []
    for number in range(clients):
        sock = _connected(address)
        body = b"".join(call(1 + 2 * i, REQUESTS[(number + i) % len(REQUESTS)]) for i in range(calls))
        sock.setblocking(False)
        data = PREFACE + settings(window=0) + body
        # What does not fit in the buffers is not sent: the server has stopped reading, as it may.
        for _ in range(50):
            with contextlib.suppress(BlockingIOError):
                data = data[sock.send(data) :]
            if not data:
                break
            select.select([], [sock], [], 0.01)
        socks.append(sock)
    return socks


def slow_senders(address: tuple[str, int], clients: int) -> list[socket.socket]:
    """So many connections that have sent half a frame. Close them when done."""
    socks = []
    for number in range(clients):
        sock = _connected(address)
        whole = PREFACE + settings() + call(1, REQUESTS[number % len(REQUESTS)])
        sock.sendall(whole[: len(whole) * (number % 7 + 1) // 9])
        socks.append(sock)
    return socks


def main() -> None:
    """All of it, against a server that runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--clients", type=int, default=10_000)
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    address = host, int(port)
    print(dict(vanish(address, options.clients)))
    for name, what in MALFORMED.items():
        print(f"{name}: {len(malform(address, what))} bytes of answer")
    held = slow_readers(address, 64, 64) + slow_senders(address, 1000)
    time.sleep(1)
    for sock in held:
        sock.close()


if __name__ == "__main__":
    main()
