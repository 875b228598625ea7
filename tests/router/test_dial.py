"""Variants are reached at an address, by name, on a Unix socket and over TLS, or it is said why."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.certificate import ServerTls, server_context
from router.counters import Counters
from router.dial import Dial, DialError, Network, Place, in_order
from router.resolver import Resolver
from router.rotation import Rotation
from router.table import Tls, Variant
from router.tasks import spawn
from tests.router.kit import Model, Turn, answers, echoes, get, post, rig, sends, until
from tests.router.pki import Authority


class Knock(asyncio.Protocol):
    """A connection that is only opened."""

    def __init__(self) -> None:
        self.is_forgotten = False
        self.is_retired = False
        self.address = ""
        self.transport: Any = None
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Bench:
    """A network whose name server and polling are the test's."""

    def __init__(self, answer: tuple[str, ...] | None = ("127.0.0.1",)) -> None:
        self.answer = answer
        self.counters = Counters()
        self.network = Network(
            asyncio.get_running_loop(),
            self.counters,
            Resolver(self.counters, self._look_up, refresh_s=0.02),
            Rotation(self.counters, poll_s=0.01),
        )
        self.made: list[Knock] = []

    def _look_up(self, host: str) -> tuple[str, ...]:
        if self.answer is None:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return self.answer

    def dial(self, port: int, host: str = "model.test", **settings: Any) -> Dial:
        settings = {"connect_timeout_s": 1.0} | settings
        return Dial("r", Variant(name="m", host=host, port=port, **settings), self.network)

    def make(self) -> Knock:
        self.made.append(Knock())
        return self.made[-1]

    async def fault(self, dial: Dial) -> DialError:
        with pytest.raises(DialError) as caught:
            await dial.open(self.make)
        self.made.clear()
        return caught.value

    def failures(self, reason: str) -> int:
        name = "understudy_connect_failures_total"
        return self.counters.events[name, "route=r", "variant=m", f"reason={reason}"]

    def close(self) -> None:
        self.network.close()
        for knock in self.made:
            knock.abort()


@contextlib.asynccontextmanager
async def model_on(
    host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Any:
    model = Model("m", echoes)
    await model.start(port, host, tls)
    try:
        yield model
    finally:
        await model.close()


@contextlib.contextmanager
def black_hole(host: str, port: int) -> Iterator[int]:
    """F11: a listener whose backlog is full swallows SYNs."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind((host, port))
        deaf.listen(0)
        at = deaf.getsockname()
        with contextlib.ExitStack() as plugs:
            for _ in range(4):
                plug = plugs.enter_context(socket.socket())
                plug.setblocking(False)
                plug.connect_ex(at)
            yield at[1]


# Addresses and names.


async def test_literal_address_never_touches_the_resolver() -> None:
    bench = Bench(None)
    async with model_on() as model:
        knock = await bench.dial(model.port, "127.0.0.1").open(bench.make)
        assert knock.address == "127.0.0.1"
        assert bench.network.resolver._followed == {}
        bench.close()


async def test_dial_waits_for_the_first_answer_only() -> None:
    bench = Bench(None)
    async with model_on() as model:
        dial = bench.dial(model.port)
        asyncio.get_running_loop().call_later(0.1, setattr, bench, "answer", ("127.0.0.1",))
        await dial.open(bench.make)
        bench.answer = None
        await until(
            lambda: bench.counters.events["understudy_dns_failures_total", "host=model.test"]
        )
        began = time.monotonic()
        for _ in range(20):
            await dial.open(bench.make)
        assert time.monotonic() - began < 4.0
        bench.close()


async def test_name_that_was_never_answered_fails_within_the_connect_timeout() -> None:
    bench = Bench(None)
    began = time.monotonic()
    fault = await bench.fault(bench.dial(9, connect_timeout_s=0.1))
    assert (fault.reason, time.monotonic() - began < 4.0) == ("dns", True)
    assert "'model.test' has not been resolved" in str(fault)
    bench.close()


async def test_addresses_take_turns() -> None:
    bench = Bench(("127.0.0.1", "127.0.0.2", "127.0.0.3"))
    async with model_on("0.0.0.0") as model:
        dial = bench.dial(model.port)
        used = [(await dial.open(bench.make)).address for _ in range(9)]
        assert {address: used.count(address) for address in used} == {
            "127.0.0.1": 3, "127.0.0.2": 3, "127.0.0.3": 3,
        }  # fmt: skip
        bench.close()


async def test_refused_address_costs_no_request_and_is_tried_last() -> None:
    bench = Bench(("127.0.0.1", "127.0.0.2"))
    async with model_on("127.0.0.2") as model:
        dial = bench.dial(model.port)
        for _ in range(10):
            assert (await dial.open(bench.make)).address == "127.0.0.2"
        assert len(bench.made) <= 11 and bench.failures("refused") == 0
        bench.close()


async def test_address_that_swallows_packets_leaves_time_for_the_next_one() -> None:
    bench = Bench(("127.0.0.1", "127.0.0.2"))
    async with model_on("127.0.0.2") as model:
        with black_hole("127.0.0.1", model.port):
            dial = bench.dial(model.port, connect_timeout_s=2.0)
            took_s = []
            for _ in range(6):
                began = time.monotonic()
                assert (await dial.open(bench.make)).address == "127.0.0.2"
                took_s.append(time.monotonic() - began)
            assert sum(one > 0.9 for one in took_s) == 1 and max(took_s) < 2.0
            bench.close()


async def test_address_that_failed_is_tried_again_after_a_while() -> None:
    one, other = Place("127.0.0.1"), Place("127.0.0.2")
    one.failed(100.0)
    assert in_order([one, other], 0, 100.5) == [other, one]
    assert in_order([one, other], 0, 101.5) == [one, other]
    for _ in range(20):
        one.failed(100.0)
    assert one.avoid_until_s == 130.0
    one.succeeded()
    assert in_order([one, other], 0, 100.5) == [one, other]


def test_other_kind_of_address_comes_behind_the_preferred_one() -> None:
    six, four, more = Place("::1"), Place("127.0.0.1"), Place("::2")
    assert in_order([six, four, more], 0, 0.0) == [six, more, four]
    assert in_order([six, four, more], 2, 0.0) == [more, six, four]
    six.failed(0.0)
    more.failed(0.0)
    assert in_order([six, four, more], 0, 0.5)[0] is four


async def test_all_addresses_refusing_is_one_failure() -> None:
    bench = Bench(("127.0.0.1", "127.0.0.2"))
    async with model_on() as model:
        port = model.port
    assert (await bench.fault(bench.dial(port))).reason == "refused"
    assert bench.failures("refused") == 1
    bench.close()


@pytest.mark.parametrize("timeout_s", [0.1, 0.3])
async def test_black_hole_fails_within_the_connect_timeout(timeout_s: float) -> None:
    bench = Bench()
    with black_hole("127.0.0.1", 0) as port:
        began = time.monotonic()
        fault = await bench.fault(bench.dial(port, "127.0.0.1", connect_timeout_s=timeout_s))
        assert fault.reason == "timeout"
        assert timeout_s * 0.9 < time.monotonic() - began < timeout_s + 3.0
    assert bench.failures("timeout") == 1


async def test_trouble_is_logged_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "router.dial")
    bench = Bench()
    async with model_on() as model:
        port = model.port
    dial = bench.dial(port)
    for _ in range(5):
        await bench.fault(dial)
    async with model_on(port=port):
        for _ in range(3):
            await dial.open(bench.make)
        bench.close()
    assert [record.getMessage() for record in caplog.records] == [
        "variant cannot be reached",
        "variant reached again",
    ]
    assert bench.failures("refused") == 5


async def test_moved_variant_is_left_by_idle_and_by_busy_connections() -> None:
    """F12: a changed answer. The pool in a whole router, so that both are really there."""
    seen: list[str] = []

    async def slow(turn: Turn) -> None:
        seen.append(turn.line.writer.get_extra_info("sockname")[0])
        await asyncio.sleep(0.2 if b"slow" in turn.request.line else 0)
        await echoes(turn)

    async with rig(slow) as r:
        await r.champion.close()
        await r.champion.start(r.champion.port, "0.0.0.0")
        answer = ["127.0.0.1"]
        counters = r.server.counters
        r.server.network.resolver = Resolver(counters, lambda _: tuple(answer), refresh_s=0.02)
        r.use(variants=(Variant(name="champion", host="model.test", port=r.champion.port),))
        busy, idle = await r.client(), await r.client()
        await busy.send(get(b"/slow"))
        assert (await idle.ask(get())).status == 200
        await until(lambda: "2 open, 1 idle" in repr(r.pool()))
        answer[:] = ["127.0.0.2"]
        await until(lambda: "1 open" in repr(r.pool()))
        assert (await idle.ask(get())).status == 200
        assert (await busy.answer()).status == 200  # what was under way is finished
        await until(lambda: "1 open, 1 idle" in repr(r.pool()))
        for _ in range(3):
            assert (await busy.ask(get())).status == 200
        assert seen == ["127.0.0.1"] * 2 + ["127.0.0.2"] * 4
        r.server.network.resolver.close()


async def test_connection_that_was_opened_while_the_answer_changed_carries_one_call() -> None:
    bench = Bench()
    async with model_on() as model:
        dial = bench.dial(model.port)
        assert not (await dial.open(bench.make)).is_retired
        opening = spawn(dial.open(bench.make), name="opening")
        await asyncio.sleep(0)
        dial._on_addresses()
        assert (await opening).is_retired
        assert not (await dial.open(bench.make)).is_retired
        bench.close()


async def test_long_answer_leaves_each_address_enough_time() -> None:
    bench = Bench(tuple(f"127.0.0.{n}" for n in range(1, 60)))
    async with model_on() as model:
        port = model.port
    assert (await bench.fault(bench.dial(port))).reason == "refused"
    assert len({knock.address for knock in bench.made}) <= 3
    bench.close()


async def test_cancelled_dial_leaves_no_connection_behind() -> None:
    bench = Bench()
    async with model_on() as model:
        dial = bench.dial(model.port, "127.0.0.1")
        for steps in range(6):
            opening = spawn(dial.open(bench.make), name="opening")
            for _ in range(steps):
                await asyncio.sleep(0)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await opening).abort()
        await until(lambda: not model.tasks)  # each ends with its connection


# Unix sockets.


async def test_unix_socket_answers_and_its_host_falls_back_to_localhost(tmp_path: Path) -> None:
    path = str(tmp_path / "model.sock")
    settings = {"host": "localhost", "port": 80, "socket": path}
    model = Model("m", echoes)
    await model.start_unix(path)
    async with rig() as r:
        r.use(variants=(Variant(name="champion", **settings),))  # type: ignore[arg-type]
        client = await r.client()
        for n in range(3):
            assert (await client.ask(post(b"%d" % n))).body == b"/x %d" % n
        assert (await client.ask(b"GET /old HTTP/1.0\r\n\r\n")).status == 200
        hosts = [request.fields[b"host"] for request in model.requests]
        assert hosts == [b"a", b"a", b"a", b"localhost"]
        assert model.n_connections == 1
    await model.close()


async def test_unix_socket_that_is_not_there_is_refused(tmp_path: Path) -> None:
    bench = Bench()
    for at, reason in ((tmp_path / "no.sock", "refused"), (tmp_path, "refused")):
        fault = await bench.fault(bench.dial(80, "localhost", socket=str(at)))
        assert fault.reason == reason


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def shown(authority: Authority) -> ssl.SSLContext:
    return server_context(authority.server())


@contextlib.asynccontextmanager
async def secure_rig(script: Any, context: ssl.SSLContext, tls: Tls) -> Any:
    """A router whose champion speaks TLS."""
    async with rig(script) as r:
        port = r.champion.port
        await r.champion.close()
        await r.champion.start(port, tls=context)
        settings = {"response_timeout_s": 3.0, "tls": tls, "port": port}
        r.use(variants=(Variant(name="champion", host="127.0.0.1", **settings),))
        yield r


async def test_bodies_pass_over_tls_and_connections_are_reused(
    authority: Authority, shown: ssl.SSLContext
) -> None:
    big = bytes(range(256)) * 4000
    async with secure_rig(echoes, shown, authority.trust()) as r:
        r.champion.n_connections = 0
        client = await r.client()
        for body in (b"small", big, b"again"):
            assert (await client.ask(post(body))).body == b"/x " + body
        assert r.champion.n_connections == 1


async def test_variant_must_show_a_certificate_that_is_trusted_and_for_its_name(
    authority: Authority, shown: ssl.SSLContext, tmp_path: Path
) -> None:
    bench = Bench()
    stranger = server_context(Authority(tmp_path, "stranger").server())
    async with model_on(tls=shown) as model, model_on(tls=stranger) as other:
        for host, tls in (
            ("127.0.0.1", authority.trust()),
            ("model.test", authority.trust()),
            ("127.0.0.1", authority.trust(server_name="model.test")),
        ):
            await bench.dial(model.port, host, tls=tls).open(bench.make)
        for port, host, tls, why in (
            (model.port, "wrong.test", authority.trust(), "Hostname mismatch"),
            (model.port, "127.0.0.1", authority.trust(server_name="a.test"), "Hostname mismatch"),
            (model.port, "127.0.0.1", Tls(), "unable to get"),
            (other.port, "127.0.0.1", authority.trust(), "unable to get"),
        ):
            fault = await bench.fault(bench.dial(port, host, tls=tls))
            assert (fault.reason, why in str(fault)) == ("tls", True), str(fault)
        bench.close()


async def test_expired_certificate_is_refused(authority: Authority) -> None:
    cert, key = authority.issue("stale", days=-1)
    bench = Bench()
    async with model_on(tls=server_context(ServerTls(cert, key))) as model:
        fault = await bench.fault(bench.dial(model.port, "127.0.0.1", tls=authority.trust()))
        assert "expired" in str(fault)


async def test_variant_that_speaks_no_tls_is_a_failure_and_no_hang(authority: Authority) -> None:
    bench = Bench()
    async with model_on() as model:
        model.script = None  # accepts and says nothing: the handshake is inside the timeout
        began = time.monotonic()
        dial = bench.dial(model.port, "127.0.0.1", tls=authority.trust(), connect_timeout_s=0.2)
        assert (await bench.fault(dial)).reason == "timeout"
        assert time.monotonic() - began < 4.0


async def test_variant_that_answers_in_plain_http_is_no_variant(authority: Authority) -> None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 x\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bench = Bench()
    fault = await bench.fault(bench.dial(port, "127.0.0.1", tls=authority.trust()))
    assert fault.reason == "tls"
    server.close()


async def test_own_certificate_is_shown_to_a_variant_that_asks(authority: Authority) -> None:
    cert, key = authority.issue("router")
    wanting = server_context(authority.server("wanting", client_ca=True))
    async with secure_rig(echoes, wanting, authority.trust(cert=cert, key=key)) as r:
        assert (await (await r.client()).ask(get())).status == 200
        names = dict(r.server.network.rotation.expiries())
        assert list(names) == ["r/champion"]
        tls = authority.trust()
        r.use(variants=(Variant(name="champion", host="127.0.0.1", port=r.champion.port, tls=tls),))
        assert (await (await r.client()).ask(get())).status == 502


async def test_changed_certificate_files_renew_the_connections(
    authority: Authority, shown: ssl.SSLContext, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copyfile(Authority(tmp_path, "stranger").pem, ca)
    async with secure_rig(echoes, shown, authority.trust()) as r:
        r.server.network.rotation.close()
        r.server.network.rotation = Rotation(r.server.counters, poll_s=0.02)
        tls = Tls(ca=str(ca))
        r.use(variants=(Variant(name="champion", host="127.0.0.1", port=r.champion.port, tls=tls),))
        client = await r.client()
        assert (await client.ask(get())).status == 502
        shutil.copyfile(authority.pem, ca)
        taken = "understudy_certificate_reloads_total|certificate=r/champion|result=taken"
        await until(lambda: r.events.get(taken) == 1)
        assert (await client.ask(get())).status == 200
        await until(lambda: "1 idle" in repr(r.pool()))
        shutil.copyfile(tmp_path / "stranger.pem", ca)  # trust is withdrawn: idle ones go too
        await until(lambda: "0 open" in repr(r.pool()))
        assert (await client.ask(get())).status == 502
        r.server.network.rotation.close()


async def test_certificate_files_that_cannot_be_read_are_a_failure_that_says_so() -> None:
    bench = Bench()
    fault = await bench.fault(bench.dial(9, "127.0.0.1", tls=Tls(ca="/no/ca.pem")))
    assert (fault.reason, str(fault)) == ("certificate", "/no/ca.pem: No such file or directory")
    bench.close()


async def test_answer_that_ends_with_the_connection_is_whole_only_after_a_goodbye(
    authority: Authority, shown: ssl.SSLContext
) -> None:
    """Whoever can cut the wire could shorten it otherwise."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"

    async def says_goodbye(turn: Turn) -> None:
        await turn.send(head)
        turn.close()

    async def is_cut(turn: Turn) -> None:
        await turn.send(head)
        await asyncio.sleep(0.02)
        fd = turn.line.writer.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(fd)) as wire:
            wire.shutdown(socket.SHUT_WR)  # FIN, as anybody on the way can forge it

    async with secure_rig(says_goodbye, shown, authority.trust()) as r:
        assert (await (await r.client()).ask(get())).body == b"abc"
        r.champion.script = is_cut
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await (await r.client()).ask(get())
        r.champion.script = answers(b"next")
        assert (await (await r.client()).ask(get())).body == b"next"


async def test_idle_connection_that_the_variant_ends_is_not_used_again(
    authority: Authority, shown: ssl.SSLContext
) -> None:
    async def closes_soon(turn: Turn) -> None:
        await echoes(turn)
        asyncio.get_running_loop().call_later(0.02, turn.close)

    async with secure_rig(closes_soon, shown, authority.trust()) as r:
        client = await r.client()
        for n in range(10):
            assert (await client.ask(post(b"%d" % n))).status == 200
            await asyncio.sleep(0.03 + 0.002 * n)


async def test_hostile_answers_over_tls_are_refused_as_elsewhere(
    authority: Authority, shown: ssl.SSLContext
) -> None:
    script = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
    async with secure_rig(script, shown, authority.trust()) as r:
        assert (await (await r.client()).ask(get())).status == 502
