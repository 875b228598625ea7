"""TLS on the listener: who gets in, who does not, and that an answer cut short looks so."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import time
from pathlib import Path

import pytest

from router import handshake, server
from router.certificate import CertificateError, ServerTls
from router.handshake import HANDSHAKE_S, reason_of
from router.server import LINGER_S, Server
from router.table import RoutingTable
from tests.router.kit import (
    Client,
    Turn,
    answers,
    get,
    hangs,
    post,
    post_head,
    rig,
    sends,
    until,
    waits,
)
from tests.router.pki import Authority

FAILURES = "understudy_tls_handshake_failures_total|reason="
BIG = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def shown(authority: Authority) -> ServerTls:
    return authority.server()


def trusting(authority: Authority, *pair: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.pem))
    context.set_alpn_protocols(["h2", "http/1.1"])
    if pair:
        context.load_cert_chain(*pair)
    return context


async def raw(port: int, sent: bytes = b"") -> Client:
    """A client that speaks no TLS."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    await client.send(sent)
    return client


async def test_requests_and_answers_pass_on_one_connection(
    authority: Authority, shown: ServerTls
) -> None:
    async with rig(tls=shown) as r:
        client = await r.client(trusting(authority))
        for n in range(3):
            assert (await client.ask(post(b"%d" % n))).body == b"/x %d" % n
        tls = client.writer.get_extra_info("ssl_object")
        assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        assert r.server.counter_values()["understudy_downstream_connections"] == 1
        expiry = "understudy_certificate_expiry_timestamp_seconds|certificate=listener"
        assert r.server.counter_values()[expiry] > time.time() + 86_400


async def test_large_bodies_pass_unchanged_both_ways(
    authority: Authority, shown: ServerTls
) -> None:
    async with rig(tls=shown) as r:
        client = await r.client(trusting(authority))
        answer = await client.ask(post(BIG))
        assert answer.body == b"/x " + BIG


async def test_request_that_comes_with_the_end_of_the_handshake_is_answered(
    authority: Authority, shown: ServerTls
) -> None:
    """Written before the client has read anything, it travels with its last handshake bytes."""

    def ask(port: int) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:

            def receive() -> None:
                received = plain.recv(65536)
                assert received, "the router closed the connection"
                incoming.write(received)

            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    receive()
            tls.write(get(b"/early", b"Connection: close"))
            plain.sendall(outgoing.read())  # Finished and the request in one segment
            got = b""
            while b"/early" not in got:
                receive()
                with contextlib.suppress(ssl.SSLWantReadError):
                    got += tls.read()
            return got

    async with rig(tls=shown) as r:
        for _ in range(5):
            assert b"200 OK" in await asyncio.to_thread(ask, r.port)


async def test_old_versions_are_refused(authority: Authority, shown: ServerTls) -> None:
    async with rig(tls=shown) as r:
        old = trusting(authority)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(OSError):
            await r.client(old)
        await until(lambda: r.events.get(FAILURES + "protocol"))


async def test_plain_http_is_closed_at_once_and_others_go_on(
    authority: Authority, shown: ServerTls
) -> None:
    async with rig(tls=shown) as r:
        good = await r.client(trusting(authority))
        began = time.monotonic()
        for sent in (get(), post(b"x" * 100_000), b"\x00" * 50, b"SSH-2.0-x\r\n"):
            client = await raw(r.port, sent)
            with contextlib.suppress(ConnectionError):
                assert b"HTTP/1.1 2" not in await client.ended()
            client.close()
        assert time.monotonic() - began < HANDSHAKE_S
        await until(lambda: r.events.get(FAILURES + "not_tls"))
        assert (await good.ask(get())).status == 200
        assert r.champion.heads[0].line.startswith(b"GET") and len(r.champion.heads) == 1


async def test_silent_clients_are_closed_at_the_deadline_and_hold_up_nobody(
    authority: Authority, shown: ServerTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7 before the first request: half a hello, or none."""
    monkeypatch.setattr(handshake, "HANDSHAKE_S", 1.0)
    monkeypatch.setattr(server, "HANDSHAKE_S", 1.0)
    async with rig(tls=shown) as r:
        began = time.monotonic()
        silent = [await raw(r.port, b"\x16\x03\x01" * (n % 2)) for n in range(20)]
        assert (await (await r.client(trusting(authority))).ask(get())).status == 200
        for client in silent:
            with contextlib.suppress(ConnectionError):
                assert await client.ended() == b""
            client.close()
        assert 0.9 < time.monotonic() - began < HANDSHAKE_S
        await until(lambda: r.events.get(FAILURES + "timeout") == 20)
        assert len(r.server._handshakes or ()) == 0


async def test_at_the_bound_the_longest_silent_client_makes_room(
    authority: Authority, shown: ServerTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "MAX_HANDSHAKES", 3)
    async with rig(tls=shown) as r:
        silent = [await raw(r.port) for _ in range(3)]
        await until(lambda: len(r.server._handshakes or ()) == 3)
        assert (await (await r.client(trusting(authority))).ask(get())).status == 200
        with contextlib.suppress(ConnectionError):
            assert await silent[0].ended() == b""
        assert r.events == {FAILURES + "overload": 1}
        assert len(r.server._handshakes or ()) == 2
        for client in silent:
            client.reset()
        await until(lambda: len(r.server._handshakes or ()) == 0)


async def test_further_connections_are_closed_at_once_when_no_one_is_silent(
    shown: ServerTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "MAX_HANDSHAKES", 3)
    async with rig(tls=shown) as r:
        begun = [await raw(r.port, b"\x16\x03\x01") for _ in range(3)]
        await until(lambda: len(r.server._handshakes or ()) == 3)
        await until(lambda: not r.server._handshakes.silent)  # type: ignore[union-attr]
        late = await raw(r.port)
        with contextlib.suppress(ConnectionError):
            assert await late.ended() == b""
        assert r.events == {FAILURES + "overload": 1}
        for client in (*begun, late):
            client.reset()
        await until(lambda: len(r.server._handshakes or ()) == 0)


async def test_clients_that_vanish_inside_the_handshake_leave_nothing(shown: ServerTls) -> None:
    async with rig(tls=shown) as r:
        for n in range(10):
            client = await raw(r.port, b"\x16\x03\x01\x02\x00"[:n])
            client.reset() if n % 2 else client.close()
        await until(lambda: sum(n for name, n in r.events.items() if FAILURES in name) == 10)
        assert len(r.server._handshakes or ()) == 0


async def test_client_certificates_are_asked_for_and_checked(
    authority: Authority, tmp_path: Path
) -> None:
    own, foreign = authority.issue("client"), Authority(tmp_path, "foreign").issue("client")
    async with rig(tls=authority.server("wanting", client_ca=True)) as r:
        assert (await (await r.client(trusting(authority, *own))).ask(get())).status == 200
        for pair in ((), foreign):
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await (await r.client(trusting(authority, *pair))).ask(get())
        await until(lambda: r.events.get(FAILURES + "certificate") == 2)
        assert len(r.champion.requests) == 1


async def test_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [authority.issue("before"), authority.issue("after")]

    def put(cert: str, key: str) -> None:
        shutil.copyfile(cert, tmp_path / "c")
        shutil.copyfile(key, tmp_path / "k")

    def name_of(client: Client) -> str:
        return str(client.writer.get_extra_info("peercert")["subject"][0][0][1])

    put(*pairs[0])
    async with rig(tls=ServerTls(str(tmp_path / "c"), str(tmp_path / "k"))) as r:
        r.server.network.rotation._poll_s = 0.02
        first = await r.client(trusting(authority))
        assert name_of(first) == "before"
        await asyncio.sleep(2.5)  # the period of before is over
        put(pairs[1][0], pairs[0][1])
        refused = "understudy_certificate_reloads_total|certificate=listener|result=refused"
        await until(lambda: r.events.get(refused))
        assert name_of(await r.client(trusting(authority))) == "before"
        put(*pairs[1])
        taken = refused.replace("refused", "taken")
        await until(lambda: r.events.get(taken))
        assert name_of(await r.client(trusting(authority))) == "after"
        assert (await first.ask(get())).status == 200


async def test_server_without_a_certificate_does_not_start(authority: Authority) -> None:
    tls = ServerTls(str(authority.pem), str(authority.folder / "no.key"))
    one = Server(asyncio.get_running_loop(), RoutingTable(version=1), 0, "/nowhere", None, tls)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(CertificateError, match="No such file"):
            await one.start(listener)
    one.network.close()


# How connections end.


async def test_answer_cut_short_is_an_error_to_the_client(
    authority: Authority, shown: ServerTls
) -> None:
    async def breaks_off(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        turn.reset()

    async with rig(breaks_off, tls=shown) as r:
        client = await r.client(trusting(authority))
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await client.ask(get())


async def test_answer_to_http_1_0_that_is_cut_short_does_not_end_cleanly(
    authority: Authority, shown: ServerTls
) -> None:
    """Only the connection's end tells this client that it has everything."""

    async def breaks_off(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(0.05)
        turn.reset()

    def ask(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            with trusting(authority).wrap_socket(
                plain, server_hostname="localhost", suppress_ragged_eofs=False
            ) as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                got = b""
                while piece := tls.recv(65536):
                    got += piece
                return got

    async with rig(breaks_off, tls=shown) as r:
        with pytest.raises(OSError):  # RST, or an end without the goodbye of TLS
            await asyncio.to_thread(ask, r.port)
        r.champion.script = sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc"
                                  b"\r\n0\r\n\r\n")  # fmt: skip
        assert (await asyncio.to_thread(ask, r.port)).endswith(b"abc")


async def test_last_answer_arrives_whole_and_the_connection_ends(
    authority: Authority, shown: ServerTls
) -> None:
    async with rig(answers(BIG), tls=shown) as r:
        for _ in range(3):
            client = await r.client(trusting(authority))
            answer = await client.ask(get(b"/x", b"Connection: close"))
            assert answer.body == BIG
            began = time.monotonic()
            assert await client.ended() == b""
            assert time.monotonic() - began < LINGER_S  # none of it: the request was whole
        await until(lambda: r.server.counter_values()["understudy_downstream_connections"] == 0)


async def test_refused_client_that_goes_on_sending_gets_its_answer(
    authority: Authority, shown: ServerTls
) -> None:
    """RFC 9112 section 9.6, where there is no half-close."""
    async with rig(tls=shown, body_limit_bytes=1000) as r:
        for _ in range(5):
            client = await r.client(trusting(authority))
            client.writer.write(post_head(5_000_000))
            for _ in range(20):
                client.writer.write(bytes(10_000))
                await asyncio.sleep(0.001)
            assert (await client.answer()).status == 413
            client.close()


async def test_refused_client_that_never_closes_is_closed_after_the_farewell(
    authority: Authority, shown: ServerTls
) -> None:
    async with rig(tls=shown, deadlines={"linger": 0.1}) as r:
        client = await r.client(trusting(authority))
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        with contextlib.suppress(OSError):
            assert await client.ended() == b""
        await until(lambda: r.server.counter_values()["understudy_downstream_connections"] == 0)


async def test_client_that_says_goodbye_ends_its_requests(
    authority: Authority, shown: ServerTls
) -> None:
    """There is no half-close in TLS here: who says goodbye is not waited for."""
    async with rig(hangs, tls=shown) as r:
        client = await r.client(trusting(authority))
        await client.send(get())
        await until(lambda: r.champion.requests)
        client.close()
        await until(lambda: "[0 open" in repr(r.pool()))
        await until(lambda: r.server.counter_values()["understudy_downstream_connections"] == 0)


async def test_client_that_reads_slowly_pauses_the_variant_and_gets_everything(
    authority: Authority, shown: ServerTls
) -> None:
    pieces = 0

    async def pours(turn: Turn) -> None:
        nonlocal pieces
        await turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n")
        for _ in range(600):
            await turn.send(bytes(100_000))
            pieces += 1

    async with rig(pours, tls=shown) as r:
        client = await r.client(trusting(authority))
        await client.send(get())
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await asyncio.sleep(0.3)
        assert pieces < 400  # four socket buffers of 4 to 6 MB; the rest waits at the model
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await client.answer()).body) == 60_000_000


async def test_stop_finishes_requests_under_way_and_handshakes(
    authority: Authority, shown: ServerTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LAST_HANDSHAKE_S", 0.2)
    async with rig(waits(0.3, answers(b"late")), tls=shown) as r:
        client = await r.client(trusting(authority))
        await client.send(get())
        silent, begun = await raw(r.port), await raw(r.port, b"\x16\x03\x01")
        await until(lambda: len(r.server._handshakes or ()) == 2 and r.champion.requests)
        await r.server.stop(2.0)
        answer = await client.answer()
        assert (answer.body, answer.fields[b"connection"]) == (b"late", b"close")
        assert len(r.server._handshakes or ()) == 0
        silent.close()
        begun.close()


def test_reasons_are_fixed_words() -> None:
    refused = ssl.SSLError(1, "x")
    assert reason_of(refused) == "protocol"
    assert reason_of(ConnectionResetError()) == "closed"
    assert reason_of(ConnectionAbortedError()) == reason_of(TimeoutError()) == "timeout"
