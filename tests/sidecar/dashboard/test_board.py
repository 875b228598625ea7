"""What the dashboard asks for, over a real socket."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from controller import audit, store
from controller.audit import Entry
from controller.opening import open_database
from sidecar.dashboard import feed, page, stream
from tests.sidecar.admin_bench import AdminBench
from tests.sidecar.double import ROUTE, STATUS


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[AdminBench]:
    one = AdminBench(tmp_path)
    await one.start()
    await one.recorder.turn()
    yield one
    await one.close()


async def events(response: ClientResponse, n: int) -> list[tuple[str, Any]]:
    """Read ``n`` events, and let comments pass."""
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(20):
        while len(found) < n:
            name = (await response.content.readline()).decode().strip()
            if not name.startswith("event: "):
                continue
            data = (await response.content.readline()).decode()
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_the_page_and_its_files_come_with_their_policy(bench: AdminBench) -> None:
    for path in ("/", *(f"/dashboard/{name}" for name in page.load())):
        response = await bench.get(path)
        assert response.status == 200
        assert response.headers["Content-Security-Policy"] == page.POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-cache"
        again = await bench.get(path, **{"If-None-Match": response.headers["ETag"]})
        assert again.status == 304 and again.headers["Content-Security-Policy"] == page.POLICY


async def test_files_are_compressed_for_whoever_can_read_that(bench: AdminBench) -> None:
    name = "uPlot.iife.min.js"
    session = bench.client.session
    url = bench.client.make_url(f"/dashboard/{name}")
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        plain = await response.read()
    async with session.get(url, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert int(response.headers["Content-Length"]) < len(plain) / 2
        assert await response.read() == plain
    assert gzip.decompress(page.load()[name].zipped) == plain


@pytest.mark.parametrize(
    "path",
    ["/dashboard/..%2Fpage.py", "/dashboard/page.py", "/dashboard/", "/dashboard/../board.py"],
)
async def test_nothing_else_is_served(bench: AdminBench, path: str) -> None:
    assert (await bench.get(path)).status == 404


async def test_routes_are_a_line_each(bench: AdminBench) -> None:
    content = await (await bench.get("/v1/routes")).json()
    assert [row["name"] for row in content["routes"]] == ["digits"]
    assert content["overview"]["table_version"] == 17


async def test_view_holds_all_that_is_shown_of_a_route(bench: AdminBench) -> None:
    content = await (await bench.get("/v1/routes/digits/view")).json()
    assert content["route"]["phase"] == "canary" and "variants" in content["traffic"]
    assert content["disagreements"]["show"] == "nothing"
    assert (await bench.get("/v1/routes/nobody/view")).status == 404


async def test_history_is_columns_and_an_unknown_span_is_refused(bench: AdminBench) -> None:
    content = await (await bench.get("/v1/routes/digits/history")).json()
    assert content["span"] == "1h" and content["checks"]["accuracy"]["effect"] == [0.05]
    assert content["at"] == [pytest.approx(time.time(), abs=60)]
    assert (await bench.get("/v1/routes/digits/history?span=1y")).status == 400
    content = await (await bench.get("/v1/routes/nobody/history?span=7d")).json()
    assert content["at"] == []


async def test_timeline_is_read_beside_the_engine(bench: AdminBench, tmp_path: Path) -> None:
    connection = open_database(tmp_path / "understudy.db")
    with store.transaction(connection):
        for number in range(3):
            entry = Entry(
                at_ns=number, who="ada", route="digits", action="hold", because=str(number),
                config_digest="d",
            )  # fmt: skip
            audit.append(connection, entry)
    connection.close()
    bench.double.hang.clear()
    content = await (await bench.get("/v1/routes/digits/timeline?limit=2")).json()
    assert [record["because"] for record in content["records"]] == ["2", "1"]
    content = await (await bench.get("/v1/routes/digits/timeline?before=2")).json()
    assert [record["because"] for record in content["records"]] == ["0"]
    assert (await bench.get("/v1/routes/digits/timeline?limit=1000")).status == 400


async def test_stream_tells_everything_first_and_then_what_changed(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PERIOD_S", 0.02)
    response = await bench.get("/v1/events/stream?route=digits")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    found = await events(response, 3)
    assert [name for name, _ in found] == ["overview", "routes", "route"]
    assert found[2][1]["route"]["name"] == "digits"
    changed = ROUTE | {"phase": "watch"}
    monkeypatch.setitem(STATUS, "routes", [changed])
    later = [event for event in await events(response, 20) if event[0] != "overview"]
    assert later[0][0] == "routes" and later[0][1]["rows"][0]["phase"] == "watch"
    assert later[1][0] == "route" and later[1][1]["route"]["phase"] == "watch"
    response.close()


async def test_stream_beats_while_nothing_can_be_read(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT_S", 0.02)
    monkeypatch.setattr(feed, "PERIOD_S", 100.0)
    response = await bench.get("/v1/events/stream")
    await events(response, 2)
    async with asyncio.timeout(20):
        while await response.content.readline() != b": beat\n":
            pass
    response.close()


async def test_more_streams_than_may_be_are_told_to_ask_instead(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_WATCHERS", 1)
    first = await bench.get("/v1/events/stream")
    second = await bench.get("/v1/events/stream")
    assert second.status == 503 and "/v1/routes" in (await second.json())["remedy"]
    first.close()


async def test_stopping_ends_the_streams_at_once(tmp_path: Path) -> None:
    """A stream that never ends must not hold up the process."""
    one = AdminBench(tmp_path)
    await one.start()
    response = await one.get("/v1/events/stream")
    await events(response, 1)
    async with asyncio.timeout(20):
        await one.client.server.close()
        assert await response.content.read() is not None
    await one.close()


async def test_a_foreign_host_gets_neither_page_nor_stream(bench: AdminBench) -> None:
    for path in ("/", "/dashboard/main.js", "/v1/events/stream", "/v1/routes"):
        assert (await bench.get(path, Host="evil.example")).status == 421
