"""Tells those whom the routing file names what happened: one message for each audit record.

Beside everything else: a transition never waits for it. A destination gets its messages in order,
each at least once, each tried again until it is taken or too old; how far it is, is in the store.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import structlog

from controller import audit, outbox, store
from controller.outbox import Place
from controller.store import StoreError
from sidecar.engine import NotRunning
from sidecar.eventspec import EventSpec, SecretError
from sidecar.webhook import Message, headers_of, message_of

PAGE = 100
"""Records read at once."""
TIMEOUT_S = 10.0
"""For one attempt, from the name's look-up to the answer's end."""
FIRST_WAIT_S = 1.0
MAX_WAIT_S = 300.0
"""Between two attempts: doubled from the first to this."""
SAID_BYTES = 200
"""Of an answer that refuses, for the log."""

log = structlog.get_logger()
T = TypeVar("T")


class Write(Protocol):
    """Runs ``act`` where the store is written; StoreError or NotRunning if it could not."""

    def __call__(self, act: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending a message once."""

    taken: bool
    said: str
    """The status, or what went wrong; one line."""
    retry_after_s: float = 0.0
    """What the receiver asked for; 0: nothing."""


class Courier:
    """Brings the records to one destination, one after the other. One task runs it."""

    def __init__(
        self,
        spec: EventSpec,
        database: Path,
        write: Write,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self.spec = spec
        self._database = database
        self._write = write
        self._clock_s = clock_s
        self._first_wait_s = first_wait_s
        self._place = Place(0, 0)
        self._head = 0
        self._news = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self.counts: Counter[str] = Counter()
        """Since this process began: ``sent`` messages, ``failed`` attempts, ``dropped`` records."""
        self.error: str | None = None
        """Why the message in hand was not taken; None when the last one was."""

    def tell(self, head: int) -> None:
        """Note that the audit ends at ``head``."""
        if head > self._head:
            self._head = head
            self._news.set()

    @property
    def n_waiting(self) -> int:
        """How many records are not done with."""
        return max(0, self._head - self._place.sequence)

    def told(self) -> dict[str, Any]:
        """Return where it stands, JSON-ready."""
        return {
            "name": self.spec.name,
            "waiting": self.n_waiting,
            **{word: self.counts[word] for word in ("sent", "failed", "dropped")},
            "error": self.error,
        }

    async def run(self) -> None:
        """Bring what there is, and wait for more, for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as self._session:
            await self._join()
            while True:
                await self._news.wait()
                self._news.clear()
                while self.n_waiting:
                    await self._page()

    async def _join(self) -> None:
        while True:
            try:
                self._place = await self._write(lambda one: _joined(one, self.spec.name))
                self.error = None
                return
            except (StoreError, NotRunning, sqlite3.Error) as error:
                self.error = str(error)
            await asyncio.sleep(self._first_wait_s)

    async def _page(self) -> None:
        bounded = outbox.bounded(self._place, self._head)
        self._drop(bounded.dropped - self._place.dropped, "too many wait")
        self._place = bounded
        try:
            records = await asyncio.to_thread(self._read, self._place.sequence)
        except StoreError as error:
            self.error = str(error)
            await asyncio.sleep(self._first_wait_s)
            return
        if not records:
            self._head = self._place.sequence
        for record in records:
            is_wanted = self.spec.wants(record["action"])
            if is_wanted:
                await self._bring(record)
            self._place = replace(self._place, sequence=record["sequence"])
            if is_wanted or record is records[-1]:
                await self._note()

    def _read(self, after: int) -> list[dict[str, Any]]:
        with store.reader(self._database) as connection:
            return audit.records(connection, after=after, limit=PAGE)

    async def _bring(self, record: dict[str, Any]) -> None:
        """Send one record until it is taken, or too old."""
        message = message_of(record, self.spec.format)
        began_s, wait_s = self._clock_s(), self._first_wait_s
        while True:
            attempt = await send(self._session, self.spec, message)
            if attempt.taken:
                self.counts["sent"] += 1
                self.error = None
                return
            self.counts["failed"] += 1
            if self.error is None:  # once per trouble, not at every attempt
                log.warning("an event was not taken", to=self.spec.name, why=attempt.said)
            self.error = attempt.said
            if self._clock_s() - began_s >= self.spec.retry_for_s:
                self._drop(1, f"sequence {record['sequence']} is too old")
                self._place = replace(self._place, dropped=self._place.dropped + 1)
                return
            pause_s = max(wait_s * random.uniform(0.5, 1.0), attempt.retry_after_s)
            await asyncio.sleep(min(pause_s, MAX_WAIT_S))
            wait_s = min(2 * wait_s, MAX_WAIT_S)

    async def _note(self) -> None:
        """Keep how far we are. What could not be kept is sent once more after a restart."""
        place = self._place
        try:
            await self._write(lambda one: _noted(one, self.spec.name, place))
        except (StoreError, NotRunning, sqlite3.Error) as error:
            log.warning("how far events are was not kept", to=self.spec.name, error=str(error))

    def _drop(self, n: int, why: str) -> None:
        if n > 0:
            self.counts["dropped"] += n
            log.error("events were dropped", to=self.spec.name, events=n, why=why)


async def send(session: aiohttp.ClientSession | None, spec: EventSpec, message: Message) -> Attempt:
    """Send ``message`` once. Only where the file says: redirects are answers like any other."""
    assert session is not None, "it is open while the courier runs"
    try:
        url, headers = spec.address(), headers_of(message, spec.secrets(), int(time.time()))
        async with session.post(
            url, data=message.body, headers=headers, allow_redirects=False
        ) as answer:
            said = (await answer.content.read(SAID_BYTES)).decode("utf-8", "replace")
            if 200 <= answer.status < 300:
                return Attempt(True, str(answer.status))
            words = " ".join(said.split())
            after_s = _seconds(answer.headers.get("Retry-After", ""))
            return Attempt(False, f"{answer.status} {answer.reason}: {words}"[:300], after_s)
    except SecretError as error:
        return Attempt(False, str(error))
    except TimeoutError:
        return Attempt(False, f"no answer within {TIMEOUT_S:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The address may be a secret: what aiohttp says of it is not repeated.
        return Attempt(False, f"{type(error).__name__}: {_reason(error)}")


class Events:
    """All destinations. Owned by the controller process."""

    def __init__(
        self, specs: tuple[EventSpec, ...], database: Path, write: Write, **clock: Any
    ) -> None:
        self.couriers = tuple(Courier(spec, database, write, **clock) for spec in specs)
        self._write = write

    def tell(self, head: int) -> None:
        """Note that the audit ends at ``head``. From the event loop."""
        for courier in self.couriers:
            courier.tell(head)

    def told(self) -> list[dict[str, Any]]:
        """Return where each destination stands, JSON-ready."""
        return [courier.told() for courier in self.couriers]

    async def run(self) -> None:
        """Run every courier, for ever."""
        names = [courier.spec.name for courier in self.couriers]
        try:
            await self._write(lambda one: _only(one, names))
        except (StoreError, NotRunning, sqlite3.Error) as error:
            log.warning("places of former destinations stay", error=str(error))
        async with asyncio.TaskGroup() as tasks:
            for courier in self.couriers:
                tasks.create_task(_go_on(courier), name=f"events {courier.spec.name}")


async def _go_on(courier: Courier) -> None:
    """Run ``courier``, again and again: a fault of ours in it must not end the process."""
    while True:
        try:
            await courier.run()
        except Exception as error:
            log.exception("events failed; will try again", to=courier.spec.name)
            courier.error = f"internal error: {type(error).__name__}"
        await asyncio.sleep(MAX_WAIT_S)


def _joined(connection: sqlite3.Connection, name: str) -> Place:
    with store.transaction(connection):
        return outbox.join(connection, name)


def _noted(connection: sqlite3.Connection, name: str, place: Place) -> None:
    with store.transaction(connection):
        outbox.note(connection, name, place)


def _only(connection: sqlite3.Connection, names: list[str]) -> None:
    with store.transaction(connection):
        outbox.keep_only(connection, names)


def _seconds(text: str) -> float:
    return min(float(text), MAX_WAIT_S) if text.isascii() and text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    number = getattr(getattr(error, "os_error", error), "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else "no connection"
