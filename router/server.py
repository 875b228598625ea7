"""The data plane of one process: what its connections share, and how it starts, drains and stops.

Shutdown order, written once, in ``stop``: stop accepting, let clients say what they are about to
say, finish or time out exchanges, drop mirrors, close upstreams, hand over the last observations.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import cast

from router import frames
from router.certificate import CertificateError, ServerTls
from router.channel import Channel
from router.counters import Counters
from router.deadline import DeadlineBook, Deadlines
from router.dial import Dial, Network
from router.downstream import Downstream
from router.entropy import Entropy
from router.handshake import HANDSHAKE_S, Handshakes
from router.message import RequestHead
from router.mirror import Mirrors
from router.overload import REFUSED_SHARE, Limits, Reading, Relief, relieve
from router.pool import Pool, Room
from router.pressure import Pressure
from router.quiet import take_queue
from router.resolver import Resolver
from router.routes import LiveRoute, challenger_of, enliven, retired
from router.signer import MakeRead, Signers
from router.stream import CHECKS
from router.table import RoutingTable, Variant
from router.tasks import spawn
from router.tunnel import Tunnel
from router.wire import refusal

log = logging.getLogger("router.server")

HEAD_S = 10.0
"""A whole request head, from its first byte (nginx 60, HAProxy's advice 5 to 10)."""
BODY_S = 60.0
"""A whole request body, from the end of its head."""
WRITE_S = 30.0
"""How long a client may leave a full socket unread."""
LINGER_S = 2.0
IDLE_S = 75.0
"""Keep-alive between requests (nginx's default)."""
TICK_S = 0.02
"""Deadlines are up to this much late, and observations up to this old when they leave."""
COUNTERS_EVERY_S = 1.0
GRACE_S = 2.0
"""At a stop, how long a client may still use an idle connection: the answer tells it to close. At
most half of the time that there is. Chosen: clients in steady use come back within it."""
BACKLOG = 1024
"""Connections that the kernel keeps for us; the loop's own default of 100 would cut it down."""
FIRST_ANSWER_S = 1.0
"""How long the start waits for name servers and certificate files; then requests wait instead."""
LAST_HANDSHAKE_S = 1.0
"""For handshakes under way at the stop."""


class Server:
    """Owner: the worker. Owns the live table, the client connections and their deadlines."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        table: RoutingTable,
        worker: int,
        control_path: str,
        limits: Limits | None = None,
        tls: ServerTls | None = None,
        names: Mapping[str, tuple[str, ...]] | None = None,
        make_read: MakeRead | None = None,
    ) -> None:
        """``tls`` None serves plain HTTP; ``names`` are answers of name servers to begin with;
        ``make_read`` makes what reads predictions for exposure tokens."""
        self.loop = loop
        self.now_s: Callable[[], float] = time.monotonic
        self.tick_s = time.monotonic()
        """The time at the last tick: for what need not be exact, without asking the clock."""
        self.entropy = Entropy()
        self.counters = Counters()
        self.channel = Channel(
            control_path, worker, self.counters, self.use, lambda: self._live.table.version
        )
        self.observe = self.channel.observe
        self.mirrors = Mirrors(self.channel.observe, self.judge)
        self.ends_keep_alive = False
        """Whether each answer is its connection's last: we stop, or are short of memory."""
        self.is_refusing = False
        """Whether new requests get 503."""
        self.limits = limits if limits is not None else Limits()
        self.relief = Relief.NONE
        self._is_draining = False
        self._idle_s = IDLE_S
        """How long a connection may be idle..."""
        self._idle_from_s = 0.0
        """...counted from its last answer or from this time, whichever is later."""
        self._pressure = Pressure(TICK_S)
        self._room = Room(self.limits.upstreams)
        self._call_deadlines: set[Deadlines] = set()
        book = self._book = DeadlineBook()
        self.head_deadlines = book.of(HEAD_S)
        self.body_deadlines = book.of(BODY_S)
        self.write_deadlines = book.of(WRITE_S)
        self.linger_deadlines = book.of(LINGER_S)
        self.tunnels: set[Tunnel] = set()
        """Bounded by the connections that the champions may have."""
        self._worker = worker
        self._connections: set[Downstream] = set()
        self._refused: set[Downstream] = set()
        self._none_left = asyncio.Event()
        self._listeners: list[tuple[asyncio.Server, socket.socket]] = []
        self._ticks: asyncio.Task[None] | None = None
        self.network = Network(loop, self.counters, Resolver(self.counters, memory=names))
        self._handshakes = self._expect_tls(tls) if tls is not None else None
        self._signers = Signers(self.counters, make_read)
        self._live = enliven(table, None, self._make_pool, self.counters, self._signers)
        self.find = self._live.find

    def __repr__(self) -> str:
        return f"<Server table {self._live.table.version} [{len(self._connections)} connections]>"

    # The routing table.

    def find_route(self, head: RequestHead) -> LiveRoute | None:
        """Return the route in force for ``head``; ``find`` is the same, bound to one table."""
        return self._live.find(head)

    def use(self, table: RoutingTable) -> None:
        """Swap the table: one reference. Requests under way keep the one they began with."""
        before = self._live
        if table.version < before.table.version:
            log.warning("an older table was ignored", extra={"version": table.version})
            return
        after = enliven(table, before, self._make_pool, self.counters, self._signers)
        self._live = after
        self.find = after.find
        self._signers.keep(table.routes)
        for pool in retired(before, after):
            pool.close()
        log.info("table in force", extra={"version": table.version})

    def _make_pool(self, route: str, variant: Variant) -> Pool:
        deadlines = self._book.of(variant.response_timeout_s)
        silence = self._book.of(variant.idle_timeout_s / CHECKS)
        self._call_deadlines |= {deadlines, silence}
        dial = Dial(route, variant, self.network)
        return Pool(dial, deadlines, self.now_s, self._room, silence)

    def _expect_tls(self, tls: ServerTls) -> Handshakes:
        # A new certificate needs no listener: each handshake takes the context of its moment.
        identity = self.network.rotation.watch("listener", tls, lambda: None)
        deadlines = self._book.of(HANDSHAKE_S)
        return Handshakes(
            self.loop, identity, self.counters, deadlines, self.now_s, self._make_downstream
        )

    def judge(self, live: LiveRoute, fault: str) -> None:
        """Note how a call to the challenger ended; eject it after a run of failures."""
        if fault == "aborted":
            return
        if not fault:
            live.ejection.succeeded()
            return
        if not live.ejection.failed(self.now_s()):
            return
        route, variant, failures = (
            live.route.name,
            challenger_of(live.route),
            live.ejection.failures,
        )
        live.count("understudy_ejections_total", variant=variant)
        log.warning(
            "challenger ejected", extra={"route": route, "variant": variant, "fault": fault}
        )
        # The reason must arrive before or with the verdict that it leads to.
        self.channel.flush()
        self.channel.say(
            frames.Ejected(self.channel.source, route, variant, failures, time.time_ns())
        )

    def judge_champion(self, live: LiveRoute, fault: str) -> None:
        """Note how a call to a champion ended that has a standby."""
        if fault in ("aborted", "overload"):
            return
        if not fault or fault == "status":  # a client can make a sound server say 500
            live.health.succeeded()
        elif live.health.failed(self.now_s()):
            champion = live.champion.name
            live.count("understudy_ejections_total", variant=champion)
            log.warning(
                "champion rests, its standby answers",
                extra={"route": live.name, "variant": champion, "fault": fault},
            )

    # Connections.

    def opened(self, connection: Downstream) -> None:
        """A client has connected."""
        if len(self._connections) < self.limits.connections:
            self._connections.add(connection)
            return
        self.counters.event("understudy_refused_connections_total")
        self._refused.add(connection)
        connection.write(refusal(503, "too many connections", b"", False))
        # Further ones are closed at once: they would take the descriptors that the others need.
        is_told = len(self._refused) <= max(1, self.limits.connections // REFUSED_SHARE)
        connection.close(lingers=is_told)

    def closed(self, connection: Downstream) -> None:
        """A client's connection has ended."""
        self._connections.discard(connection)
        self._refused.discard(connection)
        if not self._connections:
            self._none_left.set()

    # Life.

    async def start(self, *listeners: socket.socket) -> None:
        """Accept connections on ``listeners``, which are bound and listening already.

        CertificateError if they are for TLS and there is no certificate that can be shown.
        """
        await self.network.ready(FIRST_ANSWER_S)
        await self._signers.ready(FIRST_ANSWER_S)
        if self._handshakes is not None:
            identity = self._handshakes.identity
            await identity.looked.wait()
            if identity.context is None:
                raise CertificateError("cert", identity.files[0], identity.error)
        for listener in listeners:
            accepting = await self.loop.create_server(self._accept, sock=listener, backlog=BACKLOG)
            self._listeners.append((accepting, listener))
        self.channel.start()
        self._ticks = spawn(self._tick(), name="ticks")

    def _accept(self) -> asyncio.Protocol:
        """Return the protocol of a connection that was just accepted."""
        handshakes = self._handshakes
        return self._make_downstream() if handshakes is None else handshakes.arrive()

    def _make_downstream(self) -> asyncio.Protocol:
        return cast(asyncio.Protocol, Downstream(self))  # one in all but ancestry

    async def _tick(self) -> None:
        """Deadlines, idle connections, observations and counters: everything with a clock."""
        next_sweep_s = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self.tick_s = self.now_s()
            self._relieve(now_s)
            self._book.expire(now_s)
            self.channel.flush()
            if self._is_draining:
                self._close_idle(now_s)
            if now_s >= next_sweep_s:
                next_sweep_s = now_s + COUNTERS_EVERY_S
                self._sweep(now_s)

    def _relieve(self, now_s: float) -> None:
        """Give up what the pressure asks for, before it is too late to serve at all."""
        pressure, limits = self._pressure, self.limits
        pressure.tick(now_s)
        budget_bytes = limits.memory_bytes
        reading = Reading(
            lag=pressure.lag_s / limits.lag_s,
            memory=pressure.memory_bytes / budget_bytes if budget_bytes else 0.0,
            requests=self.n_requests / limits.requests,
        )
        before, now = self.relief, relieve(reading, self.relief)
        if now != before:
            self._give_up(now)
            words = {"lag_s": round(pressure.lag_s, 3), "memory_bytes": pressure.memory_bytes}
            log.warning(
                "overload",
                extra={"relief": str(now), "before": str(before), "n": self.n_requests} | words,
            )
        if now and budget_bytes and reading.memory > 0.5:
            pressure.trim(now_s)

    def _give_up(self, relief: Relief) -> None:
        self.relief = relief
        self.mirrors.is_shedding = Relief.SHED_MIRRORS in relief
        self.is_refusing = Relief.REFUSE_REQUESTS in relief
        self.ends_keep_alive = self._is_draining or Relief.END_KEEP_ALIVE in relief

    @property
    def n_requests(self) -> int:
        """How many requests of clients are under way, nearly: every call waits for its deadline,
        or for that of a client who does not read. Counting each would cost each request."""
        waiting = self._call_deadlines | {self.write_deadlines}
        return sum(len(deadlines) for deadlines in waiting) - len(self.mirrors)

    def _sweep(self, now_s: float) -> None:
        for live in self._live.routes:
            for pool in live.pools.values():
                pool.close_idle(now_s)
        self._close_idle(now_s)
        if not self.channel.is_full:
            values = self.counter_values()
            self.channel.say(frames.Counters(self.channel.source, self._worker, values))

    def _close_idle(self, now_s: float) -> None:
        for connection in list(self._connections):
            if now_s - max(connection.last_used_s, self._idle_from_s) > self._idle_s:
                connection.close_if_quiet()

    def counter_values(self) -> dict[str, float]:
        """Return everything counted, and the gauges of now."""
        values = self.counters.values()
        values["understudy_downstream_connections"] = len(self._connections)
        values["understudy_requests_in_flight"] = self.n_requests
        values["understudy_router_resident_memory_bytes"] = self._pressure.memory_bytes
        values["understudy_event_loop_lag_seconds"] = self._pressure.take_worst_lag_s()
        for relief in Relief:
            name = str(relief.name).lower()
            values[f"understudy_overload|relief={name}"] = float(relief in self.relief)
        values["understudy_tunnels_open"] = len(self.tunnels)
        values["understudy_mirror_queue_depth"] = len(self.mirrors)
        values["understudy_observations_waiting"] = self.channel.n_waiting
        for name, at_s in self.network.rotation.expiries():
            expiry = "understudy_certificate_expiry_timestamp_seconds"
            values[f"{expiry}|certificate={name}"] = at_s
        for live in self._live.routes:
            if live.standby is not None:
                rests = float(live.health.is_ejected)
                values[f"understudy_champion_resting|{live.labels}"] = rests
            for name, pool in live.pools.items():
                labels = f"|{live.labels}|variant={name}|state="
                values[f"understudy_upstream_connections{labels}open"] = pool.n_open
                values[f"understudy_upstream_connections{labels}idle"] = pool.n_idle
                values[f"understudy_upstream_connections{labels}waiting"] = pool.n_waiting
        return values

    async def stop(self, drain_s: float) -> None:
        """Stop within ``drain_s`` and a second: see the order above."""
        self._is_draining = self.ends_keep_alive = True
        self._idle_s, self._idle_from_s = min(GRACE_S, drain_s / 2), self.now_s()
        await self._stop_accepting()
        if self._handshakes is not None:
            await self._handshakes.done(min(drain_s, LAST_HANDSHAKE_S))
        await self._connections_ended(drain_s)
        self.mirrors.close()
        for live in self._live.routes:
            for pool in live.pools.values():
                pool.close()
        self.network.close()
        self._signers.close()
        await self.channel.drained(1.0)
        if self._ticks is not None:
            self._ticks.cancel()
        self._pressure.close()
        self.channel.close()

    async def _stop_accepting(self) -> None:
        """Close the listeners, and serve those who had connected already."""
        for accepting, listener in self._listeners:
            waiting = take_queue(listener)
            accepting.close()
            for client in waiting:
                await self.loop.connect_accepted_socket(self._accept, client)
        self._listeners.clear()

    async def _connections_ended(self, within_s: float) -> None:
        if not self._connections:
            return
        self._none_left.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._none_left.wait()
        except TimeoutError:
            log.warning("exchanges cut at shutdown", extra={"n": len(self._connections)})
            for connection in list(self._connections):
                connection.leave()
