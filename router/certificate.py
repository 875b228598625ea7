"""TLS contexts from PEM files: what the listener shows, what a variant must show.

Verification is always on, TLS 1.2 is the least, and HTTP/1.1 the only protocol offered. Blocks on
the disk: call it from a thread, or before there is a loop.
"""

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.table import Tls

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _VERSION = 0x17, 0xA0


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What the listener shows its clients, and what it asks of them. Absolute paths."""

    cert: str
    """The certificate, then its chain."""
    key: str
    client_ca: str = ""
    """Who may sign clients' certificates; empty asks clients for none."""


class CertificateError(Exception):
    """A file is at fault; ``key`` says in which of the keys it is named: cert, key, ca, ..."""

    def __init__(self, key: str, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.key = key
        self.path = path
        self.why = why


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """Return a context for the listener; CertificateError if a file is at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A client may ask for any number of new handshakes in one TLS 1.2 connection, at our cost.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_pair(context, tls.cert, tls.key)
    if tls.client_ca:
        _load_authorities(context, "client_ca", tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return _restricted(context)


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return a context for connections to a variant; CertificateError if a file is at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and host name
    if tls.ca:
        _load_authorities(context, "ca", tls.ca)
    else:
        context.set_default_verify_paths()
    if tls.cert:
        _load_pair(context, tls.cert, tls.key)
    return _restricted(context)


def _restricted(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_pair(context: ssl.SSLContext, cert: str, key: str) -> None:
    expires_at_s(cert)  # says what is wrong with the certificate alone
    if b"PRIVATE KEY-----" not in _read("key", key):
        raise CertificateError("key", key, "no private key in it (PEM)")
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError("key", key, f"not the key of {cert}") from error
        raise CertificateError("key", key, f"cannot be used ({error.reason or error})") from error
    except (OSError, ValueError) as error:
        raise CertificateError("key", key, str(error)) from error


def _refuse_password() -> str:
    # Without this OpenSSL would ask for it on the terminal, and wait.
    raise ValueError("encrypted with a password; a key that is read again must be without one")


def _load_authorities(context: ssl.SSLContext, key: str, path: str) -> None:
    if not PEM.search(_read(key, path)):
        raise CertificateError(key, path, "no certificate in it (PEM)")
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise CertificateError(key, path, f"cannot be used ({error})") from error


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertificateError(key, path, error.strerror or str(error)) from error


def expires_at_s(cert: str) -> float:
    """Return when the first certificate of the chain in ``cert`` expires (Unix seconds)."""
    found = PEM.findall(_read("cert", cert))
    if not found:
        raise CertificateError("cert", cert, "no certificate in it (PEM)")
    try:
        return min(not_after_s(ssl.PEM_cert_to_DER_cert(one.decode("ascii"))) for one in found)
    except ValueError as error:  # binascii's and the decoder's are such
        raise CertificateError("cert", cert, f"not a certificate ({error})") from error


def not_after_s(der: bytes) -> float:
    """Return ``notAfter`` of a certificate (RFC 5280 section 4.1) in Unix seconds; ValueError.

    The ssl module tells it only of a certificate that a peer has shown.
    """
    _, at, _ = _element(der, 0)  # Certificate
    _, at, _ = _element(der, at)  # TBSCertificate
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        at = end
    for _ in ("serialNumber", "signature", "issuer"):
        _, _, at = _element(der, at)
    _, at, _ = _element(der, at)  # Validity
    _, _, at = _element(der, at)  # notBefore
    tag, at, end = _element(der, at)
    text = der[at:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049 (section 4.1.2.5.1)
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start and end of the content of the DER element at ``at``; ValueError."""
    if at + 2 > len(der):
        raise ValueError("it is cut short")
    tag, length, start = der[at], der[at + 1], at + 2
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(der[at + 2 : start], "big")
    if start + length > len(der):
        raise ValueError("it is cut short")
    return tag, start, start + length
