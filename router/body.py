"""How much of the incoming bytes is body: by length, in chunks, or until the connection ends.

Pure: bytes in, bytes out. Readers take what has arrived and return the payload in it at once;
nothing is held back but an unfinished chunk-size line, which has a limit of its own.
"""

import re
from typing import Final

from router.errors import RouterError
from router.message import CHUNKED, FIELD_LINES, NEVER_IN_HEAD, UNTIL_CLOSE

MAX_CHUNK_LINE_BYTES = 512
"""Chunk size and extensions. llhttp swallows 16 MiB of them without a word (CVE-2023-39326)."""
MAX_TRAILER_BYTES = 8 * 1024
MAX_CHUNK_BYTES = 1 << 40
"""More than any limit on bodies, and far from where 64 bits wrap round."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb"\"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+\""
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:"
    + _TOKEN + rb"|" + _QUOTED + rb"))?)*"
)  # fmt: skip
# Fields that would change the meaning of a message that has already been acted on.
_FORBIDDEN_TRAILERS = re.compile(
    rb"(?im)^(?:content-length|transfer-encoding|host|authorization|connection|content-type"
    rb"|content-encoding|content-range|trailer|te|upgrade|expect|cookie|set-cookie)[ \t]*:"
)

# The chunks of a stream are of few sizes: what their lines say is looked up.
_seen_sizes: Final[dict[bytes, int]] = {}
_MAX_SEEN: Final = 4096
_MAX_SEEN_LINE_BYTES: Final = 6


class LengthBody:
    """A body of a known number of bytes."""

    __slots__ = ("is_done", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.is_done = length == 0

    def feed(self, received: bytes) -> tuple[bytes, bytes]:
        """Return (payload, what follows the body)."""
        remaining = self.remaining
        if len(received) < remaining:
            self.remaining = remaining - len(received)
            return received, b""
        self.remaining = 0
        self.is_done = True
        if len(received) == remaining:
            return received, b""
        return received[:remaining], received[remaining:]


class EndlessBody:
    """A body that ends with its connection."""

    __slots__ = ()
    is_done = False

    def feed(self, received: bytes) -> tuple[bytes, bytes]:
        """Return (payload, nothing): all of it is body."""
        return received, b""


class ChunkedBody:
    """A body in chunked transfer coding (RFC 9112 section 7.1), read strictly.

    Extensions are checked and dropped, trailers too: what they meant ends at this hop.
    """

    __slots__ = ("_error", "_held", "_in_trailer", "_need_crlf", "_remaining", "is_done")

    def __init__(self, error: type[RouterError]) -> None:
        self._error = error
        self._held = b""
        self._remaining = 0
        self._need_crlf = False
        self._in_trailer = False
        self.is_done = False

    def feed(self, received: bytes) -> tuple[bytes, bytes]:
        """Return (payload, what follows the body); the given error if it is malformed."""
        checked = len(self._held)
        buffer = self._held + received if checked else received
        self._held = b""
        payload: list[bytes] = []
        at = 0
        size = len(buffer)
        while at < size:
            if self._in_trailer:
                return b"".join(payload), self._end(buffer[at:], max(0, checked - at))
            if self._remaining:
                piece = buffer[at : at + self._remaining]
                payload.append(piece)
                at += len(piece)
                self._remaining -= len(piece)
                self._need_crlf = self._remaining == 0
            elif self._need_crlf:
                if size - at < 2:
                    if buffer[at:] != b"\r":
                        raise self._error("chunk data is not followed by CRLF")
                    break
                if buffer[at : at + 2] != b"\r\n":
                    raise self._error("chunk data is not followed by CRLF")
                at += 2
                self._need_crlf = False
            else:
                end = buffer.find(b"\n", at)
                if end < 0:
                    break
                self._begin_chunk(buffer[at:end])
                at = end + 1
        if at < size:
            self._hold(buffer[at:], max(0, checked - at))
        return b"".join(payload), b""

    def _begin_chunk(self, line: bytes) -> None:
        size = _seen_sizes.get(line)
        self._remaining = self._read_size(line) if size is None else size
        self._in_trailer = self._remaining == 0

    def _read_size(self, line: bytes) -> int:
        is_line = line[-1:] == b"\r" and len(line) <= MAX_CHUNK_LINE_BYTES
        match = _CHUNK_LINE.fullmatch(line, 0, len(line) - 1) if is_line else None
        if match is None:
            raise self._error(f"chunk line {line[:64]!r} is malformed")
        size = int(match[1], 16)
        if size > MAX_CHUNK_BYTES:
            raise self._error(f"a chunk of {size} bytes")
        if len(line) <= _MAX_SEEN_LINE_BYTES:
            if len(_seen_sizes) >= _MAX_SEEN:
                _seen_sizes.clear()
            _seen_sizes[line] = size
        return size

    def _end(self, buffer: bytes, checked: int) -> bytes:
        """Read the trailer section; return what follows it once it is whole."""
        if buffer[:2] == b"\r\n":
            self.is_done = True
            return buffer[2:]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._hold(buffer, checked)
            return b""
        section = buffer[: end + 4]
        if len(section) > MAX_TRAILER_BYTES or not FIELD_LINES.fullmatch(section):
            raise self._error("the trailer section is malformed")
        if _FORBIDDEN_TRAILERS.search(section):
            raise self._error("a trailer field that may not be one")
        self.is_done = True
        return buffer[end + 4 :]

    def _hold(self, rest: bytes, checked: int) -> None:
        """Keep ``rest``; its first ``checked`` bytes were kept before, and are not looked at again.

        Otherwise 8 KiB of trailers that come byte by byte would cost 0.8 s of CPU (measured).
        """
        limit = MAX_TRAILER_BYTES if self._in_trailer else MAX_CHUNK_LINE_BYTES
        if len(rest) > limit:
            raise self._error("a chunk line or trailer section over its limit")
        if NEVER_IN_HEAD.search(rest, max(0, checked - 1)):
            raise self._error("a byte that no chunk line may hold")
        self._held = rest


Body = LengthBody | ChunkedBody | EndlessBody


def body_reader(length: int, error: type[RouterError]) -> Body:
    """Return the reader for a body of ``length`` (bytes, CHUNKED or UNTIL_CLOSE)."""
    if length == CHUNKED:
        return ChunkedBody(error)
    if length == UNTIL_CLOSE:
        return EndlessBody()
    return LengthBody(length)


def encode_chunk(payload: bytes) -> bytes:
    """Return ``payload`` as one chunk; it must not be empty, an empty chunk ends the body."""
    size = len(payload)
    return b"".join((_size_lines.get(size) or _size_line(size), payload, b"\r\n"))


_size_lines: Final[dict[int, bytes]] = {}


def _size_line(size: int) -> bytes:
    line = b"%x\r\n" % size
    if len(_size_lines) >= _MAX_SEEN:
        _size_lines.clear()
    _size_lines[size] = line
    return line


LAST_CHUNK = b"0\r\n\r\n"
