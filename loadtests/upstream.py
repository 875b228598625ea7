"""The model server's stand-in: reads each request whole, answers a fixed JSON, counts.

It must cost as little as it can, since it shares a core with the load generator: no parser, one
search for the end of the head and one for the length. It answers 501 to what it does not
understand (a chunked body), which makes the row invalid instead of wrong.

``python -m loadtests.upstream --port P --variant champion``
"""

import argparse
import asyncio
import re
import signal
from typing import cast

import uvloop

from loadtests.work import PREDICT, answer_body

COUNT_PATH = b"/count"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def respond(status: bytes, body: bytes) -> bytes:
    """Return a whole HTTP/1.1 response."""
    return _HEAD % (status, len(body)) + body


class Tally:
    """How many predictions this upstream has answered. One per process."""

    def __init__(self, answer: bytes) -> None:
        self.predictions = 0
        self.answer = respond(b"200 OK", answer)

    def respond(self, head: bytes) -> bytes:
        """Return the response to a request with this head, and count it if it is a prediction."""
        if head.startswith(b"POST "):
            self.predictions += 1
            return self.answer
        if head.startswith(b"GET " + COUNT_PATH):
            return respond(b"200 OK", b'{"predictions": %d}' % self.predictions)
        return respond(b"200 OK", b'{"name": "bench", "ready": true}')


class Answer(asyncio.Protocol):
    """One connection, kept alive. Holds at most one head; bodies are counted and dropped."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buffer = b""
        self._response = b""
        self._body_left = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        self._buffer = b""
        while buffer:
            if self._response:
                if len(buffer) < self._body_left:
                    self._body_left -= len(buffer)
                    return
                buffer = buffer[self._body_left :]
                self._answer()
                continue
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            self._begin(buffer[: end + 2])
            buffer = buffer[end + 4 :]
            if not self._body_left:
                self._answer()

    def _begin(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        self._body_left = int(length[1]) if length else 0
        if length is None and _CHUNKED.search(head):
            self._response = respond(b"501 Not Implemented", b"{}")
        else:
            self._response = self._tally.respond(head)

    def _answer(self) -> None:
        assert self._transport is not None
        self._transport.write(self._response)
        self._response = b""
        self._body_left = 0


async def serve(port: int, tally: Tally) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: Answer(tally), "127.0.0.1", port, backlog=1024)
    async with server:
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--answer-bytes", type=int, default=PREDICT.answer_bytes)
    options = parser.parse_args()
    uvloop.run(serve(options.port, Tally(answer_body(options.answer_bytes, options.variant))))


if __name__ == "__main__":
    main()
