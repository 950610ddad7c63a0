"""Addresses that are downloaded from: http and https alone, after a redirect too."""

from __future__ import annotations

import urllib.request as http
from http.client import HTTPMessage, HTTPResponse
from typing import IO
from urllib.parse import urlsplit

from aigc.errors import InvalidInputError

__all__ = ["Redirects", "check_url", "version_of_answer"]


def check_url(url: str) -> None:
    """Raise InvalidInputError unless ``url`` is one of http or https."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInputError(f"{url!r} is no URL of http or https; give one such as https://host/file", field="url")


def version_of_answer(response: HTTPResponse) -> str:
    """What If-Range may name: a strong ETag, else the date; a weak ETag promises no equal bytes."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


class Redirects(http.HTTPRedirectHandler):
    """Follows to http and https alone; the standard handler would go to ftp as well."""

    def redirect_request(
        self, req: http.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> http.Request | None:
        """See the base class."""
        fp.close()
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
