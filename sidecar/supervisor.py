"""The supervisor: binds the listening sockets, starts the other processes, restarts what dies.

It does nothing else, so it does not die. If it is killed all the same, its children see the end
of a pipe that only it holds open, and stop: a pipe works whoever the parent is and however it
ends, whereas PR_SET_PDEATHSIG is bound to the parent *thread* and lost on a change of user.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import structlog

from controller.policy import Intent
from router.certificate import ServerTls
from sidecar import lockfile, tablefile
from sidecar.child import Child, Command
from sidecar.compiled import router_environment
from sidecar.listener import listen, require_free

KILL_MARGIN_S = 1.0
"""On top of the drain time, before a router that does not end is killed."""
CONTROLLER_STOP_S = 5.0
"""For its last commit; killing it later loses nothing that was acknowledged."""
UNIX_PATH_BYTES = 107
"""sun_path holds 108 with its final NUL (unix(7))."""

log = structlog.get_logger()


class StartError(Exception):
    """The state directory is unusable, or in use by another supervisor."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start and where."""

    file: Path
    state: Path
    host: str
    port: int
    """0 lets the system choose, once for all workers."""
    admin_host: str
    admin_port: int
    workers: int = 1
    drain_s: float = 10.0
    """How long a router may finish its exchanges after SIGTERM."""
    log_level: str = "info"
    tls: ServerTls | None = None
    """What clients are shown; None serves plain HTTP."""

    @property
    def table(self) -> Path:
        return self.state / "table.msgpack"

    @property
    def control(self) -> Path:
        return self.state / "control.sock"


def router_command(launch: Launch, worker: int, listen_fd: int, alive_fd: int) -> Command:
    """Return how worker number ``worker`` is started."""
    argv = (
        # -P: the folder we run in is not where the router is looked for first.
        *(sys.executable, "-P", "-m", "router.worker"),
        *("--listen-fd", str(listen_fd), "--worker", str(worker)),
        *("--table", str(launch.table), "--control", str(launch.control)),
        *("--alive-fd", str(alive_fd), "--drain-s", f"{launch.drain_s:g}"),
        *("--log-level", launch.log_level),
        *_tls_arguments(launch.tls),
    )
    environment = router_environment(os.environ)
    return Command(f"router {worker}", argv, (listen_fd, alive_fd), environment=environment)


def _tls_arguments(tls: ServerTls | None) -> tuple[str, ...]:
    if tls is None:
        return ()
    asked = ("--tls-client-ca", tls.client_ca) if tls.client_ca else ()
    return ("--tls-cert", tls.cert, "--tls-key", tls.key, *asked)


def controller_command(launch: Launch, alive_fd: int) -> Command:
    """Return how the controller process is started."""
    argv = (
        *(sys.executable, "-m", "sidecar.process", str(launch.file), "--alive-fd", str(alive_fd)),
        *("--state", str(launch.state), "--log-level", launch.log_level),
        *("--admin-host", launch.admin_host, "--admin-port", str(launch.admin_port)),
    )
    return Command("controller", argv, (alive_fd,), frozenset({signal.SIGHUP}))


class Supervisor:
    """Owns the children; ``run`` returns after SIGTERM or SIGINT, when all have ended."""

    def __init__(
        self,
        routers: Sequence[Command],
        controller: Command,
        listeners: Sequence[socket.socket],
        drain_s: float,
    ) -> None:
        self.routers = [Child(command) for command in routers]
        self.controller = Child(controller)
        self._listeners = listeners
        self._drain_s = drain_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self.controller.send, signal.SIGHUP)
        for child in (self.controller, *self.routers):
            child.start()
        await self._stopping.wait()
        await self._close()

    def _on_stop(self, number: signal.Signals) -> None:
        log.info("stopping", signal=number.name, at_once=self._stopping.is_set())
        if self._stopping.is_set():  # asked twice: whoever asks does not want to wait
            for child in (*self.routers, self.controller):
                child.send(signal.SIGKILL)
        self._stopping.set()

    async def _close(self) -> None:
        # Our copies go first: once a router has closed its own, nobody can queue where nobody
        # will answer. The controller goes last: it takes in what the routers saw to the end.
        for listener in self._listeners:
            listener.close()
        grace_s = self._drain_s + KILL_MARGIN_S
        await asyncio.gather(*(router.stop(grace_s) for router in self.routers))
        await self.controller.stop(CONTROLLER_STOP_S)


def supervise(launch: Launch, intent: Intent) -> None:
    """Be the supervisor until SIGTERM or SIGINT.

    Raises StartError or ListenError before anything is started.
    """
    with lock_state(launch.state):
        prepare(launch, intent)
        require_free(launch.admin_host, launch.admin_port)  # better said now than in a crash loop
        listeners = listen(launch.host, launch.port, launch.workers)
        try:
            _run(launch, listeners)
        finally:
            for listener in listeners:
                listener.close()


def _run(launch: Launch, listeners: Sequence[socket.socket]) -> None:
    alive, held = os.pipe()  # not inheritable: only ``alive`` is passed on, explicitly
    try:
        port = listeners[0].getsockname()[1]
        log.info(
            "listening",
            host=launch.host,
            port=port,
            workers=launch.workers,
            tls=launch.tls is not None,
        )
        commands = [
            router_command(launch, worker, listener.fileno(), alive)
            for worker, listener in enumerate(listeners)
        ]
        asyncio.run(_supervise(launch, commands, controller_command(launch, alive), listeners))
    finally:
        os.close(held)
        os.close(alive)


async def _supervise(
    launch: Launch,
    routers: Sequence[Command],
    controller: Command,
    listeners: Sequence[socket.socket],
) -> None:
    await Supervisor(routers, controller, listeners, launch.drain_s).run()


def lock_state(state: Path) -> TextIO:
    """Take the state directory for this supervisor; the kernel frees it when we end, however."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return lockfile.take(state / "supervisor.lock")
    except BlockingIOError as error:
        raise StartError(f"{state} is in use by another `understudy run`") from error
    except OSError as error:
        raise StartError(f"cannot use the state directory {state}: {error}") from error


def prepare(launch: Launch, intent: Intent) -> None:
    """Put the first table in place, so that routers can start without the controller process."""
    if len(os.fsencode(launch.control)) > UNIX_PATH_BYTES:
        raise StartError(f"state: {launch.state} is too long a path for a Unix socket in it")
    try:
        if tablefile.seed(launch.table, intent):
            log.info("first table written", table=str(launch.table), routes=len(intent.routes))
    except OSError as error:
        raise StartError(f"cannot write {launch.table}: {error}") from error
