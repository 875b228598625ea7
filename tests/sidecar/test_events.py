"""Events on their way: each record once or more, in order, whatever the receiver does."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from controller import audit, outbox
from controller.opening import open_database
from controller.store import StoreError, transaction
from router.tasks import spawn
from sidecar.events import Events
from sidecar.eventspec import EventSpec
from tests.controller.test_audit import ENTRY
from tests.sidecar.hook import Got, Hook

T = TypeVar("T")
SECRET = "0123456789abcdef01234567"


class Post:
    """A store, and the events of it; ``close`` is a stop of the process."""

    def __init__(self, folder: Path, *specs: EventSpec) -> None:
        self.database = folder / "understudy.db"
        self.connection = open_database(self.database)
        self.is_full = False
        self.clock_s = 0.0
        self.events = Events(
            specs, self.database, self.write, clock_s=lambda: self.clock_s, first_wait_s=0.01
        )
        self.task = spawn(self.events.run(), name="events")

    async def write(self, act: Callable[[sqlite3.Connection], T]) -> T:
        if self.is_full:
            raise StoreError("the disk is full")
        return act(self.connection)

    def record(self, *actions: str) -> None:
        with transaction(self.connection):
            for action in actions:
                head = audit.append(self.connection, replace(ENTRY, action=action))
        self.events.tell(head.sequence)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.005)

    async def joined(self) -> None:
        """Wait until every destination has its place: it is told of what comes next."""
        query = "SELECT count(*) FROM outbox"
        n = len(self.events.couriers)
        await self.until(lambda: self.connection.execute(query).fetchone() == (n,))
        await asyncio.sleep(0)

    async def settled(self) -> None:
        """Wait until nothing waits, and that is written."""
        (end,) = self.connection.execute("SELECT max(sequence) FROM audit").fetchone()
        query = "SELECT min(sequence) FROM outbox"
        await self.until(lambda: self.connection.execute(query).fetchone() == (end,))

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
        self.connection.close()


def spec_for(hook: Hook, **more: object) -> EventSpec:
    return EventSpec(name="ops", url=hook.url, secret_env="HOOK_SECRET", **more)  # type: ignore[arg-type] # as the test says


@asynccontextmanager
async def post_to(hook: Hook, folder: Path, **more: object) -> AsyncIterator[Post]:
    post = Post(folder, spec_for(hook, **more))
    await post.joined()
    try:
        yield post
    finally:
        await post.close()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def actions(got: list[Got]) -> list[str]:
    return [json.loads(one.body)["type"].removeprefix("understudy.") for one in got]


async def test_every_record_is_told_of_once_and_in_order(tmp_path: Path) -> None:
    async with Hook() as hook, post_to(hook, tmp_path) as post:
        post.record("start", "advance")
        post.record("promote")
        await post.settled()
        assert actions(hook.got) == ["start", "advance", "promote"]
        ids = [one.headers["webhook-id"] for one in hook.got]
        assert len(set(ids)) == 3 and all(one.headers["webhook-signature"] for one in hook.got)
        assert post.events.told() == [
            {"name": "ops", "waiting": 0, "sent": 3, "failed": 0, "dropped": 0, "error": None}
        ]


async def test_what_is_not_taken_is_sent_again_with_the_same_id_and_body(tmp_path: Path) -> None:
    async with Hook([500, 429, 404]) as hook, post_to(hook, tmp_path) as post:
        post.record("start", "promote")
        await post.settled()
        assert actions(hook.got) == ["start"] * 4 + ["promote"]
        assert len({(one.headers["webhook-id"], one.body) for one in hook.got[:4]}) == 1
        (told,) = post.events.told()
        assert (told["sent"], told["failed"], told["error"]) == (2, 3, None)


async def test_a_redirect_is_a_refusal_and_is_not_followed(tmp_path: Path) -> None:
    async with Hook([307]) as hook, post_to(hook, tmp_path) as post:
        post.record("start")
        await post.settled()
        assert len(hook.got) == 2 and not hook.strayed


async def test_only_what_is_asked_for_is_sent(tmp_path: Path) -> None:
    async with Hook() as hook, post_to(hook, tmp_path, types=("rollback",)) as post:
        post.record("start", "advance", "rollback", "hold")
        await post.settled()
        assert actions(hook.got) == ["rollback"]


async def test_what_happened_while_nobody_ran_is_told_after_the_next_start(tmp_path: Path) -> None:
    async with Hook() as hook:
        async with post_to(hook, tmp_path) as post:
            post.record("start")
            await post.settled()
        connection = open_database(tmp_path / "understudy.db")
        with transaction(connection):
            audit.append(connection, replace(ENTRY, action="rollback"))
        connection.close()
        async with post_to(hook, tmp_path) as post:
            post.events.tell(2)
            await post.settled()
        assert actions(hook.got) == ["start", "rollback"], "and nothing of before is told again"


async def test_a_stop_in_the_middle_of_trying_loses_nothing(tmp_path: Path) -> None:
    async with Hook([500] * 3) as hook:
        async with post_to(hook, tmp_path) as post:
            post.record("start", "promote")
            await hook.count(1)
        hook.statuses.clear()
        async with post_to(hook, tmp_path) as post:
            post.events.tell(2)
            await post.settled()
        assert actions(hook.got)[-2:] == ["start", "promote"]


async def test_an_event_is_given_up_when_it_is_too_old_and_the_next_ones_are_sent(
    tmp_path: Path,
) -> None:
    hook = Hook([500] * 100_000)
    async with hook, post_to(hook, tmp_path, retry_for_s=60.0) as post:
        post.record("start")
        await hook.count(2)
        post.clock_s = 61.0
        await post.settled()
        hook.statuses.clear()
        post.record("promote")
        await post.settled()
        assert set(actions(hook.got[:-1])) == {"start"} and actions(hook.got)[-1] == "promote"
        assert post.events.told()[0]["dropped"] == 1 and post.events.told()[0]["sent"] == 1
        assert outbox.join(post.connection, "ops") == outbox.Place(2, 1)


async def test_too_many_that_wait_cost_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(place: outbox.Place, head: int, *, max_waiting: int = 2) -> outbox.Place:
        return bounded(place, head, max_waiting=max_waiting)

    bounded = outbox.bounded
    monkeypatch.setattr(outbox, "bounded", few)
    async with Hook() as hook, post_to(hook, tmp_path) as post:
        post.record("start", "advance", "advance", "promote", "finish")
        await post.settled()
        assert actions(hook.got) == ["promote", "finish"]
        assert post.events.told()[0]["dropped"] == 3


async def test_a_full_disk_costs_a_second_telling_and_no_event(tmp_path: Path) -> None:
    async with Hook() as hook:
        async with post_to(hook, tmp_path) as post:
            post.record("start")
            await post.settled()
            post.is_full = True
            post.record("promote")
            await hook.count(2)
            await post.until(lambda: post.events.told()[0]["waiting"] == 0)
        async with post_to(hook, tmp_path) as post:
            post.events.tell(2)
            await post.settled()
        assert actions(hook.got) == ["start", "promote", "promote"]
        assert hook.got[1].headers["webhook-id"] == hook.got[2].headers["webhook-id"]


async def test_one_that_takes_nothing_does_not_keep_the_other_waiting(tmp_path: Path) -> None:
    async with Hook() as hook:
        gone = EventSpec(name="gone", url="http://127.0.0.1:9/", secret_env="HOOK_SECRET")
        post = Post(tmp_path, gone, spec_for(hook))
        await post.joined()
        post.record("start")
        await hook.count(1)
        await post.until(lambda: post.events.told()[0]["error"])
        first, _ = post.events.told()
        assert first["waiting"] == 1 and "Connection refused" in first["error"]
        await post.until(lambda: post.events.told()[1]["waiting"] == 0)
        assert post.events.told()[1]["sent"] == 1
        await post.close()


async def test_without_its_secret_nothing_is_sent_and_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    async with Hook() as hook, post_to(hook, tmp_path) as post:
        post.record("start")
        await post.until(lambda: post.events.told()[0]["error"])
        assert "HOOK_SECRET" in post.events.told()[0]["error"] and hook.got == []
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        await post.settled()
        assert actions(hook.got) == ["start"]


async def test_a_destination_that_is_no_longer_declared_is_forgotten(tmp_path: Path) -> None:
    async with Hook() as hook, post_to(hook, tmp_path):
        pass
    post = Post(tmp_path)
    await asyncio.wait({post.task}, timeout=20)
    assert post.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    await post.close()
