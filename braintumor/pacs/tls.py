"""TLS between nodes, with client certificates where an authority is given (the profiles of DICOM PS3.15, annex B)."""

import ssl
from pathlib import Path
from typing import Any

from braintumor.pacs.errors import PacsError
from braintumor.settings import Settings


class _LaterHandshake(ssl.SSLContext):
    """Leaves the handshake to the connection's own thread, so that nobody who keeps silent holds up all others."""

    def wrap_socket(self, *words: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*words, **{**options, "do_handshake_on_connect": False})


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """Give what answers calls over TLS, None without a certificate; raises ``PacsError``.

    With an authority only those are heard that show a certificate which it signed.
    """
    if not settings.pacs_certificate:
        if settings.pacs_authority:
            raise PacsError("BRAINTUMOR_PACS_AUTHORITY needs BRAINTUMOR_PACS_CERTIFICATE and BRAINTUMOR_PACS_KEY.")
        return None
    context = _LaterHandshake(ssl.PROTOCOL_TLS_SERVER)
    _load(context, settings)
    if settings.pacs_authority:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: Settings) -> ssl.SSLContext | None:
    """Give what calls other nodes over TLS, None without a certificate; raises ``PacsError``."""
    if not settings.pacs_certificate:
        return None
    context = ssl.create_default_context()
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: Settings) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(settings.pacs_certificate), Path(settings.pacs_key or settings.pacs_certificate))
        if settings.pacs_authority:
            context.load_verify_locations(Path(settings.pacs_authority))
    except OSError as error:
        raise PacsError(
            f"The certificate, key or authority of the node cannot be used ({error.strerror or 'wrong format'}); "
            "check the files that BRAINTUMOR_PACS_CERTIFICATE, _KEY and _AUTHORITY name."
        ) from error
