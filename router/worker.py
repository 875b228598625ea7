"""The router process: ``python -m router.worker``. Imports no numpy, scipy, pydantic or SQLite."""

import argparse
import asyncio
import contextlib
import gc
import importlib
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import uvloop

from router.certificate import CertificateError, ServerTls
from router.log import configure
from router.overload import Limits, share_out
from router.resolver import NAMES, remembered
from router.server import Server
from router.signer import MakeRead, Read
from router.table import RoutingTable, from_bytes
from router.tasks import spawn

log = logging.getLogger("router.worker")


def arguments(given: list[str]) -> argparse.Namespace:
    """Read the command line that the supervisor writes."""
    defaults = Limits()
    parser = argparse.ArgumentParser(prog="router.worker", description=__doc__)
    parser.add_argument(
        "--listen-fd", type=int, action="append", required=True, help="a bound, listening socket"
    )
    parser.add_argument("--worker", type=int, default=0, help="which of the workers this is")
    parser.add_argument("--table", type=Path, required=True, help="the last routing table")
    parser.add_argument("--control", required=True, help="the controller's Unix socket")
    parser.add_argument("--alive-fd", type=int, help="a pipe that ends with the supervisor")
    parser.add_argument("--drain-s", type=float, default=10.0, help="for requests under way")
    parser.add_argument("--ready-fd", type=int, help="gets a byte when connections are accepted")
    parser.add_argument("--max-connections", type=int, default=defaults.connections)
    parser.add_argument("--max-requests", type=int, default=defaults.requests)
    parser.add_argument("--memory-bytes", type=int, help="the budget; without it there is none")
    parser.add_argument("--lag-s", type=float, default=defaults.lag_s)
    parser.add_argument("--tls-cert", default="", help="serve TLS with this certificate chain")
    parser.add_argument("--tls-key", default="", help="its private key")
    parser.add_argument("--tls-client-ca", default="", help="who signs clients' certificates")
    parser.add_argument("--reader", default="", help="MODULE:NAME of what reads predictions")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args(given)


async def serve(options: argparse.Namespace) -> None:
    """Route until told to stop."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # reloading is the controller's
    if options.alive_fd is not None:
        loop.add_reader(options.alive_fd, _on_alive, loop, options.alive_fd, stopping)
    table, tls = read_table(options.table), tls_of(options)
    names = remembered(options.table.with_name(NAMES))
    limits = limits_of(options)
    make_read = reader_of(options.reader)
    server = Server(loop, table, options.worker, options.control, limits, tls, names, make_read)
    listeners = [socket.socket(fileno=fd) for fd in options.listen_fd]
    for listener in listeners:
        listener.setblocking(False)
    try:
        await server.start(*listeners)
    except CertificateError as error:
        log.error("cannot serve TLS; will be started again", extra={"reason": str(error)})
        raise SystemExit(1) from error
    if options.ready_fd is not None:
        _say_ready(options.ready_fd)
    await spawn(_until(stopping), name="until-stopped")
    await server.stop(options.drain_s)


def tls_of(options: argparse.Namespace) -> ServerTls | None:
    """Return what the command line says of TLS; None serves plain HTTP."""
    if not options.tls_cert:
        return None
    return ServerTls(options.tls_cert, options.tls_key, options.tls_client_ca)


def reader_of(named: str) -> MakeRead | None:
    """Return what makes readers of predictions, MODULE:NAME; None if nothing is named.

    Imported when a route first needs it: a process without exposure tokens never loads it.
    """
    if not named:
        return None
    module, _, name = named.partition(":")

    def make(prediction: str | None) -> Read:
        found: MakeRead = getattr(importlib.import_module(module), name)
        return found(prediction)

    return make


def limits_of(options: argparse.Namespace) -> Limits:
    """Return what this process may take; its descriptors decide with the command line."""
    connections, upstreams = share_out(options.max_connections, max_descriptors())
    return Limits(
        connections=connections,
        upstreams=upstreams,
        requests=options.max_requests,
        memory_bytes=options.memory_bytes,
        lag_s=options.lag_s,
    )


def max_descriptors() -> int:
    """Return how many files this process may open, after asking for all that it may have.

    The lower of the two limits is for programs that use select(), which we do not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # above what the kernel gives anybody
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _say_ready(fd: int) -> None:
    """Whoever waited may have gone: a router that is restarted later says it to nobody."""
    with contextlib.suppress(OSError), os.fdopen(fd, "wb", buffering=0) as line:
        line.write(b"1")


def _on_alive(loop: asyncio.AbstractEventLoop, fd: int, stopping: asyncio.Event) -> None:
    """The supervisor never writes: readable means that it is gone."""
    if not os.read(fd, 1):
        loop.remove_reader(fd)
        stopping.set()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def read_table(path: Path) -> RoutingTable:
    """Return the table in ``path``; it is written before the first router starts."""
    return from_bytes(path.read_bytes())


def main() -> None:
    """Run one router process."""
    options = arguments(sys.argv[1:])
    configure(f"router-{options.worker}", options.log_level)
    # What is loaded by now stays; requests leave no cycles behind, so rare collections are enough.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    uvloop.run(serve(options))


if __name__ == "__main__":
    main()
