"""The data port's sockets: one per worker on one port, bound once and kept by the supervisor."""

import socket
import time
from collections.abc import Sequence

BACKLOG = 1_024
"""Connections that wait per worker while it is being replaced; the kernel may cap it lower
(net.core.somaxconn, 4096 by default)."""
BIND_PATIENCE_S = 3.0
"""How long a taken port may be held by routers of a former supervisor that are still ending."""


class ListenError(Exception):
    """The port is taken or the address is not ours: the routing file's ``listen`` must change."""


def listen(host: str, port: int, workers: int) -> list[socket.socket]:
    """Return one listening socket per worker on one port. ListenError if the port is taken."""
    require_free(host, port)
    family, address = _resolve(host, port)
    listeners: list[socket.socket] = []
    try:
        for _ in range(workers):
            listeners.append(_listener(family, address))
            address = (address[0], listeners[0].getsockname()[1])
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise ListenError(f"cannot listen on {host}:{port}: {error}") from error
    return listeners


def enough(listeners: Sequence[socket.socket], workers: int) -> list[socket.socket]:
    """Return ``listeners``, which listen on one port already, and more until each worker has one.

    None is left out if there are too many: connections wait in each of them.
    """
    family, address = listeners[0].family, listeners[0].getsockname()
    more = range(workers - len(listeners))
    return [*listeners, *(_listener(family, address) for _ in more)]


def listen_admin(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of ``host``; ListenError if the port is taken."""
    require_free(host, port)  # better said now than in a crash loop
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            sockets.append(_bound(family, address))
    except OSError as error:
        if not sockets:  # a second address may be one that this machine does not have: ::1
            raise ListenError(f"cannot listen on {host}:{port}: {error}") from error
    return sockets


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
    except OSError:
        one.close()
        raise
    return one


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"cannot resolve the listen address {host!r}: {error}") from error
    family, _, _, _, address = answers[0]
    return family, (str(address[0]), port)


def require_free(host: str, port: int) -> None:
    """Raise ListenError unless nobody listens here: SO_REUSEPORT alone would share the port."""
    family, address = _resolve(host, port)
    deadline = time.monotonic() + BIND_PATIENCE_S
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(address)
                return
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise ListenError(f"cannot listen on {host}:{port}: {error}") from error
        time.sleep(0.1)  # before the loop exists; the kernel offers no event for a freed port


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
