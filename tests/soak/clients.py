"""Clients that ask at a rate, check every byte of every answer, and note how long it took."""

import asyncio
import contextlib
import random
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from router.tasks import spawn

PREFIX = b"/v1/models/soak/"
PATIENCE_S = 30.0
MAX_UNDER_WAY = 400
"""Requests at once; beyond it the clients wait, and the rate is not reached."""
MAX_FAILURES = 50
KINDS = (("get", 0.5), ("small", 0.35), ("middle", 0.10), ("large", 0.03), ("stream", 0.02))
"""Kinds of request and their shares: a GET, 1 KiB, 1 to 64 KiB, 1 MiB, server-sent events."""
SHORT = ("get", "small")
"""Kinds whose latency is compared between phases."""
NEW_CONNECTION_SHARE = 0.2
IDLE_S = 30.0
"""Below the router's 75 s: a client that closes later meets a connection that is just closing."""


class Failed(Exception):
    """An answer that is not, byte for byte, what the champion made."""


@dataclass
class Findings:
    """What the clients saw, by phase."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    n_failed: int = 0
    n_by_kind: Counter[str] = field(default_factory=Counter)
    latencies_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    request_ids: list[str] = field(default_factory=list)
    """Some that were answered and not yet labelled."""

    def fail(self, phase: str, what: str) -> None:
        self.n_failed += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(f"{phase}: {what}")


class Connection:
    """One connection to the router, and reading from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.used_s = time.monotonic()

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 21))

    async def ask(self, raw: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Send one request; return status, fields and body."""
        self.writer.write(raw)
        await self.writer.drain()
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        fields = {}
        for line in lines:
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        if b"transfer-encoding" in fields:
            body = await self._chunks()
        else:
            body = await self.reader.readexactly(int(fields[b"content-length"]))
        return int(first.split(b" ")[1]), fields, body

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return bytes(body)

    def close(self) -> None:
        self.writer.close()


class Clients:
    """Owner of all connections. ``phase`` says what is going on; the loop sets it."""

    def __init__(self, port: int, rate: float, seed: int) -> None:
        self.rate = rate
        """Requests a second; 0: as many as ``n_eager`` clients can."""
        self.phase = "start"
        self.findings = Findings()
        self._port = port
        self._rng = random.Random(seed)
        self._idle: list[Connection] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._large = self._rng.randbytes(1 << 20)

    async def run(self) -> None:
        """Ask at the rate until stopped; then wait for what is under way."""
        next_s = time.monotonic()
        while not self._is_stopping:
            now_s = time.monotonic()
            if now_s < next_s:
                await asyncio.sleep(next_s - now_s)
                continue
            if now_s - next_s > 1.0:
                next_s = now_s  # never make up for more than a second
            next_s += self._rng.expovariate(self.rate)
            if len(self._under_way) >= MAX_UNDER_WAY:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            task = spawn(self._one(), name="soak-client")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if self._under_way:
            await asyncio.wait(self._under_way)
        for connection in self._idle:
            connection.close()

    async def capacity(self, seconds: float, n_eager: int = 12) -> float:
        """Return requests a second when so many clients ask without pause."""
        before, ends_s = self.findings.answered, time.monotonic() + seconds

        async def eager() -> None:
            while time.monotonic() < ends_s:
                await self._one()

        await asyncio.gather(*(eager() for _ in range(n_eager)))
        return (self.findings.answered - before) / seconds

    def stop(self) -> None:
        self._is_stopping = True

    async def _one(self) -> None:
        phase, findings = self.phase, self.findings
        kind = self._rng.choices([name for name, _ in KINDS], [share for _, share in KINDS])[0]
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._ask(kind)
        except (OSError, EOFError, Failed, ValueError, KeyError) as error:
            findings.fail(phase, f"{kind}: {type(error).__name__} {error}")
            return
        findings.answered += 1
        findings.n_by_kind[kind] += 1
        if kind in SHORT:
            findings.latencies_s[phase].append(time.monotonic() - began_s)

    async def _ask(self, kind: str) -> None:
        self._close_old()
        is_new = self._rng.random() < NEW_CONNECTION_SHARE or not self._idle
        connection = await Connection.open(self._port) if is_new else self._idle.pop()
        is_good = False
        try:
            asked = self._body(kind)
            status, fields, body = await connection.ask(self._raw(kind, asked))
            check(kind, status, fields, body, asked)
            self._note_id(fields)
            is_good = True
        finally:
            if is_good and len(self._idle) < 50 and self._rng.random() < 0.98:
                connection.used_s = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()

    def _close_old(self) -> None:
        """Close what was not used for long, before the router does so just as we use it again."""
        oldest_s = time.monotonic() - IDLE_S
        while self._idle and self._idle[0].used_s < oldest_s:
            self._idle.pop(0).close()

    def _note_id(self, fields: dict[bytes, bytes]) -> None:
        if len(self.findings.request_ids) < 5000:
            self.findings.request_ids.append(fields[b"x-request-id"].decode())

    def _body(self, kind: str) -> bytes:
        if kind == "large":
            return self._large
        if kind == "middle":
            return self._large[: self._rng.randrange(1024, 65536)]
        return self._large[:1024] if kind == "small" else b""

    def _raw(self, kind: str, body: bytes) -> bytes:
        if kind == "stream":
            return b"GET " + PREFIX + b"stream HTTP/1.1\r\nHost: soak\r\n\r\n"
        if kind == "get":
            return b"GET " + PREFIX + b"x HTTP/1.1\r\nHost: soak\r\nX-Size: 100\r\n\r\n"
        size = self._rng.choice((100, 1000, len(body)))
        head = b"POST " + PREFIX + b"x HTTP/1.1\r\nHost: soak\r\nX-Size: %d\r\n" % size
        if self._rng.random() < 0.7:
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        half = len(body) // 2
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:half], body[half:]))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def check(kind: str, status: int, fields: dict[bytes, bytes], body: bytes, asked: bytes) -> None:
    """Raise Failed unless this is, to the byte, what the champion made of what was asked."""
    if status != 200 or fields.get(b"x-by") != b"champion":
        raise Failed(f"status {status} by {fields.get(b'x-by')!r}: {body[:100]!r}")
    if kind == "stream":
        said, _, last = body.removesuffix(b"\n\n").rpartition(b"data: ")
        if last != b"%08x" % zlib.crc32(said):
            raise Failed(f"a stream was changed: {body[-100:]!r}")
        return
    if fields.get(b"x-crc") != b"%08x" % zlib.crc32(body):
        raise Failed("an answer was changed")
    if b'"asked": "%08x"' % zlib.crc32(asked) not in body[:120]:
        raise Failed("the request was changed, or it is another's answer")


async def drip(port: int, n: int, seconds: float) -> None:
    """Slow loris: ``n`` connections that send a head a byte at a time and never end it."""
    connections = [await Connection.open(port) for _ in range(n)]
    ends_s = time.monotonic() + seconds
    raw = b"GET " + PREFIX + b"slow HTTP/1.1\r\nHost: soak\r\nX: "
    at = 0
    while time.monotonic() < ends_s:
        for connection in connections:
            connection.writer.write(raw[at : at + 1] or b"y")
        at += 1
        await asyncio.sleep(0.1)
    for connection in connections:
        connection.close()


async def vanish(port: int, seconds: float) -> int:
    """Clients that break off: in the head, in the body, waiting, reading. Return how many."""
    body = bytes(200_000)
    whole = b"POST %bx HTTP/1.1\r\nHost: soak\r\nX-Size: 300000\r\nContent-Length: %d\r\n\r\n" % (
        PREFIX,
        len(body),
    )
    whole += body
    ends_s, n = time.monotonic() + seconds, 0
    while time.monotonic() < ends_s:
        connection = await Connection.open(port)
        n += 1
        with contextlib.suppress(OSError):
            connection.writer.write(whole[: (30, 100_000, len(whole))[n % 3]])
            await asyncio.sleep(0.002 * (n % 7))
            if n % 3 == 2 and n % 2:
                await asyncio.wait_for(connection.reader.read(1000), 5)
        connection.writer.transport.abort()
        await asyncio.sleep(0.01)
    return n
