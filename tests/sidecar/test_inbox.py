"""The inbox: bounded in count and bytes, emptied in one go, in order."""

import asyncio

import pytest

from router.tasks import spawn
from sidecar.inbox import Inbox


def make(max_count: int = 3, max_bytes: int = 100) -> Inbox[str]:
    return Inbox(asyncio.Event(), max_count=max_count, max_bytes=max_bytes)


def items(inbox: Inbox[str]) -> list[str]:
    return [entry.item for entry in inbox.take()]


async def test_everything_that_waits_is_taken_at_once_in_order() -> None:
    inbox = make()
    for word in "abc":
        assert inbox.offer(word, count=1, size_bytes=1)
    assert items(inbox) == ["a", "b", "c"]
    assert items(inbox) == []


async def test_arrival_wakes_the_taker() -> None:
    arrived = asyncio.Event()
    inbox = Inbox[str](arrived, max_count=1, max_bytes=1)
    assert inbox.offer("a", count=1, size_bytes=1)
    assert arrived.is_set()
    arrived.clear()
    assert not inbox.offer("b", count=1, size_bytes=1)
    assert not arrived.is_set()


async def test_neither_bound_is_passed() -> None:
    inbox = make(max_count=3, max_bytes=100)
    assert inbox.offer("a", count=2, size_bytes=1)
    assert not inbox.offer("b", count=2, size_bytes=1)
    assert inbox.offer("c", count=1, size_bytes=99)
    assert not inbox.offer("d", count=0, size_bytes=1)


async def test_what_is_under_way_still_fills_the_queue() -> None:
    inbox = make(max_count=1)
    assert inbox.offer("a", count=1, size_bytes=1)
    taken = inbox.take()
    assert not inbox.offer("b", count=1, size_bytes=1)
    inbox.free(taken)
    assert inbox.offer("b", count=1, size_bytes=1)


async def test_empty_queue_takes_one_thing_of_any_size() -> None:
    """Otherwise a thing larger than the bound would wait for ever."""
    inbox = make(max_count=1, max_bytes=10)
    assert inbox.offer("giant", count=50, size_bytes=5000)
    assert not inbox.offer("small", count=1, size_bytes=1)


async def test_giver_waits_for_room() -> None:
    inbox = make(max_count=1)
    await inbox.put("a", count=1, size_bytes=1)
    second = spawn(inbox.put("b", count=1, size_bytes=1), name="second giver")
    await asyncio.sleep(0)
    assert not second.done()
    inbox.free(inbox.take())
    await asyncio.wait_for(second, 1)
    assert items(inbox) == ["b"]


async def test_many_waiting_givers_all_get_their_turn() -> None:
    inbox = make(max_count=2)
    givers = [spawn(inbox.put(str(k), count=1, size_bytes=1), name=str(k)) for k in range(20)]
    seen: list[str] = []
    while len(seen) < 20:
        await asyncio.sleep(0)
        taken = inbox.take()
        assert inbox.count <= 2
        seen += [entry.item for entry in taken]
        inbox.free(taken)
    await asyncio.gather(*givers)
    assert sorted(seen, key=int) == [str(k) for k in range(20)]


async def test_what_could_not_be_dealt_with_comes_first_again() -> None:
    inbox = make()
    assert inbox.offer("a", count=1, size_bytes=1)
    taken = inbox.take()
    assert inbox.offer("b", count=1, size_bytes=1)
    inbox.put_back(taken)
    assert inbox.count == 2
    assert items(inbox) == ["a", "b"]


@pytest.mark.parametrize(
    ("most", "taken"), [(None, 4), (0, 1), (1, 1), (4, 1), (5, 2), (9, 3), (10, 4), (99, 4)]
)
def test_a_taker_may_ask_for_less_and_is_told_that_there_is_more(
    most: int | None, taken: int
) -> None:
    arrived = asyncio.Event()
    inbox: Inbox[int] = Inbox(arrived, max_count=100, max_bytes=100)
    for number, count in enumerate((3, 2, 4, 1)):
        assert inbox.offer(number, count=count, size_bytes=1)
    arrived.clear()
    assert [entry.item for entry in inbox.take(most)] == list(range(taken))
    assert arrived.is_set() is (taken < 4)
    assert [entry.item for entry in inbox.take()] == list(range(taken, 4))
    assert inbox.take(5) == []
