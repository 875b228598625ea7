"""Which connections are freed of the pacer."""

import asyncio
import socket

import pytest

from router.loopback import is_loopback, unpace
from tests.router.kit import answers, get, rig


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("128.0.0.1", False),
        ("::2", False),
        ("fe80::1", False),
        (None, False),
    ],
)
def test_loopback_is_told_from_other_hosts(host: object, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


class Remote:
    """A transport to another machine, or to a Unix socket; it must not be touched."""

    def __init__(self, peer: object) -> None:
        self.peer = peer

    def get_extra_info(self, name: str) -> object:
        assert name == "peername", "its socket was asked for"
        return self.peer


@pytest.mark.parametrize("peer", [("10.1.2.3", 80), "", None, "/run/model.sock"])
def test_connection_that_leaves_the_machine_keeps_its_congestion_control(peer: object) -> None:
    unpace(Remote(peer))


class Refusing:
    """A loopback transport whose kernel lets nobody choose."""

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 80) if name == "peername" else self

    def setsockopt(self, *_: object) -> None:
        raise OSError("not permitted")


def test_kernel_that_refuses_is_no_error() -> None:
    unpace(Refusing())


def control_of(endpoint: socket.socket) -> bytes:
    raw: bytes = endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return raw.rstrip(b"\0")


async def test_both_sides_of_the_router_are_freed() -> None:
    """Seen from inside: the router's own ends are Reno, whatever the host's default is."""
    async with rig(answers(b"ok")) as r:
        client = await r.client()
        await client.ask(get())
        (downstream,) = r.server._connections
        (upstream,) = r.pool()._idle
        for end in (downstream._transport, upstream.transport):
            assert isinstance(end, asyncio.Transport) or end is not None
            assert control_of(end.get_extra_info("socket")) == b"reno"
