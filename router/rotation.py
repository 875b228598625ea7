"""TLS contexts that follow their files: made again when the files change, kept when the new ones
are broken."""

import asyncio
import hashlib
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from router.certificate import (
    CertificateError,
    ServerTls,
    client_context,
    expires_at_s,
    server_context,
)
from router.counters import Counters
from router.table import Tls
from router.tasks import spawn
from router.thread import in_thread

log = logging.getLogger("router.rotation")

POLL_S = 2.0
"""How often the files are read. A change is taken once two readings in a row found the same, so
that a pair that is being replaced is not seen half."""

Made = tuple[ssl.SSLContext, float | None]
"""A context, and when the certificate that we show in it expires (Unix seconds; None: none)."""


class Identity:
    """One context and the files it is made from. Owner: the Rotation."""

    def __init__(self, files: tuple[str, ...], make: Callable[[], Made]) -> None:
        self.files = files
        self.make = make
        self.names: Counter[str] = Counter()
        """Who uses it, for logs and metrics."""
        self.context: ssl.SSLContext | None = None
        """None until it could be made once."""
        self.expires_at_s: float | None = None
        self.error = ""
        """Why the files as they are now cannot be used; empty when they are in use."""
        self.is_looked_at = asyncio.Lock()
        self.looked = asyncio.Event()
        """Set for good once the files have been read."""
        self.seen = self.used = ""
        """Digests of the files as they were read last, and when they were last tried."""
        self.listeners: list[Callable[[], None]] = []
        """Told when there is another context."""

    def files_digest(self) -> str:
        """Return a digest of what the files hold, readable or not."""
        digest = hashlib.sha256()
        for file in self.files:
            try:
                digest.update(b"=" + hashlib.sha256(Path(file).read_bytes()).digest())
            except OSError as error:
                digest.update(f"!{error.errno}".encode())
        return digest.hexdigest()


class Rotation:
    """Owner: the Network. Reads the files of every identity in use, until ``close``."""

    def __init__(self, counters: Counters, poll_s: float = POLL_S) -> None:
        self._counters = counters
        self._poll_s = poll_s
        self._identities: dict[ServerTls | Tls, Identity] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, name: str, tls: ServerTls | Tls, listener: Callable[[], None]) -> Identity:
        """Return the identity of these files, shared by all who name the same ones."""
        # Which name the variant must show is the connection's business, not the context's.
        key = Tls(ca=tls.ca, cert=tls.cert, key=tls.key) if isinstance(tls, Tls) else tls
        identity = self._identities.get(key)
        if identity is None:
            identity = self._identities[key] = _identity_of(key)
            spawn(self._look(identity, at_once=True), name=f"tls-{name}")
        identity.names[name] += 1
        identity.listeners.append(listener)
        if self._task is None:
            self._task = spawn(self._poll(), name="tls-files")
        return identity

    def leave(self, name: str, identity: Identity, listener: Callable[[], None]) -> None:
        """Stop watching; who still holds the identity keeps its context."""
        if listener not in identity.listeners:
            return
        identity.listeners.remove(listener)
        identity.names -= Counter([name])
        if not identity.listeners:
            self._identities = {
                key: one for key, one in self._identities.items() if one is not identity
            }

    async def ready(self, within_s: float) -> None:
        """Wait until the files of every identity were read, or for ``within_s``."""
        waiting = [identity.looked.wait() for identity in self._identities.values()]
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*waiting)
        except TimeoutError:
            return

    def close(self) -> None:
        """Read no files any more."""
        if self._task is not None:
            self._task.cancel("the process stops")
            self._task = None

    def expiries(self) -> Iterator[tuple[str, float]]:
        """Yield who shows a certificate, and until when it is valid (Unix seconds)."""
        for identity in self._identities.values():
            if identity.expires_at_s is not None:
                for name in identity.names:
                    yield name, identity.expires_at_s

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)  # a period: a mounted secret sends no event
            for identity in list(self._identities.values()):
                await self._look(identity, at_once=False)

    async def _look(self, identity: Identity, *, at_once: bool) -> None:
        async with identity.is_looked_at:  # the first look may be under way still
            try:
                await self._read(identity, at_once)
            except OSError as error:
                log.warning("certificate files not read", extra={"reason": str(error)})

    async def _read(self, identity: Identity, at_once: bool) -> None:
        digest = await in_thread(identity.files_digest, name="tls-files")
        is_at_rest, identity.seen = digest == identity.seen or at_once, digest
        if not is_at_rest or digest == identity.used:
            return
        try:
            made = await in_thread(identity.make, name="tls-files")
        except (CertificateError, OSError, ValueError) as error:
            self._refuse(identity, str(error))
        else:
            self._use(identity, made)
        # The digest from before: files that changed while they were loaded are loaded again.
        identity.used = digest
        identity.looked.set()

    def _refuse(self, identity: Identity, reason: str) -> None:
        identity.error = reason
        for name in identity.names:
            self._counters.event(
                "understudy_certificate_reloads_total", f"certificate={name}", "result=refused"
            )
        log.error(
            "certificate not taken; the last one stays",
            extra={"certificate": sorted(identity.names), "reason": reason},
        )

    def _use(self, identity: Identity, made: Made) -> None:
        is_first = identity.context is None
        identity.context, identity.expires_at_s = made
        identity.error = ""
        for name in () if is_first else identity.names:
            self._counters.event(
                "understudy_certificate_reloads_total", f"certificate={name}", "result=taken"
            )
        log.info("certificate in use", extra={"certificate": sorted(identity.names)})
        for listener in () if is_first else list(identity.listeners):
            listener()


def _identity_of(tls: ServerTls | Tls) -> Identity:
    if isinstance(tls, ServerTls):
        files = (tls.cert, tls.key, tls.client_ca)
        make = _made(lambda: server_context(tls), tls.cert)
    else:
        files = (tls.ca, tls.cert, tls.key)
        make = _made(lambda: client_context(tls), tls.cert)
    return Identity(tuple(file for file in files if file), make)


def _made(make: Callable[[], ssl.SSLContext], cert: str) -> Callable[[], Made]:
    return lambda: (make(), expires_at_s(cert) if cert else None)
