"""Which token may do what: those of the file, read again when it changes, and the environment's.

A file that was good once and is bad now changes nothing but the log: the tokens in force stay. One
that was never good lets nobody in, and is looked at again and again.
"""

import hmac
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from sidecar.tokenfile import (
    ADMIN,
    LABEL,
    OPERATE,
    READ,
    Key,
    Scope,
    TokenFileError,
    digest_of,
    read_tokens,
)

LOOK_S = 1.0
"""How often the file is looked at, at most; a revoked token is good for a second longer."""
ENVIRONMENT = "UNDERSTUDY_TOKEN"
"""May all that one may do alone. It names nobody, so it approves nothing: four eyes need names."""
LABEL_ENVIRONMENT = "UNDERSTUDY_LABEL_TOKEN"

log = structlog.get_logger()
Stat = tuple[int, int, int]


class Keyring:
    """Owned by the controller process; asked from the event loop, where it reads a small file."""

    def __init__(
        self,
        file: Path | None = None,
        *,
        token: str = "",
        label_token: str = "",
        closed: Collection[Scope] = (),
        clock_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._closed = frozenset(closed)
        """What needs a token whether or not there is any; reading and labels do not by nature."""
        self._clock_s = clock_s
        self._wall_s = wall_s
        self._own = _own(token, label_token)
        self._declared: tuple[Key, ...] = ()
        self._looked_at_s = clock_s()
        self._stat: Stat | None = None
        """Of the file when it was read last."""
        self.error: str | None = None
        """What is wrong with the file as it is now; None when it is in force."""
        if file is not None:
            self._read(file)

    @property
    def has_file(self) -> bool:
        """Whether a file is declared: then whoever acts is known by the name of a token."""
        return self._file is not None

    def needs(self, scope: Scope) -> bool:
        """Tell whether ``scope`` is for holders of a token only.

        Labels need one as soon as a file is declared, whatever it holds: an emptied file opens no
        door. What changes state for others always does.
        """
        if scope == READ:
            return READ in self._closed
        if scope == LABEL:
            has_own = any(LABEL in key.scopes for key in self._own)
            return self.has_file or has_own or LABEL in self._closed
        return True

    def gives(self, scope: Scope) -> bool:
        """Tell whether any token that is known, expired or not, has the right ``scope``."""
        self._look()
        return any(key.may(scope) for key in (*self._own, *self._declared))

    def find(self, token: str) -> Key | None:
        """Return what is known of ``token``, None if nothing, or if it has expired.

        Takes the same time whichever of the known ones it is, or nearly is.
        """
        self._look()
        if not token:
            return None
        digest, found = digest_of(token), None
        for key in (*self._own, *self._declared):
            if hmac.compare_digest(key.digest, digest):
                found = key
        return None if found is None or found.expires_at_s <= self._wall_s() else found

    def _look(self) -> None:
        now_s = self._clock_s()
        if self._file is None or now_s - self._looked_at_s < LOOK_S:
            return
        self._looked_at_s = now_s
        if self.error is not None or _stat(self._file) != self._stat:
            self._read(self._file)

    def _read(self, file: Path) -> None:
        before = self.error
        self._stat = _stat(file)  # before the bytes: a change in between is seen next time
        try:
            self._declared, self.error = read_tokens(file), None
            log.info("tokens read", names=[key.name for key in self._declared])
        except TokenFileError as error:
            self.error = str(error)
            if self.error != before:
                log.error("tokens not read; the last ones stay", error=self.error)


def _own(token: str, label_token: str) -> tuple[Key, ...]:
    """Return the keys of the environment; one secret in both variables has the rights of both."""
    operator: frozenset[Scope] = frozenset({READ, OPERATE, ADMIN})
    label: frozenset[Scope] = frozenset({LABEL})
    if token and token == label_token:
        return (Key(ENVIRONMENT, digest_of(token), operator | label, is_shared=True),)
    own = ((ENVIRONMENT, token, operator), (LABEL_ENVIRONMENT, label_token, label))
    return tuple(
        Key(name, digest_of(secret), scopes, is_shared=True)
        for name, secret, scopes in own
        if secret
    )


def _stat(file: Path) -> Stat | None:
    try:
        found = os.stat(file)  # follows links: a mounted Secret changes by changing a link
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
