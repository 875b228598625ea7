"""Heads as they leave us: framing is ours, credentials go to whoever serves, copies are marked."""

import json

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.body import ChunkedBody
from router.errors import RequestError
from router.message import CHUNKED, MAX_FIELDS, UNTIL_CLOSE, AnswerHead, RequestHead
from router.parser import find_answer_head, find_request_head, parse_answer, parse_request
from router.wire import (
    CONTINUE,
    REASONS,
    CopyFields,
    answer_head,
    copy_head,
    frame,
    refusal,
    request_head,
)
from tests.router.cases import ANSWERS, AnswerCase, read_answer
from tests.router.strategies import head_of, many, raw_heads

AUTHORITY = b"127.0.0.1:9000"
SPAN = b"00000000000000aa"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OLD = parse_request(b"GET / HTTP/1.0\r\n\r\n")


def served(head: RequestHead) -> bytes:
    return request_head(head, b"id-1", AUTHORITY)


def copied(head: RequestHead, body_bytes: int = 0) -> bytes:
    return copy_head(head, b"id-1", AUTHORITY, body_bytes, SPAN)


def answered(
    raw: bytes,
    request: RequestHead | None = None,
    *,
    keep: bool = True,
    variant: str = "",
) -> bytes:
    request = head_of() if request is None else request
    head = parse_answer(raw, request.method)
    return answer_head(head, request, b"id-1", keep, variant)


# To the variant that serves.


def test_request_leaves_in_a_fixed_form() -> None:
    head = head_of(
        "POST", "/v1/x?y", "X-A:  1", "Cookie: s=1", f"traceparent: {TRACEPARENT}",
        "Content-Length: 05", "Connection: close", "X-Request-Id: theirs",
    )  # fmt: skip
    assert served(head) == (
        b"POST /v1/x?y HTTP/1.1\r\nhost: a.example\r\nX-A:  1\r\nCookie: s=1\r\n"
        b"traceparent: " + TRACEPARENT.encode() + b"\r\ncontent-length: 5\r\n"
        b"x-request-id: id-1\r\n\r\n"
    )


def test_authority_of_the_variant_stands_in_only_where_http_10_left_the_host_out() -> None:
    assert b"\r\nhost: 127.0.0.1:9000\r\n" in served(OLD)
    assert b"\r\nhost: a.example\r\n" in served(head_of())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_method_that_may_have_a_body_says_that_it_has_none(method: str) -> None:
    assert b"\r\ncontent-length: 0\r\n" in served(head_of(method))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_method_that_usually_has_no_body_says_nothing_of_one(method: str) -> None:
    assert b"content-length" not in served(head_of(method))


def test_chunked_request_stays_chunked() -> None:
    raw = served(head_of("POST", "/", "Transfer-Encoding: CHUNKED"))
    assert raw.count(b"transfer-encoding: chunked\r\n") == 1
    assert b"content-length" not in raw


# To whoever gets a copy.


@many
@given(raw=raw_heads(), body_bytes=st.integers(0, 10_000))
def test_copy_is_one_strict_request_without_credentials(raw: bytes, body_bytes: int) -> None:
    try:
        head = parse_request(raw)
    except RequestError:
        return
    copy = copied(head, body_bytes)
    assert find_request_head(copy) == len(copy)
    again = parse_request(copy)
    assert again.secrets == []
    assert (again.method, again.target, again.forward) == (head.method, head.target, head.forward)
    assert again.body_length == body_bytes
    assert again.fields[b"x-understudy-mirror"] == b"1"
    assert b"authorization" not in again.fields and b"cookie" not in again.fields


def test_copy_has_a_span_of_its_own() -> None:
    raw = copied(head_of("GET", "/", f"traceparent: {TRACEPARENT}"))
    assert b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01\r\n" in raw


def test_copy_of_a_request_with_a_broken_traceparent_has_none() -> None:
    assert b"traceparent" not in copied(head_of("GET", "/", "traceparent: nonsense"))


def test_chunked_request_is_copied_with_its_length() -> None:
    raw = copied(head_of("POST", "/", "Transfer-Encoding: chunked"), 12)
    assert b"\r\ncontent-length: 12\r\n" in raw
    assert b"transfer-encoding" not in raw


# To the client.


class Heard:
    """What llhttp finds in an answer."""

    def __init__(self) -> None:
        self.n_heads = 0
        self.names: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.names.append(name.lower())

    def on_headers_complete(self) -> None:
        self.n_heads += 1


@pytest.mark.parametrize(
    "case", [case for case in ANSWERS if case.expect == "accept"], ids=lambda case: case.id
)
@pytest.mark.parametrize("keep", [True, False])
def test_answer_that_leaves_us_is_one_strict_answer_with_the_same_meaning(
    case: AnswerCase, keep: bool
) -> None:
    request = head_of(case.method)
    head = read_answer([case.raw], case.method.encode(), closes=case.closes).answer
    assert head is not None
    raw = answer_head(head, request, b"id-1", keep, "")
    if len(head.forward) + 3 > MAX_FIELDS:
        return  # our own three count as well when it is read again
    assert find_answer_head(raw) == len(raw)
    again = parse_answer(raw, request.method)
    framed = CHUNKED if head.body_length == UNTIL_CLOSE else head.body_length
    assert (again.status, again.line, again.body_length) == (head.status, head.line, framed)
    forwarded = [line for line in again.forward if not line.startswith(b"content-length:")]
    assert forwarded == [line for line in head.forward if not line.startswith(b"content-length:")]
    heard = Heard()
    httptools.HttpResponseParser(heard).feed_data(raw)
    assert heard.n_heads == 1
    assert (b"connection" in heard.names) is not keep
    for name in (b"content-length", b"transfer-encoding", b"connection", b"x-request-id"):
        assert heard.names.count(name) <= 1
    assert not {b"content-length", b"transfer-encoding"} <= set(heard.names)
    assert not [
        name for name in case.drops if name.encode() in heard.names and name != "connection"
    ]


@pytest.mark.parametrize("status", [204, 304])
def test_answer_that_cannot_have_a_body_is_given_no_framing(status: int) -> None:
    raw = answered(b"HTTP/1.1 %d X\r\n\r\n" % status)
    assert b"content-length" not in raw and b"transfer-encoding" not in raw


def test_length_of_what_head_would_have_got_crosses_once() -> None:
    raw = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", head_of("HEAD"))
    assert raw.lower().count(b"content-length: 9\r\n") == 1


def test_empty_answer_says_that_it_is_empty() -> None:
    raw = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert raw == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-request-id: id-1\r\n\r\n"


def test_http_10_client_gets_no_transfer_coding() -> None:
    raw = answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", OLD, keep=False)
    assert b"transfer-encoding" not in raw
    assert b"\r\nconnection: close\r\n" in raw


def test_client_is_told_who_answered_only_when_the_route_says_so() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Understudy-Variant: forged\r\n\r\n"
    assert b"variant" not in answered(ok)
    assert answered(ok, variant="digits-2").count(b"x-understudy-variant: digits-2\r\n") == 1
    assert b"forged" not in answered(ok, variant="digits-2")


# Bodies.


@many
@given(payloads=st.lists(st.binary(max_size=20), min_size=1, max_size=6))
def test_framed_chunks_are_one_whole_body(payloads: list[bytes]) -> None:
    last = len(payloads) - 1
    raw = b"".join(frame(piece, at == last, CHUNKED) for at, piece in enumerate(payloads))
    body = ChunkedBody(RequestError)
    assert body.feed(raw) == (b"".join(payloads), b"")
    assert body.is_done


@pytest.mark.parametrize("length", [0, 5])
def test_payload_of_known_length_goes_as_it_is(length: int) -> None:
    assert frame(b"hello", True, length) == b"hello"


# Answers of our own.


def split(raw: bytes) -> tuple[AnswerHead, bytes]:
    end = find_answer_head(raw)
    return parse_answer(raw[:end], b"GET"), raw[end:]


@many
@given(status=st.sampled_from([*REASONS, 418]), message=st.text(max_size=40), keep=st.booleans())
def test_refusal_is_a_whole_answer_with_json_whatever_it_quotes(
    status: int, message: str, keep: bool
) -> None:
    head, body = split(refusal(status, message, b"id-1", keep))
    assert (head.status, head.body_length, head.keep_alive) == (status, len(body), keep)
    told = json.loads(body)["error"]
    assert len(told) == len(message)
    assert all(a == b or b == "?" for a, b in zip(message, told, strict=True))


def test_overload_says_when_to_come_back_and_a_bad_method_what_is_allowed() -> None:
    assert b"retry-after: 1" in split(refusal(503, "full", b"", False))[0].forward
    allowed = [
        line for line in split(refusal(405, "no", b"", False))[0].forward if b"allow" in line
    ]
    assert allowed and b"CONNECT" not in allowed[0] and b"TRACE" not in allowed[0]


def test_refusal_of_a_head_request_has_the_same_head_and_no_body() -> None:
    whole, head = refusal(404, "no", b"", True, b"GET"), refusal(404, "no", b"", True, b"HEAD")
    assert head.endswith(b"\r\n\r\n")
    assert whole == head + b'{"error": "no"}\n'


def test_refusal_without_a_request_id_has_none() -> None:
    assert b"x-request-id" not in refusal(400, "bad", b"", False)
    assert b"\r\nx-request-id: id-1\r\n" in refusal(400, "bad", b"id-1", False)


def test_interim_answer_is_one_that_we_would_take_ourselves() -> None:
    assert split(CONTINUE) == (parse_answer(CONTINUE, b"GET"), b"")
    assert parse_answer(CONTINUE, b"GET").status == 100


@pytest.mark.parametrize(
    ("strip", "only", "left"),
    [
        ((), None, [b"A: 1", b"b:2", b"C-d: 3"]),
        (("a", "c-d"), None, [b"b:2"]),
        ((), ("b", "c-d"), [b"b:2", b"C-d: 3"]),
        (("b",), ("b", "c-d"), [b"C-d: 3"]),
        ((), (), []),
    ],
)
def test_copy_carries_what_it_may_whatever_the_case(
    strip: tuple[str, ...], only: tuple[str, ...] | None, left: list[bytes]
) -> None:
    assert CopyFields(strip, only).allowed([b"A: 1", b"b:2", b"C-d: 3"]) == left


def test_an_exposure_token_is_one_field_of_an_answer_and_of_a_refusal() -> None:
    head = parse_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"POST")
    line = b"x-understudy-exposure: v1.k.p.m"
    for keep, variant in ((True, ""), (True, "v2"), (False, "")):
        raw = answer_head(head, head_of("POST"), b"id-1", keep, variant, line)
        assert raw.count(b"\r\nx-understudy-exposure: v1.k.p.m\r\n") == 1
        assert raw.endswith(b"\r\nx-request-id: id-1\r\n\r\n")
    assert b"exposure" not in answer_head(head, head_of("POST"), b"id-1", True, "")
    raw = refusal(502, "no", b"id-1", True, b"POST", b"v1.k.p.m")
    assert raw.count(b"\r\nx-understudy-exposure: v1.k.p.m\r\n") == 1
    assert b"exposure" not in refusal(502, "no", b"id-1", True)
