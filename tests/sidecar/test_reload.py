"""Reload: all or nothing, once for many requests, and the old file stays on any error."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from controller.adoption import IntentRefused
from controller.policy import Intent
from controller.store import StoreError
from router.tasks import spawn
from sidecar import reload as module
from sidecar.problem import ConfigError
from sidecar.reload import Reloader, refuse_half_written
from sidecar.routefile import Loaded, parse_routefile
from tests.sidecar.routing_texts import SHIPPED, meaning

TEXT = """routes:
  - name: digits
    match: {path: "/predict"}
    champion: {name: NAME, url: "http://127.0.0.1:9101"}
...
"""
UNMARKED = TEXT.removesuffix("...\n")
SECOND = """  - name: letters
    match: {path: "/letters"}
    champion: {name: letters-1, url: "http://127.0.0.1:9102"}
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

    def write(self, champion: str, text: str = TEXT) -> None:
        self.file.write_text(text.replace("NAME", champion))

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


async def test_file_that_is_being_written_is_read_when_it_rests(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.05)
    await desk.reloader.reload("start")
    watching = spawn(desk.reloader.watch(), name="watch")
    desk.write("digits-2")
    for _ in range(100):
        with desk.file.open("a") as file:
            file.write("# more to come\n")
        await asyncio.sleep(0.005)
    assert desk.adopted == ["digits-1"]
    await desk.becomes("digits-2")
    watching.cancel()


async def test_file_that_lost_its_end_mark_is_refused_until_it_has_one(desk: Desk) -> None:
    await desk.reloader.reload("start")
    desk.write("digits-2", UNMARKED)
    error = await desk.reloader.reload("SIGHUP")
    assert error is not None and error.startswith(f"{desk.file}:5:1: file: ")
    assert "cut short?" in error and "rename" in error and "restart" in error
    assert desk.adopted == ["digits-1"]
    desk.write("digits-2")
    assert await desk.reloader.reload("SIGHUP") is None
    assert desk.adopted == ["digits-1", "digits-2"]


async def test_beginning_of_the_file_in_force_is_refused_unless_it_is_marked(desk: Desk) -> None:
    desk.write("digits-1", UNMARKED + SECOND)
    await desk.reloader.reload("start")
    for end in ("", "\n\n"):
        desk.write("digits-1", UNMARKED + end)
        assert "half written?" in (await desk.reloader.reload("SIGHUP") or "")
    assert len(desk.adopted) == 1
    desk.write("digits-1")
    assert await desk.reloader.reload("SIGHUP") is None
    assert len(desk.adopted) == 2


async def test_beginning_of_a_refused_file_is_no_beginning_of_the_one_in_force(desk: Desk) -> None:
    desk.write("digits-1", UNMARKED)
    await desk.reloader.reload("start")
    desk.error = IntentRefused("not so")
    desk.write("digits-1", UNMARKED + SECOND)
    assert await desk.reloader.reload("SIGHUP") == "not so"
    desk.write("digits-1", UNMARKED)
    assert await desk.reloader.reload("SIGHUP") is None


@pytest.mark.parametrize("champion", ["digits-1", "digits-2"])
async def test_unmarked_file_is_replaced_by_any_whole_one(desk: Desk, champion: str) -> None:
    desk.write("digits-1", UNMARKED)
    await desk.reloader.reload("start")
    for text in (UNMARKED + SECOND, TEXT + "# more\n", TEXT):
        desk.write(champion, text)
        assert await desk.reloader.reload("SIGHUP") is None
    assert desk.adopted == ["digits-1"] + [champion] * 3


def is_refused(new: Loaded, in_force: Loaded) -> bool:
    try:
        refuse_half_written(new, in_force, Path("r.yaml"))
    except ConfigError:
        return True
    return False


UNFINISHED_COMMENT = re.compile(rb"(?:^|(?<=\s))#[^\n]*\Z")


def parsed_or_none(raw: bytes, path: Path) -> Loaded | None:
    try:
        return parse_routefile(raw, path)
    except ConfigError:
        return None


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_byte_prefix_is_refused_or_means_the_same(path: Path) -> None:
    """F26: truncated YAML is often valid YAML with keys missing."""
    raw = path.read_bytes()
    body = raw.removesuffix(b"...\n")
    marked, unmarked = parse_routefile(raw, path), parse_routefile(body, path)
    sound, over_marked, over_unmarked = [], [], []
    parsed: dict[bytes, Loaded | None] = {}
    for length in range(len(raw)):
        said = UNFINISHED_COMMENT.sub(b"", raw[:length])  # a byte more of a comment says no more
        if said not in parsed or length >= len(body) - 1:  # the end may be the whole file's
            parsed[said] = parsed_or_none(raw[:length], path)
        new = parsed[said]
        if new is None:
            continue
        sound.append(length)
        if not is_refused(new, marked):
            assert meaning(new) == meaning(marked)
            over_marked.append(length)
        if not is_refused(new, unmarked):
            assert meaning(new) == meaning(unmarked)
            over_unmarked.append(length)
    assert over_marked == [len(raw) - 1]  # only the last line's newline may be missing
    assert over_unmarked == [len(body) - 1, len(body), len(raw) - 1]
    assert len(sound) > len(over_unmarked)  # the others would have been taken for whole
