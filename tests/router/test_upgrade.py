"""Which requests may change the protocol, and what happens to the bytes behind them."""

import asyncio

import pytest

from router.upgrade import asked_of
from tests.router.kit import answers, get, hangs, play, rig, sends
from tests.router.strategies import head_of

DECLARED = frozenset({b"websocket"})
FIELDS = (b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket", b"X-Request-Id: r1")
ASKS = get(b"/x", *FIELDS)
ASKS_UP = (
    b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"x-request-id: r1\r\n\r\n"
)
SWITCH_UP = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 Go\r\nX-A: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"x-request-id: r1\r\n\r\n"
)
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
TUNNELS = "understudy_tunnels_total|route=r|result="


@pytest.mark.parametrize(
    ("method", "fields", "is_asked"),
    [
        ("GET", {"connection": "upgrade", "upgrade": "websocket"}, True),
        ("GET", {"connection": "close, UPGRADE", "upgrade": "WebSocket"}, True),
        ("GET", {"connection": "keep-alive", "upgrade": "websocket"}, False),
        ("GET", {"upgrade": "websocket"}, False),
        ("GET", {"connection": "upgrade", "upgrade": "h2c"}, False),
        ("GET", {"connection": "upgrade", "upgrade": "websocket, h2c"}, False),
        ("GET", {"connection": "upgrade"}, False),
        ("POST", {"connection": "upgrade", "upgrade": "websocket"}, False),
        ("GET", {"connection": "upgrade", "upgrade": "websocket", "content-length": "3"}, False),
        ("GET", {"connection": "upgrade", "upgrade": "websocket", "content-length": "0"}, True),
        ("GET", {"connection": "upgrade", "upgrade": "websocket", "expect": "100-continue"}, False),
    ],
)  # fmt: skip
def test_only_a_plain_get_for_a_declared_protocol_asks_for_it(
    method: str, fields: dict[str, str], is_asked: bool
) -> None:
    lines = (f"{name}: {value}" for name, value in fields.items())
    found = asked_of(head_of(method, "/x", *lines), DECLARED)
    assert found == (b"websocket" if is_asked else b"")


async def test_bytes_cross_both_ways_after_the_101() -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        await play(
            r,
            [
                (">>", ASKS), ("|>", ASKS_UP),
                ("<|", SWITCH_UP + b"first"), ("<<", SWITCH + b"first"),
                (">>", b"\x00\x01"), ("|>", b"\x00\x01"), ("<|", b"\x02"), ("<<", b"\x02"),
                (">>", SMUGGLED), ("|>", SMUGGLED), ("<|", b"last"), ("<<", b"last"),
                (">>", b""), ("|>", b""),
            ],
        )  # fmt: skip
        assert r.events == {f"{TUNNELS}opened": 1}


async def test_bytes_behind_the_head_wait_for_the_101() -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        await play(
            r,
            [
                (">>", ASKS + b"early"), ("|>", ASKS_UP), (">>", b", later"),
                ("<|", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
                ("<|", SWITCH_UP), ("|>", b"early, later"), ("<<", SWITCH),
            ],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", 200),
        (b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", 426),
        (b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n", 502),
        (b"HTTP/1.1 101 Go\r\n\r\n", 502),
        (b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n", 502),
        (b"garbage\r\n\r\n", 502),
    ],
)
async def test_after_any_other_answer_the_connection_closes_and_nothing_is_read_as_a_request(
    answer: bytes, status: int
) -> None:
    """CVE-2026-2833: the bytes behind an upgrade that was not granted must not be a request."""
    async with rig(sends(answer), upgrade=("websocket",)) as r:
        client = await r.client()
        await client.send(ASKS + SMUGGLED)
        got = await client.answer()
        assert (got.status, got.fields[b"connection"]) == (status, b"close")
        assert await client.ended() == b""
        assert [one.line for one in r.champion.heads] == [b"GET /x HTTP/1.1"]
        assert r.server.tunnels == set()
        refused = {f"{TUNNELS}refused": 1} if status != 502 else {}
        assert r.events == refused


async def test_what_comes_while_the_101_is_awaited_is_bounded_and_never_a_request() -> None:
    async with rig(hangs, upgrade=("websocket",), variants={"response_timeout_s": 0.5}) as r:
        client = await r.client()
        await client.send(ASKS)
        client.writer.write(SMUGGLED * 100_000)  # 3.5 MB, most of which must stay with the client
        assert (await client.answer()).status == 504
        assert len(r.champion.heads) == 1


async def test_route_that_declares_no_upgrade_drops_it() -> None:
    async with rig(answers(b"plain")) as r:
        client = await r.client()
        assert (await client.ask(ASKS)).body == b"plain"
        assert b"upgrade" not in r.champion.requests[0].fields
        assert (await client.ask(get())).body == b"plain"


@pytest.mark.parametrize("mode", ["split", "mirror"])
async def test_upgrade_is_the_champions_alone_and_no_evidence(mode: str) -> None:
    async with rig(sends(SWITCH_UP), mode=mode, upgrade=("websocket",)) as r:
        client = await r.client()
        await client.send(ASKS)
        assert (await client.head()).status == 101
        await asyncio.sleep(0.05)
        assert r.challenger.heads == []
        assert r.controller.observations == []
        dropped = "understudy_mirror_dropped_total|route=r|reason=not_mirrorable"
        assert r.events.get(dropped, 0) == (mode == "mirror")


async def test_champion_that_cannot_be_reached_is_a_502_as_ever() -> None:
    async with rig(upgrade=("websocket",)) as r:
        r.champion.close_listener()
        client = await r.client()
        await client.send(ASKS + SMUGGLED)
        assert (await client.answer()).status == 502
        assert await client.ended() == b""


async def test_upgrade_behind_another_request_takes_its_turn() -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        plain = get(b"/a", b"X-Request-Id: r0")
        plain_up = b"GET /a HTTP/1.1\r\nhost: a\r\nx-request-id: r0\r\n\r\n"
        await play(
            r,
            [
                (">>", plain + ASKS + b"held"), ("|>", plain_up),
                ("<|", b"HTTP/1.1 204 No\r\n\r\n"),
                ("<<", b"HTTP/1.1 204 No\r\nx-request-id: r0\r\n\r\n"),
                ("|>", ASKS_UP), ("<|", SWITCH_UP), ("<<", SWITCH), ("|>", b"held"),
            ],
        )  # fmt: skip
