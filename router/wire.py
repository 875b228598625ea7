"""Message heads as they leave us: rebuilt from what was understood, never passed on as they came.

Pure: values in, bytes out. Framing fields and the request id are always our own.
"""

from router.body import LAST_CHUNK, encode_chunk
from router.message import CHUNKED, AnswerHead, RequestHead, child_span

_BODILESS_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"DELETE"})
REASONS = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def request_head(head: RequestHead, request_id: bytes, authority: bytes) -> bytes:
    """Return the head that goes to the variant which serves the client.

    Host is never changed; ``authority`` stands in only where HTTP/1.0 left it out.
    """
    lines = [b"%b %b HTTP/1.1\r\nhost: %b" % (head.method, head.target, head.host or authority)]
    lines += head.forward
    lines += head.secrets
    if head.traceparent:
        lines.append(b"traceparent: %b" % head.traceparent)
    length = head.body_length
    if length > 0:
        lines.append(b"content-length: %d" % length)
    elif length == CHUNKED:
        lines.append(b"transfer-encoding: chunked")
    elif head.method not in _BODILESS_METHODS:
        lines.append(b"content-length: 0")
    lines.append(b"x-request-id: %b\r\n\r\n" % request_id)
    return b"\r\n".join(lines)


def copy_head(
    head: RequestHead, request_id: bytes, authority: bytes, body_bytes: int, span_id: bytes
) -> bytes:
    """Return the head of a copy: marked, with a span of its own, without credentials."""
    lines = [b"%b %b HTTP/1.1\r\nhost: %b" % (head.method, head.target, head.host or authority)]
    lines += head.forward
    span = child_span(head.traceparent, span_id)
    if span:
        lines.append(b"traceparent: %b" % span)
    if body_bytes or head.method not in _BODILESS_METHODS:
        lines.append(b"content-length: %d" % body_bytes)
    lines.append(b"x-request-id: %b\r\nx-understudy-mirror: 1\r\n\r\n" % request_id)
    return b"\r\n".join(lines)


def answer_head(
    head: AnswerHead, request: RequestHead, request_id: bytes, keep: bool, variant: str
) -> bytes:
    """Return the head that goes to the client; ``variant`` names who answered, or is empty."""
    lines = [b"HTTP/1.1 %b" % head.line]
    lines += head.forward
    length = head.body_length
    if length > 0:
        lines.append(b"content-length: %d" % length)
    elif length < 0:
        if request.is_http_11:
            lines.append(b"transfer-encoding: chunked")
    elif request.method != b"HEAD" and head.status not in (204, 304):
        lines.append(b"content-length: 0")
    if variant:
        lines.append(b"x-understudy-variant: %b" % variant.encode())
    if not keep:
        lines.append(b"connection: close")
    lines.append(b"x-request-id: %b\r\n\r\n" % request_id)
    return b"\r\n".join(lines)


def frame(payload: bytes, is_last: bool, body_length: int) -> bytes:
    """Return ``payload`` as it goes on the wire in a body of ``body_length``."""
    if body_length != CHUNKED:
        return payload
    chunk = encode_chunk(payload) if payload else b""
    return chunk + LAST_CHUNK if is_last else chunk


def refusal(status: int, message: str, request_id: bytes, keep: bool, method: bytes = b"") -> bytes:
    """Return a whole answer of our own, as JSON; without a body if ``method`` is HEAD."""
    text = message.replace("\\", "\\\\").replace('"', '\\"')
    safe = "".join(char if " " <= char <= "~" else "?" for char in text)
    body = b'{"error": "%b"}\n' % safe.encode("ascii")
    lines = [
        b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, "Error").encode()),
        b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body),
    ]
    if status == 503:
        lines.append(b"retry-after: 1\r\n")
    if status == 405:
        lines.append(b"allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n")
    if request_id:
        lines.append(b"x-request-id: %b\r\n" % request_id)
    lines.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
    if method != b"HEAD":
        lines.append(body)
    return b"".join(lines)
