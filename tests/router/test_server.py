"""What connections share: the table and its swap, ejection, draining, counters, leaks."""

import asyncio
import gc
import os
import socket
import time

import pytest

import router.server
from router import frames
from router.overload import Limits
from router.table import Match, Route, RoutingTable, Split
from tests.router.kit import (
    Rig,
    Turn,
    answers,
    echoes,
    get,
    hangs,
    post,
    post_head,
    resets,
    rig,
    sends,
    sharing,
    until,
    variant,
    waits,
)


def table_of(r: Rig, version: int, champion: str, **settings: float) -> RoutingTable:
    """Return a table whose one route is served by ``champion`` alone."""
    port = r.models[champion].port
    route = Route(
        name="r",
        match=Match(path="*"),
        variants=(variant(champion, port, **settings),),
        split=Split(champion=champion),
    )
    return RoutingTable(version=version, routes=(route,))


async def test_request_under_way_finishes_on_the_table_it_began_with() -> None:
    async with rig(waits(0.1, answers(b"a")), answers(b"b"), experiment="e") as r:
        client, other = await r.client(), await r.client()
        await client.send(get())
        await until(lambda: r.champion.requests)
        old = r.pool()
        r.server.use(table_of(r, 2, "challenger"))
        assert (await other.ask(get())).body == b"b"
        assert (await client.answer()).body == b"a"
        assert (await r.exposures())[0].table_version == 1
        await until(lambda: "[0 open, 0 idle" in repr(old))


async def test_requests_that_wait_for_a_connection_outlive_their_table() -> None:
    settings = {"max_connections": 1, "response_timeout_s": 5.0}
    async with rig(waits(0.05, answers(b"a")), answers(b"b"), variants=settings) as r:
        clients = [await r.client() for _ in range(4)]
        for client in clients:
            await client.send(get())
        await until(lambda: "3 waiting" in repr(r.pool()))
        r.server.use(table_of(r, 2, "challenger"))
        assert [(await client.answer()).body for client in clients] == [b"a"] * 4


async def test_body_that_spans_a_swap_goes_to_one_model() -> None:
    async with rig() as r:
        client = await r.client()
        await client.send(post_head(6) + b"old")
        await until(lambda: r.champion.heads)
        r.server.use(table_of(r, 2, "challenger"))
        await client.send(b"old")
        assert (await client.answer()).body == b"/x oldold"
        assert r.challenger.heads == []
        assert (await client.ask(get())).body == b"/x "
        assert len(r.challenger.requests) == 1


async def test_swaps_under_load_fail_no_request() -> None:
    """Shares, mirrors and champions change a hundred times while eight clients ask."""
    async with rig(mode="split", buckets=5000) as r:
        stopping = asyncio.Event()
        n_answered = 0

        async def load(n: int) -> None:
            nonlocal n_answered
            while not stopping.is_set():
                client = await r.client()
                for k in range(20):
                    body = b"%d-%d" % (n, k)
                    answer = await client.ask(post(body))
                    assert (answer.status, answer.body) == (200, b"/x " + body)
                    n_answered += 1
                client.close()

        clients = [asyncio.ensure_future(load(n)) for n in range(8)]  # noqa: TID251 - awaited below
        for n in range(100):
            if n % 4 == 3:
                r.table = table_of(r, r.table.version + 1, ("champion", "challenger")[n // 4 % 2])
                r.server.use(r.table)
            else:
                made = tuple(variant(name, r.models[name].port) for name in r.models)
                mode = ("plain", "split", "mirror")[n % 4]
                settings = {"experiment": "", "salt": b"", "mirror": None} | sharing(mode, 5000)
                r.use(variants=made, **settings)
            await asyncio.sleep(0.01)
        stopping.set()
        await asyncio.gather(*clients)
        assert n_answered > 100
        assert r.server.find_route is not None


async def test_pool_is_kept_where_the_variant_is_the_same() -> None:
    async with rig(mode="split", buckets=0) as r:
        client = await r.client()
        await client.ask(get())
        pool = r.pool()
        r.use(split=Split(champion="champion"))
        assert r.pool() is pool
        await client.ask(get())
        assert r.champion.n_connections == 1
        r.use(variants=(variant("champion", r.champion.port, max_connections=7),))
        assert r.pool() is not pool
        await until(lambda: "[0 open, 0 idle" in repr(pool))


async def test_older_table_is_ignored_and_the_one_in_force_is_confirmed() -> None:
    async with rig(answers(b"a"), answers(b"b")) as r:
        r.controller.publish(table_of(r, 5, "challenger"))
        await until(lambda: len(r.controller.of(frames.Applied)) == 1)
        r.controller.publish(table_of(r, 4, "champion"))
        await until(lambda: len(r.controller.of(frames.Applied)) == 2)
        assert [one.version for one in r.controller.of(frames.Applied)] == [5, 5]
        assert (await (await r.client()).ask(get())).body == b"b"


# Ejection.


async def test_failing_challenger_is_ejected_reported_and_probed_back() -> None:
    broken = True

    async def moody(turn: Turn) -> None:
        await (resets if broken else echoes)(turn)

    async with rig(answers(b"champion"), moody, mode="split", eject_after=3) as r:
        client = await r.client()
        for _ in range(10):
            assert (await client.ask(get())).body == b"champion"
        assert len(r.challenger.requests) == 3
        await until(lambda: r.controller.of(frames.Ejected))
        (ejected,) = r.controller.of(frames.Ejected)
        assert (ejected.route, ejected.variant, ejected.failures) == ("r", "challenger", 3)
        seen = await r.exposures(10)
        assert [one.outcome.fault for one in seen[:3]] == ["reset"] * 3
        assert [one.loss for one in seen[3:]] == ["circuit_open"] * 7
        assert all(one.is_challenger for one in seen)
        # What made the controller's reason came before its verdict.
        told = [one for one in r.controller.frames if not isinstance(one, frames.Counters)]
        assert r.controller.of(frames.Ejected)[0] in told[2:]
        broken = False
        tries = 0
        while (await client.ask(get())).body == b"champion":  # the rest takes a second
            tries += 1
            assert tries < 500
            await asyncio.sleep(0.02)
        assert (await client.ask(get())).body == b"/x "
        assert r.events["understudy_ejections_total|route=r|variant=challenger"] == 1


async def test_leaving_clients_eject_nobody() -> None:
    async with rig(hangs, hangs, mode="split", eject_after=2) as r:
        for n in range(6):
            client = await r.client()
            await client.send(get())
            await until(lambda n=n: len(r.challenger.requests) == n + 1)  # type: ignore[misc] # bound now
            client.reset()
        await r.exposures(6)
        assert r.controller.of(frames.Ejected) == []


# Stopping.


async def test_stop_cuts_what_is_not_over_in_time_and_says_so() -> None:
    async with rig(hangs, experiment="e") as r:
        client = await r.client()
        await client.send(get())
        await until(lambda: r.champion.requests)
        await r.server.stop(0.1)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        assert (await r.exposures())[0].outcome.fault == "aborted"
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_stop_resets_an_answer_that_only_the_end_of_the_connection_would_end() -> None:
    """HTTP/1.0: a clean end would make the half that was sent look whole."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with rig(sends(head + b"3\r\nabc\r\n", then=hangs)) as r:
        client = await r.client()
        await client.send(b"GET /x HTTP/1.0\r\n\r\n")
        await client.head()
        await r.server.stop(0.1)
        with pytest.raises(ConnectionResetError):
            await client.ended()


async def test_stop_waits_for_the_last_observations() -> None:
    async with rig(waits(0.1, echoes), experiment="e") as r:
        client = await r.client()
        await client.send(get())
        await until(lambda: r.champion.requests)
        stopping = asyncio.ensure_future(r.server.stop(2.0))  # noqa: TID251 - awaited below
        assert (await client.answer()).status == 200
        client.close()
        await stopping
        assert len(r.controller.exposures) == 1
        assert r.server.channel.n_waiting == 0


async def test_stopped_server_accepts_nobody() -> None:
    async with rig() as r:
        await r.server.stop(0.1)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for((await r.client()).ask(get()), 5)


# Limits and leaks.


async def test_connection_over_the_limit_gets_503_and_the_others_stay() -> None:
    async with rig(limits=Limits(connections=2, lag_s=30.0)) as r:
        first, second = await r.client(), await r.client()
        assert (await first.ask(get())).status == 200
        assert (await second.ask(get())).status == 200
        third = await r.client()
        assert (await third.answer()).status == 503
        assert await third.ended() == b""
        assert (await first.ask(get())).status == 200


async def test_idle_client_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.server, "IDLE_S", 0.1)
    monkeypatch.setattr(router.server, "COUNTERS_EVERY_S", 0.05)
    async with rig(waits(0.3, echoes)) as r:
        client = await r.client()
        assert (await client.ask(get())).status == 200  # longer than idle, but not idle
        assert await client.ended() == b""


async def test_counters_are_told_once_a_second() -> None:
    async with rig() as r:
        await (await r.client()).ask(get())
        name = "understudy_requests_total|route=r|variant=champion|role=champion|code=2xx"
        await until(lambda: any(one.values.get(name) for one in r.controller.of(frames.Counters)))


async def test_thousand_aborted_connections_leave_no_task_and_no_descriptor() -> None:
    """F10, at every stage of a request, split and mirror."""
    for mode in ("split", "mirror"):
        short = {
            "keepalive_s": 0.05
        }  # a connection that came too late for its call is kept so long
        never = sends(b"HTTP/1.1 200 OK\r\n")
        async with rig(hangs, never, mode=mode, variants=short) as r:
            await until(lambda s=r.server: s._pressure.memory_bytes)  # type: ignore[misc] # bound now
            before = n_descriptors()
            tasks = len(asyncio.all_tasks())
            whole = post(b"body")
            for batch in range(20):
                clients = [await r.client() for _ in range(25)]
                for n, client in enumerate(clients):
                    await client.send(whole[: (n * 4) % (len(whole) + 1)])
                if batch % 2:
                    await asyncio.sleep(0.005)
                for client in clients:
                    client.reset()
                await until(lambda: not r.server._connections)
                r.clients.clear()
            for copy in list(r.server.mirrors._under_way):
                if copy.call is not None:
                    copy.call.on_deadline()
            await until(lambda: "[0 open" in repr(r.pool("champion")))
            await until(lambda: "[0 open" in repr(r.pool("challenger")))
            await until(lambda t=tasks: len(asyncio.all_tasks()) <= t)  # type: ignore[misc] # bound now
            gc.collect()
            await until(lambda b=before: n_descriptors() <= b)  # type: ignore[misc] # bound now
            for deadlines in r.server._book._by_duration.values():
                assert len(deadlines) == 0


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_request_leaves_no_cycle_for_the_garbage_collector() -> None:
    async with rig(experiment="e") as r:
        client = await r.client()
        await client.ask(get())
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await client.ask(post(b"x"))
            kinds = [type(one).__name__ for one in gc.get_objects()]
            assert kinds.count("Exchange") <= 1
            assert kinds.count("Call") <= 1
        finally:
            gc.enable()


# Goodbyes.


async def test_request_that_crosses_the_goodbye_is_answered() -> None:
    """The bytes are in the kernel when the idle connection would be closed."""
    async with rig() as r:
        client = await r.client()
        assert (await client.ask(post(b"1"))).status == 200
        (connection,) = r.server._connections
        os.write(client.writer.get_extra_info("socket").fileno(), post(b"2"))
        connection.close_if_quiet()  # before the loop has had a chance to read
        assert (await client.answer()).body == b"/x 2"
        connection.close_if_quiet()
        assert await client.ended() == b""


async def test_last_answer_of_a_stopping_router_says_so() -> None:
    async with rig() as r:
        clients = [await r.client() for _ in range(10)]
        for client in clients:
            assert b"connection" not in (await client.ask(post(b"1"))).fields
        stopping = asyncio.ensure_future(r.server.stop(20.0))  # noqa: TID251 - awaited below
        await asyncio.sleep(0.1)
        for client in clients:
            answer = await client.ask(post(b"2"))
            assert (answer.status, answer.fields[b"connection"]) == (200, b"close")
            assert await client.ended() == b""
            client.close()
        began = time.monotonic()
        await stopping
        assert time.monotonic() - began < 10.0  # not for what is left of the twenty seconds


async def test_idle_connections_of_a_stopping_router_end_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(router.server, "GRACE_S", 0.2)
    async with rig() as r:
        client = await r.client()
        assert (await client.ask(post(b"1"))).status == 200
        await asyncio.sleep(0.3)  # idle before the stop does not count
        began = time.monotonic()
        stopping = asyncio.ensure_future(r.server.stop(5.0))  # noqa: TID251 - awaited below
        assert await client.ended() == b""
        assert 0.2 <= time.monotonic() - began < 4.0
        client.close()
        await stopping


async def test_who_waits_to_be_accepted_when_the_router_stops_is_served() -> None:
    async with rig() as r:
        sockets = [socket.create_connection(("127.0.0.1", r.port)) for _ in range(20)]
        stopping = asyncio.ensure_future(r.server.stop(2.0))  # noqa: TID251 - awaited below
        for each in sockets:
            each.send(post(b"1"))
        for each in sockets:
            each.setblocking(False)
            raw = await asyncio.wait_for(r.server.loop.sock_recv(each, 1000), 5)
            assert raw.startswith(b"HTTP/1.1 200") and b"connection: close" in raw
            each.close()
        await stopping


# Overload.


async def test_router_that_refuses_takes_the_request_and_keeps_the_connection() -> None:
    async with rig() as r:
        client = await r.client()
        r.server.is_refusing = True
        for raw in (get(), post(b"body"), get(b"/x", b"Connection: close")):
            answer = await client.ask(raw)
            assert (answer.status, answer.fields[b"retry-after"]) == (503, b"1")
        assert await client.ended() == b""
        r.server.is_refusing = False
        assert (await (await r.client()).ask(get())).status == 200
        assert r.events["understudy_refused_requests_total|code=503"] == 3
        assert len(r.champion.requests) == 1


async def test_refused_request_whose_body_is_not_here_ends_its_connection() -> None:
    async with rig() as r:
        client = await r.client()
        r.server.is_refusing = True
        await client.send(post_head(10) + b"half")
        answer = await client.answer()
        assert (answer.status, answer.fields[b"connection"]) == (503, b"close")
        assert await client.ended() == b""


async def test_requests_under_way_are_known_without_counting_each() -> None:
    async with rig(hangs, hangs, mode="mirror") as r:
        assert r.server.n_requests == 0
        clients = [await r.client() for _ in range(5)]
        for client in clients:
            await client.send(post(b"1"))
        await until(lambda: len(r.server.mirrors) == 5)
        assert r.server.n_requests == 5


async def test_too_many_requests_under_way_are_refused_until_some_are_over() -> None:
    async with rig(waits(0.4, echoes), limits=Limits(requests=3, lag_s=30.0)) as r:
        busy = [await r.client() for _ in range(3)]
        for client in busy:
            await client.send(post(b"1"))
        await until(lambda: r.server.is_refusing)
        other = await r.client()
        assert (await other.ask(post(b"2"))).status == 503
        for client in busy:
            assert (await client.answer()).status == 200
        await until(lambda: not r.server.is_refusing)
        assert (await other.ask(post(b"3"))).status == 200


async def test_crowd_over_the_limit_is_told_up_to_a_point_and_then_cut() -> None:
    async with rig(limits=Limits(connections=4, lag_s=30.0)) as r:
        kept = [await r.client() for _ in range(4)]
        for client in kept:
            assert (await client.ask(get())).status == 200
        crowd = [await r.client() for _ in range(20)]
        await until(lambda: r.events.get("understudy_refused_connections_total") == 20)
        await until(lambda: len(r.server._refused) <= 1)
        for client in kept:
            assert (await client.ask(get())).status == 200
        assert (await crowd[0].answer()).status == 503
