"""The controller process: ``python -m sidecar.process FILE``. Evaluator, controller, admin port.

The event loop holds the sockets, one thread holds the controller and its database. Killing it at
any instruction loses no acknowledged label and no acknowledged transition; the routers go on.
"""

import argparse
import asyncio
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import structlog
import uvloop
from aiohttp import web

from controller import opening
from controller.chain import Head
from controller.clock import SystemClock
from controller.controller import Controller
from controller.gates.runner import GateRunner
from controller.policy import Intent
from controller.rowset import folder_beside
from controller.store import StoreError
from router.table import RoutingTable
from router.tasks import spawn
from sidecar import eventspec, lockfile, logs
from sidecar.api import application
from sidecar.counts import Counts
from sidecar.dashboard.board import Board
from sidecar.dashboard.recorder import Recorder
from sidecar.desk import Desk
from sidecar.engine import Engine
from sidecar.events import Events
from sidecar.eventspec import EventSpec
from sidecar.guard import Access
from sidecar.headlog import HeadLog
from sidecar.history import History
from sidecar.hub import Hub
from sidecar.keyring import ENVIRONMENT, LABEL_ENVIRONMENT, Keyring
from sidecar.metrics import VERSION
from sidecar.natsspec import NatsSpec, from_text
from sidecar.permit import binding_fault, is_loopback
from sidecar.probe import Probe
from sidecar.prover import Prover
from sidecar.publisher import Publisher
from sidecar.pump import Pump
from sidecar.reload import Reloader
from sidecar.scorer import Scorers
from sidecar.subscription import Subscription
from sidecar.tokenfile import LABEL, READ, Scope
from sidecar.tracing import Tracer
from sidecar.writeback import Writeback

RETRY_S = 1.0
"""Between two attempts to open the state."""
LOCK_RETRY_S = 0.05
API_STOP_S = 2.0
"""For answers under way when the process stops."""

log = structlog.get_logger()
T = TypeVar("T")
Publish = Callable[[RoutingTable], None]
MakeController = Callable[[sqlite3.Connection, Publish, RoutingTable | None], Controller]
"""From the database, from what hands tables to the routers, and from the table they had last."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line that the supervisor writes."""

    file: Path
    state: Path
    admin_host: str
    admin_port: int
    admin_fds: tuple[int, ...] = ()
    """Sockets that listen there already; without any we bind the address ourselves."""
    alive_fd: int | None = None
    """Readable when the supervisor is gone; None watches nothing."""
    log_level: str = "info"
    tokens: Path | None = None
    """The file of tokens; None: there is none."""
    read_needs_token: bool = False
    """Whether reading needs a token on loopback too."""
    labels_from: NatsSpec | None = None
    """None: labels come to the admin port only."""
    events: tuple[EventSpec, ...] = ()
    """Who is told of what happens."""


def options_of(given: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="sidecar.process", description=__doc__)
    parser.add_argument("file", type=Path, help="the routing file")
    parser.add_argument("--state", type=Path, required=True, help="the state directory")
    parser.add_argument("--admin-host", required=True)
    parser.add_argument("--admin-port", type=int, required=True)
    parser.add_argument(
        "--admin-fd", dest="admin_fds", type=int, action="append", help="a socket that listens"
    )
    parser.add_argument("--alive-fd", type=int, help="a pipe that ends with the supervisor")
    parser.add_argument("--tokens", type=Path, help="the file of tokens")
    parser.add_argument("--read-needs-token", action="store_true")
    parser.add_argument("--labels-from", type=from_text, help="a broker, as JSON")
    parser.add_argument("--events", type=eventspec.from_text, default=(), help="as JSON")
    parser.add_argument("--log-level", default="info", choices=logs.LEVELS)
    options = vars(parser.parse_args(given))
    return Options(**options | {"admin_fds": tuple(options["admin_fds"] or ())})


def access_of(options: Options, environment: Mapping[str, str]) -> Access:
    """Return under which names the port is asked: where it is bound, and what deployment adds."""
    names = environment.get("UNDERSTUDY_ADMIN_HOSTS", "").lower().split(",")
    return Access(
        bound_host=options.admin_host,
        names=frozenset(name.strip() for name in names if name.strip()),
    )


def keyring_of(options: Options, environment: Mapping[str, str]) -> Keyring:
    """Return who may do what. A file of tokens that cannot be read lets nobody in, until it can.

    Secrets come from the environment: they do not belong into the routing file.
    """
    closed: set[Scope] = {READ} if options.read_needs_token else set()
    if not is_loopback(options.admin_host):
        closed |= {READ, LABEL}
    return Keyring(
        options.tokens,
        token=environment.get(ENVIRONMENT, ""),
        label_token=environment.get(LABEL_ENVIRONMENT, ""),
        closed=closed,
    )


class ControllerProcess:
    """Owns everything in the controller process but the signals."""

    def __init__(
        self, options: Options, access: Access, keyring: Keyring, make: MakeController
    ) -> None:
        self._options = options
        self._make = make
        self._connection: sqlite3.Connection | None = None
        self._loop = asyncio.get_running_loop()
        state = options.state
        counts = Counts()
        self._database = state / "understudy.db"
        self._publisher = Publisher(self._send, state / "table.msgpack")
        self._engine: Engine[Controller] = Engine(self._open)
        self._tracer = Tracer(VERSION)
        self._gates = GateRunner(folder_beside(self._database))
        self._pump = Pump(
            self._engine,
            self._acknowledge,
            self._gates.run,
            after_step=self._after_step,
            condemn=lambda why: opening.condemn(self._database, why),
            on_ingested=self._tracer.take,
        )
        self._hub = Hub(
            state / "control.sock",
            self._pump.batches,
            counts,
            self._pump.eject,
            self._pump.fence,
        )
        self._probe = Probe(lambda: self._hub.table, state)
        self.reloader = Reloader(options.file, self._adopt)
        self._desk = Desk(
            self._engine,
            self._pump,
            self._hub,
            counts,
            self.reloader,
            self._probe,
            self._database,
            lambda: self._scorers.counts,
            lambda: self._tracer.counts if self._tracer.is_on else None,
            self._gates.board.of,
        )
        self._scorers = Scorers(self._engine, self._desk.label)
        self._prover = Prover(self._engine, self._pump.fail)
        self._writeback = Writeback(self._engine, self._desk, state / "mlflow.json")
        self._desk.writeback = self._writeback
        self._events = Events(options.events, self._database, self._write)
        self._desk.events = self._events
        self._head_log = HeadLog(self._tell_head)
        self._subscription: Subscription | None = None
        if options.labels_from is not None:
            self._subscription = Subscription(
                options.labels_from, self._desk.label, self._desk.ways
            )
            self._desk.subscription = self._subscription
        self._history = History(state / "history.db")
        self._recorder = Recorder(self._history, self._desk.status, counts.total)
        app = application(self._desk, access, keyring)
        Board(self._desk, self._history, self._recorder).attach(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=API_STOP_S,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where the admin port listens."""
        host, port = self._runner.addresses[0][:2]
        return host, port

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until ``stopping``; raises what must end the process so that it starts again."""
        with await _lock(self._options.state, stopping):
            try:
                await self._start(stopping)
                if not stopping.is_set():
                    await self._work(stopping)
            finally:
                await self._close()

    async def _start(self, stopping: asyncio.Event) -> None:
        """Open the ports first: health must answer while the state cannot be opened."""
        await self._hub.start()
        await self._runner.setup()
        for site in self._sites():
            await site.start()
        log.info("admin port open", address=self.address)
        while not stopping.is_set():
            try:
                await self._engine.start()
            except StoreError as error:
                log.error("the state cannot be opened; will try again", error=str(error))
                await _wait(stopping, RETRY_S)
                continue
            await self.reloader.reload("start")
            return

    def _sites(self) -> list[web.BaseSite]:
        options, runner = self._options, self._runner
        if options.admin_fds:
            return [web.SockSite(runner, socket.socket(fileno=fd)) for fd in options.admin_fds]
        return [web.TCPSite(runner, options.admin_host, options.admin_port, reuse_address=True)]

    def retire(self) -> None:
        """Say from now on that no new traffic should come here; what comes is served."""
        self._desk.is_retiring = True

    async def _work(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self._pump.run(), name="pump")
            others = [
                tasks.create_task(self._probe.run(), name="probe"),
                tasks.create_task(self.reloader.watch(), name="watch"),
                tasks.create_task(self._scorers.run(), name="scorers"),
                tasks.create_task(self._desk.keep_verifying(), name="audit"),
                tasks.create_task(self._tracer.run(), name="tracing"),
                tasks.create_task(self._prover.run(), name="prover"),
                tasks.create_task(self._writeback.run(), name="writeback"),
                tasks.create_task(self._events.run(), name="events"),
                tasks.create_task(self._recorder.run(), name="recorder"),
            ]
            if self._subscription is not None:
                others.append(tasks.create_task(self._subscription.run(), name="subscription"))
            await _wait(stopping, None)
            await self._runner.cleanup()  # answers under way still need the pump
            for task in others:
                task.cancel("the process stops")
            self._pump.stop()
            await pump

    async def _close(self) -> None:
        await self._runner.cleanup()
        self._hub.close()
        await self._hub.wait_closed()
        await self._engine.close(finish=lambda _: None)
        await asyncio.to_thread(self._history.close)
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> Controller:
        """In the engine's thread: open the state and make the controller of it."""
        self._connection = opening.open_database(self._database)
        return self._make(self._connection, self._publisher.publish, self._publisher.last())

    def _after_step(self) -> None:
        """In the engine's thread."""
        self._publisher.write()
        if self._connection is not None:
            self._head_log.look(self._connection)

    def _tell_head(self, head: Head) -> None:
        """From the engine's thread."""
        self._loop.call_soon_threadsafe(self._desk.note_head, head)

    async def _write(self, act: Callable[[sqlite3.Connection], T]) -> T:
        def write(_: Controller) -> T:
            assert self._connection is not None, "it is there as long as the controller is"
            return act(self._connection)

        return await self._engine.call(write)

    async def _adopt(self, intent: Intent, who: str) -> None:
        await self._engine.call(lambda controller: controller.adopt(intent, who))
        self._tracer.adopt(intent.tracing)

    def _send(self, routing: RoutingTable) -> None:
        """From the engine's thread: hand a table to the loop, which sends it."""
        self._loop.call_soon_threadsafe(self._hub.publish, routing)

    def _acknowledge(self, done: Mapping[str, int]) -> None:
        self._hub.acknowledge(done)


async def _lock(state: Path, stopping: asyncio.Event) -> TextIO:
    """Wait for a former controller process to end: two must never write at once."""
    said = False
    while True:
        try:
            return lockfile.take(state / "controller.lock")
        except BlockingIOError:
            if stopping.is_set():
                raise SystemExit(0) from None
            if not said:
                log.warning("waiting for another controller process to end", state=str(state))
                said = True
        await _wait(stopping, LOCK_RETRY_S)


async def _wait(event: asyncio.Event, limit_s: float | None) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return


async def serve(options: Options, make: MakeController) -> None:
    """Run the controller process until a signal, or until the supervisor is gone."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    fault = binding_fault(options.admin_host, options.tokens, os.environ)
    if fault:
        raise SystemExit(fault)
    keyring = keyring_of(options, os.environ)
    root = ControllerProcess(options, access_of(options, os.environ), keyring, make)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(
        signal.SIGHUP, lambda: spawn(root.reloader.reload("SIGHUP"), name="hangup")
    )
    loop.add_signal_handler(signal.SIGUSR1, root.retire)
    # See sidecar.child.Command.blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGUSR1})
    if options.alive_fd is not None:
        loop.add_reader(options.alive_fd, _on_alive, loop, options.alive_fd, stopping)
    await root.run(stopping)


def _on_alive(loop: asyncio.AbstractEventLoop, fd: int, stopping: asyncio.Event) -> None:
    """The supervisor never writes: readable means that it is gone."""
    if not os.read(fd, 1):
        loop.remove_reader(fd)
        log.warning("the supervisor is gone: stopping")
        stopping.set()


def make_controller(
    connection: sqlite3.Connection, publish: Publish, published: RoutingTable | None
) -> Controller:
    """Make the real one."""
    return Controller(connection, SystemClock(), publish, published=published)


def main() -> None:
    """Run one controller process."""
    options = options_of(sys.argv[1:])
    logs.configure("controller", options.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, make_controller))


if __name__ == "__main__":
    main()
