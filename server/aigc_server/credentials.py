"""TLS and mutual TLS from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from aigc.errors import InvalidInputError
from aigc_server.settings import TlsSettings

__all__ = ["PemFiles", "pem_files", "server_credentials"]


@dataclass(frozen=True, slots=True)
class PemFiles:
    """The contents of the TLS files; all empty without a certificate, ``authority`` without mutual TLS."""

    key: bytes = b""
    certificate: bytes = b""
    authority: bytes = b""


def pem_files(settings: TlsSettings) -> PemFiles:
    """What stands in the files.

    Raises:
        InvalidInputError: A file is missing or no PEM; names the setting and the file.
    """
    if not settings.certificate:
        return PemFiles()
    return PemFiles(
        _pem("key", settings.key, b"PRIVATE KEY"),
        _pem("certificate", settings.certificate, b"CERTIFICATE"),
        _pem("client_ca", settings.client_ca, b"CERTIFICATE") if settings.client_ca else b"",
    )


def server_credentials(settings: TlsSettings) -> grpc.ServerCredentials | None:
    """None without a certificate; errors as of :func:`pem_files`."""
    files = pem_files(settings)
    if not files.certificate:
        return None
    return grpc.ssl_server_credentials(
        [(files.key, files.certificate)], files.authority or None, require_client_auth=bool(files.authority)
    )


def _pem(name: str, path: str, kind: bytes) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInputError(
            f"server.tls.{name} {path} cannot be read: {error.strerror}", field=f"server.tls.{name}"
        ) from error
    if b"-----BEGIN" not in data or kind not in data:
        raise InvalidInputError(
            f"server.tls.{name} {path} is no PEM file of a {kind.decode().lower()}", field=f"server.tls.{name}"
        )
    return data
