"""The desk: bounded waits, and an older answer where there is one. See also test_api."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller import audit, store
from controller.audit import Entry
from controller.opening import open_database
from controller.store import StoreError
from evaluator.join import Label
from sidecar import desk as module
from sidecar.desk import Busy
from tests.sidecar.admin_bench import AdminBench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[AdminBench]:
    one = AdminBench(tmp_path)
    await one.start()
    yield one
    await one.close()


async def test_status_is_fresh_while_the_engine_answers(bench: AdminBench) -> None:
    status = await bench.desk.status()
    assert status["table_version"] == 17 and "stale_s" not in status


async def test_status_says_how_far_the_gate_of_a_route_has_come(bench: AdminBench) -> None:
    [route, *_] = (await bench.desk.status())["routes"]
    assert route["gate_progress"] is None
    bench.gate_progress[route["name"]] = {"rows_done": 3, "rows": 10}
    [route, *_] = (await bench.desk.status())["routes"]
    assert route["gate_progress"] == {"rows_done": 3, "rows": 10}


async def test_status_before_the_engine_has_started_is_what_the_process_knows(
    tmp_path: Path,
) -> None:
    bench = AdminBench(tmp_path)
    status = await bench.desk.status()
    assert status["routers"] == [] and "routes" not in status
    with pytest.raises(Busy, match="starting"):
        await bench.desk.decisions(None, 1)
    await bench.client.close()
    await bench.engine.close()


async def test_label_that_waits_too_long_is_busy_and_not_acknowledged(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LABEL_S", 0.05)
    bench.double.hang.clear()
    with pytest.raises(Busy):
        await bench.desk.label([Label("a", "1")], 10)


async def test_no_labels_ask_nothing_of_the_engine(bench: AdminBench) -> None:
    bench.double.hang.clear()
    assert await asyncio.wait_for(bench.desk.label([], 2), 1) == ()


async def test_verification_does_not_wait_for_the_engine(bench: AdminBench, tmp_path: Path) -> None:
    connection = open_database(tmp_path / "understudy.db")
    with store.transaction(connection):
        entry = Entry(at_ns=1, who="ada", route="r", action="hold", because="x", config_digest="d")
        head = audit.append(connection, entry)
    connection.close()
    bench.double.hang.clear()
    found = await asyncio.wait_for(bench.desk.verify(), 5)
    assert found.verified and found.records == 1 and found.head == head
    assert await bench.desk.head() == head


async def test_unreadable_store_is_an_error_of_its_own(bench: AdminBench, tmp_path: Path) -> None:
    (tmp_path / "understudy.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="could not be read"):
        await bench.desk.verify()


async def test_metrics_count_each_move_once_over_many_scrapes(bench: AdminBench) -> None:
    bench.double.records = [
        {"sequence": k, "route": "digits", "action": "advance"} for k in range(1, 2500)
    ]
    for _ in range(3):
        text = (await bench.desk.metrics()).decode()
        line = 'understudy_decisions_total{action="advance",route="digits"} 2499.0'
        assert line in text


async def test_the_audit_is_walked_by_itself_and_metrics_say_how_it_went(
    bench: AdminBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_database(tmp_path / "understudy.db")
    with store.transaction(connection):
        entry = Entry(at_ns=1, who="ada", route="r", action="hold", because="x", config_digest="d")
        audit.append(connection, entry)
    assert b"understudy_audit_verified " not in await bench.desk.metrics()
    monkeypatch.setattr(module, "VERIFY_EVERY_S", 0.01)
    task = asyncio.get_running_loop().create_task(bench.desk.keep_verifying())
    try:
        await _until_metrics(bench, b"understudy_audit_verified 1.0")
        with store.transaction(connection):
            connection.execute("INSERT INTO audit VALUES (7, '{}', 'x')")
        await _until_metrics(bench, b"understudy_audit_verified 0.0")
    finally:
        task.cancel()
        connection.close()


async def _until_metrics(bench: AdminBench, line: bytes) -> None:
    async with asyncio.timeout(30):
        while line not in await bench.desk.metrics():
            await asyncio.sleep(0.01)


async def test_metrics_know_the_disk(bench: AdminBench) -> None:
    text = (await bench.desk.metrics()).decode()
    free, size = (
        float(text.split(f"\nunderstudy_disk_{word}_bytes ")[1].split("\n")[0])
        for word in ("free", "size")
    )
    assert 0 <= free <= size


async def test_a_walk_that_nobody_waits_for_ends_soon(
    bench: AdminBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a sidecar with a long audit could not stop."""
    open_database(tmp_path / "understudy.db").close()
    started, ended = threading.Event(), threading.Event()
    endless = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n) SELECT k FROM n"

    def walk(connection: sqlite3.Connection, noted: object) -> None:
        try:
            for _ in connection.execute(endless):
                started.set()
        finally:
            ended.set()

    monkeypatch.setattr(audit, "verify", walk)
    task = asyncio.get_running_loop().create_task(bench.desk.verify())
    assert await asyncio.to_thread(started.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 30)
