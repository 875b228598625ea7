"""The file of tokens: who may do what at the admin port, with tokens as their SHA-256 only.

Who reads the file learns no token: tokens are long and random, so their digest tells nothing. A
file with any fault is refused as a whole.
"""

import hashlib
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sidecar import yamltree
from sidecar.model.process import Admin
from sidecar.problem import Problem
from sidecar.routecheck import part
from sidecar.yamltree import Tree, YamlError

Scope = Literal["read", "label", "operate", "approve", "admin"]
READ: Literal["read"] = "read"
"""The right to read status, metrics, decisions and the audit."""
LABEL: Literal["label"] = "label"
"""The right to send labels."""
OPERATE: Literal["operate"] = "operate"
"""The right to hold, resume, roll back, and ask for what the gates allow."""
APPROVE: Literal["approve"] = "approve"
"""The right to give an approval that a stage waits for."""
ADMIN: Literal["admin"] = "admin"
"""The right to reload the routing file, and to break the glass."""
MAX_TOKENS = 1_000
MAX_OF_A_NAME = 2
"""Tokens of one name: the one in use, and the one that takes its place."""
RESERVED = frozenset(
    {"controller", "policy", "recovery", "start", "file", "sighup"}
    | {"understudy_token", "understudy_label_token"}
)
"""What records call who acts without a token of the file, in lower case; nobody else is called
so."""
EXPECTED = (
    "a file such as `tokens: [{name: billing, sha256: ..., scopes: [label]}]`, where sha256 is the "
    "token's digest in hex"
)


class TokenFileError(Exception):
    """The file cannot be read, or is not one of tokens; nothing of it is used."""


@dataclass(frozen=True, slots=True)
class Key:
    """One token, as far as we know it."""

    name: str
    digest: bytes = field(repr=False)
    """SHA-256 of the token."""
    scopes: frozenset[Scope]
    labels_per_second: float | None = None
    """What it may send on average; None: as much as we can take."""
    expires_at_s: float = math.inf
    """Wall clock from which on it is no token any more."""
    is_shared: bool = False
    """Whether it is one of the environment: it names nobody."""

    def may(self, scope: Scope) -> bool:
        """Tell whether its holder has the right ``scope``; who may act may see on what."""
        if scope == READ:
            return bool(self.scopes - {LABEL})
        return scope in self.scopes


class _Token(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    labels_per_second: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    expires: Annotated[str, Meta(max_length=40)] | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    tokens: Annotated[list[_Token], Meta(max_length=MAX_TOKENS)]


def digest_of(token: str) -> bytes:
    """Return what the file keeps of ``token``."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def read_tokens(path: FilePath) -> tuple[Key, ...]:
    """Return the tokens that ``path`` declares, in its order; TokenFileError if it is at fault."""
    try:
        with path.open("rb") as file:
            raw = file.read(yamltree.MAX_BYTES + 1)
        tree = yamltree.parse(raw)
    except OSError as error:
        raise TokenFileError(f"{path}: {error.strerror or error}") from error
    except YamlError as error:
        raise TokenFileError(error.problem.text(str(path))) from error
    if tree.problems:
        raise TokenFileError(tree.problems[0].text(str(path)))
    try:
        found = msgspec.convert(tree.value, _File, strict=False)
    except msgspec.ValidationError as error:
        raise TokenFileError(f"{path}: {_place(str(error))}") from error
    keys = tuple(_key(token, path) for token in found.tokens)
    _check_holders(keys, path)
    return keys


def _check_holders(keys: tuple[Key, ...], path: FilePath) -> None:
    """Raise TokenFileError unless each token, and each name, is one holder's."""
    first: dict[str, Key] = {}
    names = [key.name for key in keys]
    digests = {key.digest for key in keys}
    for key in keys:
        if key.name.lower() in RESERVED:
            raise TokenFileError(f"{path}: {key.name!r} is a name of ours: choose another")
        if names.count(key.name) > MAX_OF_A_NAME:
            raise TokenFileError(f"{path}: more than two tokens are called {key.name!r}")
        other = first.setdefault(key.name, key)
        if _rights(key) != _rights(other):
            raise TokenFileError(
                f"{path}: two tokens are called {key.name!r} and may do different things: while "
                "one takes the place of the other, scopes and labels_per_second are the same"
            )
    if len(digests) < len(keys):
        raise TokenFileError(f"{path}: one token is there twice: nobody could tell whose it is")


def _rights(key: Key) -> tuple[frozenset[Scope], float | None]:
    return key.scopes, key.labels_per_second


def check_token_file(tree: Tree, folder: FilePath) -> list[Problem]:
    """Return what is wrong with the file that ``admin.tokens`` names, if the section is sound."""
    admin = part(tree, ("admin",), Admin)
    if admin is None or admin.tokens is None:
        return []
    try:
        read_tokens(folder / admin.tokens)
    except TokenFileError as error:
        return [tree.problem(("admin", "tokens"), EXPECTED, found=str(error))]
    return []


def _key(token: _Token, path: FilePath) -> Key:
    return Key(
        token.name,
        bytes.fromhex(token.sha256),
        frozenset(token.scopes),
        token.labels_per_second,
        math.inf if token.expires is None else _moment_s(token.expires, token.name, path),
    )


def _moment_s(text: str, name: str, path: FilePath) -> float:
    """Return when ``text`` is, in seconds since 1970; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise TokenFileError(
            f"{path}: `expires` of {name!r} is not a date such as 2027-06-30 or 2027-06-30T12:00Z"
        ) from error


def _place(text: str) -> str:
    """Turn msgspec's ``... - at `$.tokens[0]``` into words of the file, without any value."""
    return re.sub(r"`\$\.?([^`]*)`", r"`\1`", text)
