"""How a variant is reached: an address, a name with several, a Unix socket, TLS.

Which connection carries which request is the pool's business; here one is opened, within the
variant's connect timeout, or it is said why not.
"""

import asyncio
import errno
import logging
import os
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from router.counters import Counters
from router.resolver import Name, Resolver, is_literal
from router.rotation import Identity, Rotation
from router.table import Variant

log = logging.getLogger("router.dial")

AVOID_S = 1.0
"""How long an address is tried last after a failure; doubled by each further one, up to 30 s."""
MAX_AVOID_S = 30.0
SHUTDOWN_S = 1.0
"""How long a variant may take to confirm the end of a TLS connection."""
TLS_BUFFER_BYTES = 64 * 1024
"""What may wait in a TLS transport before the other side is paused; asyncio's own is 512 KiB."""
TRIES = 3
"""Addresses that one attempt goes through at most; more would leave each too little time."""
NOWHERE: frozenset[str] = frozenset()


class Dialled(Protocol):
    """What a dial opens: an asyncio.Protocol that can also be given up."""

    is_forgotten: bool
    """Set on an attempt that is given up: nobody counts it any more."""
    address: str
    """Which of the variant's addresses it leads to."""
    is_retired: bool
    """Whether it leads where the variant is no more: good for the call that asked for it only."""

    def abort(self) -> None:
        """End the connection at once, made or not."""


C = TypeVar("C", bound=Dialled)


class DialError(OSError):
    """No connection could be opened. ``reason`` is one of a few fixed words, for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Network:
    """What all dials of one process share. Owner: the server, or the controller's probe."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        resolver: Resolver | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        self.loop = loop
        self.counters = counters
        self.resolver = resolver or Resolver(counters)
        self.rotation = rotation or Rotation(counters)

    async def ready(self, within_s: float) -> None:
        """Wait for the first answer to every name and the first look at every file, or so long."""
        await asyncio.gather(self.resolver.ready(within_s), self.rotation.ready(within_s))

    def close(self) -> None:
        """Look up and read nothing any more."""
        self.resolver.close()
        self.rotation.close()


class Place:
    """One address of a variant, and how dialling it went."""

    __slots__ = ("address", "avoid_until_s", "failures")

    def __init__(self, address: str) -> None:
        self.address = address
        self.failures = 0
        self.avoid_until_s = 0.0

    def failed(self, now_s: float) -> None:
        """Try the other addresses first for a while (loop seconds)."""
        self.avoid_until_s = now_s + min(AVOID_S * 2.0**self.failures, MAX_AVOID_S)
        self.failures = min(self.failures + 1, 10)

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self.failures = 0
        self.avoid_until_s = 0.0


def in_order(places: Sequence[Place], turn: int, now_s: float) -> list[Place]:
    """Return the places in the order in which to try them. Pure.

    Those of the preferred kind take turns: IPv4 or IPv6, as the system's first answer is. The
    other kind comes behind them, and what failed lately last.
    """
    if len(places) == 1:
        return list(places)
    first = turn % len(places)
    is_v6 = ":" in places[0].address
    return sorted(
        (*places[first:], *places[:first]),
        key=lambda place: (place.avoid_until_s > now_s, (":" in place.address) != is_v6),
    )


class Dial:
    """One variant's way. Owner: its Pool, which closes it."""

    def __init__(self, route: str, variant: Variant, network: Network) -> None:
        self.variant = variant
        self.keep_only: Callable[[frozenset[str]], None] = lambda addresses: None
        """Told when only connections to these addresses are still wanted; the pool's to set."""
        self._network = network
        self._loop = network.loop
        self._labels = (f"route={route}", f"variant={variant.name}")
        self._where = {"route": route, "variant": variant.name, "where": variant.where}
        self._places: list[Place] = []
        self._turn = 0
        self._changes = 0
        """How often connections that were good before were not wanted any more."""
        self._name: Name | None = None
        self._identity: Identity | None = None
        self._identity_name = f"{route}/{variant.name}"
        self._server_name = variant.host
        self._trouble = ""
        """Why the last attempt failed; empty when it did not."""
        if variant.tls is not None:
            self._server_name = variant.tls.server_name or variant.host
            self._identity = network.rotation.watch(
                self._identity_name, variant.tls, self._on_identity
            )
        if variant.socket or is_literal(variant.host):
            self._places = [Place(variant.socket or variant.host)]
        else:
            self._name = network.resolver.watch(variant.host, self._on_addresses)
            self._on_addresses()

    def close(self) -> None:
        """Follow names and files no more. Calls of an old table may still dial what is known."""
        if self._name is not None:
            self._network.resolver.leave(self._name, self._on_addresses)
        if self._identity is not None:
            self._network.rotation.leave(self._identity_name, self._identity, self._on_identity)

    def _on_addresses(self) -> None:
        assert self._name is not None
        known = {place.address: place for place in self._places}
        self._places = [known.get(one) or Place(one) for one in self._name.addresses]
        self._changes += 1
        self.keep_only(frozenset(self._name.addresses))

    def _on_identity(self) -> None:
        self._changes += 1
        self.keep_only(NOWHERE)

    async def open(self, make: Callable[[], C]) -> C:
        """Return an open connection, made by ``make``; DialError if there is none in time."""
        try:
            async with asyncio.timeout(self.variant.connect_timeout_s):
                connection = await self._open(make)
        except (OSError, UnicodeError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            raise self._failed(error) from error
        if self._trouble:
            self._trouble = ""
            log.info("variant reached again", extra=self._where)
        return connection

    async def _open(self, make: Callable[[], C]) -> C:
        ends_at_s = self._loop.time() + self.variant.connect_timeout_s
        context = await self._context()
        if self._name is not None:
            await self._name.answered.wait()  # set for good by the first answer
        changes = self._changes
        connection = await self._open_at_one(ends_at_s, context, make)
        connection.is_retired = changes != self._changes
        return connection

    async def _open_at_one(
        self, ends_at_s: float, context: ssl.SSLContext | None, make: Callable[[], C]
    ) -> C:
        self._turn += 1
        places = in_order(self._places, self._turn, self._loop.time())[:TRIES]
        for left in range(len(places), 1, -1):
            # A host that swallows packets must leave time for those that come after it.
            within_s = max(0.0, ends_at_s - self._loop.time()) / left
            try:
                async with asyncio.timeout(within_s):
                    return await self._attempt(places[-left], context, make)
            except OSError:
                continue
        return await self._attempt(places[-1], context, make)

    async def _context(self) -> ssl.SSLContext | None:
        identity = self._identity
        if identity is None:
            return None
        await identity.looked.wait()
        if identity.context is None:
            raise DialError("certificate", identity.error)
        return identity.context

    async def _attempt(
        self, place: Place, context: ssl.SSLContext | None, make: Callable[[], C]
    ) -> C:
        made: list[C] = []

        def factory() -> asyncio.Protocol:
            connection = make()
            connection.address = place.address
            made.append(connection)
            return connection  # type: ignore[return-value] # Dialled says so in words

        try:
            await self._connect(place, context, factory)
        except BaseException:  # a timeout arrives as CancelledError
            place.failed(self._loop.time())
            for connection in made:
                # It may have been made just when it was given up; uvloop then never says that it
                # is lost.
                connection.is_forgotten = True
                connection.abort()
            raise
        place.succeeded()
        return made[0]

    async def _connect(
        self, place: Place, context: ssl.SSLContext | None, factory: Callable[[], asyncio.Protocol]
    ) -> None:
        variant, loop = self.variant, self._loop
        if variant.socket:
            await loop.create_unix_connection(factory, variant.socket)
        elif context is None:
            await loop.create_connection(factory, place.address, variant.port)
        else:
            transport, _ = await loop.create_connection(
                factory,
                place.address,
                variant.port,
                ssl=context,
                server_hostname=self._server_name,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
            transport.set_write_buffer_limits(high=TLS_BUFFER_BYTES)

    def _failed(self, error: OSError | UnicodeError) -> DialError:
        found = error if isinstance(error, DialError) else self._described(error)
        self._network.counters.event(
            "understudy_connect_failures_total", *self._labels, f"reason={found.reason}"
        )
        if self._trouble != found.reason:
            self._trouble = found.reason
            log.warning(
                "variant cannot be reached",
                extra=self._where | {"reason": found.reason, "error": str(found)},
            )
        return found

    def _described(self, error: OSError | UnicodeError) -> DialError:
        within = f"{self.variant.connect_timeout_s:g} s"
        if isinstance(error, TimeoutError):
            if self._name is not None and not self._places:
                host = self.variant.host
                return DialError("dns", f"{host!r} has not been resolved yet, waited {within}")
            return DialError("timeout", f"no connection within {within}")
        if isinstance(error, ssl.SSLError):
            why = getattr(error, "verify_message", "") or str(error)
            return DialError("tls", f"TLS: {why}")
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
            return DialError("refused", _said(error))
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return DialError("descriptors", _said(error))
        if isinstance(error, ConnectionError):
            return DialError("reset", _said(error))
        return DialError("other", f"{type(error).__name__}: {error}")


def _said(error: OSError) -> str:
    """Return the system's own words; asyncio puts the address in their place."""
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__


def said_goodbye(transport: asyncio.Transport | None) -> bool:
    """Tell, in ``eof_received``, whether the other side has ended the connection itself.

    A FIN is all that plain TCP has. Under TLS anybody on the way can forge one, and only
    ``close_notify`` counts (RFC 8446 section 6.1); asyncio reports the two alike.
    """
    secure = transport.get_extra_info("ssl_object") if transport is not None else None
    if secure is None:
        return True
    try:
        return bool(secure.read(1) == b"")
    except ssl.SSLError:  # it would wait for more: nobody has said that this is all
        return False
