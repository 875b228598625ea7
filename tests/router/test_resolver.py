"""Names are looked up in the background, and what was known stays known."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import resolver
from router.counters import Counters
from router.resolver import Name, Resolver, is_literal, look_up, remembered
from tests.router.kit import until

FAILURES = ("understudy_dns_failures_total", "host=model.test")


class Server:
    """A name server that answers, fails or hangs as the test says."""

    def __init__(self) -> None:
        self.answer: tuple[str, ...] | Exception = ("127.0.0.1",)
        self.free = threading.Event()
        self.free.set()
        self.asked: list[str] = []
        self.n_under_way = self.most_under_way = 0
        self._lock = threading.Lock()

    def __call__(self, host: str) -> tuple[str, ...]:
        with self._lock:
            self.asked.append(host)
            self.n_under_way += 1
            self.most_under_way = max(self.most_under_way, self.n_under_way)
        self.free.wait(10)
        with self._lock:
            self.n_under_way -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Bench:
    def __init__(self, memory: dict[str, tuple[str, ...]] | None = None) -> None:
        self.server = Server()
        self.counters = Counters()
        self.resolver = Resolver(self.counters, self.server, refresh_s=0.01, memory=memory)
        self.changes = 0

    def watch(self, host: str = "model.test") -> Name:
        return self.resolver.watch(host, self.note)

    def note(self) -> None:
        self.changes += 1

    @property
    def failures(self) -> int:
        return self.counters.events[FAILURES]

    async def asked_again(self, times: int = 3) -> None:
        enough = len(self.server.asked) + times
        await until(lambda: len(self.server.asked) >= enough)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.server.free.set()
    bench.resolver.close()


async def test_name_is_answered_and_asked_again_and_again(bench: Bench) -> None:
    name = bench.watch()
    assert name.addresses == ()
    await bench.resolver.ready(5.0)
    assert name.addresses == ("127.0.0.1",)
    await bench.asked_again()
    assert (bench.changes, bench.failures) == (1, 0)


async def test_failing_lookups_keep_the_last_answer_and_are_counted(bench: Bench) -> None:
    name = bench.watch()
    await bench.resolver.ready(5.0)
    bench.server.answer = socket.gaierror(socket.EAI_AGAIN, "try again")
    await until(lambda: bench.failures >= 3)
    assert (name.addresses, name.is_failing) == (("127.0.0.1",), True)
    bench.server.answer = ("127.0.0.2",)
    await until(lambda: name.addresses == ("127.0.0.2",))
    assert (bench.changes, name.is_failing) == (2, False)


async def test_trouble_is_logged_once_and_its_end_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "router.resolver")
    name = bench.watch()
    await bench.resolver.ready(5.0)
    bench.server.answer = socket.gaierror(socket.EAI_NONAME, "not known")
    await until(lambda: bench.failures >= 4)
    bench.server.answer = ("127.0.0.1",)
    await until(lambda: not name.is_failing)
    await bench.asked_again()
    assert [record.getMessage() for record in caplog.records] == [
        "name not resolved",
        "name resolved again",
    ]


async def test_hanging_lookup_is_counted_and_its_late_answer_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LATE_S", 0.05)
    bench.server.free.clear()
    name = bench.watch()
    began = time.monotonic()
    await bench.resolver.ready(0.1)
    assert time.monotonic() - began < 4.0
    await until(lambda: bench.failures == 1)
    assert (name.addresses, name.is_failing) == ((), True)
    bench.server.free.set()
    await until(lambda: name.addresses == ("127.0.0.1",))
    assert not name.is_failing


async def test_name_is_asked_once_at_a_time_however_long_it_hangs(bench: Bench) -> None:
    bench.server.free.clear()
    bench.watch()
    bench.watch()
    await asyncio.sleep(0.1)
    assert bench.server.asked == ["model.test"]


async def test_lookups_under_way_are_bounded(bench: Bench) -> None:
    bench.server.free.clear()
    for n in range(resolver.AT_ONCE + 10):
        bench.watch(f"m{n}.test")
    await until(lambda: bench.server.n_under_way == resolver.AT_ONCE)
    await asyncio.sleep(0.05)
    assert bench.server.most_under_way == resolver.AT_ONCE
    bench.server.free.set()
    await bench.resolver.ready(5.0)
    assert len(set(bench.server.asked)) == resolver.AT_ONCE + 10


async def test_another_order_of_the_same_addresses_is_no_change(bench: Bench) -> None:
    bench.server.answer = ("127.0.0.1", "127.0.0.2")
    name = bench.watch()
    await bench.resolver.ready(5.0)
    bench.server.answer = ("127.0.0.2", "127.0.0.1")
    await until(lambda: name.addresses == bench.server.answer)
    assert bench.changes == 1


async def test_empty_answer_is_no_answer(bench: Bench) -> None:
    name = bench.watch()
    await bench.resolver.ready(5.0)
    bench.server.answer = ()
    await bench.asked_again()
    assert name.addresses == ("127.0.0.1",)


async def test_name_that_nobody_watches_is_not_asked_for_and_keeps_its_answer(
    bench: Bench,
) -> None:
    name, other = bench.watch(), bench.note
    assert bench.resolver.watch("model.test", other) is name
    await bench.resolver.ready(5.0)
    bench.resolver.leave(name, bench.note)
    await bench.asked_again()
    bench.resolver.leave(name, other)
    await asyncio.sleep(0.05)
    n = len(bench.server.asked)
    await asyncio.sleep(0.05)
    assert len(bench.server.asked) == n
    assert name.addresses == ("127.0.0.1",)


async def test_name_that_cannot_be_a_name_fails_like_any_other(bench: Bench) -> None:
    bench.server.answer = UnicodeError("label too long")
    name = bench.watch()
    await until(lambda: bench.failures >= 1)
    assert name.is_failing


def test_system_is_asked_for_addresses_each_once() -> None:
    assert "127.0.0.1" in look_up("localhost")
    assert len(set(look_up("localhost"))) == len(look_up("localhost"))
    with pytest.raises(UnicodeError):
        look_up("x" * 64)


# What others remembered.


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
async def test_first_lookup_that_fails_or_hangs_leaves_what_is_remembered(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FIRST_LATE_S", 0.05)
    bench = Bench({"model.test": ("127.0.0.9",)})
    bench.server.answer = OSError("no name server")
    bench.server.free.clear() if trouble == "hangs" else None
    name = bench.watch()
    await bench.resolver.ready(5.0)
    assert (name.addresses, name.is_failing, bench.changes) == (("127.0.0.9",), True, 1)
    bench.server.answer = ("127.0.0.1",)
    bench.server.free.set()
    await until(lambda: name.addresses == ("127.0.0.1",))
    assert bench.resolver.answers() == {"model.test": ("127.0.0.1",)}
    bench.resolver.close()


async def test_what_is_remembered_is_not_used_when_the_name_server_answers() -> None:
    bench = Bench({"model.test": ("127.0.0.9",), "other.test": ("127.0.0.8",)})
    name = bench.watch()
    await bench.resolver.ready(5.0)
    assert (name.addresses, bench.changes) == (("127.0.0.1",), 1)
    bench.resolver.close()


def test_remembered_file_gives_addresses_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    assert remembered(file) == {}
    file.write_text('{"a.test": ["127.0.0.1", "::1", "evil.test", 7], "b.test": []}')
    assert remembered(file) == {"a.test": ("127.0.0.1", "::1"), "b.test": ()}
    for broken in ("", "[]", "{", '{"a": 1}', "\x00", '{"a": ["127.0.'):
        file.write_text(broken)
        assert remembered(file) == {}


def test_literal_is_an_address_and_no_name() -> None:
    assert all(is_literal(host) for host in ("127.0.0.1", "::1", "fe80::1"))
    names = ("localhost", "model.test", "127.0.0.1.test", "1e3", "")
    assert not any(is_literal(host) for host in names)
