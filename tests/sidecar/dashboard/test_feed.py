"""One reading for all who watch, and none for nobody."""

import asyncio
from typing import Any

import pytest

from sidecar.dashboard import feed as module
from sidecar.dashboard.feed import Crowded, Feed

LONG_S = 20.0


class Source:
    """A status that counts how often it was read."""

    def __init__(self) -> None:
        self.n = 0
        self.error: Exception | None = None

    async def read(self) -> dict[str, Any]:
        self.n += 1
        if self.error is not None:
            raise self.error
        return {"n": self.n}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD_S", 0.01)


async def test_nobody_watches_and_nothing_is_read() -> None:
    source = Source()
    Feed(source.read)
    await asyncio.sleep(0.05)
    assert source.n == 0


async def test_all_who_watch_see_the_same_readings_each_newer_than_the_last() -> None:
    source = Source()
    feed = Feed(source.read)

    async def watch() -> list[int]:
        numbers, last = [], 0
        async with feed.watching():
            while len(numbers) < 3:
                reading = await feed.newer(last, LONG_S)
                assert reading is not None and reading.status == {"n": reading.number}
                numbers.append(last := reading.number)
        return numbers

    found = await asyncio.gather(*(watch() for _ in range(5)))
    assert all(numbers == sorted(set(numbers)) for numbers in found)
    assert source.n <= max(numbers[-1] for numbers in found) + 1


async def test_reading_ends_with_the_last_watcher_and_begins_fresh() -> None:
    source = Source()
    feed = Feed(source.read)
    async with feed.watching():
        assert await feed.newer(0, LONG_S) is not None
    n = source.n
    await asyncio.sleep(0.05)
    assert source.n == n
    async with feed.watching():
        reading = await feed.newer(0, LONG_S)
        assert reading is not None and reading.status["n"] > n


async def test_more_than_may_watch_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WATCHERS", 1)
    feed = Feed(Source().read)
    async with feed.watching():
        with pytest.raises(Crowded):
            async with feed.watching():
                pass
    async with feed.watching():
        pass


async def test_a_reading_that_fails_is_tried_again() -> None:
    source = Source()
    source.error = OSError("no")
    feed = Feed(source.read)
    async with feed.watching():
        assert await feed.newer(0, 0.1) is None
        source.error = None
        assert await feed.newer(0, LONG_S) is not None


async def test_closing_lets_every_watcher_go_at_once() -> None:
    feed = Feed(Source().read)

    async def watch() -> None:
        async with feed.watching():
            while not feed.is_closed:
                await feed.newer(10**9, LONG_S)

    async with asyncio.timeout(10):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(watch())
            await asyncio.sleep(0.02)
            feed.close()
            feed.close()


async def test_a_slow_reading_is_followed_by_a_longer_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A status of a thousand routes must not take the engine's time from the evidence."""
    monkeypatch.setattr(module, "SHARE", 0.001)
    source = Source()

    async def slow() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return await source.read()

    feed = Feed(slow)
    async with feed.watching():
        assert await feed.newer(0, LONG_S) is not None
        assert await feed.newer(1, 0.3) is None
