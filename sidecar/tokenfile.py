"""The file of tokens: who may do what at the admin port, with tokens as their SHA-256 only.

Who reads the file learns no token: tokens are long and random, so their digest tells nothing. A
file with any fault is refused as a whole.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sidecar import yamltree
from sidecar.model.process import Admin
from sidecar.problem import Problem
from sidecar.routecheck import part
from sidecar.yamltree import Tree, YamlError

LABEL: Literal["label"] = "label"
"""The right to send labels."""
Scope = Literal["label"]
MAX_TOKENS = 1_000
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


class _Token(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    labels_per_second: Annotated[float, Meta(gt=0, le=1e9)] | None = None


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
    names = [token.name for token in found.tokens]
    for name in names:
        if names.count(name) > 1:
            raise TokenFileError(f"{path}: two tokens are called {name!r}")
    return tuple(_key(token) for token in found.tokens)


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


def _key(token: _Token) -> Key:
    digest = bytes.fromhex(token.sha256)
    return Key(token.name, digest, frozenset(token.scopes), token.labels_per_second)


def _place(text: str) -> str:
    """Turn msgspec's ``... - at `$.tokens[0]``` into words of the file, without any value."""
    return re.sub(r"`\$\.?([^`]*)`", r"`\1`", text)
