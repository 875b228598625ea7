"""Makes exposure tokens: whom it signs for, with which key, and what it reads in an answer.

The prediction is read by a function that is given to this process when it starts (worker.py): what
a prediction is, is decided above this floor, and token and store must not differ about it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Raw

from router.choose import Decision
from router.counters import Counters
from router.keyfile import KeyFile
from router.observation import Outcome
from router.table import BUCKETS, Route, Signing
from router.tasks import spawn
from router.thread import in_thread
from router.token import NULL, Kind, Served, described, sign

log = logging.getLogger("router.signer")

POLL_S = 2.0
"""How often key files are looked at, as certificates are."""
ISSUED: Final = "understudy_exposure_tokens_total"
WITHHELD: Final = "understudy_exposure_tokens_withheld_total"
RELOADS: Final = "understudy_exposure_key_reloads_total"

Read = Callable[[Outcome], tuple[str | None, bool]]
"""Returns the prediction in a whole answer as canonical JSON text, or None; and whether it is None
for a reason of ours. Never raises."""
MakeRead = Callable[[str | None], Read]
"""From the JMESPath to the prediction."""


class Signer:
    """Signs for one route under one table. Owner: its LiveRoute."""

    __slots__ = (
        "_challenger", "_champion", "_counters", "_experiment", "_file", "_labels", "_name",
        "_read", "_table_version", "hold_bytes",
    )  # fmt: skip

    def __init__(
        self, route: Route, table_version: int, signing: Signing, file: KeyFile, read: Read | None,
        counters: Counters,
    ) -> None:  # fmt: skip
        self._name = route.name
        self._experiment = route.experiment
        self._table_version = table_version
        self._champion = route.split.champion
        self._challenger = route.split.challenger or ""
        self._file = file
        self._read = read
        self._counters = counters
        self._labels = f"route={route.name}"
        self.hold_bytes = min(signing.hold_bytes, route.capture_bytes)
        """Answers up to this size are to be held back until they are whole."""

    def token(
        self, request_id: bytes, decision: Decision, at_ns: int, outcome: Outcome | None,
        *, is_failed: bool,
    ) -> bytes:  # fmt: skip
        """Return the token of one exposure, empty without a key.

        ``outcome`` is that of the assigned variant, whole; None if it was not looked at.
        ``is_failed``: it gave no answer, whoever else did.
        """
        keys = self._file.keys
        if not keys:
            self.withhold("no_key")
            return b""
        kind, prediction = self._described(outcome, is_failed)
        self._counters.event(ISSUED, self._labels, f"prediction={kind}")
        served = Served(
            self._name,
            self._experiment,
            request_id.decode("ascii"),
            decision.unit,
            self._challenger if decision.is_challenger else self._champion,
            decision.propensity,
            self._table_version,
            at_ns,
            kind,
            prediction,
        )
        return sign(served, keys[0])

    def withhold(self, reason: str) -> None:
        """Count an exposure that gets no token."""
        self._counters.event(WITHHELD, self._labels, f"reason={reason}")

    def _described(self, outcome: Outcome | None, is_failed: bool) -> tuple[Kind, Raw]:
        if is_failed or (outcome is not None and (outcome.fault or outcome.status >= 500)):
            return "failed", NULL
        if outcome is None or self._read is None:
            return "cut", NULL
        text, is_cut = self._read(outcome)
        return ("cut", NULL) if is_cut else described(text)


class Signers:
    """All signers of one router process, and the key files that they follow. Owner: the Server."""

    def __init__(
        self, counters: Counters, make_read: MakeRead | None, poll_s: float = POLL_S
    ) -> None:
        """Without ``make_read`` tokens hold no prediction."""
        self._counters = counters
        self._make_read = make_read
        self._poll_s = poll_s
        self._files: dict[str, KeyFile] = {}
        self._looked: dict[str, asyncio.Event] = {}
        self._reads: dict[str | None, Read] = {}
        self._task: asyncio.Task[None] | None = None

    def of(self, route: Route, table_version: int) -> Signer | None:
        """Return who signs the exposures of ``route``; None where there is no lot to tell of."""
        signing, buckets = route.signing, route.split.challenger_buckets
        if signing is None or not route.experiment or not 0 < buckets < BUCKETS:
            return None
        file, read = self._follow(signing.keys), self._read(signing.prediction)
        return Signer(route, table_version, signing, file, read, self._counters)

    def keep(self, routes: Iterable[Route]) -> None:
        """Follow only the files that these routes name; their keys are dropped with the others."""
        named = {route.signing.keys for route in routes if route.signing is not None}
        for path in self._files.keys() - named:
            del self._files[path], self._looked[path]

    async def ready(self, within_s: float) -> None:
        """Wait until every file was read, or for ``within_s``."""
        try:
            async with asyncio.timeout(within_s):
                for looked in list(self._looked.values()):
                    await looked.wait()
        except TimeoutError:
            return

    def close(self) -> None:
        """Read no files any more."""
        if self._task is not None:
            self._task.cancel("the process stops")
            self._task = None

    def _follow(self, path: str) -> KeyFile:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = KeyFile(path)
            self._looked[path] = asyncio.Event()
            spawn(self._look(file, at_once=True), name="token-keys")
        if self._task is None:
            self._task = spawn(self._poll(), name="token-key-files")
        return file

    def _read(self, prediction: str | None) -> Read | None:
        """Return what reads predictions; None, and tokens hold none, where that cannot be made."""
        if self._make_read is None:
            return None
        if prediction not in self._reads:
            try:
                self._reads[prediction] = self._make_read(prediction)
            except (ImportError, AttributeError, ValueError) as error:
                # A table must never fail for it: its other half may be a rollback.
                log.error("predictions cannot be read for tokens", extra={"reason": str(error)})
                return None
        return self._reads[prediction]

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)  # a period: a mounted secret sends no event
            for path, file in list(self._files.items()):
                looked = self._looked.get(path)
                if looked is not None and looked.is_set():  # else the first look is still under way
                    await self._look(file, at_once=False)

    async def _look(self, file: KeyFile, *, at_once: bool) -> None:
        is_first = not file.keys
        try:
            has_read = await in_thread(lambda: file.look(at_once=at_once), name="token-keys")
        except OSError as error:
            log.warning("token keys not read", extra={"reason": str(error)})
            has_read = False
        if file.path in self._looked:
            self._looked[file.path].set()
        if has_read:
            self._tell(file, is_first)

    def _tell(self, file: KeyFile, is_first: bool) -> None:
        if file.error:
            log.error("token keys not taken; the last ones stay", extra={"reason": file.error})
            self._counters.event(RELOADS, "result=refused")
        elif not is_first:
            log.info("token keys in use", extra={"key": file.keys[0].id})
            self._counters.event(RELOADS, "result=taken")
