"""The corpus in tests/router/corpus, and readers that use the router's parser as it does."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, convert

from router.body import Body, body_reader
from router.errors import AnswerError, RequestError, RouterError
from router.message import UNTIL_CLOSE, AnswerHead, RequestHead
from router.parser import find_answer_head, find_request_head, parse_answer, parse_request
from router.upstream import MAX_INTERIM_ANSWERS

CORPUS = Path(__file__).parent / "corpus"
MAX_CUTS = 160
"""Of one case; the few that are longer are cut at evenly spaced places and near both ends."""


class RequestCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One client input; README.md in the corpus says what the fields mean."""

    id: str
    raw: bytes
    clause: str
    expect: str
    method: str = ""
    target: bytes = b""
    body: bytes = b""
    crosses: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    rest: bytes = b""
    status: int = 0
    stage: str = "head"


class AnswerCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer of a model server."""

    id: str
    raw: bytes
    clause: str
    expect: str
    method: str = "GET"
    closes: bool = False
    status: int = 0
    body: bytes = b""
    reusable: bool = False
    crosses: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    stage: str = "head"


def expand(text: str | list[str | list[Any]]) -> bytes:
    """Return the bytes that a corpus line writes as text, or as pieces and repeated pieces."""
    if isinstance(text, str):
        return text.encode("latin-1")
    pieces = (piece if isinstance(piece, str) else piece[0] * piece[1] for piece in text)
    return "".join(pieces).encode("latin-1")


def _rows(name: str) -> Iterator[dict[str, Any]]:
    for line in (CORPUS / name).read_text().splitlines():
        row = json.loads(line)
        yield row | {
            key: expand(row[key]) for key in ("raw", "target", "body", "rest") if key in row
        }


REQUESTS = tuple(convert(row, RequestCase) for row in _rows("requests.jsonl"))
ANSWERS = tuple(convert(row, AnswerCase) for row in _rows("answers.jsonl"))


class Read(Struct):
    """What came of some bytes."""

    verdict: str = "incomplete"
    stage: str = "head"
    error: RouterError | None = None
    request: RequestHead | None = None
    answer: AnswerHead | None = None
    payload: bytes = b""
    rest: bytes = b""

    def meaning(self) -> tuple[object, ...]:
        """Return all that must not depend on where the network cut the bytes.

        Bytes before an error may have been passed on or not.
        """
        if self.verdict == "reject":
            assert self.error is not None
            return self.verdict, self.stage, self.error.status_hint
        return self.verdict, parts(self.request), parts(self.answer), self.payload, self.rest


def parts(record: object | None) -> dict[str, object] | None:
    """Return what a record of ours holds, by name, so that two can be compared."""
    names = getattr(type(record), "__slots__", ())
    return None if record is None else {name: getattr(record, name) for name in names}


def read_request(pieces: Sequence[bytes]) -> Read:
    """Read the first request in ``pieces`` as a Downstream does."""
    read, body, buffer, seen, has_skipped_line = Read(), None, b"", 0, False
    try:
        for piece in pieces:
            if body is not None:
                _feed(read, body, piece)
                continue
            buffer += piece
            if buffer[:2] == b"\r\n" and not has_skipped_line:
                buffer, seen, has_skipped_line = buffer[2:], 0, True
            end = find_request_head(buffer, seen)
            seen = len(buffer)
            if end >= 0:
                read.request = parse_request(buffer[:end])
                read.stage = "body"
                body = body_reader(read.request.body_length, RequestError)
                _feed(read, body, buffer[end:])
    except RequestError as error:
        read.verdict, read.error = "reject", error
    return read


def read_answer(pieces: Sequence[bytes], method: bytes, *, closes: bool) -> Read:
    """Read the first final answer in ``pieces`` as an Upstream does."""
    read, body, buffer, seen, n_interim = Read(), None, b"", 0, 0
    try:
        for piece in pieces:
            if body is not None:
                _feed(read, body, piece)
                continue
            buffer += piece
            while body is None and buffer:
                end = find_answer_head(buffer, seen)
                seen = len(buffer)
                if end < 0:
                    break
                head, buffer, seen = parse_answer(buffer[:end], method), buffer[end:], 0
                if head.status >= 200:
                    read.answer, read.stage = head, "body"
                    body = body_reader(head.body_length, AnswerError)
                    _feed(read, body, buffer)
                    continue
                n_interim += 1
                if head.status == 101 or n_interim > MAX_INTERIM_ANSWERS:
                    raise AnswerError("an interim answer where none may be")
    except AnswerError as error:
        read.verdict, read.error = "reject", error
    if read.answer is not None and read.answer.body_length == UNTIL_CLOSE and closes:
        read.verdict = "accept"
    return read


def _feed(read: Read, body: Body, piece: bytes) -> None:
    if read.verdict == "accept":
        read.rest += piece
        return
    payload, rest = body.feed(piece)
    read.payload += payload
    read.rest += rest
    if body.is_done:
        read.verdict = "accept"


def cuts(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield ``raw`` in two pieces, cut at every byte (long ones at MAX_CUTS places)."""
    size = len(raw)
    places = set(range(1, size))
    if size > 4 * MAX_CUTS:
        edge = MAX_CUTS // 4
        places = {*range(1, edge), *range(size - edge, size), *range(edge, size, size // edge)}
    for at in sorted(places):
        yield raw[:at], raw[at:]


def single_bytes(raw: bytes) -> list[bytes]:
    """Return ``raw`` byte by byte."""
    return [raw[at : at + 1] for at in range(len(raw))]
