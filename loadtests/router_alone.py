"""One router worker without the rest of the sidecar, for work on the data plane.

The routing table is fixed from the start, and a controller stand-in in the parent process
acknowledges every batch of observations and thinks about none, so that the router does all of its
own work and nothing else takes its core.
``python -m loadtests.router_alone --mode split --directory DIR --port P ...``
"""

import argparse
import asyncio
import enum
import signal
import socket
import sys
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from loadtests.peers import Peer, Site
from loadtests.understudy import is_router
from loadtests.work import PATH, UNIT_HEADER, Mode
from router import frames
from router.observation import Batch
from router.table import (
    BUCKETS,
    Match,
    Mirror,
    Route,
    RoutingTable,
    Signing,
    Split,
    Variant,
    to_bytes,
)
from sidecar.launch import READER


class Crowd(enum.Enum):
    """What the routes are that stand beside the one that is asked, and how they differ from it."""

    PATHS = "paths"
    """Exact paths of their own."""
    PREFIXES = "prefixes"
    """Prefixes, each of another length, none longer than LONG_PATH: all might fit it."""
    HOSTS = "hosts"
    """The same path, for hosts of their own; the one that is asked is for any host."""


PREDICTION = "predictions"
LONG_PATH = "/v1/models/" + "m" * 1100
"""As long as 1,000 prefixes of different lengths need."""


def router_peer(
    mode: Mode, crowd: Crowd = Crowd.PATHS, others: int = 0, *, signs: bool = False
) -> Peer:
    """A router worker alone, with ``others`` more routes; the rest of its tree is control.

    ``signs``: its answers carry exposure tokens, with the prediction in them.
    """

    def command(program: str, site: Site) -> list[str]:
        ports = ["--port", str(site.port), "--champion-port", str(site.champion_port)]
        ports += ["--challenger-port", str(site.challenger_port)]
        place = ["--mode", mode.value, "--directory", str(site.directory)]
        table = ["--crowd", crowd.value, "--others", str(others)]
        more = ["--signs"] if signs else []
        return [program, "-m", "loadtests.router_alone", *place, *table, *ports, *more]

    return Peer(
        name=f"router-{mode.value}{'-signed' if signs else ''}",
        mode=mode,
        find=lambda: sys.executable,
        command=command,
        is_data_plane=is_router,
    )


def make_table(
    mode: Mode,
    *,
    champion_port: int,
    challenger_port: int,
    crowd: Crowd = Crowd.PATHS,
    others: int = 0,
    keys: str = "",
) -> RoutingTable:
    """Return what the controller would publish in this mode's stage, with other routes beside.

    ``keys`` is the key file of exposure tokens; empty gives none.
    """
    split = Split(champion="bench-1")
    mirror = None
    if mode is Mode.SPLIT:
        split = Split(champion="bench-1", challenger="bench-2", challenger_buckets=BUCKETS // 2)
    else:
        mirror = Mirror(variant="bench-2")
    route = Route(
        name="bench",
        match=Match(path="/v1/*" if crowd is Crowd.PREFIXES else PATH),
        variants=(
            Variant(name="bench-1", host="127.0.0.1", port=champion_port),
            Variant(name="bench-2", host="127.0.0.1", port=challenger_port),
        ),
        split=split,
        mirror=mirror,
        experiment="bench",
        salt=b"bench",
        unit_header=UNIT_HEADER,
        signing=Signing(keys=keys, prediction=PREDICTION) if keys else None,
    )
    beside = (
        msgspec.structs.replace(route, name=f"other-{number}", match=_other(crowd, number))
        for number in range(others)
    )
    return RoutingTable(version=1, routes=(route, *beside))


def _other(crowd: Crowd, number: int) -> Match:
    match crowd:
        case Crowd.PATHS:
            return Match(path=f"/v1/models/other-{number}:predict")
        case Crowd.PREFIXES:
            return Match(path="/v1/models/" + "n" * (number + 1) + "*")
        case Crowd.HOSTS:
            return Match(path=PATH, host=f"host-{number}.example")


class Acknowledger(asyncio.Protocol):
    """The controller's end of one router's line: every batch is at once called durable."""

    def __init__(self) -> None:
        self._frames = frames.Deframer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        for raw in self._frames.feed(data):
            message = frames.decode_from_router(raw)
            if isinstance(message, Batch):
                ack = frames.Ack(message.source, message.sequence)
                self._transport.write(frames.encode(ack))


async def serve(port: int, table: RoutingTable, directory: Path) -> int:
    """Run the router on 127.0.0.1:``port`` until SIGTERM; return its exit code."""
    loop = asyncio.get_running_loop()
    control = directory / "control.sock"
    table_file = directory / "table.msgpack"
    table_file.write_bytes(to_bytes(table))
    server = await loop.create_unix_server(Acknowledger, str(control))
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        fd = listener.fileno()
        router = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "router.worker", "--listen-fd", str(fd)),
            *("--table", str(table_file), "--control", str(control), "--drain-s", "0.5"),
            *("--reader", READER),
            pass_fds=[fd],
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _terminate, router)
    async with server:
        return await router.wait()


def _terminate(router: asyncio.subprocess.Process) -> None:
    if router.returncode is None:
        router.terminate()


def _make_keys(path: Path) -> str:
    path.touch(0o600)
    path.write_text(f"k1 {'A' * 43}=\n")
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", type=Mode, required=True)
    parser.add_argument("--crowd", type=Crowd, default=Crowd.PATHS)
    parser.add_argument("--others", type=int, default=0)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--champion-port", type=int, required=True)
    parser.add_argument("--challenger-port", type=int, required=True)
    parser.add_argument("--signs", action="store_true", help="give exposure tokens")
    options = parser.parse_args()
    table = make_table(
        options.mode,
        champion_port=options.champion_port,
        challenger_port=options.challenger_port,
        crowd=options.crowd,
        others=options.others,
        keys=_make_keys(options.directory / "exposure.keys") if options.signs else "",
    )
    sys.exit(uvloop.run(serve(options.port, table, options.directory)))


if __name__ == "__main__":
    main()
