"""A router between scripted ends, all in memory: runs one case and tells what came of it.

The router's objects are the real ones (Server, Downstream, Exchange, Pool, Upstream, Mirrors);
only the transports, the clock and the event loop's waiting are not.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from router.downstream import Downstream
from router.observation import Observation
from router.server import Server
from router.table import Match, Mirror, Route, RoutingTable, Split, Variant
from tests.fuzz.case import Case, Plan, Step
from tests.fuzz.loop import VirtualLoop
from tests.fuzz.strict import Request, Requests
from tests.fuzz.transport import MemoryTransport

PORTS = {"champion": 9001, "challenger": 9002}
NAMES = {port: name for name, port in PORTS.items()}
RESPONSE_S = 5.0
CONNECT_S = 1.0
LONG_S = 200.0
"""More than all deadlines of one request and its connection, one after the other."""
WAITS = 12
"""In so many steps that time is waited for."""
MAX_WAITS = 2000
"""More than a case has requests; what goes on for longer goes on for ever."""


@dataclass(slots=True)
class Arrival:
    """A request at a model: as far as it came, and how it was answered."""

    variant: str
    request: Request
    plan: Plan


@dataclass(slots=True)
class Record:
    """What came of a case."""

    arrivals: list[Arrival] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """What reached a model and was not HTTP/1.1 to the letter."""
    received: bytes = b""
    end: str = ""
    """How the router ended the client's connection."""
    trouble: list[str] = field(default_factory=list)
    """Exceptions, and error logs."""
    leftovers: list[str] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)


def make_table(version: int, mode: str, *, tight: bool) -> RoutingTable:
    """Return a table with one route over both models; ``tight``: with limits of a few bytes."""
    limits: dict[str, Any] = {"max_connections": 1, "max_pending": 1} if tight else {}
    variants = tuple(
        Variant(
            name=name, host="127.0.0.1", port=port, response_timeout_s=RESPONSE_S,
            connect_timeout_s=CONNECT_S, **limits,
        )
        for name, port in PORTS.items()
    )  # fmt: skip
    split, mirror = Split(champion="champion"), None
    if mode == "split":
        split = Split(champion="champion", challenger="challenger", challenger_buckets=10_000)
    elif mode == "mirror":
        mirror = Mirror(variant="challenger")
    shape: dict[str, Any] = {"body_limit_bytes": 4096, "replay_bytes": 64} if tight else {}
    route = Route(
        name="r", match=Match(path="*"), variants=variants, split=split, mirror=mirror,
        experiment="" if mode == "plain" else "e", salt=b"s", eject_after=2 if tight else 10**6,
        **shape,
    )  # fmt: skip
    return RoutingTable(version=version, routes=(route,))


class ModelLine:
    """One connection at a model: a strict reader that answers by plan."""

    def __init__(self, world: "World", variant: str, protocol: asyncio.Protocol, high: int) -> None:
        self.world = world
        self.variant = variant
        self.reader = Requests(is_origin=True)
        self.transport = MemoryTransport(world.loop, protocol, high, self._on_data)
        self._n_read = 0
        self._n_begun = 0
        self._arrival: Arrival | None = None

    def _on_data(self) -> None:
        received = self.transport.received
        if len(received) > self._n_read:
            fresh = bytes(received[self._n_read :])
            self._n_read = len(received)
            reader = self.reader
            reader.feed(fresh)
            if reader.violation:
                self.world.record.violations.append(
                    f"{reader.violation} in {bytes(received)!r:.600}"
                )
                self.transport.peer_reset()
                return
            self._note()
        if self.transport.end and not self.transport.is_lost:
            self.transport.peer_eof()

    def _note(self) -> None:
        """Begin what has begun, and answer what is to be answered."""
        reader = self.reader
        seen = [*reader.whole, *([reader.current] if reader.current is not None else [])]
        while self._n_begun < len(seen):
            request = seen[self._n_begun]
            self._n_begun += 1
            plan = self.world.next_plan(self.variant)
            self._arrival = Arrival(self.variant, request, plan)
            self.world.record.arrivals.append(self._arrival)
            if plan.is_early and not request.is_whole:
                self._answer(plan)
                self._arrival = None
        arrival = self._arrival
        if arrival is not None and arrival.request.is_whole:
            self._arrival = None
            self._answer(arrival.plan)

    def _answer(self, plan: Plan) -> None:
        self._go_on(list(plan.pieces), plan.end)

    def _go_on(self, pieces: list[bytes], end: str) -> None:
        """Send the next piece, and the others in later turns of the loop."""
        if pieces:
            self.transport.peer_send(pieces.pop(0))
        if pieces:
            self.world.loop.call_soon(self._go_on, pieces, end)
        elif end == "eof":
            self.world.loop.call_soon(self.transport.peer_eof)
        elif end == "reset":
            self.world.loop.call_soon(self.transport.peer_reset)


class World:
    """Runs one case. Make a fresh one for each."""

    def __init__(self) -> None:
        self.loop = VirtualLoop(self._connect)
        self.loop.set_exception_handler(self._on_trouble)
        self.record = Record()
        self.lines: list[ModelLine] = []
        self.client: MemoryTransport
        self.server: Server
        self._doors = dict.fromkeys(PORTS, "accept")
        self._plans: dict[str, list[Plan]] = {}
        self._n_asked = dict.fromkeys(PORTS, 0)
        self._case = Case()
        self._version = 1

    # The models.

    async def _connect(self, protocol: asyncio.Protocol, port: int) -> MemoryTransport:
        variant = NAMES[port]
        door = self._doors[variant]
        await asyncio.sleep(0)
        if door == "refuse":
            raise ConnectionRefusedError(111, "refused")
        if door == "hang":
            await asyncio.get_running_loop().create_future()
        line = ModelLine(self, variant, protocol, self._case.high)
        self.lines.append(line)
        line.transport.begin()
        return line.transport

    def next_plan(self, variant: str) -> Plan:
        """Return how the next request at ``variant`` is answered."""
        plans = self._plans[variant]
        nth = self._n_asked[variant]
        self._n_asked[variant] += 1
        return plans[nth % len(plans)]

    def _on_trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.record.trouble.append(f"{context.get('message')}: {context.get('exception')!r}")

    # The case.

    def run(self, case: Case) -> Record:
        """Play ``case`` and return what came of it; the router is empty afterwards, or told on."""
        self._case, self._plans, record = case, case.plans, self.record
        logs = _Errors(record.trouble)
        asyncio._set_running_loop(self.loop)
        logging.getLogger("router").addHandler(logs)
        try:
            self._begin(case)
            for step in case.steps:
                self._do(step)
                self._spin(step.spins)
            self._finish()
        except Exception as error:
            record.trouble.append(f"{type(error).__name__}: {error}{_where(error)}")
        finally:
            logging.getLogger("router").removeHandler(logs)
            asyncio._set_running_loop(None)
        if hasattr(self, "client"):
            record.received, record.end = bytes(self.client.received), self.client.end
        self.loop.close()
        return record

    def _begin(self, case: Case) -> None:
        # The table comes second, so that its pools get the clock.
        self.server = server = Server(self.loop, RoutingTable(version=0), 0, "/nowhere")
        server.now_s = self.loop.time
        server.observe = self.record.observations.append
        server.mirrors.observe = self.record.observations.append
        server.use(make_table(1, case.mode, tight=case.tight))
        self.client = MemoryTransport(self.loop, Downstream(server), case.high, _nothing)
        self.client.begin()

    def _spin(self, spins: int) -> None:
        if spins < 0:
            self.loop.settle()
        for _ in range(spins):
            self.loop.spin()

    def _do(self, step: Step) -> None:
        client = self.client
        match step.verb:
            case "send":
                client.peer_send(step.payload)
            case "eof":
                client.peer_eof()
            case "reset":
                client.peer_reset()
            case "stop":
                client.peer_stop_reading()
            case "read":
                client.peer_read()
            case "wait":
                self._wait(step.seconds)
            case "tick":
                self._tick()
            case "swap":
                self._version += 1
                mode = step.whom or self._case.mode
                self.server.use(make_table(self._version, mode, tight=bool(step.seconds)))
            case "refuse" | "hang" | "accept":
                self._doors[step.whom] = step.verb
            case _:
                self._do_to_models(step)

    def _do_to_models(self, step: Step) -> None:
        for line in self.lines:
            if line.variant != step.whom or line.transport.is_lost:
                continue
            match step.verb:
                case "push":
                    line.transport.peer_send(step.payload)
                case "model_eof":
                    line.transport.peer_eof()
                case "model_reset":
                    line.transport.peer_reset()
                case "model_stop":
                    line.transport.peer_stop_reading()
                case "model_read":
                    line.transport.peer_read()
                case _:
                    raise AssertionError(f"no verb {step.verb!r}")

    def _wait(self, seconds: float) -> None:
        self.loop.advance(seconds)
        self.server._book.expire(self.loop.time())
        self.loop.settle()

    def _tick(self) -> None:
        """What the server does on its clock."""
        self.server._book.expire(self.loop.time())
        # Not the whole sweep: it asks the kernel about idle clients, and here is no kernel.
        for live in self.server._live.routes:
            for pool in live.pools.values():
                pool.close_idle(self.loop.time())

    def _finish(self) -> None:
        """Let everybody have their time; then nothing may be left of the case."""
        self.loop.settle()
        self.client.peer_read()
        for line in self.lines:
            line.transport.peer_read()
        self.loop.settle()
        self.client.peer_eof()
        self._outwait()
        self._wait(LONG_S)
        self._tick()
        self._wait(LONG_S)
        self.record.leftovers += leftovers(self)

    def _outwait(self) -> None:
        """Wait until all have gone, or until nothing has happened for longer than any deadline.

        Each request of a pipeline has a response timeout of its own, one after the other; what
        waits for nothing makes no progress, and is found.
        """
        n_idle = 0
        for _ in range(MAX_WAITS):
            self.loop.settle()
            if self._is_quiet() or n_idle == WAITS:
                return
            before = self._progress()
            self._wait(LONG_S / WAITS)
            n_idle = n_idle + 1 if self._progress() == before else 0

    def _progress(self) -> tuple[int, ...]:
        """Return what changes whenever a request or an answer has gone on."""
        record, received = self.record, len(self.client.received)
        return len(record.arrivals), len(record.observations), len(self.lines), received

    def _is_quiet(self) -> bool:
        """Whether everybody has gone; then no deadline may be left to run out either."""
        server = self.server
        if not self.client.is_lost or len(server.mirrors):
            return False
        n_deadlines = sum(map(len, server._book._by_duration.values()))
        if n_deadlines:
            self.record.leftovers.append(f"{n_deadlines} deadlines of nobody")
        return True


def leftovers(world: World) -> list[str]:
    """Return what a case has left behind in the router; nothing may be."""
    server, left = world.server, []
    if not world.client.is_lost:
        left.append("the client's connection is still open")
    if server._connections:
        left.append(f"{len(server._connections)} client connections are counted")
    for after_s, deadlines in server._book._by_duration.items():
        if len(deadlines):
            left.append(f"{len(deadlines)} deadlines of {after_s} s")
    if len(server.mirrors) or server.mirrors._bytes:
        left.append(f"{len(server.mirrors)} copies, {server.mirrors._bytes} bytes of budget")
    for live in server._live.routes:
        for pool in live.pools.values():
            if pool.n_open or pool.n_idle or pool.n_waiting:
                left.append(repr(pool))
    n_open = sum(not line.transport.is_lost for line in world.lines)
    if n_open:
        left.append(f"{n_open} connections to models are open")
    tasks = [task.get_name() for task in asyncio.all_tasks(world.loop)]
    if tasks:
        left.append(f"tasks {tasks}")
    return left


def _nothing() -> None:
    pass


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace is not None else ""


class _Errors(logging.Handler):
    """Notes what the router logs as an error, or with a traceback."""

    def __init__(self, trouble: list[str]) -> None:
        super().__init__(logging.INFO)
        self._trouble = trouble

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self._trouble.append(f"log: {record.getMessage()}")
