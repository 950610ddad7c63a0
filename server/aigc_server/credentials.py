"""TLS and mutual TLS from the settings."""

from __future__ import annotations

from pathlib import Path

import grpc

from aigc.errors import InvalidInputError
from aigc_server.settings import TlsSettings

__all__ = ["server_credentials"]


def server_credentials(settings: TlsSettings) -> grpc.ServerCredentials | None:
    """None without a certificate.

    Raises:
        InvalidInputError: A file is missing or no PEM; names the setting and the file.
    """
    if not settings.certificate:
        return None
    key, certificate = (
        _pem("key", settings.key, b"PRIVATE KEY"),
        _pem("certificate", settings.certificate, b"CERTIFICATE"),
    )
    authority = _pem("client_ca", settings.client_ca, b"CERTIFICATE") if settings.client_ca else None
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=authority is not None)


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
