"""A share of the cases over real sockets, on the product's event loop.

The memory transports behave as we think that sockets do; here they are sockets. The same rules
judge, and in the end no task, no descriptor and no connection may be left.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import uvloop

from router.server import Server
from router.table import RoutingTable
from router.tasks import spawn
from tests.fuzz.case import Case, Plan
from tests.fuzz.draw import draw
from tests.fuzz.oracle import judge
from tests.fuzz.strict import Requests
from tests.fuzz.world import PORTS, Arrival, Record, make_table
from tests.router.kit import reset

RESPONSE_S = 0.25
"""A variant's time here: real time passes."""
ENDED_S = 15.0
"""How long what ends by itself may take on a machine that is busy with other things."""
BATCH = 24
"""Cases at once, each with a router and models of its own."""


@dataclass
class Model:
    """A model server that answers by plan, on a socket."""

    variant: str
    plans: list[Plan]
    record: Record
    n_asked: int = 0
    port: int = 0
    server: asyncio.Server | None = None
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self.server.sockets[0].getsockname()[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        task = spawn(self._serve(reader, writer), name="fuzz-model")
        self.tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strict = Requests(is_origin=True)
        n_done = 0
        try:
            while received := await reader.read(65536):
                strict.feed(received)
                if strict.violation:
                    self.record.violations.append(strict.violation)
                    break
                for request in strict.whole[n_done:]:
                    n_done += 1
                    plan = self.plans[self.n_asked % len(self.plans)]
                    self.n_asked += 1
                    self.record.arrivals.append(Arrival(self.variant, request, plan))
                    if not await _answer(plan, writer):
                        return
        except (ConnectionError, RuntimeError):
            pass  # the router has closed it, as it may
        finally:
            writer.close()

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
        for writer in self.writers:
            writer.transport.abort()


async def _answer(plan: Plan, writer: asyncio.StreamWriter) -> bool:
    for piece in plan.pieces:
        writer.write(piece)
        await asyncio.sleep(0)
    if plan.end == "reset" and not writer.is_closing():
        reset(writer)
    elif plan.end == "eof":
        writer.close()
    return plan.end == "open"


async def play(case: Case) -> Record:
    """Play a calm ``case`` over sockets; return what came of it."""
    record = Record()
    models = {name: Model(name, case.plans[name], record) for name in PORTS}
    for model in models.values():
        await model.start()
    loop = asyncio.get_running_loop()
    server = Server(loop, RoutingTable(version=0), 0, "/nowhere")
    server.observe = record.observations.append
    server.mirrors.observe = record.observations.append
    server.use(_table(case, models))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]
    await server.start(listener)
    try:
        await _be_client(case, port, record)
    finally:
        await server.stop(0.0)
        for model in models.values():
            model.close()
        await asyncio.gather(*(task for one in models.values() for task in one.tasks))
    await _emptied(server, record)
    return record


async def _emptied(server: Server, record: Record) -> None:
    """Wait for what ends by itself, and note what does not."""
    ends_s = time.monotonic() + ENDED_S
    while left := _left(server):
        if time.monotonic() > ends_s:
            record.leftovers += left
            return
        await asyncio.sleep(0.005)


def _left(server: Server) -> list[str]:
    left = [f"{len(server._connections)} connections"] if server._connections else []
    left += [f"{len(server.mirrors)} copies"] if len(server.mirrors) else []
    for live in server._live.routes:
        left += [repr(pool) for pool in live.pools.values() if pool.n_open or pool.n_waiting]
    return left


def _table(case: Case, models: dict[str, Model]) -> RoutingTable:
    table = make_table(1, case.mode, tight=case.tight)
    (route,) = table.routes
    ports = {name: model.port for name, model in models.items()}
    values = {name: getattr(route, name) for name in route.__struct_fields__}
    values["variants"] = tuple(
        type(one)(
            **{name: getattr(one, name) for name in one.__struct_fields__}
            | {"port": ports[one.name], "response_timeout_s": RESPONSE_S}
        )
        for one in route.variants
    )
    return RoutingTable(version=1, routes=(type(route)(**values),))


async def _be_client(case: Case, port: int, record: Record) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = spawn(_read_all(reader, record), name="fuzz-client")
    try:
        for step in case.steps:
            if step.verb == "send":
                writer.write(step.payload)
                await asyncio.sleep(0)
            else:
                writer.write_eof()
        await asyncio.wait_for(reading, ENDED_S)
    except (ConnectionError, RuntimeError):
        await asyncio.wait_for(reading, ENDED_S)
    except TimeoutError:
        record.leftovers.append("the client's connection does not end")
    finally:
        writer.close()


async def _read_all(reader: asyncio.StreamReader, record: Record) -> None:
    pieces = []
    record.end = "eof"
    try:
        while piece := await reader.read(65536):
            pieces.append(piece)
    except ConnectionError:
        record.end = "reset"
    record.received = b"".join(pieces)


OnFound = Callable[[int, Case, list[str]], None]


def run(seed: int, start: int, seconds: float, on_found: OnFound) -> int:
    """Play calm cases of ``seed`` over sockets for a while; return how many."""
    return uvloop.run(_run(seed, start, seconds, on_found))


async def _run(seed: int, start: int, seconds: float, on_found: OnFound) -> int:
    loop = asyncio.get_running_loop()
    trouble: list[str] = []
    loop.set_exception_handler(lambda _, context: trouble.append(repr(context)))
    ends_s = time.monotonic() + seconds
    index = start
    n_descriptors = 0  # counted after the first batch: the loop opens one or two for itself
    while time.monotonic() < ends_s:
        jobs: list[Awaitable[None]] = []
        while len(jobs) < BATCH:
            case = _calm(draw(seed, index))
            jobs.append(_judge(index, case, on_found))
            index += 1
        await asyncio.gather(*jobs)
        tasks = [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}]
        await asyncio.sleep(0.01)
        n_open = len(os.listdir("/proc/self/fd"))
        n_descriptors = n_descriptors or n_open
        left = n_open - n_descriptors
        if trouble or tasks or left > 0:
            on_found(index, Case(), [f"over sockets: {trouble} {tasks} {left} descriptors left"])
            trouble.clear()
            n_descriptors = n_open
    return index - start


def _calm(case: Case) -> Case:
    """Return ``case`` without what needs a clock or a model that does not keep to the order."""
    steps = [step for step in case.steps if step.verb in ("send",)]
    eof = [step for step in case.steps if step.verb == "eof"][:1]
    plans = {
        name: [Plan(plan.pieces, plan.end) for plan in made] for name, made in case.plans.items()
    }
    return replace(case, steps=[*steps, *eof] if case.is_calm else steps + eof, plans=plans)


async def _judge(index: int, case: Case, on_found: OnFound) -> None:
    if not any(step.verb == "eof" for step in case.steps):
        case.steps.append(replace(case.steps[0], verb="eof", payload=b""))
    found = judge(case, await play(case))
    if found:
        on_found(index, case, ["over sockets: " + one for one in found])
