"""Bytes to message heads: the only file that knows httptools.

Two readers must agree that a head is one. Our grammar (message.REQUEST_LINE, FIELD_LINE) takes
only what RFC 9112 allows; then llhttp, which the whole field uses, must take the same bytes. Both
see a head only when it is whole, so it makes no difference where the network cut it, and llhttp's
cost for a value that never ends (22.9 s of CPU for 32 MiB in pieces) cannot arise: the budget is
spent on raw bytes before either looks. Bodies are not llhttp's business: see body.py.

What was judged once is not judged again: llhttp is asked about each new set of the lines that
decide something (first line, Host, framing, hop-by-hop). Lines that decide nothing are judged by
the grammar, which allows a part of what llhttp does.
"""

from typing import Final, NoReturn

import httptools

from router.errors import AnswerError, RequestError, RouterError
from router.message import (
    ANSWER_HEAD,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    NEVER_IN_HEAD,
    REQUEST_LINE,
    AnswerHead,
    RequestHead,
    read_answer,
    read_request,
    read_request_line,
)

_END: Final = b"\r\n\r\n"


class _Nobody:
    """Listens to nothing: llhttp is asked for its verdict, and what it finds we find ourselves."""


_NOBODY: Final = _Nobody()


def find_head(buffer: bytes, seen: int = 0) -> int:
    """Return where the first head in ``buffer`` ends, or -1 while it is incomplete.

    ``seen`` bytes were looked at before. RequestError as soon as no continuation could make it a
    head: over the budget, or holding a byte that no head may hold.
    """
    end = buffer.find(_END, max(0, seen - 3))
    if end >= 0:
        if end + 4 > MAX_HEAD_BYTES:
            _refuse_size(buffer)
        return end + 4
    if len(buffer) > MAX_HEAD_BYTES:
        _refuse_size(buffer)
    if NEVER_IN_HEAD.search(buffer, max(0, seen - 1)):
        raise RequestError("a byte that no message head may hold")
    return -1


def find_request_head(buffer: bytes, seen: int = 0) -> int:
    """As find_head, and refuse a request line that is none as soon as it is whole (HTTP/0.9)."""
    end = find_head(buffer, seen)
    if end < 0:
        line_end = buffer.find(b"\r\n")
        # Once, when the line has become whole: a head that drips in must not be matched each time.
        if (
            line_end >= 0
            and line_end + 2 > seen
            and not REQUEST_LINE.fullmatch(buffer, 0, line_end)
        ):
            _refuse_request(buffer)
    return end


_judged: Final[set[tuple[bytes, ...]]] = set()
_MAX_JUDGED: Final = 4096
_MAX_JUDGED_BYTES: Final = 1024


def parse_request(head: bytes) -> RequestHead:
    """Read one whole request head (ending in an empty line); RequestError says what is wrong."""
    lines = head.split(b"\r\n")
    if len(lines) - 3 > MAX_FIELDS:
        raise RequestError(f"more than {MAX_FIELDS} fields", status_hint=431)
    found = read_request(read_request_line(lines[0]), lines[1:-2])  # two empty ones end it
    deciding = tuple(found.deciding)
    if deciding not in _judged:
        _judge(head, deciding)
    return found


def _judge(head: bytes, deciding: tuple[bytes, ...]) -> None:
    """Ask llhttp; RequestError if it would not take this head."""
    try:
        httptools.HttpRequestParser(_NOBODY).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # we do not upgrade: the field is dropped and the body stays ours to read
    except httptools.HttpParserError as error:
        raise RequestError(str(error)) from error
    if len(head) <= _MAX_JUDGED_BYTES:
        if len(_judged) >= _MAX_JUDGED:
            _judged.clear()
        _judged.add(deciding)


def _refuse_size(buffer: bytes) -> NoReturn:
    status = 431 if b"\r\n" in buffer[:MAX_HEAD_BYTES] else 414
    raise RequestError(f"the head is over {MAX_HEAD_BYTES} bytes", status_hint=status)


def _refuse_request(head: bytes) -> NoReturn:
    line = head.partition(b"\r\n")[0]
    raise RequestError(f"not an HTTP/1.1 request head: {line[:80]!r}")


_seen_answers: Final[dict[tuple[bytes, bytes], AnswerHead]] = {}
_MAX_SEEN_ANSWERS: Final = 512
_MAX_SEEN_ANSWER_BYTES: Final = 1024


def parse_answer(head: bytes, method: bytes) -> AnswerHead:
    """Read one whole answer head to a request with ``method``; AnswerError if it is none.

    A model server says the same head again and again (its Date changes once a second), so the
    last few hundred verdicts are kept: 0.1 us instead of 4. Nobody may change what is returned.
    """
    known = _seen_answers.get((head, method))
    if known is not None:
        return known
    found = _read_answer(head, method)
    if len(head) <= _MAX_SEEN_ANSWER_BYTES:
        if len(_seen_answers) >= _MAX_SEEN_ANSWERS:
            _seen_answers.clear()
        _seen_answers[head, method] = found
    return found


def _read_answer(head: bytes, method: bytes) -> AnswerHead:
    match = ANSWER_HEAD.fullmatch(head)
    if match is None:
        raise AnswerError(f"not an HTTP/1.1 answer: {head[:80]!r}")
    try:
        httptools.HttpResponseParser(_NOBODY).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise AnswerError(str(error)) from error
    minor, line, status, block = match.groups()
    if len(line) == 3:
        line += b" "  # servers leave it out with the reason; we may not (RFC 9112 section 4)
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > MAX_FIELDS:
        raise AnswerError(f"more than {MAX_FIELDS} fields")
    return read_answer(int(status), line, minor == b"1", lines, method)


def find_answer_head(buffer: bytes, seen: int = 0) -> int:
    """As find_head, for answers: the fault is the variant's."""
    try:
        return find_head(buffer, seen)
    except RouterError as error:
        raise AnswerError(str(error)) from error
