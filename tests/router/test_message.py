"""What a head means: how long its body is, whether the connection lives on, what may cross."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import message
from router.errors import AnswerError, RequestError
from router.message import (
    CHUNKED,
    MAX_TARGET_BYTES,
    UNTIL_CLOSE,
    AnswerHead,
    RequestHead,
    child_span,
    read_answer,
    read_request,
    read_request_line,
)
from tests.router.cases import ANSWERS, REQUESTS, AnswerCase, RequestCase
from tests.router.cases import read_answer as read_raw_answer
from tests.router.cases import read_request as read_raw_request
from tests.router.strategies import many

HOST = b"Host: a.example"
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def request(*lines: bytes, method: bytes = b"GET", target: bytes = b"/") -> RequestHead:
    return read(b"%b %b HTTP/1.1" % (method, target), HOST, *lines)


def read(first: bytes, *lines: bytes) -> RequestHead:
    return read_request(read_request_line(first), list(lines))


def answer(
    *lines: bytes, status: int = 200, method: bytes = b"GET", is_http_11: bool = True
) -> AnswerHead:
    return read_answer(status, b"%d X" % status, is_http_11, list(lines), method)


def names_of(lines: list[bytes]) -> list[str]:
    return [line.partition(b":")[0].lower().decode("latin-1") for line in lines]


# The corpus: what each accepted message means.


@pytest.mark.parametrize(
    "case", [case for case in REQUESTS if case.expect == "accept"], ids=lambda case: case.id
)
def test_accepted_request_means_what_the_corpus_says(case: RequestCase) -> None:
    head = read_raw_request([case.raw]).request
    assert head is not None
    assert (head.method.decode(), head.target) == (case.method, case.target)
    assert head.path == case.target.partition(b"?")[0]
    crossing = set(names_of(head.forward + head.secrets))
    own = {"host", "content-length", "x-request-id"}
    assert set(case.crosses) - own <= crossing
    assert not crossing & (set(case.drops) | own | {"transfer-encoding", "connection"})


@pytest.mark.parametrize(
    "case", [case for case in ANSWERS if case.expect == "accept"], ids=lambda case: case.id
)
def test_accepted_answer_means_what_the_corpus_says(case: AnswerCase) -> None:
    read = read_raw_answer([case.raw], case.method.encode(), closes=case.closes)
    head = read.answer
    assert head is not None
    assert head.status == case.status
    assert (head.keep_alive and not read.rest) is case.reusable
    crossing = set(names_of(head.forward))
    assert set(case.crosses) <= crossing
    assert not crossing & set(case.drops)
    shown = b"\r\n".join([head.line, *head.forward]) + read.payload
    assert not [text for text in case.forbidden if text.encode() in shown]


# Requests.


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ((), 0),
        ((b"Content-Length: 0",), 0),
        ((b"content-length:\t007 ",), 7),
        ((b"Content-Length: 999999999999999999",), 999_999_999_999_999_999),
        ((b"Transfer-Encoding: Chunked",), CHUNKED),
    ],
)
def test_request_body_is_as_long_as_its_one_framing_field_says(
    lines: tuple[bytes, ...], length: int
) -> None:
    assert request(*lines, method=b"POST").body_length == length


@many
@given(text=st.text(max_size=8))
def test_content_length_is_ascii_digits_or_nothing(text: str) -> None:
    value = text.encode("utf-8").strip(b" \t")
    if value and set(value) <= set(b"0123456789"):
        assert request(b"Content-Length: " + value).body_length == int(value)
    else:
        # Some of what is no number is no field value either.
        with pytest.raises(RequestError, match=r"is not one number|is malformed"):
            request(b"Content-Length: " + value)


def test_first_value_of_a_repeated_field_is_the_one_that_routes() -> None:
    head = request(b"X-User: one", b"x-user: two")
    assert head.fields[b"x-user"] == b"one"
    assert head.forward == [b"X-User: one", b"x-user: two"]


def test_fields_cross_as_they_came_and_in_their_order() -> None:
    lines = [b"X-B:  1 ", b"x-a:2", b"X-B: \t3"]
    assert request(*lines).forward == lines


@pytest.mark.parametrize(
    ("version", "lines", "keeps"),
    [
        (b"1.1", (), True),
        (b"1.1", (b"Connection: keep-alive",), True),
        (b"1.1", (b"Connection: close",), False),
        (b"1.1", (b"Connection: X-A , Close",), False),
        (b"1.1", (b"Connection: x", b"Connection: CLOSE"), False),
        (b"1.1", (b"Connection: closed",), True),
        (b"1.0", (), False),
        (b"1.0", (b"Connection: keep-alive",), False),
    ],
)
def test_connection_lives_on_unless_somebody_says_otherwise(
    version: bytes, lines: tuple[bytes, ...], keeps: bool
) -> None:
    assert read(b"GET / HTTP/" + version, HOST, *lines).keep_alive is keeps


@pytest.mark.parametrize(
    "name", ["keep-alive", "TE", "Trailer", "Upgrade", "Proxy-Connection", "Proxy-Authorization"]
)
def test_hop_by_hop_field_ends_here_without_being_nominated(name: str) -> None:
    assert request(f"{name}: x".encode()).forward == []


@pytest.mark.parametrize(
    "name",
    ["X-Understudy-Mirror", "x-understudy-anything", "X_Understudy_Variant", "x-understudy-"],
)
def test_whatever_begins_like_a_name_of_ours_ends_here_in_both_directions(name: str) -> None:
    """Found by fuzzing: only four of them did; and WSGI reads ``_`` as ``-``."""
    line = name.encode() + b": 1"
    assert request(line).forward == []
    assert answer(b"Content-Length: 0", line).forward == []


def test_nominated_credentials_end_here() -> None:
    head = request(b"Connection: cookie", b"Cookie: s=1", b"Authorization: x")
    assert head.secrets == [b"Authorization: x"]


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"X-Request-Id"])
def test_client_cannot_take_away_what_the_next_hop_needs(name: bytes) -> None:
    head = request(
        b"Connection: %b" % name, b"X-Request-Id: id-1", b"Content-Length: 3", method=b"POST"
    )
    assert (head.host, head.body_length, head.request_id) == (b"a.example", 3, b"id-1")


@pytest.mark.parametrize(
    "value", [b"a b", b"", b"x" * 129, b"a\xff", b'"a"', b"<a>", b"a,b", b"a|b", b"a%0d"]
)
def test_request_id_that_is_not_safe_everywhere_is_not_taken(value: bytes) -> None:
    assert request(b"X-Request-Id: " + value).request_id == b""


@pytest.mark.parametrize("value", [b"a", b"x" * 128, b"0af7-65.19_16~c/d+3=:"])
def test_usable_request_id_is_the_clients_own(value: bytes) -> None:
    head = request(b"x-request-id:\t%b " % value)
    assert head.request_id == value
    assert head.forward == []


def test_expectation_is_read_and_does_not_cross() -> None:
    head = request(b"Expect: 100-Continue")
    assert head.expects_continue
    assert head.forward == []


def test_http_10_client_expects_nothing() -> None:
    assert not read(b"GET / HTTP/1.0", b"Expect: 100-continue").expects_continue


@pytest.mark.parametrize(
    ("method", "target", "version", "status"),
    [
        (b"GET", b"/", b"2.0", 505),
        (b"CONNECT", b"a:80", b"1.1", 405),
        (b"TRACE", b"/", b"1.1", 405),
        (b"GET", b"/" * (MAX_TARGET_BYTES + 1), b"1.1", 414),
        (b"GET", b"x", b"1.1", 400),
    ],
)
def test_refusal_carries_the_status_that_fits(
    method: bytes, target: bytes, version: bytes, status: int
) -> None:
    with pytest.raises(RequestError) as caught:
        read(b"%b %b HTTP/%b" % (method, target, version), HOST)
    assert caught.value.status_hint == status


def test_what_is_remembered_about_names_and_lines_is_bounded() -> None:
    for number in range(message._MAX_SEEN + 100):
        request(b"x-%d: 1" % number, b"%b-%d: 1" % (b"y" * 64, number))
        request(b"user-agent: %d" % number, b"accept: %b%d" % (b"y" * 128, number))
    assert len(message._seen_names) <= message._MAX_SEEN
    assert max(map(len, message._seen_names)) <= message._MAX_SEEN_NAME_BYTES
    assert len(message._seen_lines) <= message._MAX_SEEN
    assert max(map(len, message._seen_lines)) <= message._MAX_SEEN_LINE_BYTES


def test_credentials_and_ids_are_not_remembered() -> None:
    request(b"authorization: Bearer hush", b"cookie: hush=1", b"x-request-id: hush-2")
    request(b"x-user-id: hush-3")
    assert not any(b"hush" in line for line in message._seen_lines)


@pytest.mark.parametrize("name", [b"Connection", b"CONNECTION", b"coNNection"])
def test_name_means_the_same_each_time_and_in_any_case(name: bytes) -> None:
    for _ in range(3):
        assert not request(b"%b: close" % name).keep_alive


# Answers.


@pytest.mark.parametrize(
    ("status", "method", "lines", "length"),
    [
        (200, b"GET", (b"Content-Length: 7",), 7),
        (200, b"GET", (b"Transfer-Encoding: chunked",), CHUNKED),
        (200, b"GET", (), UNTIL_CLOSE),
        (200, b"HEAD", (b"Content-Length: 7",), 0),
        (200, b"HEAD", (b"Transfer-Encoding: chunked",), 0),
        (200, b"HEAD", (), 0),
        (204, b"GET", (b"Content-Length: 7",), 0),
        (304, b"GET", (b"Content-Length: 7",), 0),
        (304, b"GET", (b"Transfer-Encoding: chunked",), 0),
        (103, b"GET", (), 0),
        (500, b"POST", (), UNTIL_CLOSE),
    ],
)
def test_answer_body_is_as_long_as_rfc_9112_section_6_3_says(
    status: int, method: bytes, lines: tuple[bytes, ...], length: int
) -> None:
    assert answer(*lines, status=status, method=method).body_length == length


@pytest.mark.parametrize(
    ("status", "method", "tells"),
    [(200, b"HEAD", True), (304, b"GET", True), (204, b"HEAD", False), (204, b"GET", False)],
)
def test_length_without_a_body_crosses_only_where_it_describes_one(
    status: int, method: bytes, tells: bool
) -> None:
    head = answer(b"Content-Length: 7", status=status, method=method)
    assert (b"content-length: 7" in head.forward) is tells


@pytest.mark.parametrize(
    ("lines", "is_http_11", "keeps"),
    [
        ((b"Content-Length: 0",), True, True),
        ((b"Content-Length: 0", b"Connection: Close"), True, False),
        ((b"Content-Length: 0", b"Connection: keep-alive"), False, False),
        ((), True, False),
    ],
)
def test_variants_connection_is_kept_only_when_its_end_is_certain(
    lines: tuple[bytes, ...], is_http_11: bool, keeps: bool
) -> None:
    assert answer(*lines, is_http_11=is_http_11).keep_alive is keeps


def test_bad_length_is_refused_even_where_there_is_no_body() -> None:
    for status, method in ((200, b"HEAD"), (204, b"GET"), (304, b"GET")):
        with pytest.raises(AnswerError, match="is not one number"):
            answer(b"Content-Length: 1, 1", status=status, method=method)


def test_content_encoding_is_read_and_crosses() -> None:
    head = answer(b"Content-Encoding: gzip ")
    assert head.encoding == b"gzip"
    assert head.forward == [b"Content-Encoding: gzip "]


def test_cookies_and_spans_of_an_answer_cross() -> None:
    lines = [b"Set-Cookie: a=1", b"Authorization: x", b"traceparent: y"]
    assert answer(*lines).forward == lines


# Spans.


def test_copy_has_a_span_of_its_own_in_the_same_trace() -> None:
    child = child_span(TRACEPARENT, b"00000000000000aa")
    assert child == b"00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01"


@pytest.mark.parametrize(
    "value", [b"", b"x", TRACEPARENT + b"-x", TRACEPARENT.upper(), TRACEPARENT[:-1], b"\xff" * 55]
)
def test_value_that_is_no_traceparent_gives_no_span(value: bytes) -> None:
    assert child_span(value, b"0" * 16) == b""


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        ([b"Content-Type: text/event-stream"], "sse"),
        ([b"content-type:Text/Event-Stream ; charset=utf-8"], "sse"),
        ([b"Content-Type: text/event-streams"], ""),
        ([b"X-Type: text/event-stream"], ""),
        ([b"Inference-Header-Content-Length: 77", b"Content-Type: application/octet-stream"],
         "json:77"),
        ([b"Content-Type: application/octet-stream", b"inference-header-content-length: 0"],
         "json:0"),
        ([b"Inference-Header-Content-Length: +7"], ""),
        ([b"Inference-Header-Content-Length:"], ""),
    ],
)  # fmt: skip
def test_form_of_an_answer_is_what_its_head_says_and_every_line_is_passed_on(
    lines: list[bytes], form: str
) -> None:
    head = read_answer(200, b"200 OK", True, lines, b"POST")
    assert (head.form, head.forward) == (form, lines)
