"""The conversation of a sidecar and its successor, and what a death at each step of it does."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar import handover as module
from sidecar.handover import Former, HandOver, HandOverError, Ports, ask


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[HandOver]:
    """A former sidecar with two sockets to listen and one for the admin port."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = Ports(("127.0.0.1", 8080), ("127.0.0.1", 8081), sockets[:2], sockets[2:])
    hand_over = HandOver(tmp_path / "handover.sock", ports)
    hand_over.start()
    yield hand_over
    hand_over.close()
    ports.close()


async def asked(hand_over: HandOver) -> Former:
    """Ask as a successor does; it blocks, so beside the loop."""
    former = await asyncio.to_thread(ask, hand_over._path)
    assert former is not None
    return former


async def is_set(event: asyncio.Event) -> bool:
    await asyncio.wait_for(event.wait(), 5)
    return True


def end(former: Former) -> None:
    former.close()
    former.ports.close()


async def test_sockets_are_the_same_sockets(one: HandOver) -> None:
    former = await asked(one)
    assert (former.ports.listen, former.ports.admin) == (one._ports.listen, one._ports.admin)
    for theirs, ours in zip(former.ports.listeners, one._ports.listeners, strict=True):
        assert theirs.getsockname() == ours.getsockname()
        with socket.create_connection(ours.getsockname()):
            theirs.settimeout(5)
            theirs.accept()[0].close()
    assert len(former.ports.admins) == 1
    assert not one.taken.is_set()
    end(former)


async def test_former_leaves_when_the_successor_is_ready_and_its_end_is_seen(
    one: HandOver,
) -> None:
    former = await asked(one)
    await former.let_go()
    assert await is_set(one.taken)
    waiting = asyncio.ensure_future(former.ended())  # noqa: TID251 - awaited below
    await asyncio.sleep(0.05)
    assert not waiting.done()
    one.close()
    await asyncio.wait_for(waiting, 5)
    end(former)


async def test_successor_that_ends_before_it_is_ready_is_forgotten(one: HandOver) -> None:
    end(await asked(one))
    former = await asked(one)  # the next one is attended to
    assert not one.taken.is_set() and not one.lost.is_set()
    end(former)


async def test_successor_that_ends_before_the_former_is_noticed(one: HandOver) -> None:
    former = await asked(one)
    await former.let_go()
    assert await is_set(one.taken)
    end(former)
    assert await is_set(one.lost)
    assert not one.taken.is_set()


async def test_former_that_is_gone_needs_not_be_told(one: HandOver) -> None:
    former = await asked(one)
    one.close()
    await asyncio.sleep(0.05)
    await former.let_go()
    await asyncio.wait_for(former.ended(), 5)
    end(former)


async def test_stranger_who_says_something_else_gets_nothing(one: HandOver) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.setblocking(False)
        stranger.connect(str(one._path))
        stranger.send(b"take 2")
        assert await asyncio.get_running_loop().sock_recv(stranger, 100) == b""


async def test_socket_is_for_its_owner_alone(one: HandOver) -> None:
    assert one._path.stat().st_mode & 0o077 == 0


def test_nobody_to_ask_is_no_error(tmp_path: Path) -> None:
    assert ask(tmp_path / "handover.sock") is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gone:
        gone.bind(str(tmp_path / "handover.sock"))  # what a killed one leaves behind
    assert ask(tmp_path / "handover.sock") is None


def test_former_that_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as hanging:
        hanging.bind(str(tmp_path / "handover.sock"))
        hanging.listen(1)
        with pytest.raises(HandOverError, match="does not hand over"):
            ask(tmp_path / "handover.sock")


@pytest.mark.parametrize("said", [b"", b"no", b"{}", b'{"n": 0}', b'{"n": 9}', b'{"n": 1}'])
def test_offer_that_makes_no_sense_is_an_error_and_leaves_no_descriptor(said: bytes) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sockets = [socket.socket() for _ in range(2)]
    with pytest.raises((ValueError, KeyError, TypeError)):
        module._ports(said, sockets)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_folder_that_takes_no_socket_does_not_stop_the_start(tmp_path: Path) -> None:
    hand_over = HandOver(tmp_path / "absent" / "handover.sock", Ports(("", 0), ("", 0), [], []))
    hand_over.start()
    hand_over.close()
