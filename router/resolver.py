"""Host names of variants, looked up in the background: no request waits for a name server.

A name that has ever been answered keeps its last good answer, however its later lookups fail or
hang; a process that starts meanwhile has what others remembered. One lookup at a time for each
name, in a thread of its own, and a bounded number in all.
"""

import asyncio
import ipaddress
import json
import logging
import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from router.counters import Counters
from router.tasks import spawn
from router.thread import in_thread

log = logging.getLogger("router.resolver")

REFRESH_S = 5.0
"""Between two lookups of one name, give or take JITTER (Envoy's STRICT_DNS default)."""
JITTER = 0.2
RETRY_S = 0.5
"""Between two lookups of a name that has never been answered: requests wait for it."""
LATE_S = 5.0
"""A lookup that takes longer counts as failed; its answer is taken all the same. The resolver of
glibc gives up after 10 s for each name server."""
FIRST_LATE_S = 0.5
"""The same for the first lookup of a name: then what is remembered must do."""
AT_ONCE = 16
"""Lookups under way in one process; chosen. Further names wait, and keep what they have."""
MAX_ADDRESSES = 64
"""Of one name; a longer answer is cut."""

NAMES = "names.json"
"""The file, beside the routing table, in which the controller process writes answers down."""

Lookup = Callable[[str], tuple[str, ...]]
"""Blocks until it has the addresses of a host name; OSError or UnicodeError if there are none."""


def look_up(host: str) -> tuple[str, ...]:
    """Ask the system: hosts file, name servers, and the order of addresses of RFC 6724."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[4][0]) for address in found))[:MAX_ADDRESSES]


def remembered(file: Path) -> dict[str, tuple[str, ...]]:
    """Return the answers that the controller process wrote down; none if there is no such file."""
    try:
        written = json.loads(file.read_bytes())
        answers = {str(host): tuple(map(str, addresses)) for host, addresses in written.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        log.warning("remembered names not read", extra={"file": str(file), "reason": str(error)})
        return {}
    return {
        host: tuple(filter(is_literal, addresses))[:MAX_ADDRESSES]
        for host, addresses in answers.items()
    }


def is_literal(host: str) -> bool:
    """Whether ``host`` is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Name:
    """One host name and what is known of it. Owner: the Resolver."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.addresses: tuple[str, ...] = ()
        """The last good answer, in the system's order; empty before the first."""
        self.answered = asyncio.Event()
        """Set for good by the first good answer."""
        self.is_failing = False
        self.listeners: list[Callable[[], None]] = []
        """Told when the set of addresses has changed."""


class Resolver:
    """Owner: the Network. Looks up each name that is watched, until nobody watches it any more."""

    def __init__(
        self,
        counters: Counters,
        lookup: Lookup = look_up,
        refresh_s: float = REFRESH_S,
        memory: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """``memory`` is what to believe of a name whose first lookup fails; None is nothing."""
        self._counters = counters
        self._memory = memory or {}
        self._lookup = lookup
        self._refresh_s = refresh_s
        self._free = asyncio.Semaphore(AT_ONCE)
        self._followed: dict[str, tuple[Name, asyncio.Task[None]]] = {}

    def watch(self, host: str, listener: Callable[[], None]) -> Name:
        """Return the name, which is looked up from now on; ``leave`` ends it."""
        found = self._followed.get(host)
        if found is None:
            name = Name(host)
            found = self._followed[host] = (name, spawn(self._follow(name), name=f"dns-{host}"))
        found[0].listeners.append(listener)
        return found[0]

    def leave(self, name: Name, listener: Callable[[], None]) -> None:
        """Stop watching; who still holds the name keeps its last answer."""
        if listener in name.listeners:
            name.listeners.remove(listener)
        found = self._followed.get(name.host)
        if not name.listeners and found is not None and found[0] is name:
            del self._followed[name.host]
            found[1].cancel("nobody watches the name")

    async def ready(self, within_s: float) -> None:
        """Wait until every name has been answered, or for ``within_s``."""
        waiting = [name.answered.wait() for name, _ in self._followed.values()]
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*waiting)
        except TimeoutError:
            return

    def answers(self) -> dict[str, tuple[str, ...]]:
        """Return every name that is watched and has been answered, with its addresses, sorted."""
        return {
            host: tuple(sorted(name.addresses))
            for host, (name, _) in sorted(self._followed.items())
            if name.addresses
        }

    def close(self) -> None:
        """Look up nothing any more. Lookups under way are left to their threads."""
        for _, task in self._followed.values():
            task.cancel("the process stops")
        self._followed.clear()

    async def _follow(self, name: Name) -> None:
        while True:
            async with self._free:
                await self._refresh(name)
            every_s = self._refresh_s if name.addresses else min(RETRY_S, self._refresh_s)
            await asyncio.sleep(every_s * random.uniform(1 - JITTER, 1 + JITTER))  # a period

    async def _refresh(self, name: Name) -> None:
        thread = f"dns-{name.host}"
        looking = spawn(in_thread(lambda: self._lookup(name.host), name=thread), name=thread)
        try:
            late_s = LATE_S if name.addresses else min(FIRST_LATE_S, LATE_S)
            done, _ = await asyncio.wait({looking}, timeout=late_s)
            if not done:
                self._failed(name, f"no answer in {late_s:g} s")
            addresses = await looking
        except (OSError, UnicodeError) as error:
            if done:  # else it has been counted
                self._failed(name, str(error))
            return
        finally:
            looking.cancel()
        if addresses:
            self._succeeded(name, addresses)

    def _failed(self, name: Name, reason: str) -> None:
        self._counters.event("understudy_dns_failures_total", f"host={name.host}")
        if not name.addresses and self._memory.get(name.host):
            self._take(name, self._memory[name.host])
        if not name.is_failing:
            name.is_failing = True
            kept = list(name.addresses)
            log.warning(
                "name not resolved", extra={"host": name.host, "reason": reason, "kept": kept}
            )

    def _succeeded(self, name: Name, addresses: tuple[str, ...]) -> None:
        if name.is_failing:
            name.is_failing = False
            log.info("name resolved again", extra={"host": name.host, "addresses": addresses})
        self._take(name, addresses)

    def _take(self, name: Name, addresses: tuple[str, ...]) -> None:
        has_changed = set(addresses) != set(name.addresses)
        name.addresses = addresses
        name.answered.set()
        if has_changed:
            for listener in list(name.listeners):
                listener()
