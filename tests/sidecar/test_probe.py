"""The probe finds which champions are there, and asks nobody else."""

import asyncio
import socket

import msgspec

from router.table import Match, Mirror, Route, RoutingTable, Split, Variant
from sidecar.probe import Probe


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def route(name: str, champion_port: int, challenger_port: int) -> Route:
    old = Variant(name="old", host="127.0.0.1", port=champion_port, connect_timeout_s=0.5)
    new = Variant(name="new", host="127.0.0.1", port=challenger_port)
    return Route(
        name=name,
        match=Match(path=f"/{name}"),
        variants=(old, new),
        split=Split(champion="old"),
        mirror=Mirror(variant="new"),
    )


async def test_only_champions_count_and_each_route_is_named() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    there = route("there", port, closed_port())
    gone = route("gone", closed_port(), port)
    probe = Probe(lambda: RoutingTable(version=1, routes=(there, gone)))
    assert probe.faults is None
    await probe.round()
    assert probe.faults is not None and set(probe.faults) == {"gone"}
    assert "old at 127.0.0.1" in probe.faults["gone"]
    server.close()
    await server.wait_closed()


async def test_standby_is_enough_and_both_gone_are_the_champions_fault() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spare = Variant(name="spare", host="127.0.0.1", port=port, connect_timeout_s=0.5)
    gone = route("r", closed_port(), port)
    table = RoutingTable(version=1, routes=(msgspec.structs.replace(gone, standby=spare),))
    probe = Probe(lambda: table)
    await probe.round()
    assert probe.faults == {}
    server.close()
    await server.wait_closed()
    await probe.round()
    assert probe.faults is not None and "old at 127.0.0.1" in probe.faults["r"]


async def test_champion_that_comes_back_is_found() -> None:
    port = closed_port()
    probe = Probe(lambda: RoutingTable(version=1, routes=(route("r", port, port + 1),)))
    await probe.round()
    assert probe.faults
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    await probe.round()
    assert probe.faults == {}
    server.close()
    await server.wait_closed()


async def test_host_that_swallows_packets_costs_its_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        probe = Probe(lambda: RoutingTable(version=1, routes=(route("r", port, port),)))
        await asyncio.wait_for(probe.round(), 3)
        for filler in fillers:
            filler.close()
    assert probe.faults is not None and "no connection within 0.5 s" in probe.faults["r"]


async def test_without_a_table_nothing_is_known() -> None:
    probe = Probe(lambda: None)
    await probe.round()
    assert probe.faults is None
