"""Reload: all or nothing, once for many requests, and the old file stays on any error."""

import asyncio
import os
from pathlib import Path

import pytest

from controller.adoption import IntentRefused
from controller.policy import Intent
from controller.store import StoreError
from router.tasks import spawn
from sidecar import reload as module
from sidecar.reload import Reloader

TEXT = """routes:
  - name: digits
    match: {path: "/predict"}
    champion: {name: NAME, url: "http://127.0.0.1:9101"}
...
"""


class Desk:
    """Adopts, slowly if told so, and remembers."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.write("digits-1")
        self.adopted: list[str] = []
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.reloader = Reloader(file, self._adopt)

    def write(self, champion: str) -> None:
        self.file.write_text(TEXT.replace("NAME", champion))

    async def _adopt(self, intent: Intent, who: str) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.adopted.append(intent.routes[0].champion.name)

    async def becomes(self, champion: str) -> None:
        async with asyncio.timeout(5):
            while self.adopted[-1:] != [champion]:
                await asyncio.sleep(0.01)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "routing.yaml")


async def test_changed_file_is_adopted(desk: Desk) -> None:
    assert await desk.reloader.reload("start") is None
    desk.write("digits-2")
    assert await desk.reloader.reload("SIGHUP") is None
    assert desk.adopted == ["digits-1", "digits-2"]
    assert desk.reloader.error is None and desk.reloader.adopted_at_s > 0


async def test_file_that_means_the_same_is_not_adopted_again(desk: Desk) -> None:
    await desk.reloader.reload("start")
    await desk.reloader.reload("SIGHUP")
    assert desk.adopted == ["digits-1"]


async def test_file_at_fault_keeps_the_old_one_and_says_why(desk: Desk) -> None:
    await desk.reloader.reload("start")
    desk.file.write_text("routes: [nonsense]\n...\n")
    error = await desk.reloader.reload("SIGHUP")
    assert error is not None and str(desk.file) in error and error == desk.reloader.error
    desk.file.unlink()
    assert await desk.reloader.reload("SIGHUP") is not None
    assert desk.adopted == ["digits-1"]
    desk.write("digits-1")
    assert await desk.reloader.reload("SIGHUP") is None


@pytest.mark.parametrize("error", [IntentRefused("not so"), StoreError("disk full")])
async def test_refused_intent_is_an_error_that_the_next_reload_tries_again(
    desk: Desk, error: Exception
) -> None:
    desk.error = error
    assert await desk.reloader.reload("start") == str(error)
    desk.error = None
    assert await desk.reloader.reload("POST") is None
    assert desk.adopted == ["digits-1"]


async def test_fault_of_ours_takes_nothing_away(desk: Desk) -> None:
    desk.error = ZeroDivisionError("ours")
    assert "ZeroDivisionError" in (await desk.reloader.reload("start") or "")


async def test_thousand_requests_become_one_more_reading(desk: Desk) -> None:
    desk.open.clear()
    first = spawn(desk.reloader.reload("SIGHUP"), name="first")
    await asyncio.sleep(0.1)
    desk.write("digits-2")
    rest = [spawn(desk.reloader.reload("SIGHUP"), name="again") for _ in range(1000)]
    await asyncio.sleep(0)
    desk.open.set()
    assert set(await asyncio.gather(first, *rest)) == {None}
    assert desk.adopted == ["digits-1", "digits-2"]


async def test_request_during_a_reading_sees_what_was_written_before_it(desk: Desk) -> None:
    """Its sender wrote the file first, perhaps after the reading under way had begun."""
    desk.open.clear()
    first = spawn(desk.reloader.reload("SIGHUP"), name="first")
    await asyncio.sleep(0.1)
    desk.write("digits-2")
    second = spawn(desk.reloader.reload("SIGHUP"), name="second")
    desk.open.set()
    await second
    assert first.done() and desk.adopted[-1] == "digits-2"


async def test_cancelled_request_does_not_stop_the_reading(desk: Desk) -> None:
    desk.open.clear()
    gone = spawn(desk.reloader.reload("POST"), name="gone")
    await asyncio.sleep(0.05)
    gone.cancel()
    desk.open.set()
    assert await desk.reloader.reload("POST") is None
    assert desk.adopted == ["digits-1"]


async def test_watch_sees_changes_in_place_and_behind_a_link(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted ConfigMap changes by pointing a link at another directory."""
    monkeypatch.setattr(module, "POLL_S", 0.01)
    await desk.reloader.reload("start")
    watching = spawn(desk.reloader.watch(), name="watch")

    desk.write("digits-2")
    await desk.becomes("digits-2")
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("NAME", "digits-3"))
    link = tmp_path / "link"
    link.symlink_to(other)
    link.rename(desk.file)
    await desk.becomes("digits-3")
    watching.cancel()


async def test_refused_file_is_not_tried_again_until_its_bytes_change(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    desk.error = IntentRefused("not so")
    await desk.reloader.reload("start")
    desk.error = None
    watching = spawn(desk.reloader.watch(), name="watch")
    os.utime(desk.file)
    await asyncio.sleep(0.15)
    assert desk.adopted == []
    desk.write("digits-2")
    await desk.becomes("digits-2")
    watching.cancel()


async def test_good_file_that_the_disk_refused_is_tried_again_by_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    desk.error = StoreError("disk full")
    await desk.reloader.reload("start")
    watching = spawn(desk.reloader.watch(), name="watch")
    desk.error = None
    await desk.becomes("digits-1")
    watching.cancel()
