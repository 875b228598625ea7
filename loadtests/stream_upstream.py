"""The model server's stand-in that streams: each POST is answered by paced server-sent events.

One chunk an event and one send(2) a chunk, at its own time, so that what the proxy does with each
can be seen. Each event carries when it was sent. It counts like upstream.py.
``python -m loadtests.stream_upstream --port P --variant champion``
"""

import argparse
import re
import signal
import socket

from loadtests.precise import Loop, be_punctual, now, now_ns
from loadtests.upstream import COUNT_PATH, respond
from loadtests.work import EVENTS, PACE_MS

# X-Accel-Buffering is how an application asks nginx for `proxy_buffering off` of one answer.
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def event(number: int, sent_ns: int) -> bytes:
    """Return one event as one chunk: about the size of a token from a language model."""
    text = b'data: {"number": %d, "sent_ns": %d, "token": " understudy"}\n\n' % (number, sent_ns)
    return b"%x\r\n%b\r\n" % (len(text), text)


class Stream:
    """One connection: a request, its events, the next request."""

    def __init__(self, upstream: "Upstream", sock: socket.socket) -> None:
        self._upstream = upstream
        self._sock = sock
        self._received = b""
        self._number = EVENTS
        """Of the next event; EVENTS when no stream is under way."""
        self._began = 0.0
        self._is_open = True

    def read(self) -> None:
        try:
            data = self._sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._received += data
        self._answer()

    def _answer(self) -> None:
        """Answer the first request that has come whole, unless a stream is under way."""
        head_end = self._received.find(b"\r\n\r\n")
        if self._number < EVENTS or head_end < 0:
            return
        length = _LENGTH.search(self._received, 0, head_end + 2)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return
        head, self._received = self._received[:head_end], self._received[end:]
        if head.startswith(b"POST "):
            self._upstream.predictions += 1
            self._number, self._began = 0, now()
            self._write(HEAD)
            self._tick()
        elif head.startswith(b"GET " + COUNT_PATH):
            self._write(respond(b"200 OK", b'{"predictions": %d}' % self._upstream.predictions))
        else:
            self._write(respond(b"200 OK", b'{"name": "bench", "ready": true}'))

    def _tick(self) -> None:
        if not self._is_open:
            return
        self._write(event(self._number, now_ns()))
        self._number += 1
        if self._number < EVENTS:
            due = self._began + self._number * PACE_MS / 1e3
            self._upstream.loop.at(due, self._tick)
        else:
            self._write(b"0\r\n\r\n")
            self._answer()

    def _write(self, data: bytes) -> None:
        """Send now. A reader that leaves 100 KiB unread is not one of ours: cut it."""
        if not self._is_open:
            return
        try:
            is_sent = self._sock.send(data) == len(data)
        except OSError:
            is_sent = False
        if not is_sent:
            self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._upstream.loop.forget(self._sock)
            self._sock.close()


class Upstream:
    """The listening socket and the count. One per process."""

    def __init__(self, listener: socket.socket) -> None:
        self.loop = Loop()
        self.predictions = 0
        self._listener = listener
        listener.setblocking(False)
        self.loop.on_readable(listener, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # it has gone already
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop.on_readable(sock, Stream(self, sock).read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--variant", required=True)
    options = parser.parse_args()
    be_punctual()
    with socket.create_server(("127.0.0.1", options.port), backlog=1024) as listener:
        upstream = Upstream(listener)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: upstream.loop.stop())
        upstream.loop.run()


if __name__ == "__main__":
    main()
