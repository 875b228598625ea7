"""Labels from a NATS JetStream subject: each message is a body as ``POST /v1/labels`` takes it.

A message is acknowledged only after its labels are durable, so a crash or a broken connection at
any instruction means that it is delivered again, and then it is a duplicate. A message without any
label is terminated and counted: it would come back for ever. Whatever the broker does, the rest of
the sidecar does not notice.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import structlog

from controller.store import StoreError
from evaluator.join import LabelResult
from router.certificate import CertificateError, client_context
from sidecar import cloudevents, labels
from sidecar.desk import Busy
from sidecar.labelport import IN_THREAD_BYTES, Send
from sidecar.labels import MAX_ITEMS, Parsed
from sidecar.natskey import CredentialsError, read_credentials
from sidecar.natsspec import NatsSpec
from sidecar.ways import Ways

WAY = "nats"
FETCH = 64
"""Messages asked for at once. A broker's largest message is 1 MiB unless it says otherwise."""
FETCH_S = 2.0
"""How long the broker waits for the first of them."""
CONNECT_S = 5.0
CLOSE_S = 1.0
RETRY_S = 1.0
"""Between two attempts to connect, and to hand over what could not be written."""
NO_NATS = (
    "labels_from: nats needs the package nats-py, which is not installed: "
    "pip install 'understudy[nats]'"
)

log = structlog.get_logger()


class BrokerError(Exception):
    """The broker is away, refuses us, or has no such stream; tried again until it has."""


class Subscription:
    """Owned by the controller process; one task runs it for ever."""

    def __init__(self, spec: NatsSpec, send: Send, ways: Ways) -> None:
        self._spec = spec
        self._send = send
        self._ways = ways
        self._servers = count()
        self._said = ""
        """The client's last word on this connection."""
        self.error: str | None = "not connected yet"
        """Why no labels come from there; None while they may."""

    async def run(self) -> None:
        """Read for ever, with a new connection whenever the last one is gone."""
        while True:
            try:
                await self._session()
            except BrokerError as error:
                self._note(str(error))
            except Exception as error:  # a library's fault must not end the process
                self._note(f"{type(error).__name__}: {error}", is_ours=True)
            await asyncio.sleep(RETRY_S)  # a pause, not a wait for something to happen

    def _note(self, error: str, *, is_ours: bool = False) -> None:
        if self.error != error:  # once per trouble, not once a second
            log.warning("no labels from the broker; tries again", error=error, exc_info=is_ours)
        self.error = error

    async def _session(self) -> None:
        """Connect and read until the connection ends; BrokerError says why it did."""
        try:
            from nats.aio.client import Client
            from nats.errors import Error
        except ImportError as error:
            raise BrokerError(NO_NATS) from error
        client, self._said = Client(), ""
        try:
            async with asyncio.timeout(3.0 * CONNECT_S):
                await client.connect(**await self._options())
            stream = client.jetstream(timeout=CONNECT_S)
            await self._ensure_consumer(stream)
            source = await stream.pull_subscribe_bind(self._spec.durable, self._spec.stream)
            log.info("labels from the broker", subject=self._spec.subject)
            self.error = None
            while client.is_connected:
                await self._round(source)
            raise BrokerError(self._said or "the connection ended")
        except ImportError as error:
            raise BrokerError(NO_NATS) from error
        except (Error, OSError, TimeoutError, CertificateError, CredentialsError) as error:
            raise BrokerError(self._said or str(error) or type(error).__name__) from error
        finally:
            with contextlib.suppress(Error, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):  # after a failed handshake it waits for ever
                    await client.close()

    async def _keep(self, error: Exception) -> None:
        """Remember what the client says: what it raises is often that no server is left."""
        self._said = str(error) or type(error).__name__

    async def _options(self) -> dict[str, Any]:
        spec = self._spec
        options: dict[str, Any] = {
            "servers": [spec.servers[next(self._servers) % len(spec.servers)]],
            "name": "understudy",
            "connect_timeout": CONNECT_S,
            "allow_reconnect": False,  # a new connection is a new session: one way to begin
            "max_reconnect_attempts": 1,  # else it tries for ever, and says nothing
            "reconnect_time_wait": 0,
            "error_cb": self._keep,
        }
        if spec.is_tls:
            options["tls"] = await asyncio.to_thread(client_context, spec.tls())
        if spec.credentials:
            found = await asyncio.to_thread(read_credentials, Path(spec.credentials))
            options["user_jwt_cb"] = lambda: found.jwt
            options["signature_cb"] = found.signer()
        return options

    async def _ensure_consumer(self, stream: Any) -> None:
        """Make the durable consumer unless it is there; one of another kind is not touched."""
        from nats.js.api import AckPolicy, ConsumerConfig
        from nats.js.errors import NotFoundError

        spec = self._spec
        try:
            found = (await stream.consumer_info(spec.stream, spec.durable)).config
        except NotFoundError:
            wanted = ConsumerConfig(
                durable_name=spec.durable,
                filter_subject=spec.subject,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=spec.ack_wait_s,
                max_deliver=-1,
            )
            await stream.add_consumer(spec.stream, wanted)
            return
        if found.ack_policy != AckPolicy.EXPLICIT or found.deliver_subject:
            raise BrokerError(
                f"the consumer {spec.durable} is not one that is pulled with explicit acks; "
                "delete it, or name another `durable`"
            )

    async def _round(self, source: Any) -> None:
        """Take in what waits, up to FETCH messages."""
        try:
            messages = await source.fetch(FETCH, timeout=FETCH_S)
        except TimeoutError:  # nothing came; the client's own is one as well
            return
        size_bytes = sum(len(message.data) for message in messages)
        if size_bytes > IN_THREAD_BYTES:
            bodies = await asyncio.to_thread(_read, messages)
        else:
            bodies = _read(messages)
        waiting = iter(zip(messages, bodies, strict=True))
        for group in _groups([len(parsed.items) for parsed in bodies]):
            await self._take(list(islice(waiting, group)))

    async def _take(self, group: Sequence[tuple[Any, Parsed]]) -> None:
        """Hand labels over, and acknowledge their messages once they are durable."""
        wanted = [item.label for _, parsed in group for item in parsed.items]
        size_bytes = sum(len(message.data) for message, _ in group)
        results: Sequence[LabelResult] | None = None
        while results is None:
            try:
                results = await self._send(wanted, size_bytes)
            except (Busy, StoreError) as error:
                self._ways.refuse(WAY, "full" if isinstance(error, Busy) else "store")
                for message, _ in group:
                    await message.in_progress()  # else it is delivered again meanwhile
                await asyncio.sleep(RETRY_S)
        at = 0
        for message, parsed in group:
            self._ways.count(WAY, parsed, results[at : at + len(parsed.items)])
            at += len(parsed.items)
            if parsed.items:
                await message.ack()
            else:
                self._ways.refuse(WAY, "unreadable")
                await message.term()


def _read(messages: Sequence[Any]) -> list[Parsed]:
    return [read(message.data, message.headers or {}) for message in messages]


def read(body: bytes, headers: Mapping[str, str]) -> Parsed:
    """Return the labels of one message; none at all if it is not a body of labels."""
    lower = {name.lower(): value for name, value in headers.items()}
    content_type = lower.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if cloudevents.is_event(lower, content_type):
            return cloudevents.parse(lower, content_type, body)
        return labels.parse(body)
    except labels.BodyError:
        return Parsed((), ())


def _groups(sizes: Sequence[int]) -> list[int]:
    """Return how many neighbours to take at once so that no group has more than MAX_ITEMS labels.

    >>> _groups([4_000, 4_000, 4_000, 9_000, 0])
    [2, 1, 2]
    """
    groups: list[int] = []
    total = MAX_ITEMS + 1
    for size in sizes:
        if total + size > MAX_ITEMS:
            groups.append(0)
            total = 0
        groups[-1] += 1
        total += size
    return groups
