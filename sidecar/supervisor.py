"""The supervisor: holds the listening sockets, starts the other processes, restarts what dies.

It does nothing else, so it does not die. If it is killed all the same, its children see the end
of a pipe that only it holds open, and stop: a pipe works whoever the parent is and however it
ends, whereas PR_SET_PDEATHSIG is bound to the parent *thread* and lost on a change of user.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import structlog

from controller.policy import Intent
from router.tasks import spawn
from sidecar import lockfile, tablefile
from sidecar.child import Child, Command
from sidecar.handover import Former, HandOver, HandOverError, Ports, ask
from sidecar.launch import Launch, controller_command, router_command
from sidecar.listener import ListenError, enough, listen, listen_admin

KILL_MARGIN_S = 1.0
"""On top of the drain time, before a router that does not end is killed."""
CONTROLLER_STOP_S = 5.0
"""For its last commit; killing it later loses nothing that was acknowledged."""
READY_S = 20.0
"""For the routers of a successor to accept connections; then it gives up. Chosen: they take
half a second on an idle machine."""
LOCK_S = 10.0
"""From the end of a former sidecar until its lock is ours; then another one must hold it."""
UNIX_PATH_BYTES = 107
"""sun_path holds 108 with its final NUL (unix(7))."""

log = structlog.get_logger()


class StartError(Exception):
    """The state directory is unusable, or in use by another supervisor that keeps it."""


class Supervisor:
    """Owns the children; ``run`` returns after SIGTERM or SIGINT, when all have ended."""

    def __init__(
        self,
        routers: Sequence[Command],
        controller: Command,
        ports: Ports,
        hand_over: HandOver,
        *,
        drain_s: float,
        delay_s: float = 0.0,
    ) -> None:
        self.routers = [Child(command) for command in routers]
        self.controller = Child(controller)
        self._ports = ports
        self._hand_over = hand_over
        self._drain_s = drain_s
        self._delay_s = delay_s
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()
        self._leavings: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """React to signals, and start the routers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.controller.send(signal.SIGHUP))
        for router in self.routers:
            router.start()

    async def succeed(self, former: Former, ready_fd: int, state: Path) -> TextIO | None:
        """Have ``former`` leave once our routers accept connections; return its lock, now ours.

        None when we are asked to stop meanwhile. HandOverError if it does not leave, StartError if
        somebody else has the state directory; then our routers have stopped.
        """
        try:
            if not await _first(self._stopping, _ready(ready_fd, len(self.routers)), READY_S):
                raise HandOverError("the new routers did not start in time; see the log above")
            if self._stopping.is_set():
                return None
            await former.let_go()
            log.info("serving beside the former sidecar, which leaves now")
            await _first(self._stopping, _when(spawn(former.ended(), name="former")), None)
            return None if self._stopping.is_set() else await _lock_after(state)
        except (HandOverError, StartError):
            former.close()
            await self._stop_routers()
            raise

    async def run(self) -> None:
        """Supervise until told to stop, or until a successor has taken over."""
        self.controller.start()
        self._hand_over.start()
        while not self._stopping.is_set():
            await _first(self._stopping, self._hand_over.taken, None)
            if not self._stopping.is_set() and await self._leave():
                return
        await self.close()

    def _on_stop(self, number: signal.Signals) -> None:
        log.info("stopping", signal=number.name, at_once=self._stopping.is_set())
        if self._stopping.is_set():  # asked twice: whoever asks does not want to wait
            self._at_once.set()
            for child in (*self.routers, self.controller):
                child.kill()
        self._stopping.set()

    async def close(self) -> None:
        """Stop in order: readiness, then routers, then the controller."""
        self.controller.greeting = signal.SIGUSR1
        self.controller.send(signal.SIGUSR1)
        await _first(self._at_once, asyncio.Event(), self._delay_s)
        # Our copies go first: once a router has closed its own, nobody can queue where nobody
        # will answer. The controller goes last: it takes in what the routers saw to the end.
        for listener in self._ports.listeners:
            listener.close()
        await self._stop_routers()
        await asyncio.gather(*self._leavings)
        await self.controller.stop(CONTROLLER_STOP_S)
        self._hand_over.close()

    async def _stop_routers(self) -> None:
        grace_s = self._drain_s + KILL_MARGIN_S
        await asyncio.gather(*(router.stop(grace_s) for router in self.routers))

    async def _leave(self) -> bool:
        """Stop for a successor that serves; False if it ends before, and we serve again.

        We hold our copies of the sockets meanwhile: nobody is refused, whoever of us is left.
        """
        log.info("a successor serves: leaving")
        lost = self._hand_over.lost
        leaving = spawn(self._stop_routers(), name="leaving")
        await _first(lost, _when(leaving), None)
        if not lost.is_set():
            await self.controller.stop(CONTROLLER_STOP_S)
        if not lost.is_set():
            self._hand_over.close()
            return True
        log.warning("the successor has ended before us: serving again")
        lost.clear()
        self._leavings.append(leaving)
        self.routers = [_again(router) for router in self.routers]
        if self.controller.is_stopped:
            self.controller = _again(self.controller)
        return False


def _again(child: Child) -> Child:
    """Start what was stopped for good."""
    other = Child(child.command)
    other.start()
    return other


async def _first(one: asyncio.Event, other: asyncio.Event, within_s: float | None) -> bool:
    """Wait for either event, but no longer; return whether one is set."""
    tasks = {spawn(event.wait(), name="event") for event in (one, other)}
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    return one.is_set() or other.is_set()


def _when(task: asyncio.Task[None]) -> asyncio.Event:
    """Return an event that is set when ``task`` is over."""
    event = asyncio.Event()
    task.add_done_callback(lambda _: event.set())
    return event


def _ready(fd: int, n: int) -> asyncio.Event:
    """Return an event that is set when ``n`` bytes have come through the pipe ``fd``."""
    loop, event, came = asyncio.get_running_loop(), asyncio.Event(), bytearray()

    def on_readable() -> None:
        came.extend(os.read(fd, n) or bytes(n))
        if len(came) >= n:
            loop.remove_reader(fd)
            event.set()

    loop.add_reader(fd, on_readable)
    return event


async def _lock_after(state: Path) -> TextIO:
    """Return the lock of a state directory whose former owner has just ended."""
    ends_s = time.monotonic() + LOCK_S
    while True:
        try:
            return lock_state(state)
        except StartError:
            if time.monotonic() >= ends_s:
                raise
        await asyncio.sleep(0.02)  # the kernel sends no event for a lock that becomes free


def supervise(launch: Launch, intent: Intent, *, take_over: bool = False) -> None:
    """Be the supervisor until SIGTERM or SIGINT.

    With ``take_over`` a sidecar that runs on the same state directory hands us its sockets and
    ends; without one we start as usual. Raises StartError, HandOverError or ListenError, before
    anything is started or after it has stopped again.
    """
    former = ask(launch.handover) if take_over else None
    if former is None:
        with lock_state(launch.state):
            prepare(launch, intent)
            _run(launch, _ports(launch, None), None)
    else:
        with contextlib.closing(former):
            _run(launch, _ports(launch, former.ports), former)


def _ports(launch: Launch, offered: Ports | None) -> Ports:
    """Return our sockets: those that are offered where the address is the same, else new ones."""
    listen_at = (launch.host, launch.port)
    admin_at = (launch.admin_host, launch.admin_port)
    if offered is not None and offered.admin == admin_at:
        admins = offered.admins
    else:
        admins = listen_admin(*admin_at)
    try:
        if offered is not None and offered.listen == listen_at:
            listeners = enough(offered.listeners, launch.workers)
        else:
            listeners = listen(*listen_at, launch.workers)
    except ListenError:
        for admin in admins:
            admin.close()
        raise
    return Ports(listen_at, admin_at, listeners, admins)


def _run(launch: Launch, ports: Ports, former: Former | None) -> None:
    alive, held = os.pipe()  # not inheritable: only ``alive`` is passed on, explicitly
    ready, readied = os.pipe()
    try:
        port = ports.listeners[0].getsockname()[1]
        log.info(
            "listening",
            host=launch.host,
            port=port,
            workers=launch.workers,
            tls=launch.tls is not None,
        )
        asyncio.run(_supervise(launch, ports, former, alive, (ready, readied)))
    finally:
        for fd in (held, alive, ready, readied):
            os.close(fd)
        ports.close()


async def _supervise(
    launch: Launch, ports: Ports, former: Former | None, alive: int, pipe: tuple[int, int]
) -> None:
    ready, readied = pipe
    commands = []
    for worker in range(launch.workers):
        fds = [listener.fileno() for listener in ports.listeners[worker :: launch.workers]]
        told = readied if former is not None else None
        commands.append(router_command(launch, worker, fds, alive, told))
    controller = controller_command(launch, alive, [admin.fileno() for admin in ports.admins])
    supervisor = Supervisor(
        commands,
        controller,
        ports,
        HandOver(launch.handover, ports),
        drain_s=launch.drain_s,
        delay_s=launch.stop_delay_s,
    )
    supervisor.start()
    if former is None:
        await supervisor.run()
        return
    lock = await supervisor.succeed(former, ready, launch.state)
    if lock is None:
        await supervisor.close()
        return
    with lock:
        await supervisor.run()


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
    if len(os.fsencode(launch.handover)) > UNIX_PATH_BYTES:
        raise StartError(f"state: {launch.state} is too long a path for a Unix socket in it")
    try:
        if tablefile.seed(launch.table, intent):
            log.info("first table written", table=str(launch.table), routes=len(intent.routes))
    except OSError as error:
        raise StartError(f"cannot write {launch.table}: {error}") from error
