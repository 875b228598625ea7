"""A router between scripted ends, all in one event loop: models, clients, a controller.

Everything is real sockets; only the peers' behaviour is scripted. ``play`` runs a transcript.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from router import frames
from router.certificate import ServerTls
from router.counters import Counters
from router.dial import Dial, Network
from router.observation import Batch, Exposure, MirroredPair, Observation
from router.overload import Limits
from router.server import Server
from router.signer import MakeRead
from router.table import Match, Mirror, Route, RoutingTable, Split, Variant, to_bytes
from router.tasks import spawn

LINGER_0 = struct.pack("ii", 1, 0)
WITHIN_S = 5.0
"""How long a test waits for what should come at once; two busy cores need room."""

T = TypeVar("T")


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait for ``condition``; AssertionError if it does not come true."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, "it did not come true in time"
        await asyncio.sleep(0.002)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
    writer.transport.abort()


# Messages.


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP message as it arrived."""

    line: bytes
    fields: dict[bytes, bytes]
    body: bytes = b""
    chunks: tuple[bytes, ...] = ()

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])


ONCE = (b"host", b"content-length", b"transfer-encoding", b"connection", b"x-request-id")


def fields_of(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the first line and the fields of a head, names in lower case.

    AssertionError if one that we write ourselves came twice; others are joined.
    """
    line, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields: dict[bytes, bytes] = {}
    for name, value in (one.split(b":", 1) for one in rest):
        name = name.lower()
        assert name not in fields or name not in ONCE, f"a field came twice: {head!r}"
        fields[name] = (
            b", ".join((fields[name], value.strip())) if name in fields else value.strip()
        )
    return line, fields


async def read_chunks(reader: asyncio.StreamReader) -> list[bytes]:
    """Read a chunked body; IncompleteReadError if it breaks off."""
    chunks: list[bytes] = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).strip(), 16)
        chunk = await reader.readexactly(size + 2)
        if size == 0:
            return chunks
        chunks.append(chunk[:-2])


# Models.


class Turn:
    """One request at a model."""

    def __init__(self, model: "Model", line: "Line", nth: int) -> None:
        self.model = model
        self.line = line
        self.nth = nth
        """Which request on its connection, from 0."""
        self.request = Message(b"", {})
        self.has_body = False

    async def send(self, *pieces: bytes) -> None:
        """Write each piece by itself."""
        for piece in pieces:
            self.line.writer.write(piece)
            await self.line.writer.drain()
            await asyncio.sleep(0)

    def reset(self) -> None:
        reset(self.line.writer)

    def close(self) -> None:
        self.line.writer.close()

    async def read_body(self) -> Message:
        """Read the request's body and note the whole request."""
        head, self.has_body = self.request, True
        chunks: list[bytes] = []
        if b"transfer-encoding" in head.fields:
            chunks = await read_chunks(self.line.reader)
            body = b"".join(chunks)
        else:
            body = await self.line.reader.readexactly(int(head.fields.get(b"content-length", 0)))
        self.request = Message(head.line, head.fields, body, tuple(chunks))
        self.model.requests.append(self.request)
        return self.request


Script = Callable[[Turn], Awaitable[None]]


@dataclass
class Line:
    """One connection at a model."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Model:
    """A model server that does what its script says, request by request.

    Without a script it only accepts, and the test drives each Line by itself.
    """

    def __init__(self, name: str, script: Script | None, *, early: bool = False) -> None:
        self.name = name
        self.script = script
        self.early = early
        """Whether the script runs before the body is read."""
        self.requests: list[Message] = []
        self.heads: list[Message] = []
        self.n_connections = 0
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.tasks: set[asyncio.Task[Any]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(
        self, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self._server = await asyncio.start_server(self._accept, host, port, ssl=tls)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def start_unix(self, path: str) -> None:
        """Listen on a Unix socket instead."""
        self._server = await asyncio.start_unix_server(self._accept, path)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        line = Line(reader, writer)
        self._writers.append(writer)
        if self.script is None:
            self.lines.put_nowait(line)
            return
        task = spawn(self._serve(line), name=f"model-{self.name}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, line: Line) -> None:
        nth = 0
        try:
            while not line.writer.is_closing():
                assert self.script is not None
                turn = Turn(self, line, nth)
                head = await line.reader.readuntil(b"\r\n\r\n")
                turn.request = Message(*fields_of(head))
                self.heads.append(turn.request)
                if not self.early:
                    await turn.read_body()
                await self.script(turn)
                nth += 1
                if self.early and not turn.has_body:
                    await line.reader.read()  # whatever comes; never a request
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the router closed the connection, as it may
        except RuntimeError:
            assert line.writer.is_closing()  # uvloop's way to say the same
        except ssl.SSLError:
            pass  # the router ended a TLS connection without a goodbye, as it may
        finally:
            line.writer.close()

    def close_listener(self) -> None:
        """From now on connections are refused."""
        assert self._server is not None
        self._server.close()

    async def close(self) -> None:
        self.close_listener()
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(list(self.tasks))
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def ok(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole answer."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def answers(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> Script:
    """Answer each request with ``body``."""

    async def script(turn: Turn) -> None:
        await turn.send(ok(body, *fields, status=status))

    return script


async def echoes(turn: Turn) -> None:
    """Answer each request with its target and body."""
    await turn.send(ok(turn.request.line.split(b" ")[1] + b" " + turn.request.body))


async def hangs(turn: Turn) -> None:
    """Never answer; end when the router does."""
    await turn.line.reader.read()
    turn.close()


async def resets(turn: Turn) -> None:
    """Break the connection off with RST once the request is read."""
    turn.reset()


async def closes(turn: Turn) -> None:
    """Close cleanly without an answer."""
    turn.close()


def sends(*pieces: bytes, then: Script | None = None) -> Script:
    """Send exactly these bytes, then go on as ``then`` does."""

    async def script(turn: Turn) -> None:
        await turn.send(*pieces)
        if then is not None:
            await then(turn)

    return script


def waits(seconds: float, then: Script) -> Script:
    """Do as ``then``, later."""

    async def script(turn: Turn) -> None:
        await asyncio.sleep(seconds)
        await then(turn)

    return script


# Clients.


class Client:
    """A raw client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def head(self, within_s: float = WITHIN_S) -> Message:
        """Read one head."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), within_s)
        return Message(*fields_of(raw))

    async def answer(self, *, is_to_head: bool = False) -> Message:
        """Read one whole answer; IncompleteReadError or ConnectionError if it breaks off."""
        head = await self.head()
        return await asyncio.wait_for(self._body(head, is_to_head), WITHIN_S)

    async def _body(self, head: Message, is_to_head: bool) -> Message:
        if is_to_head or head.status in (204, 304) or head.status < 200:
            return head
        if b"transfer-encoding" in head.fields:
            chunks = await read_chunks(self.reader)
            return Message(head.line, head.fields, b"".join(chunks), tuple(chunks))
        if b"content-length" in head.fields:
            body = await self.reader.readexactly(int(head.fields[b"content-length"]))
        else:
            body = await self.reader.read()
        return Message(head.line, head.fields, body)

    async def ask(self, raw: bytes) -> Message:
        await self.send(raw)
        return await self.answer(is_to_head=raw.startswith(b"HEAD"))

    async def ended(self) -> bytes:
        """Read until the router ends the connection; return what came before."""
        return await asyncio.wait_for(self.reader.read(), WITHIN_S)

    def reset(self) -> None:
        reset(self.writer)

    def close(self) -> None:
        self.writer.close()


def get(target: bytes = b"/x", *fields: bytes) -> bytes:
    """Return a GET."""
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: a", *fields)) + b"\r\n\r\n"


def post(body: bytes, *fields: bytes, target: bytes = b"/x", method: bytes = b"POST") -> bytes:
    """Return a POST."""
    lines = (method + b" " + target + b" HTTP/1.1", b"Host: a", *fields)
    return b"\r\n".join(lines) + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def post_head(length: int, *fields: bytes) -> bytes:
    """Return the head of a POST whose body follows."""
    return post(b"", *fields).replace(b"Length: 0", b"Length: %d" % length)


def post_chunked(*chunks: bytes) -> bytes:
    """Return a POST in chunks."""
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks) + b"0\r\n\r\n"


# The controller.


class FakeController:
    """Listens where the router reports, notes every frame, and acknowledges if told to."""

    def __init__(self, path: str, *, is_acknowledging: bool = True) -> None:
        self.path = path
        self.is_acknowledging = is_acknowledging
        self.frames: list[frames.FromRouter] = []
        self.raw: list[bytes] = []
        self._server: asyncio.Server | None = None
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        deframer = frames.Deframer()
        with contextlib.suppress(ConnectionError):
            while received := await reader.read(65536):
                for raw in deframer.feed(received):
                    self._note(frames.decode_from_router(raw), writer)
        writer.close()

    def _note(self, message: frames.FromRouter, writer: asyncio.StreamWriter) -> None:
        self.frames.append(message)
        if isinstance(message, Batch) and self.is_acknowledging:
            self.send(frames.Ack(message.source, message.sequence))

    def send(self, message: frames.FromController) -> None:
        self.writers[-1].write(frames.encode(message))

    def publish(self, table: RoutingTable) -> None:
        self.send(frames.Publish(to_bytes(table)))

    def of(self, kind: type[T]) -> list[T]:
        """Return the frames of one kind so far."""
        return [one for one in self.frames if isinstance(one, kind)]

    @property
    def observations(self) -> list[Observation]:
        return [one for batch in self.of(Batch) for one in batch.observations]

    @property
    def exposures(self) -> list[Exposure]:
        return [one for one in self.observations if isinstance(one, Exposure)]

    @property
    def pairs(self) -> list[MirroredPair]:
        return [one for one in self.observations if isinstance(one, MirroredPair)]

    def stop(self) -> None:
        """Vanish, as a killed controller does."""
        if self._server is not None:
            self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


# The whole.


@dataclass
class Rig:
    """A server, its models and its controller. Made by ``rig``."""

    server: Server
    models: dict[str, Model]
    controller: FakeController
    port: int
    table: RoutingTable
    trouble: list[dict[str, Any]] = field(default_factory=list)
    """What the loop's exception handler was told; empty unless something is wrong."""
    clients: list[Client] = field(default_factory=list)

    async def client(self, tls: ssl.SSLContext | None = None) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, ssl=tls))
        self.clients.append(client)
        return client

    @property
    def champion(self) -> Model:
        return self.models["champion"]

    @property
    def challenger(self) -> Model:
        return self.models["challenger"]

    def pool(self, name: str = "champion") -> Any:
        """Return the pool in force; its repr is what tests look at."""
        return self.server._live.routes[0].pools[name]

    @property
    def events(self) -> dict[str, int]:
        """Return everything rare that was counted."""
        return {"|".join(key): n for key, n in self.server.counters.events.items()}

    async def exposures(self, n: int = 1) -> list[Exposure]:
        """Wait for ``n`` exposures, and a moment for one too many."""
        await until(lambda: len(self.controller.exposures) >= n)
        await asyncio.sleep(0.05)
        assert len(self.controller.observations) == n
        return self.controller.exposures

    async def pairs(self, n: int = 1) -> list[MirroredPair]:
        """Wait for ``n`` mirrored pairs, and a moment for one too many."""
        await until(lambda: len(self.controller.pairs) >= n)
        await asyncio.sleep(0.05)
        assert len(self.controller.observations) == n
        return self.controller.pairs

    def use(self, **changes: Any) -> None:
        """Swap the table for one with the first route changed."""
        route = {name: getattr(self.table.routes[0], name) for name in Route.__struct_fields__}
        self.table = RoutingTable(
            version=self.table.version + 1, routes=(Route(**(route | changes)),)
        )
        self.server.use(self.table)


def variant(name: str, port: int, **settings: Any) -> Variant:
    """Return a Variant with timeouts that suit tests."""
    settings = {"response_timeout_s": 3.0, "keepalive_s": 30.0} | settings
    return Variant(name=name, host="127.0.0.1", port=port, **settings)


def dial_of(one: Variant) -> Dial:
    """Return a dial of its own for ``one``, in the running loop."""
    return Dial("r", one, Network(asyncio.get_running_loop(), Counters()))


def sharing(mode: str, buckets: int) -> dict[str, Any]:
    """Return what makes a route plain, a split or a mirror."""
    if mode == "plain":
        return {"split": Split(champion="champion")}
    if mode == "split":
        split = Split(champion="champion", challenger="challenger", challenger_buckets=buckets)
        return {"split": split, "experiment": "e", "salt": b"s"}
    mirror = Mirror(variant="challenger", buckets=buckets)
    return {"split": Split(champion="champion"), "mirror": mirror, "experiment": "e", "salt": b"s"}


@contextlib.asynccontextmanager
async def rig(
    champion: Script | None = echoes,
    challenger: Script | None = echoes,
    *,
    mode: str = "plain",
    buckets: int = 10_000,
    variants: dict[str, Any] | None = None,
    variant_of: dict[str, dict[str, Any]] | None = None,
    is_acknowledging: bool = True,
    early: bool = False,
    deadlines: dict[str, float] | None = None,
    is_strict: bool = True,
    tls: ServerTls | None = None,
    limits: Limits | None = None,
    make_read: MakeRead | None = None,
    **route: Any,
) -> AsyncIterator[Rig]:
    """Run a router with one route over two models, and check afterwards that nothing is left.

    ``mode`` is plain, split or mirror; ``variants`` are settings of both variants and
    ``variant_of`` of one; ``deadlines`` shorten the server's, by name: ``{"head": 0.1}``.
    """
    loop = asyncio.get_running_loop()
    trouble: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: trouble.append(context))
    before = asyncio.all_tasks()
    models = {
        "champion": Model("champion", champion, early=early),
        "challenger": Model("challenger", challenger, early=early),
    }
    for model in models.values():
        await model.start()
    with tempfile.TemporaryDirectory() as folder:
        controller = FakeController(
            str(Path(folder) / "control.sock"), is_acknowledging=is_acknowledging
        )
        await controller.start()
        made = [
            variant(name, model.port, **(variants or {}) | (variant_of or {}).get(name, {}))
            for name, model in models.items()
        ]
        one: dict[str, Any] = {"name": "r", "match": Match(path="*"), "variants": tuple(made)}
        one |= sharing(mode, buckets)
        table = RoutingTable(version=1, routes=(Route(**(one | route)),))
        # Models and clients share this loop: it may be late for reasons that are not the router's.
        limits = limits or Limits(lag_s=30.0)
        server = Server(loop, table, 0, controller.path, limits, tls, make_read=make_read)
        for name, seconds in (deadlines or {}).items():
            setattr(server, f"{name}_deadlines", server._book.of(seconds))
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listener.setblocking(False)
        await server.start(listener)
        rigged = Rig(server, models, controller, listener.getsockname()[1], table, trouble)
        await until(lambda: controller.of(frames.Hello))
        try:
            yield rigged
        finally:
            for client in rigged.clients:
                client.close()
            await server.stop(0.5)
            for model in models.values():
                await model.close()
            controller.stop()
        await until(lambda: asyncio.all_tasks() <= before)
        if is_strict:
            assert trouble == [], trouble
            await until(lambda: all("[0 open" in repr(p) for p in pools_of(server)))


def pools_of(server: Server) -> list[Any]:
    """Return the pools of the table in force."""
    return [pool for live in server._live.routes for pool in live.pools.values()]


# Transcripts.

Step = tuple[str, bytes]


async def play(rigged: Rig, steps: Sequence[Step], model: str = "champion") -> None:
    """Play a transcript between one client and one model that has no script.

    ``>>`` the client sends, ``|>`` the model gets, ``<|`` the model sends, ``<<`` the client gets:
    exactly these bytes, before anything else is sent. Empty bytes stand for the end of a stream.
    """
    client = await rigged.client()
    line: Line | None = None
    for nth, (arrow, raw) in enumerate(steps):
        if arrow in ("|>", "<|") and line is None:
            line = await asyncio.wait_for(rigged.models[model].lines.get(), WITHIN_S)
        if arrow in (">>", "<|"):
            writer = client.writer if arrow == ">>" or line is None else line.writer
            if raw:
                writer.write(raw)
            else:
                writer.write_eof()
            continue
        reader = client.reader if arrow == "<<" or line is None else line.reader
        await expect(reader, raw, f"step {nth}: {arrow}")
        if not raw:
            line = None if arrow == "|>" else line


async def expect(reader: asyncio.StreamReader, raw: bytes, where: str) -> None:
    """Read as many bytes as ``raw`` has and compare; nothing, for the end of the stream."""
    try:
        wanted = reader.readexactly(len(raw)) if raw else reader.read(1)
        got = await asyncio.wait_for(wanted, WITHIN_S)
    except asyncio.IncompleteReadError as error:
        got = error.partial + b"<end>"
    except TimeoutError:
        got = b"<nothing in time, but>" + bytes(reader._buffer)  # type: ignore[attr-defined] # diagnosis
    assert got == raw, where
