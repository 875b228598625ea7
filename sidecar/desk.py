"""What the admin port may ask of the controller process: bounded waits, plain answers.

Every answer that needs the engine has a deadline, and status and metrics have an older answer to
fall back on: an engine that hangs must not take the admin port with it.
"""

import asyncio
import contextlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from controller import audit, store, timeline
from controller.chain import Head, Noted, Verification
from controller.controller import Act, ActRefused, Controller
from controller.lineage import ModelVersion
from controller.registry import Registered
from controller.store import StoreError
from evaluator.join import Label, LabelResult
from router.tasks import spawn
from sidecar import metrics
from sidecar.counts import Counts
from sidecar.engine import Engine, NotRunning
from sidecar.events import Events
from sidecar.hub import Hub
from sidecar.probe import Probe
from sidecar.pump import LabelRequest, Pump
from sidecar.reload import Reloader
from sidecar.standby import with_standby
from sidecar.tally import PAGE, Tally
from sidecar.ways import Ways


class Telling(Protocol):
    """What tells another registry of transitions."""

    def state(self) -> dict[str, Any] | None:
        """Return how far it is, and what keeps it; None if there is nobody to tell."""


class Subscription(Protocol):
    """What fetches labels by itself."""

    error: str | None
    """Why none come; None while they may."""


log = structlog.get_logger()
T = TypeVar("T")
VERIFY_EVERY_S = 3600.0
"""Between two walks of the audit's chain; a million records take a thread less than a minute."""
STEPS_BETWEEN_LOOKS = 1_000
"""Of SQLite's machine: about a hundred records."""
STATUS_S = 1.0
"""After this an older status is answered, with its age."""
ANSWER_S = 5.0
LABEL_S = 30.0
"""For the durability of labels; their sender may send them again without harm."""


class Busy(Exception):
    """There is no room, or no answer in time; what was asked may still happen. Ask again later."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether traffic should come here, and what is missing if not."""

    ready: bool
    configuration: bool
    """A routing table was published."""
    router: bool
    """At least one router runs it."""
    champions: dict[str, str]
    """Why the champion of a route cannot be reached, by route; empty when all can."""
    retiring: bool = False
    """The sidecar is about to stop."""


class Desk:
    """Wires engine, pump, hub, reloader and probe for the admin port; owns none of them."""

    def __init__(
        self,
        engine: Engine[Controller],
        pump: Pump,
        hub: Hub,
        counts: Counts,
        reloader: Reloader,
        probe: Probe,
        database: Path,
        scored: Callable[[], Mapping[str, Mapping[str, int]]] = dict,
        spans: Callable[[], Mapping[str, int] | None] = lambda: None,
        gate_progress: Callable[[str], dict[str, int] | None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._pump = pump
        self._hub = hub
        self._counts = counts
        self._reloader = reloader
        self._probe = probe
        self._database = database
        self.is_retiring = False
        """Whether the sidecar is about to stop: nothing new should come here."""
        self._scored = scored
        """What became of the answers offered to scorers, by route."""
        self._spans = spans
        """What became of spans; None while nothing is traced."""
        self._gate_progress = gate_progress
        """How far the gate of a route has come; None if none is under way."""
        self.ways = Ways()
        """Of labels, and what became of what came in by them."""
        self.subscription: Subscription | None = None
        """Of labels at a broker; None: nothing is fetched."""
        self.events: Events | None = None
        """Who is told of what happens; None until the process has made it."""
        self._noted: Head | None = None
        """Where the audit ends, as far as we were told; None before that."""
        self.writeback: Telling | None = None
        """Tells an MLflow registry of transitions; None while the process is being put together."""
        self._tally = Tally()
        self._verified: tuple[bool, float] | None = None
        """Whether the audit was whole, and the wall clock of that; None before the first time."""
        self._status: dict[str, Any] = {}
        self._status_at_s = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    async def status(self) -> dict[str, Any]:
        """Return the controller's status; ``stale_s`` says how old it is if it is not fresh."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = spawn(self._refresh(), name="status")
        done, _ = await asyncio.wait({self._refreshing}, timeout=STATUS_S)
        for task in done:
            task.result()
        status = dict(self._status)
        if not done:
            status["stale_s"] = round(time.monotonic() - self._status_at_s, 1)
        if self._hub.table is not None and "routes" in status:
            counts = self._counts.total()
            status["routes"] = with_standby(status["routes"], self._hub.table, counts)
        for route in status.get("routes", ()):
            route["gate_progress"] = self._gate_progress(str(route.get("name")))
        status["config_error"] = self._reloader.error
        status["routers"] = self._hub.routers()
        status["scorers"] = {route: dict(counts) for route, counts in self._scored().items()}
        status["labels_from"] = self._fetched()
        status["mlflow"] = self.writeback.state() if self.writeback is not None else None
        status["events"] = [] if self.events is None else self.events.told()
        status["audit_head"] = None if self._noted is None else asdict(self._noted)
        status["store_error"] = self._pump.store_error or status.get("store_error")
        return status

    def note_head(self, head: Head) -> None:
        """Note where the audit ends, and tell those who are told of what happens."""
        self._noted = head
        if self.events is not None:
            self.events.tell(head.sequence)

    def _fetched(self) -> dict[str, Any] | None:
        """Return whether labels come from the broker; None if there is none to come from."""
        if self.subscription is None:
            return None
        return {"connected": self.subscription.error is None, "error": self.subscription.error}

    async def _refresh(self) -> None:
        try:
            self._status = await self._engine.call(lambda controller: dict(controller.status()))
        except NotRunning:
            return  # the controller is starting: what there is, is the rest of the answer
        self._status_at_s = time.monotonic()

    def readiness(self) -> Readiness:
        """Tell whether traffic should come here; never waits, never asks the engine."""
        faults = self._probe.faults
        configuration, router = self._hub.table is not None, self._hub.has_current_router()
        return Readiness(
            ready=configuration and router and faults == {} and not self.is_retiring,
            configuration=configuration,
            router=router,
            champions={"*": "not asked yet"} if faults is None else faults,
            retiring=self.is_retiring,
        )

    async def metrics(self) -> bytes:
        """Return the Prometheus exposition."""
        status = await self.status()
        await self._count_decisions()
        return metrics.render(
            metrics.Readout(
                counts=self._counts.total(),
                status=status,
                decisions=self._tally.of,
                reload_ok=self._reloader.error is None,
                reload_at_s=self._reloader.adopted_at_s,
                store_ok=status["store_error"] is None,
                ways=self.ways,
                disk=_disk(self._database.parent),
                verified=self._verified,
                spans=self._spans(),
            )
        )

    async def _count_decisions(self) -> None:
        try:
            while self._tally.add(await self.audit(self._tally.after, PAGE)):
                pass
        except (Busy, StoreError):
            return  # the counts so far; the rest at the next scrape

    async def label(self, labels: Sequence[Label], size_bytes: int) -> Sequence[LabelResult]:
        """Return what became of each label, once it is durable. Busy or StoreError if it is not."""
        if not labels:
            return ()
        request = LabelRequest(labels)
        if not self._pump.labels.offer(request, count=len(labels), size_bytes=size_bytes):
            raise Busy("too many labels are waiting")
        return await _within(request.answer, LABEL_S)

    async def wanted(self, route: str, after: int, limit: int) -> dict[str, Any]:
        """Return which requests are to be labelled; ActRefused where nothing waits for any."""
        return await self._ask(lambda c: c.wanted(route, after=after, limit=limit))

    async def disagreements(self, route: str) -> dict[str, Any]:
        """Return the pairs of ``route`` that disagree most, as its file shows them; ActRefused."""
        return await self._ask(lambda controller: controller.disagreements(route))

    async def timeline(self, route: str, before: int, limit: int) -> list[dict[str, Any]]:
        """Return audit records of ``route``, newest first, in a thread of their own."""
        return await asyncio.to_thread(
            self._read, lambda found: timeline.page(found, route, before=before, limit=limit)
        )

    async def decisions(self, route: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest moves of traffic."""
        return await self._ask(lambda controller: controller.decisions(route, limit))

    async def audit(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Return audit records after ``after``, oldest first."""
        return await self._ask(lambda controller: controller.audit(after, limit))

    async def head(self) -> Head:
        """Return the end of the audit chain."""
        return await asyncio.to_thread(self._read, audit.head)

    async def verify(self, noted: Noted | None = None) -> Verification:
        """Check the whole audit chain, on a connection and a thread of its own.

        Who is cancelled meanwhile leaves no thread behind that the process would wait for.
        """
        stop = threading.Event()

        def walk(connection: sqlite3.Connection) -> Verification:
            connection.set_progress_handler(stop.is_set, STEPS_BETWEEN_LOOKS)
            return audit.verify(connection, noted)

        try:
            found = await asyncio.to_thread(self._read, walk)
        finally:
            stop.set()
        if noted is None:  # a head that is not there is who asked's to explain
            self._verified = found.verified, time.time()
        return found

    async def keep_verifying(self) -> None:
        """Walk the audit chain now and every VERIFY_EVERY_S, for ever; /metrics has what it says.

        A database that cannot be read says nothing about the chain: the moment of the last walk
        grows old, and there is an alert for that.
        """
        while True:
            with contextlib.suppress(StoreError, sqlite3.Error):
                if not (await self.verify()).verified:
                    log.error("the audit's chain is broken: see `understudy audit verify`")
            await asyncio.sleep(VERIFY_EVERY_S)

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        with store.reader(self._database) as connection:
            return read(connection)

    async def act(
        self,
        route: str,
        act: str,
        *,
        who: str,
        reason: str,
        break_glass: bool,
        glass_s: float | None = None,
    ) -> None:
        """Do what a person asks for. ActRefused when the rules do not allow it.

        ``glass_s``: how long a promotion around the gates may last; None: the default.

        After Busy it may still be done: its record is in the audit if it was.
        """
        try:
            await self._ask(
                lambda c: c.act(
                    route, Act(act), who, reason, break_glass=break_glass, glass_s=glass_s
                )
            )
        except (ActRefused, StoreError, Busy):
            raise
        except Exception as error:  # the controller may be half changed: start again from the disk
            self._pump.fail(error)
            raise

    @property
    def database(self) -> Path:
        """Return the state's file: what belongs to it lies beside it."""
        return self._database

    async def register(self, model: ModelVersion) -> Registered:
        """Write a model version; RegistrationRefused when it may not be."""
        return await self._ask(lambda c: c.registrar.register(model))

    async def models(self, name: str | None) -> list[dict[str, Any]]:
        """Return every model version (of one name), the oldest first."""
        return await self._ask(lambda c: c.registrar.overview(name))

    async def model(self, text: str) -> dict[str, Any]:
        """Return NAME:VERSION or NAME@ALIAS whole, with its line; UnknownModel."""
        return await self._ask(lambda c: c.registrar.describe(text))

    async def reload(self, who: str) -> str | None:
        """Read the routing file again; return what is wrong with it, or None."""
        return await self._reloader.reload(who)

    async def _ask(self, act: Callable[[Controller], T]) -> T:
        try:
            return await _within(self._engine.call(act), ANSWER_S)
        except NotRunning as error:
            raise Busy(str(error)) from error


async def _within(wait: Awaitable[T], limit_s: float) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await wait
    except TimeoutError as error:
        raise Busy(f"no answer within {limit_s:g} s") from error


def _disk(folder: Path) -> tuple[int, int] | None:
    """Return the free and all bytes of the disk that holds ``folder``; None if it does not say."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free, usage.total
