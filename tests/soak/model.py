"""A stand-in for a model server, in a process of its own; it can be told to misbehave.

Every answer carries what proves it: who made it, the CRC of its body and of the request's body.
``python -m tests.soak.model --name champion --port P --control C``; a line on the control port
(``ok``, ``refuse``, ``slow``, ``crash``, ``garbage``, ``reset``) sets its mode.
"""

import argparse
import asyncio
import contextlib
import socket
import struct
import zlib

import uvloop

from tests.router.kit import read_chunks

MODES = ("ok", "refuse", "slow", "crash", "garbage", "reset")
SLOW_BYTES_S = 1000
GOOD_EVERY = 50
EVENTS = 8
EVENT_EVERY_S = 0.01
LINGER_0 = struct.pack("ii", 1, 0)


def crc(raw: bytes) -> bytes:
    """Return the CRC-32 as hex."""
    return b"%08x" % zlib.crc32(raw)


def body_of(name: str, asked: bytes, size: int) -> bytes:
    """Return a JSON answer of at least ``size`` bytes that names its maker and what was asked."""
    begin = b'{"predictions": [1], "by": "%b", "asked": "%b", "pad": "' % (
        name.encode(),
        crc(asked),
    )
    return begin + b"x" * max(0, size - len(begin)) + b'"}'


class Model:
    """All connections of one stand-in."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.mode = "ok"
        self._n_asked = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def set_mode(self, mode: str) -> None:
        """Behave so from now on; connections that are open end when nobody is to be let in."""
        self.mode = mode
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
            for writer in list(self._writers):
                writer.transport.abort()
        elif mode != "refuse" and self._server is None:
            await self.listen()

    async def listen(self) -> None:
        # Said twice: the loop listens again, and would cut the backlog down to 100.
        listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._server = await asyncio.start_server(self._serve, sock=listener, backlog=512)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError):
            pass  # whoever asked has gone
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(_field(head, b"content-length") or 0)
        self._n_asked += 1
        # Now and then it is well: a run of failures must not end the mirror (limits.eject_after).
        mode = self.mode if self._n_asked % GOOD_EVERY else "ok"
        if mode == "slow":
            await asyncio.sleep(max(1.0, length / SLOW_BYTES_S))
        if b"\r\ntransfer-encoding: chunked" in head:
            asked = b"".join(await read_chunks(reader))
        else:
            asked = await reader.readexactly(length)
        if mode == "reset":
            sock = writer.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            writer.transport.abort()
            return False
        if mode == "garbage":
            writer.write(b"\x16\x03\x01garbage\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            return False
        if b" /v1/models/soak/stream " in head:
            return await self._stream(writer, cut=mode == "crash")
        body = body_of(self.name, asked, int(_field(head, b"x-size") or 0))
        lines = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-crc: %b\r\nx-by: %b\r\n\r\n"
        raw = lines % (len(body), crc(body), self.name.encode()) + body
        if mode == "crash":
            writer.write(raw[: len(raw) // 2])
            return False
        writer.write(raw)
        await writer.drain()
        return b"\r\nconnection: close" not in head

    async def _stream(self, writer: asyncio.StreamWriter, *, cut: bool) -> bool:
        """Server-sent events; the last one is the CRC of all before it."""
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-by: %b\r\n"
            b"transfer-encoding: chunked\r\n\r\n" % self.name.encode()
        )
        said = b""
        for n in range(EVENTS):
            event = b"data: %d %b\n\n" % (n, self.name.encode())
            said += event
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(EVENT_EVERY_S)
            if cut:
                return False
        last = b"data: %b\n\n" % crc(said)
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))
        await writer.drain()
        return True


def _field(head: bytes, name: bytes) -> bytes:
    """Return the value of a field of a head in lower case, or nothing."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    at += len(name) + 3
    return head[at : head.index(b"\r\n", at)].strip()


async def serve(name: str, port: int, control: int) -> None:
    """Serve until killed."""
    model = Model(name, port)
    await model.listen()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := (await reader.readline()).decode().strip():
                assert line in MODES, line
                await model.set_mode(line)
                writer.write(b"done\n")
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", control) as server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.name, options.port, options.control))


if __name__ == "__main__":
    main()
