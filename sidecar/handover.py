"""Hands the listening sockets of a running sidecar to its successor, and lets it go first.

The two talk over a Unix socket in the state folder, one packet a message (SOCK_SEQPACKET):

    successor: take     the sockets, please
    former:    offer    and the sockets (SCM_RIGHTS); nothing has changed yet
    successor: ready    my routers accept connections
    former:    leaving  mine drain now, then my controller ends, and then I do
    the former's end    is that of the connection: the state folder is free

Whoever ends early ends its side of the connection, however it ends. A successor that is gone
before the former has left is followed by the former itself: it holds its sockets to the end. A
former that is gone is what the successor waits for. docs/adr/0010-the-hand-over.md says more.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from router.tasks import spawn

TAKE, READY, LEAVING = b"take 1", b"ready", b"leaving"
"""The number is the protocol's; a former that does not know it answers nothing."""
ANSWER_S = 5.0
"""For what takes no time unless the other side hangs."""
MAX_BYTES = 4096
MAX_SOCKETS = 128
"""64 workers and the admin port's few; the kernel passes 253 at most (SCM_MAX_FD)."""

log = structlog.get_logger()


class HandOverError(Exception):
    """The running sidecar does not hand over; it goes on as it was."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The listening sockets of a sidecar, and the addresses that they were asked for."""

    listen: tuple[str, int]
    admin: tuple[str, int]
    listeners: Sequence[socket.socket]
    admins: Sequence[socket.socket]

    def close(self) -> None:
        """Close our copies; idempotent."""
        for one in (*self.listeners, *self.admins):
            one.close()


class HandOver:
    """The former's side. Owner: the Supervisor; one successor at a time."""

    def __init__(self, path: Path, ports: Ports) -> None:
        self._path = path
        self._ports = ports
        self._listener: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self.taken = asyncio.Event()
        """Set while a successor's routers accept connections."""
        self.lost = asyncio.Event()
        """Set when that successor has ended before us; whoever acts on it clears it."""

    def start(self) -> None:
        """Listen. Without it the sidecar serves all the same, so an OSError is only logged."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(1)
        except OSError as error:
            listener.close()
            log.warning("no hand-over from this process", error=str(error))
            return
        self._listener = listener
        self._task = spawn(self._serve(listener), name="hand-over")

    def close(self) -> None:
        """End the conversation; idempotent. To a successor this says that we have left."""
        if self._task is not None:
            self._task.cancel()
        if self._listener is not None:
            self._listener.close()

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            successor, _ = await loop.sock_accept(listener)
            with successor, contextlib.suppress(OSError):  # TimeoutError is one
                await self._attend(successor)
            if self.taken.is_set():
                self.taken.clear()
                self.lost.set()

    async def _attend(self, successor: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_S):
            if await loop.sock_recv(successor, MAX_BYTES) != TAKE:
                return
        ports = self._ports
        offer = {"listen": ports.listen, "admin": ports.admin, "n": len(ports.listeners)}
        numbers = [one.fileno() for one in (*ports.listeners, *ports.admins)]
        socket.send_fds(successor, [json.dumps(offer).encode()], numbers)
        log.info("sockets offered to a successor")
        if await loop.sock_recv(successor, MAX_BYTES) != READY:
            log.warning("the successor has ended before it was ready: nothing changes")
            return
        self.taken.set()
        await loop.sock_sendall(successor, LEAVING)
        while await loop.sock_recv(successor, MAX_BYTES):
            pass  # it has nothing more to say; its end is what we wait for


class Former:
    """The successor's side of a running sidecar, and the sockets that it offers."""

    def __init__(self, line: socket.socket, ports: Ports) -> None:
        self._line = line
        self.ports = ports

    async def let_go(self) -> None:
        """Say that our routers accept connections; HandOverError unless the former confirms."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_S):
                await loop.sock_sendall(self._line, READY)
                answer = await loop.sock_recv(self._line, MAX_BYTES)
        except TimeoutError as error:
            raise HandOverError("the running sidecar does not answer") from error
        except OSError:
            return  # it has ended, which is what we want
        if answer not in (LEAVING, b""):
            raise HandOverError(f"the running sidecar answered {answer[:40]!r}")

    async def ended(self) -> None:
        """Return when the former has ended, however long it takes."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while await loop.sock_recv(self._line, MAX_BYTES):
                pass

    def close(self) -> None:
        """End the conversation: before it has left, this brings the former back. Idempotent."""
        self._line.close()


def ask(path: Path) -> Former | None:
    """Ask the sidecar that listens at ``path`` for its sockets; None if none does.

    HandOverError if it does not answer, or what it says makes no sense. Blocks up to ANSWER_S.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.settimeout(ANSWER_S)
    try:
        line.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        line.close()
        return None
    except OSError as error:
        line.close()
        raise HandOverError(f"cannot reach the running sidecar at {path}: {error}") from error
    try:
        line.send(TAKE)
        said, numbers, _, _ = socket.recv_fds(line, MAX_BYTES, MAX_SOCKETS)
        ports = _ports(said, [socket.socket(fileno=number) for number in numbers])
    except (OSError, ValueError, KeyError, TypeError) as error:
        line.close()
        raise HandOverError(f"the running sidecar does not hand over: {error}") from error
    line.setblocking(False)
    return Former(line, ports)


def _ports(said: bytes, sockets: list[socket.socket]) -> Ports:
    try:
        if not said:
            raise ValueError("it has ended, or is busy with another successor")
        offer = json.loads(said)
        n = int(offer["n"])
        if not 0 < n < len(sockets):
            raise ValueError(f"{len(sockets)} sockets came, {n} of them to listen")
        (host, port), (admin_host, admin_port) = offer["listen"], offer["admin"]
        return Ports(
            (str(host), int(port)), (str(admin_host), int(admin_port)), sockets[:n], sockets[n:]
        )
    except (ValueError, KeyError, TypeError):
        for one in sockets:
            one.close()
        raise
