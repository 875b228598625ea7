"""``POST /v1/labels``: who may send, how much at once, and in which form.

A flood costs its senders answers of 429 and us one core at most: few bodies are in hand at once,
one is parsed at a time, and what waits for the disk is bounded (sidecar/pump.py).
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from aiohttp import web

from controller.store import StoreError
from evaluator.join import Label, LabelResult
from sidecar import cloudevents, labels
from sidecar.desk import Busy
from sidecar.guard import Refusal
from sidecar.keyring import Keyring
from sidecar.labels import Parsed
from sidecar.permit import check_scope
from sidecar.rate import Rate
from sidecar.tokenfile import LABEL, Key
from sidecar.ways import Ways

IN_THREAD_BYTES = 16 * 1024
"""Label bodies above this are parsed beside the event loop; smaller ones take below a
millisecond."""
MAX_BODIES = 32
"""In hand at once, read or parsed; further ones get 429. 128 MiB in all at 4 MiB each. Chosen."""
READ_S = 30.0
"""For a body to arrive; a sender that is slower holds a place that others need."""
ENCODINGS = frozenset({"", "identity", "gzip"})
SENDABLE = 'send {"request_id": ..., "label": ...}, an array of these, or one a line'

Send = Callable[[Sequence[Label], int], Awaitable[Sequence[LabelResult]]]


class LabelPort:
    """Owned by the admin application; used from the event loop only."""

    def __init__(
        self,
        send: Send,
        keyring: Keyring,
        ways: Ways,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        """Returns what became of each label once it is durable; Busy or StoreError."""
        self._keyring = keyring
        self._ways = ways
        self._clock_s = clock_s
        self._rates: dict[str, Rate] = {}
        self._n_bodies = 0
        self._parsing = asyncio.Lock()

    async def take(self, request: web.Request) -> tuple[Parsed, Sequence[LabelResult]]:
        """Return what a request's body holds and what became of it. Refusal if none is taken."""
        is_event = cloudevents.is_event(request.headers, request.content_type)
        way = "cloudevents" if is_event else "http"
        try:
            return await self._take(request, way)
        except Refusal as refusal:
            self._ways.refuse(way, _REASONS.get(refusal.status, "unreadable"))
            raise
        except web.HTTPRequestEntityTooLarge:
            self._ways.refuse(way, "unreadable")
            raise
        except StoreError:
            self._ways.refuse(way, "store")
            raise
        except Busy as error:
            self._ways.refuse(way, "full")
            raise _again(str(error), 1.0) from error

    async def _take(self, request: web.Request, way: str) -> tuple[Parsed, Sequence[LabelResult]]:
        rate = self._admit(request)
        with self._place():
            body = await _read(request)
            parsed = await self._parse(request, body)
            if rate is not None:
                rate.spend(len(parsed.items) + len(parsed.faults))
            size_bytes = len(body)
            del body  # what waits for the disk is the labels alone
        results = await self._send([item.label for item in parsed.items], size_bytes)
        self._ways.count(way, parsed, results)
        return parsed, results

    def check(self, request: web.Request) -> Key | None:
        """Return the key with which ``request`` may send labels, None if none is needed.

        Refusal otherwise: the same for no token, a wrong one and a withdrawn one.
        """
        if not self._keyring.needs(LABEL):
            return None
        return check_scope(request, self._keyring, LABEL)

    def _admit(self, request: web.Request) -> Rate | None:
        """Return what the sender may spend, None for as much as it likes."""
        key = self.check(request)
        rate = None if key is None else self._rate(key)
        wait_s = 0.0 if rate is None else rate.wait_s(self._clock_s())
        if key is not None and wait_s:
            raise _again(f"more than {key.labels_per_second:g} labels a second", wait_s)
        return rate

    def _rate(self, key: Key) -> Rate | None:
        if key.labels_per_second is None:
            self._rates.pop(key.name, None)
            return None
        rate = self._rates.get(key.name)
        if rate is None or rate.per_second != key.labels_per_second:
            rate = self._rates[key.name] = Rate(key.labels_per_second, self._clock_s())
        return rate

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._n_bodies >= MAX_BODIES:
            raise Busy(f"{MAX_BODIES} bodies of labels are being read")
        self._n_bodies += 1
        try:
            yield
        finally:
            self._n_bodies -= 1

    async def _parse(self, request: web.Request, body: bytes) -> Parsed:
        try:
            if len(body) <= IN_THREAD_BYTES:
                return parse(request, body)
            async with self._parsing:
                return await asyncio.to_thread(parse, request, body)
        except labels.BodyError as error:
            raise Refusal(400, str(error), SENDABLE) from error


_REASONS = {401: "unauthorized", 403: "unauthorized", 429: "rate"}


def parse(request: web.Request, body: bytes) -> Parsed:
    """Return the labels of ``body``, which is events or not as the headers say; BodyError."""
    if cloudevents.is_event(request.headers, request.content_type):
        return cloudevents.parse(request.headers, request.content_type, body)
    return labels.parse(body)


async def _read(request: web.Request) -> bytes:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise Refusal(415, "the body's Content-Encoding is not known", "send it as gzip or plain")
    try:
        async with asyncio.timeout(READ_S):
            return await request.read()  # unpacked piece by piece, no further than a body may go
    except TimeoutError as error:
        raise Refusal(408, "the body did not arrive in time", "send smaller ones") from error
    except web.RequestPayloadError as error:
        raise Refusal(400, "the body is not whole, or not gzip", "send it again") from error


def _again(error: str, wait_s: float) -> Refusal:
    remedy = "none of these labels is acknowledged; send them again after Retry-After"
    return Refusal(429, error, remedy, {"Retry-After": str(min(3600, math.ceil(wait_s)))})
