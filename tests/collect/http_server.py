"""A local HTTP server that misbehaves on order."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """How one request is answered; the last reply of a path answers all further requests.

    Attributes:
        cut: The connection ends after so many bytes of the body.
        length: The Content-Length that is claimed; None for the truth, "" for none.
        ranges: Whether Range is heard; If-Range is, unless ``if_range`` is false.
        content_range: What is claimed in place of the true Content-Range.
    """

    body: bytes = b""
    status: int = 200
    etag: str = '"v1"'
    modified: str = ""
    cut: int | None = None
    length: int | str | None = None
    ranges: bool = True
    if_range: bool = True
    content_range: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    range: str
    if_range: str


@dataclass(slots=True)
class Scripted:
    """What the server will do, and what it was asked."""

    root: str = ""
    replies: dict[str, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    requests: list[Request] = field(default_factory=list)

    def serve(self, path: str, *replies: Reply) -> str:
        """Answer ``path`` so, and give its URL."""
        self.replies[path] = list(replies)
        return self.root + path

    @property
    def ranges(self) -> list[str]:
        return [request.range for request in self.requests]


def _handler(script: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = Request(self.path, self.headers.get("Range", ""), self.headers.get("If-Range", ""))
            script.requests.append(asked)
            waiting = script.replies.get(self.path) or [Reply(status=404)]
            self._answer(waiting.pop(0) if len(waiting) > 1 else waiting[0], asked)

        def _answer(self, reply: Reply, asked: Request) -> None:
            status, body, content_range = reply.status, reply.body, reply.content_range
            wanted = re.fullmatch(r"bytes=(\d+)-", asked.range)
            current = not reply.if_range or asked.if_range in ("", reply.etag or reply.modified)
            if wanted and reply.ranges and status == 200 and current:
                start = int(wanted[1])
                content_range = content_range or f"bytes {start}-{len(body) - 1}/{len(body)}"
                status, body = (206, body[start:]) if start < len(body) else (416, b"")
            self.send_response(status)
            length = len(body) if reply.length is None else reply.length
            headers = {"Content-Length": str(length), "ETag": reply.etag, "Last-Modified": reply.modified}
            headers |= {"Location": reply.location, "Content-Range": content_range if status == 206 else ""}
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: reply.cut])

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler


@contextmanager
def scripted_server() -> Iterator[Scripted]:
    """A server on a port of the system's choice, ended with the block."""
    script = Scripted()
    with HTTPServer(("127.0.0.1", 0), _handler(script)) as server:
        script.root = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.002,), daemon=True)
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
