"""A reader of HTTP/1.1 to the letter of RFC 9112, written apart from the router's own.

It shares no code and no pattern with router/: it is the judge. It takes what RFC 9112 calls well
formed and nothing that is only tolerated, so it bounds from above what a stream of bytes may mean.
"""

from dataclasses import dataclass, field

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = b"0123456789"
HEX = b"0123456789abcdefABCDEF"
VISIBLE = bytes(range(0x21, 0x7F))
VALUE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
NOT_IN_HOST = b' "#%,/<>?@\\^`{|}'
MAX_LENGTH_DIGITS = 18
FRAMING_IN_TRAILER = {b"content-length", b"transfer-encoding", b"host"}
HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate",
    b"proxy-authorization", b"te", b"trailer", b"upgrade", b"expect",
}  # fmt: skip
Fields = list[tuple[bytes, bytes]]


class Violation(Exception):
    """The bytes are not HTTP/1.1."""


def is_of(text: bytes, allowed: bytes) -> bool:
    """Whether ``text`` is not empty and all of it is among ``allowed``."""
    return bool(text) and not text.translate(None, allowed)


def values(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of each line with this name."""
    return [value for key, value in fields if key == name]


def read_fields(block: bytes) -> Fields:
    """Read field lines, each with its CRLF."""
    fields: Fields = []
    for line in block.split(b"\r\n")[:-1]:
        name, colon, value = line.partition(b":")
        if not colon or not is_of(name, TOKEN) or value.translate(None, VALUE):
            raise Violation(f"field line {line[:80]!r}")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


def length_of(fields: Fields, is_http_11: bool) -> int | None:
    """Return the body's length, -1 for chunked, None when nothing is said."""
    lengths, codings = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if codings:
        if lengths or not is_http_11 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise Violation(f"framing {lengths!r:.80} {codings!r:.80}")
        return -1
    if not lengths:
        return None
    if len(lengths) > 1 or not is_of(lengths[0], DIGITS) or len(lengths[0]) > MAX_LENGTH_DIGITS:
        raise Violation(f"length {lengths!r:.80}")
    return int(lengths[0])


class ChunkedReader:
    """A chunked body that comes in pieces; at most one chunk is read twice."""

    def __init__(self) -> None:
        self.body = bytearray()
        self._is_in_trailer = False

    def take(self, buffer: bytearray) -> bool:
        """Take what is whole from the front of ``buffer``; return whether the body is."""
        while not self._is_in_trailer:
            end = buffer.find(b"\r\n")
            if end < 0:
                return False
            size = _chunk_size(bytes(buffer[:end]))
            if size:
                if len(buffer) < end + 2 + size + 2:
                    return False
                if buffer[end + 2 + size : end + 4 + size] != b"\r\n":
                    raise Violation("chunk data without CRLF")
                self.body += buffer[end + 2 : end + 2 + size]
                del buffer[: end + 4 + size]
            else:
                self._is_in_trailer = True
                del buffer[: end + 2]
        if buffer[:2] == b"\r\n":
            del buffer[:2]
            return True
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        for name, _ in read_fields(bytes(buffer[: end + 2])):
            if name in FRAMING_IN_TRAILER:
                raise Violation(f"trailer {name!r}")
        del buffer[: end + 4]
        return True


def _chunk_size(line: bytes) -> int:
    digits, semicolon, rest = line.partition(b";")
    if semicolon:
        digits = digits.rstrip(b" \t")
        _check_extensions(rest)
    if not is_of(digits, HEX) or len(digits) > 16:
        raise Violation(f"chunk line {line[:60]!r}")
    return int(digits, 16)


def _check_extensions(rest: bytes) -> None:
    """Walk ``name [= token | quoted] *(; ...)`` character by character."""
    at, size = 0, len(rest)

    def skip(allowed: bytes) -> int:
        start = at
        while start < size and rest[start] in allowed:
            start += 1
        return start

    while True:
        at = skip(b" \t")
        end = skip(TOKEN)
        if end == at:
            raise Violation(f"chunk extension {rest[:60]!r}")
        at = end
        at = skip(b" \t")
        if at < size and rest[at] == 0x3D:
            at += 1
            at = skip(b" \t")
            if at < size and rest[at] == 0x22:
                at += 1
                while at < size and rest[at] != 0x22:
                    at += 2 if rest[at] == 0x5C else 1
                if at >= size or rest[:at].translate(None, VALUE):
                    raise Violation("chunk extension: open quote")
                at += 1
            else:
                end = skip(TOKEN)
                if end == at:
                    raise Violation("chunk extension without value")
                at = end
            at = skip(b" \t")
        if at == size:
            if rest[-1:] in (b" ", b"\t"):
                raise Violation("chunk extension ends in space")
            return
        if rest[at] != 0x3B:
            raise Violation(f"chunk extension {rest[:60]!r}")
        at += 1


@dataclass(slots=True)
class Request:
    """One request as it was read."""

    method: bytes
    target: bytes
    host: bytes
    fields: Fields
    is_http_11: bool
    body: bytes = b""
    is_whole: bool = False

    @property
    def key(self) -> tuple[bytes, bytes, bytes]:
        """What must not change on the way."""
        return self.method, self.target, self.body


@dataclass(slots=True)
class Requests:
    """Reads the requests of one connection, in pieces.

    ``is_origin`` reads as a model server behind the router: nothing that ends at a hop may come.
    Otherwise it reads a client's stream, and gives targets in origin form.
    """

    is_origin: bool
    whole: list[Request] = field(default_factory=list)
    current: Request | None = None
    violation: str = ""
    is_over: bool = False
    """Whether what follows may not be read: the last request was."""
    _buffer: bytearray = field(default_factory=bytearray)
    _length: int = 0
    _chunked: ChunkedReader | None = None
    _has_skipped: bool = False

    def feed(self, data: bytes) -> None:
        if self.violation or self.is_over:
            return
        self._buffer += data
        try:
            while self._step():
                pass
        except Violation as error:
            self.violation = str(error)

    @property
    def is_between(self) -> bool:
        """Whether nothing of a further request has come."""
        return self.current is None and not self._buffer

    def _step(self) -> bool:
        if self.is_over:
            return False
        if self.current is None:
            return self._read_head()
        return self._read_body(self.current)

    def _read_head(self) -> bool:
        buffer = self._buffer
        if buffer[:2] == b"\r\n" and not self.is_origin and not self._has_skipped:
            del buffer[:2]
            self._has_skipped = True
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        line, _, block = bytes(buffer[: end + 2]).partition(b"\r\n")
        del buffer[: end + 4]
        self._has_skipped = False
        self.current = request = self._request(line, read_fields(block))
        length = length_of(request.fields, request.is_http_11)
        self._chunked = ChunkedReader() if length == -1 else None
        self._length = length or 0
        return True

    def _request(self, line: bytes, fields: Fields) -> Request:
        parts = line.split(b" ")
        if len(parts) != 3 or not is_of(parts[0], TOKEN) or not is_of(parts[1], VISIBLE):
            raise Violation(f"request line {line[:80]!r}")
        method, target, version = parts
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or (self.is_origin and version[-1:] != b"1"):
            raise Violation(f"version {version[:20]!r}")
        is_http_11 = version[-1:] == b"1"
        hosts = values(fields, b"host")
        if len(hosts) > 1 or (is_http_11 and not hosts):
            raise Violation(f"{len(hosts)} Host fields")
        host = hosts[0] if hosts else b""
        if hosts and (not host or host.translate(None, VISIBLE) or set(host) & set(NOT_IN_HOST)):
            raise Violation(f"Host {host[:40]!r}")
        if self.is_origin:
            _check_origin(method, target, fields)
        elif target[:1] != b"/":
            target = _origin_form(method, target, host)
        if b"#" in target:
            raise Violation("a fragment")
        return Request(method, target, host, fields, is_http_11)

    def _read_body(self, request: Request) -> bool:
        if self._chunked is not None:
            if not self._chunked.take(self._buffer):
                return False
            request.body = bytes(self._chunked.body)
        else:
            if len(self._buffer) < self._length:
                return False
            request.body = bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
        request.is_whole = True
        self.whole.append(request)
        self.current = None
        tokens = b",".join(values(request.fields, b"connection")).lower().split(b",")
        if not request.is_http_11 or b"close" in [token.strip(b" \t") for token in tokens]:
            self.is_over = True
        return bool(self._buffer)


def _check_origin(method: bytes, target: bytes, fields: Fields) -> None:
    """What only the next hop may see must not come here, and what we add comes once."""
    if target[:1] != b"/" and (method, target) != (b"OPTIONS", b"*"):
        raise Violation(f"target {target[:40]!r} at an origin")
    for name, value in fields:
        if name in HOP_BY_HOP:
            raise Violation(f"{name!r} crossed")
        if name.replace(b"_", b"-").startswith(b"x-understudy-") and (name, value) != (
            b"x-understudy-mirror",
            b"1",
        ):
            raise Violation(f"{name!r} crossed")
    if len(values(fields, b"x-request-id")) != 1:
        raise Violation("not one request id")
    if values(fields, b"x-understudy-mirror") and (
        values(fields, b"authorization") or values(fields, b"cookie")
    ):
        raise Violation("credentials in a copy")


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    if (method, target) == (b"OPTIONS", b"*"):
        return target
    if target[:7].lower() != b"http://":
        raise Violation(f"target {target[:40]!r}")
    rest = target[7:]
    at = 0
    while at < len(rest) and rest[at : at + 1] not in (b"/", b"?", b"#"):
        at += 1
    authority, path = rest[:at], rest[at:]
    same = [one.lower().removesuffix(b":80") for one in (authority, host or authority)]
    if not authority or same[0] != same[1]:
        raise Violation(f"authority {authority[:40]!r} beside Host {host[:40]!r}")
    if not path and method == b"OPTIONS":
        return b"*"
    return path if path[:1] == b"/" else b"/" + path


@dataclass(slots=True)
class Answer:
    """One answer as it was read."""

    status: int
    fields: Fields
    body: bytes
    is_whole: bool
    closes: bool = False
    """Whether it says that nothing follows, or ends with its connection."""


def read_answer(raw: bytes, method: bytes, has_ended: bool) -> tuple[Answer | None, bytes, int]:
    """Read one answer; return (it, what follows, interim answers before it).

    None when its head is not whole. Violation when it is not one.
    """
    n_interim = 0
    while True:
        end = raw.find(b"\r\n\r\n")
        if end < 0:
            return None, raw, n_interim
        line, _, block = raw[: end + 2].partition(b"\r\n")
        rest = bytearray(raw[end + 4 :])
        version, status = _status_of(line)
        fields = read_fields(block)
        length = length_of(fields, version == b"HTTP/1.1")
        if status >= 200:
            break
        if status == 101:
            raise Violation("switching protocols")
        n_interim += 1
        raw = bytes(rest)
    tokens = b",".join(values(fields, b"connection")).lower().split(b",")
    closes = version == b"HTTP/1.0" or b"close" in [token.strip(b" \t") for token in tokens]
    if method == b"HEAD" or status in (204, 304):
        return Answer(status, fields, b"", True, closes), bytes(rest), n_interim
    if length == -1:
        chunks = ChunkedReader()
        is_whole = chunks.take(rest)
        body = bytes(chunks.body)
        return (
            Answer(status, fields, body, is_whole, closes),
            bytes(rest) if is_whole else b"",
            n_interim,
        )
    if length is None:
        return Answer(status, fields, bytes(rest), has_ended, True), b"", n_interim
    is_whole = len(rest) >= length
    return (
        Answer(status, fields, bytes(rest[:length]), is_whole, closes),
        bytes(rest[length:]),
        n_interim,
    )


def _status_of(line: bytes) -> tuple[bytes, int]:
    version, _, rest = line.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or reason.translate(None, VALUE):
        raise Violation(f"status line {line[:60]!r}")
    if len(code) != 3 or not is_of(code, DIGITS) or code[:1] == b"0":
        raise Violation(f"status {code[:20]!r}")
    return version, int(code)
