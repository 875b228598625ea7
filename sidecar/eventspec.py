"""Who is told of what happens, as the routing file says; and the secrets that sign it."""

import base64
import binascii
import os
import os.path
from collections.abc import Mapping
from pathlib import Path as FilePath

import msgspec
from msgspec import Struct

from sidecar.model.event import EventSection
from sidecar.problem import Problem
from sidecar.routecheck import part
from sidecar.yamltree import Tree

PREFIX = "whsec_"
"""Of a secret in base64, as the Standard Webhooks specification writes them."""
LEAST_BYTES = 24
"""Of a secret: what the same specification asks for at least."""
MAX_BYTES = 4096
MAX_SECRETS = 2


class SecretError(Exception):
    """There is no secret, or no address, that can be used; the message never quotes one."""


class EventSpec(Struct, frozen=True, kw_only=True):
    """One destination of events. No secret is in here, only where it is."""

    name: str
    url: str = ""
    url_env: str = ""
    """Which environment variable holds the address, if ``url`` is empty."""
    secret_env: str = ""
    secret_file: str = ""
    """Absolute path; one of the two is given, or neither: then nothing is signed."""
    types: tuple[str, ...] = ()
    """Actions of the audit; empty: all."""
    format: str = "cloudevents"
    retry_for_s: float = 86_400.0

    def wants(self, action: str) -> bool:
        """Tell whether a record of ``action`` is sent here."""
        return not self.types or action in self.types

    def address(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return where to POST; SecretError if the environment does not say."""
        url = self.url or environment.get(self.url_env, "").strip()
        if not url.startswith(("http://", "https://")):
            raise SecretError(f"the environment variable {self.url_env} holds no http(s) address")
        return url

    def secrets(self, environment: Mapping[str, str] = os.environ) -> tuple[bytes, ...]:
        """Return the secrets that sign, the one in use first; none if none is declared.

        SecretError if they are declared and cannot be used: nothing is sent unsigned by mistake.
        """
        if self.secret_file:
            return _secrets_of(_read(self.secret_file), self.secret_file)
        if self.secret_env:
            return _secrets_of(environment.get(self.secret_env, ""), self.secret_env)
        return ()


def to_text(specs: tuple[EventSpec, ...]) -> str:
    """Return ``specs`` as one word of a command line."""
    return msgspec.json.encode(specs).decode()


def from_text(text: str) -> tuple[EventSpec, ...]:
    """Read what ``to_text`` wrote; ValueError if it is not that."""
    return msgspec.json.decode(text, type=tuple[EventSpec, ...])


def spec_of(section: EventSection, folder: FilePath) -> EventSpec:
    """Return what one section says, its file relative to ``folder``."""
    file = section.secret_file
    return EventSpec(
        name=section.name,
        url=section.url or "",
        url_env=section.url_env or "",
        secret_env=section.secret_env or "",
        secret_file=os.path.abspath(folder / file) if file else "",
        types=tuple(section.types),
        format=section.format,
        retry_for_s=section.retry_for,
    )


def check_events(tree: Tree, folder: FilePath) -> list[Problem]:
    """Return what is wrong with the destinations, as far as each is sound by itself.

    What the environment holds is not asked: the file is checked in other places than it is used.
    """
    problems = []
    listed = tree.get(("events",))
    names: set[str] = set()
    for index in range(len(listed) if isinstance(listed, list) else 0):
        path = ("events", index)
        section = part(tree, path, EventSection)
        if section is None:
            continue
        if section.name in names:
            problems.append(tree.problem((*path, "name"), "a name of its own"))
        names.add(section.name)
        if (section.url is None) is (section.url_env is None):
            problems.append(tree.problem(path, "either `url` or `url_env`"))
        if section.secret_env is not None and section.secret_file is not None:
            problems.append(tree.problem(path, "either `secret_env` or `secret_file`"))
        is_signed = section.secret_env is not None or section.secret_file is not None
        if section.format == "cloudevents" and not is_signed:
            problems.append(
                tree.problem(
                    path, "`secret_env` or `secret_file`: whoever is told must know by whom"
                )
            )
        if section.secret_file is not None:
            problems += _file_problems(tree, (*path, "secret_file"), spec_of(section, folder))
    return problems


def _file_problems(tree: Tree, path: tuple[str | int, ...], spec: EventSpec) -> list[Problem]:
    try:
        spec.secrets({})
    except SecretError as error:
        expected = f"a file with a secret of {LEAST_BYTES} bytes or more"
        return [tree.problem(path, expected, found=str(error))]
    return []


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read(MAX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SecretError(f"{file}: {said}") from error


def _secrets_of(text: str, place: str) -> tuple[bytes, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise SecretError(f"{place} holds no secret")
    if len(lines) > MAX_SECRETS:
        raise SecretError(f"{place} holds more than {MAX_SECRETS} secrets")
    return tuple(_secret(line, place) for line in lines)


def _secret(line: str, place: str) -> bytes:
    secret = line.encode()
    if line.startswith(PREFIX):
        try:
            secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
        except binascii.Error as error:
            raise SecretError(f"{place}: what follows {PREFIX} is not base64") from error
    if len(secret) < LEAST_BYTES:
        raise SecretError(f"{place}: the secret has fewer than {LEAST_BYTES} bytes")
    return secret
