"""What HTTP/1.1 asks of a message head beyond what a parser checks. Pure.

A parser tells *where* names and values are; this file decides what they mean: how long the body
is, whether the connection lives on, and which fields may cross to the other side. The rules are
RFC 9110 and RFC 9112; where they leave a choice we refuse, because a proxy that guesses is how
requests get smuggled. Field names are compared in lower case, and kept as they came.
"""

import re
from ipaddress import IPv6Address
from typing import Final

from router.errors import AnswerError, RequestError

CHUNKED: Final = -1
"""Body length of a message in chunked transfer coding."""
UNTIL_CLOSE: Final = -2
"""Body length of an answer that ends with its connection (RFC 9112 section 6.3, rule 8)."""

MAX_HEAD_BYTES: Final = 32 * 1024
"""Whole head, request line included. Precedents: Envoy 60 KiB, HAProxy 16, nginx 8 x 4, h11 64."""
MAX_TARGET_BYTES: Final = 16 * 1024
MAX_FIELDS: Final = 128
"""Precedents: Envoy and Apache 100, HAProxy 101."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# Visible ASCII, space, tab and obs-text; possessive, so hostile input cannot make it backtrack.
_FIELD_LINES = rb"((?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
ANSWER_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) (([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*+)?)\r\n" + _FIELD_LINES
)
FIELD_LINES: Final = re.compile(_FIELD_LINES)
FIELD_LINE: Final = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+")
REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]++) HTTP/(\d\.\d)")
# What no head may hold, wherever it is cut: a bare LF, a bare CR, any other control byte.
NEVER_IN_HEAD: Final = re.compile(rb"(?<!\r)\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9_])?\.?)(?::[0-9]{1,5})?"
)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:~/+=\-]{1,128}")
_KEEP_ALIVE_S: Final = re.compile(
    rb"(?:^|[,; \t])timeout[ \t]*=[ \t]*\"?([0-9]{1,6})(?![0-9])", re.IGNORECASE
)
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2}-[0-9a-f]{32}-)[0-9a-f]{16}(-[0-9a-f]{2})")

# Names that decide something. Everything else is forwarded as it came.
_PLAIN: Final = 0
_HOP: Final = 1
_LEN: Final = 2
_TE: Final = 3
_CONN: Final = 4
_HOSTN: Final = 5
_EXPECT: Final = 6
_ID: Final = 7
_OURS: Final = 8
_SECRET: Final = 9
_ENC: Final = 10
_TRACE: Final = 11
_DISGUISED: Final = 12
_KEEP: Final = 13
_TYPE: Final = 14  # from here on: plain in a request
_JSON: Final = 15
_KNOWN: Final[dict[bytes, int]] = {
    b"keep-alive": _KEEP,
    b"proxy-connection": _HOP,
    b"proxy-authenticate": _HOP,
    b"proxy-authorization": _HOP,
    b"te": _HOP,
    b"trailer": _HOP,
    b"upgrade": _HOP,
    b"content-length": _LEN,
    b"transfer-encoding": _TE,
    b"connection": _CONN,
    b"host": _HOSTN,
    b"expect": _EXPECT,
    b"x-request-id": _ID,
    b"authorization": _SECRET,
    b"cookie": _SECRET,
    b"content-encoding": _ENC,
    b"traceparent": _TRACE,
    b"content-type": _TYPE,
    b"inference-header-content-length": _JSON,
    # Servers that turn names into CGI variables read these as the framing fields they imitate.
    b"content_length": _DISGUISED,
    b"transfer_encoding": _DISGUISED,
}

_OUR_PREFIX: Final = b"x-understudy-"
"""What begins so is ours to say, with underscores too: CGI and WSGI cannot tell them apart."""

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""RFC 9110 section 9.2.2; TRACE and CONNECT are refused."""
_REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})


class RequestHead:
    """A request that may be forwarded: what routing needs, and the lines that may cross."""

    __slots__ = (
        "body_length", "deciding", "expects_continue", "fields", "forward", "host", "is_http_11",
        "keep_alive", "method", "path", "request_id", "secrets", "target", "traceparent",
    )  # fmt: skip

    def __init__(
        self, method: bytes, target: bytes, path: bytes, host: bytes, fields: dict[bytes, bytes],
        forward: list[bytes], secrets: list[bytes], traceparent: bytes, body_length: int,
        is_http_11: bool, keep_alive: bool, expects_continue: bool, request_id: bytes,
        deciding: list[bytes],
    ) -> None:  # fmt: skip
        self.method = method
        self.target = target
        self.path = path
        self.host = host
        self.fields = fields
        """The first value of each field, by its name in lower case."""
        self.forward = forward
        """Field lines that cross to a variant, without CRLF; no framing, no request id."""
        self.secrets = secrets
        """Credentials: they cross to whoever serves the client, and never into a copy."""
        self.traceparent = traceparent
        self.body_length = body_length
        """Bytes, or CHUNKED; 0 for none."""
        self.is_http_11 = is_http_11
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.request_id = request_id
        """As the client sent it, or empty when it did not or when it is not usable."""
        self.deciding = deciding
        """The lines that say where this message ends and what it is: first line, Host, framing."""


class AnswerHead:
    """An answer that may be forwarded. Shared between answers: what it says does not change."""

    __slots__ = (
        "body_length", "encoding", "form", "forward", "idle_s", "keep_alive", "line", "status",
        "usual",
    )  # fmt: skip

    def __init__(
        self, status: int, line: bytes, forward: list[bytes], body_length: int, keep_alive: bool,
        encoding: bytes, form: str = "", idle_s: int | None = None,
    ) -> None:  # fmt: skip
        self.status = status
        self.line = line
        """``200 OK``: what follows the version, without CRLF."""
        self.forward = forward
        self.body_length = body_length
        """Bytes, CHUNKED or UNTIL_CLOSE; 0 for none."""
        self.keep_alive = keep_alive
        self.encoding = encoding
        self.idle_s = idle_s
        """After how many idle seconds the variant says it closes; None when it does not say."""
        self.form = form
        """As in Outcome: ``sse``, ``json:N``, or empty."""
        self.usual = b""
        """Set by wire.answer_head, once: its lines up to the request id, as most answers go out."""


# Clients repeat themselves: what a name decides, and what a whole line says where the line is the
# same from request to request, are looked up once. Never credentials, ids or anything long.
_seen_names: Final[dict[bytes, tuple[bytes, int]]] = {}
_seen_lines: Final[dict[bytes, tuple[bytes, int, bytes]]] = {}
_MAX_SEEN: Final = 4096
_MAX_SEEN_NAME_BYTES: Final = 64
_MAX_SEEN_LINE_BYTES: Final = 128
_REPEATED: Final = frozenset(
    (
        b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection",
        b"content-encoding", b"content-length", b"content-type", b"host", b"user-agent",
    )
)  # fmt: skip


def _look_up(raw_name: bytes) -> tuple[bytes, int]:
    """Return (name in lower case, what it decides), and remember it: clients repeat themselves."""
    name = raw_name.lower()
    is_ours = name.replace(b"_", b"-").startswith(_OUR_PREFIX)
    found = name, _OURS if is_ours else _KNOWN.get(name, _PLAIN)
    if len(raw_name) <= _MAX_SEEN_NAME_BYTES:
        if len(_seen_names) >= _MAX_SEEN:
            _seen_names.clear()
        _seen_names[raw_name] = found
    return found


def _read_line(line: bytes) -> tuple[bytes, int, bytes]:
    """Return (name in lower case, what it decides, value) of a field line.

    RequestError if it is none.
    """
    if not FIELD_LINE.fullmatch(line):
        raise RequestError(f"field line {line[:80]!r} is malformed")
    raw_name, _, value = line.partition(b":")
    name, kind = _seen_names.get(raw_name) or _look_up(raw_name)
    found = name, kind, value.strip(b" \t")
    if len(line) <= _MAX_SEEN_LINE_BYTES and name in _REPEATED:
        if len(_seen_lines) >= _MAX_SEEN:
            _seen_lines.clear()
        _seen_lines[line] = found
    return found


class RequestLine:
    """The first line of a request; shared by all requests that begin with it."""

    __slots__ = ("is_http_11", "method", "raw", "target")

    def __init__(self, raw: bytes, method: bytes, target: bytes, is_http_11: bool) -> None:
        self.raw = raw
        self.method = method
        self.target = target
        self.is_http_11 = is_http_11


_seen_request_lines: Final[dict[bytes, RequestLine]] = {}


def read_request_line(raw: bytes) -> RequestLine:
    """Read a request line, without CRLF; RequestError if it is none that may be forwarded."""
    known = _seen_request_lines.get(raw)
    if known is not None:
        return known
    match = REQUEST_LINE.fullmatch(raw)
    if match is None:
        raise RequestError(f"not an HTTP/1.1 request line: {raw[:80]!r}")
    method, target, version = match.groups()
    if version not in (b"1.1", b"1.0"):
        raise RequestError(f"HTTP version {version!r} is not spoken here", status_hint=505)
    if method in _REFUSED_METHODS:
        raise RequestError(f"method {method!r} is not forwarded", status_hint=405)
    if len(target) > MAX_TARGET_BYTES:
        raise RequestError(f"the target is over {MAX_TARGET_BYTES} bytes", status_hint=414)
    found = RequestLine(raw, method, target, version == b"1.1")
    if len(raw) <= _MAX_SEEN_LINE_BYTES:
        if len(_seen_request_lines) >= _MAX_SEEN:
            _seen_request_lines.clear()
        _seen_request_lines[raw] = found
    return found


_NONE: Final[list[bytes]] = []
"""Stands for the lists that most requests have no use for; never appended to."""
_NOTHING: Final[set[bytes]] = set()
"""As _NONE, for what Connection names; never added to."""


def _nominate(nominated: set[bytes], value: bytes) -> set[bytes]:
    """Return ``nominated`` and what this value of Connection names, in lower case.

    A head has room for 9,000 names: each is looked at once, and looked up in a set ever after.
    """
    if nominated is _NOTHING:
        nominated = set()
    nominated.update([one.strip(b" \t") for one in value.lower().split(b",")])
    return nominated


def read_request(first: RequestLine, lines: list[bytes]) -> RequestHead:
    """Decide what a request head means; RequestError if it must not be forwarded.

    ``lines`` are its field lines, without CRLF.
    """
    is_http_11 = first.is_http_11
    fields: dict[bytes, bytes] = {}
    forward: list[bytes] = []
    deciding: list[bytes] = [first.raw]
    secrets = lengths = codings = hosts = _NONE
    nominated = _NOTHING
    for line in lines:
        name, kind, value = _seen_lines.get(line) or _read_line(line)
        if name not in fields:
            fields[name] = value
        if kind == _PLAIN or kind == _ENC or kind >= _TYPE:
            forward.append(line)
            continue
        if kind == _SECRET:
            secrets = [*secrets, line]
            continue
        if kind == _ID or kind == _TRACE:
            continue  # read from ``fields`` below
        deciding.append(line)
        if kind == _HOSTN:
            hosts = [*hosts, value]
        elif kind == _LEN:
            lengths = [*lengths, value]
        elif kind == _CONN:
            nominated = _nominate(nominated, value)
        elif kind == _TE:
            codings = [*codings, value]
        elif kind == _DISGUISED:
            raise RequestError(f"field {name!r} imitates a framing field")
        # hop-by-hop fields end here, and x-understudy-... is not for clients to say
    traceparent = fields.get(b"traceparent", b"")
    if nominated:
        forward = _without(forward, nominated)
        secrets = _without(secrets, nominated)
        if b"traceparent" in nominated:
            traceparent = b""
    target, host = _target_and_host(first.method, first.target, hosts, is_http_11)
    expect = fields.get(b"expect", b"")
    if expect and expect.lower() != b"100-continue":
        raise RequestError(f"expectation {expect!r} cannot be met", status_hint=417)
    request_id = fields.get(b"x-request-id", b"")
    query = target.find(b"?")
    return RequestHead(
        first.method,
        target,
        target if query < 0 else target[:query],
        host,
        fields,
        forward,
        secrets,
        traceparent,
        _request_length(lengths, codings, is_http_11),
        is_http_11,
        is_http_11 and b"close" not in nominated,
        bool(expect) and is_http_11,
        request_id if request_id and _REQUEST_ID.fullmatch(request_id) else b"",
        deciding,
    )


_seen_hosts: Final[set[bytes]] = set()
_MAX_SEEN_HOSTS: Final = 256


def is_host(host: bytes) -> bool:
    """Whether ``host`` is a name or an address, perhaps with a port (RFC 3986 section 3.2)."""
    if not _HOST.fullmatch(host):
        return False
    if host[:1] != b"[":
        return True
    try:
        IPv6Address(host[1 : host.index(b"]")].decode("ascii"))
    except ValueError:
        return False
    return True


def _check_host(host: bytes) -> None:
    if not is_host(host):
        raise RequestError(f"Host {host!r} is not a host")
    if len(_seen_hosts) >= _MAX_SEEN_HOSTS:
        _seen_hosts.clear()
    if len(host) <= _MAX_SEEN_NAME_BYTES:
        _seen_hosts.add(host)


def _target_and_host(
    method: bytes, target: bytes, hosts: list[bytes], is_http_11: bool
) -> tuple[bytes, bytes]:
    if len(hosts) > 1:
        raise RequestError("more than one Host field")
    if not hosts and is_http_11:
        raise RequestError("HTTP/1.1 without a Host field")
    host = hosts[0] if hosts else b""
    if hosts and not host:
        raise RequestError("an empty Host field")
    if target[:1] != b"/":
        target, host = _absolute(method, target, host)
    if b"#" in target:
        raise RequestError("the target holds a fragment")
    if host and host not in _seen_hosts:
        _check_host(host)
    return target, host


def _absolute(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Turn ``http://host/path`` into its origin form (RFC 9112 section 3.2.2)."""
    if target == b"*" and method == b"OPTIONS":
        return target, host
    if target[:7].lower() != b"http://":
        raise RequestError(f"target {target[:64]!r} is neither a path nor an http URL")
    rest = target[7:]
    cut = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if not is_host(authority):
        raise RequestError(f"authority {authority!r} is not a host")
    # The two must agree: a front that routes on one and a model server that logs the other differ.
    if host and _without_port_80(authority) != _without_port_80(host):
        raise RequestError(f"target is for {authority!r}, Host says {host!r}")
    if not path and method == b"OPTIONS":
        return b"*", authority  # about the server as a whole (RFC 9112 section 3.2.4)
    return (path if path[:1] == b"/" else b"/" + path), authority


def _without_port_80(authority: bytes) -> bytes:
    """Return ``authority`` in the form in which equal ones are the same (RFC 9110, 4.2.3)."""
    return authority.lower().removesuffix(b":80")


def _request_length(lengths: list[bytes], codings: list[bytes], is_http_11: bool) -> int:
    if codings:
        if lengths:
            raise RequestError("both Content-Length and Transfer-Encoding")
        if not is_http_11:
            raise RequestError("Transfer-Encoding in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise RequestError(f"transfer coding {b', '.join(codings)!r} is not chunked")
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise RequestError(f"Content-Length {b', '.join(lengths)[:64]!r} is not one number")
    return _seen_lengths.get(lengths[0]) or _read_length(lengths[0])


_seen_lengths: Final[dict[bytes, int]] = {}


def _read_length(value: bytes) -> int:
    if not _LENGTH.fullmatch(value):
        raise RequestError(f"Content-Length {value[:64]!r} is not one number")
    length = int(value)
    if len(_seen_lengths) >= _MAX_SEEN:
        _seen_lengths.clear()
    _seen_lengths[value] = length
    return length


def length_line(length: int) -> bytes:
    """Return the Content-Length field for ``length`` bytes: our own words, the client's number."""
    return _length_lines.get(length) or _write_length(length)


_length_lines: Final[dict[int, bytes]] = {}


def _write_length(length: int) -> bytes:
    line = b"content-length: %d" % length
    if len(_length_lines) >= _MAX_SEEN:
        _length_lines.clear()
    _length_lines[length] = line
    return line


def _without(lines: list[bytes], nominated: set[bytes]) -> list[bytes]:
    # Host, framing and the request id are not among the lines: a client cannot take them away.
    return [line for line in lines if line.partition(b":")[0].lower() not in nominated]


def read_answer(
    status: int, line: bytes, is_http_11: bool, lines: list[bytes], method: bytes
) -> AnswerHead:
    """Decide what an answer head means; AnswerError if it must not be forwarded."""
    forward: list[bytes] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    nominated = _NOTHING
    encoding = b""
    idle_s: int | None = None
    form = ""
    for field in lines:
        _, kind, value = _read_line(field)
        if kind == _PLAIN or kind == _SECRET or kind == _TRACE:
            forward.append(field)
        elif kind == _LEN:
            lengths.append(value)
        elif kind == _CONN:
            nominated = _nominate(nominated, value)
        elif kind == _TE:
            codings.append(value)
        elif kind == _ENC:
            encoding = value
            forward.append(field)
        elif kind == _KEEP:
            said = _KEEP_ALIVE_S.search(value)
            idle_s = int(said[1]) if said else idle_s
        elif kind == _TYPE:
            form = "sse" if _is_events(value) else form
            forward.append(field)
        elif kind == _JSON:
            form = f"json:{int(value)}" if _LENGTH.fullmatch(value) else form
            forward.append(field)
        # hop-by-hop fields, our own names and the variant's idea of the request id end here
    if nominated:
        forward = _without(forward, nominated)
    body_length = _answer_length(status, lengths, codings, is_http_11, method)
    if status == 304 or (method == b"HEAD" and status != 204):
        # The length that a GET would have had is content, not framing (RFC 9110 section 8.6).
        forward += [b"content-length: %b" % length for length in lengths]
    keep_alive = is_http_11 and b"close" not in nominated and body_length != UNTIL_CLOSE
    if keep_alive and body_length == 0 and (method == b"HEAD" or codings or any(lengths)):
        # A body may be announced that must not come. A server that sends it all the same may do
        # so later, and the next request on this connection would take it for its answer.
        keep_alive = method != b"HEAD" and not codings and int(lengths[0]) == 0
    return AnswerHead(status, line, forward, body_length, keep_alive, encoding, form, idle_s)


def _is_events(media_type: bytes) -> bool:
    return media_type.partition(b";")[0].strip(b" \t").lower() == b"text/event-stream"


def _answer_length(
    status: int, lengths: list[bytes], codings: list[bytes], is_http_11: bool, method: bytes
) -> int:
    if len(lengths) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
        raise AnswerError(f"Content-Length {b', '.join(lengths)[:64]!r} is not one number")
    if codings:
        if lengths:
            raise AnswerError("both Content-Length and Transfer-Encoding")
        if not is_http_11:
            raise AnswerError("Transfer-Encoding in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise AnswerError(f"transfer coding {b', '.join(codings)[:64]!r} is not chunked")
    if method == b"HEAD" or status < 200 or status in (204, 304):
        return 0
    if codings:
        return CHUNKED
    return int(lengths[0]) if lengths else UNTIL_CLOSE


def child_span(traceparent: bytes, span_id: bytes) -> bytes:
    """Return ``traceparent`` with its span replaced: a copy is a request of its own.

    ``span_id`` is 16 lower-case hex digits. A value that is not a traceparent comes back empty.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] + span_id + match[2] if match else b""
