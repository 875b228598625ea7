"""The probe finds which champions are there, and asks nobody else."""

import asyncio
import socket
from pathlib import Path

import msgspec

from router.certificate import server_context
from router.counters import Counters
from router.resolver import Resolver, remembered
from router.table import Match, Mirror, Route, RoutingTable, Split, Tls, Variant
from sidecar.probe import Probe
from tests.router.pki import Authority


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


def single(variant: Variant) -> RoutingTable:
    one = Route(name="r", match=Match(path="/r"), variants=(variant,), split=Split(champion="m"))
    return RoutingTable(version=1, routes=(one,))


async def test_champions_on_a_unix_socket_and_behind_tls_are_reached(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = server_context(authority.server())

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    path = str(tmp_path / "m.sock")
    local = await asyncio.start_unix_server(hang_up, path)
    secure = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    port = secure.sockets[0].getsockname()[1]
    for settings, fault in (
        ({"host": "localhost", "port": 80, "socket": path}, ""),
        ({"host": "127.0.0.1", "port": port, "tls": authority.trust()}, ""),
        ({"host": "127.0.0.1", "port": port, "tls": Tls()}, "TLS: unable to get"),
        ({"host": "localhost", "port": 80, "socket": path + "x"}, "No such file"),
    ):
        table = single(Variant(name="m", **settings))
        probe = Probe(lambda table=table: table)
        await probe.round()
        assert probe.faults is not None
        assert fault in probe.faults.get("r", "") and bool(fault) == bool(probe.faults)
        probe.close()
    local.close()
    secure.close()


async def test_champion_stays_reachable_while_its_name_is_not_resolved() -> None:
    """F12: readiness must not fall because a name server did."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answers: list[tuple[str, ...]] = [("127.0.0.1",)]

    def look_up(host: str) -> tuple[str, ...]:
        if not answers:
            raise OSError("no name server")
        return answers[0]

    table = single(Variant(name="m", host="model.test", port=port))
    probe = Probe(lambda: table)
    counters = probe.network.counters
    probe.network.resolver = Resolver(counters, look_up, refresh_s=0.01)
    await probe.round()
    answers.clear()
    failures = ("understudy_dns_failures_total", "host=model.test")
    while counters.events[failures] < 3:
        await asyncio.sleep(0.01)
        await probe.round()
        assert probe.faults == {}
    probe.close()
    server.close()
    await server.wait_closed()


async def test_addresses_of_champions_are_written_down_and_survive_a_restart(
    tmp_path: Path,
) -> None:
    table = single(Variant(name="m", host="localhost", port=closed_port()))
    first = Probe(lambda: table, tmp_path)
    await first.round()
    first.close()
    written = remembered(tmp_path / "names.json")
    assert "127.0.0.1" in written["localhost"]

    def fails(host: str) -> tuple[str, ...]:
        raise OSError("no name server")

    second = Probe(lambda: table, tmp_path)
    second.network.resolver = Resolver(Counters(), fails, memory=written)
    await second.round()
    assert (
        second.faults is not None and "Connection refused" in second.faults["r"]
    )  # it was dialled
    second.close()
    assert remembered(tmp_path / "names.json") == written  # not forgotten for want of an answer
    moved = single(Variant(name="m", host="127.0.0.1", port=closed_port()))
    third = Probe(lambda: moved, tmp_path)
    await third.round()
    third.close()
    assert remembered(tmp_path / "names.json") == {}


async def test_champion_of_a_closed_route_need_not_be_there() -> None:
    table = single(Variant(name="m", host="127.0.0.1", port=closed_port()))
    closed = msgspec.structs.replace(table.routes[0], is_closed=True)
    probe = Probe(lambda: RoutingTable(version=1, routes=(closed,)))
    await probe.round()
    probe.close()
    assert probe.faults == {}
