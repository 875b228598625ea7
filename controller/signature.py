"""Signatures of model versions: Ed25519 over the artifact's digest and the version's name.

The name is signed too, so that a signature of an old version does not vouch for a new one that has
the same files or takes its place. Needs the package cryptography (extra ``signing``), which is
imported when the first key is read.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.lineage import ModelVersion, Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NO_CRYPTOGRAPHY = (
    "signatures need the package cryptography, which is not installed: "
    "pip install 'understudy[signing]'"
)
MAX_KEY_BYTES = 1024 * 1024
PEM_END = b"-----END PUBLIC KEY-----"
Keys = Mapping[str, "Ed25519PublicKey"]
"""Public keys that are trusted, by their id."""


class SignatureFault(Exception):
    """A key or a signature is not one, or does not fit; the message says which and why."""


def message(model: ModelVersion) -> bytes:
    """Return the bytes that are signed. Pure."""
    text = f"understudy model version 1\n{model.name}:{model.version}\n{model.artifact.digest}\n"
    return text.encode()


def sign(model: ModelVersion, key_file: Path) -> Signature:
    """Sign with an Ed25519 private key (PEM without a password); SignatureFault if it is not one.

    Such a key: ``openssl genpkey -algorithm ed25519 -out signing.pem``.
    """
    ed25519, serialization = _cryptography()
    raw = _read(key_file)
    try:
        key = serialization.load_pem_private_key(raw, password=None)
    except (ValueError, TypeError) as error:
        raise SignatureFault(f"{key_file}: not a private key without a password (PEM)") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SignatureFault(f"{key_file}: not an Ed25519 key")
    value = base64.b64encode(key.sign(message(model))).decode()
    return Signature(key_id(key.public_key()), value)


def read_keys(key_file: Path) -> Keys:
    """Return the public keys of a file (PEM, one after the other); SignatureFault if it has none.

    One that is not an Ed25519 key makes the whole file worthless: a typing error must not become
    a key less.
    """
    ed25519, serialization = _cryptography()
    keys: dict[str, Ed25519PublicKey] = {}
    parts = _read(key_file).split(PEM_END)
    for number, part in enumerate(parts[:-1], start=1):
        try:
            key = serialization.load_pem_public_key(part.lstrip() + PEM_END + b"\n")
        except ValueError as error:
            raise SignatureFault(f"{key_file}: key {number} cannot be read") from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise SignatureFault(f"{key_file}: key {number} is not an Ed25519 key")
        keys[key_id(key)] = key
    if not keys or parts[-1].strip():
        raise SignatureFault(f"{key_file}: holds no public key (PEM), or something else as well")
    return keys


def verify(model: ModelVersion, keys: Keys) -> str:
    """Return the id of the trusted key that signed ``model``; SignatureFault if none did."""
    from cryptography.exceptions import InvalidSignature

    signature = model.signature
    if signature is None:
        raise SignatureFault(f"{model.ref} is not signed, and only signed versions are trusted")
    key = keys.get(signature.key)
    if key is None:
        raise SignatureFault(
            f"{model.ref} is signed by key {signature.key!r}, which is not among the trusted ones"
        )
    try:
        key.verify(base64.b64decode(signature.value, validate=True), message(model))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        because = f"the signature of {model.ref} does not fit its name and digest"
        raise SignatureFault(because) from error
    return signature.key


def key_id(key: "Ed25519PublicKey") -> str:
    """Return the name of a key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _cryptography() -> tuple[Any, Any]:
    """Return the two modules that keys need."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise SignatureFault(NO_CRYPTOGRAPHY) from error
    return ed25519, serialization


def _read(key_file: Path) -> bytes:
    try:
        with key_file.open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise SignatureFault(f"{key_file}: {error.strerror or error}") from error
