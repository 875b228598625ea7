"""Two readers agree on every head, wherever the network cuts it."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import AnswerError, RequestError
from router.message import MAX_FIELDS, MAX_HEAD_BYTES, MAX_TARGET_BYTES, RequestHead
from router.parser import (
    find_answer_head,
    find_head,
    find_request_head,
    parse_answer,
    parse_request,
)
from router.wire import request_head
from tests.router.cases import (
    ANSWERS,
    REQUESTS,
    AnswerCase,
    RequestCase,
    cuts,
    read_answer,
    read_request,
    single_bytes,
)
from tests.router.strategies import few, many, pieces_of, places, raw_heads

by_id = pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
answers_by_id = pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.id)
SMALL = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


# The corpus.


def test_corpus_is_large_and_its_ids_are_unique() -> None:
    assert len({case.id for case in REQUESTS}) == len(REQUESTS) >= 120
    assert len({case.id for case in ANSWERS}) == len(ANSWERS) >= 60
    assert all(case.clause for case in REQUESTS)
    assert all(case.clause for case in ANSWERS)


@by_id
def test_request_gets_the_verdict_of_its_clause(case: RequestCase) -> None:
    read = read_request([case.raw])
    assert read.verdict == case.expect, read.error
    if case.expect == "reject":
        assert read.error is not None
        assert (read.stage, read.error.status_hint) == (case.stage, case.status)
    elif case.expect == "accept":
        assert (read.payload, read.rest) == (case.body, case.rest)


@by_id
def test_request_gets_the_same_verdict_wherever_it_is_cut(case: RequestCase) -> None:
    meaning = read_request([case.raw]).meaning()
    for cut in cuts(case.raw):
        assert read_request(cut).meaning() == meaning, f"cut at byte {len(cut[0])}"


@by_id
def test_request_gets_the_same_verdict_byte_by_byte(case: RequestCase) -> None:
    assert read_request(single_bytes(case.raw)).meaning() == read_request([case.raw]).meaning()


@answers_by_id
def test_answer_gets_the_verdict_of_its_clause(case: AnswerCase) -> None:
    read = read_answer([case.raw], case.method.encode(), closes=case.closes)
    assert read.verdict == case.expect, read.error
    if case.expect == "reject":
        assert read.stage == case.stage
    elif case.expect == "accept":
        assert read.payload == case.body


@answers_by_id
def test_answer_gets_the_same_verdict_wherever_it_is_cut(case: AnswerCase) -> None:
    method = case.method.encode()
    meaning = read_answer([case.raw], method, closes=case.closes).meaning()
    for cut in (*cuts(case.raw), single_bytes(case.raw)):
        assert read_answer(cut, method, closes=case.closes).meaning() == meaning


# Against llhttp, and against ourselves.


class Heard:
    """What llhttp finds in a head."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))


def lines_as_fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    pairs = (line.partition(b":") for line in lines)
    return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


def check_against_llhttp(raw: bytes, head: RequestHead) -> None:
    heard = Heard()
    parser = httptools.HttpRequestParser(heard)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # llhttp stops reading here; the head is whole
    assert (parser.get_method(), parser.get_http_version()) == (
        head.method,
        "1.1" if head.is_http_11 else "1.0",
    )
    assert heard.target in (head.target, b"http://" + head.host + head.target) or (
        heard.target.lower().startswith(b"http://" + head.host.lower())
    )
    first: dict[bytes, bytes] = {}
    for name, value in heard.fields:
        first.setdefault(name, value)
    assert first == head.fields
    crossing = lines_as_fields(head.forward)
    kept = {name for name, _ in crossing}
    assert crossing == [field for field in heard.fields if field[0] in kept]


def check_round_trip(head: RequestHead) -> None:
    """Our own output means to us what the input meant: nothing can be smuggled through it."""
    raw = request_head(head, b"id-1", b"127.0.0.1:9000")
    assert find_request_head(raw) == len(raw)
    again = parse_request(raw)
    assert (again.method, again.target, again.path) == (head.method, head.target, head.path)
    assert again.host == (head.host or b"127.0.0.1:9000")
    assert again.body_length == head.body_length
    assert (again.forward, again.secrets) == (head.forward, head.secrets)
    assert (again.traceparent, again.request_id) == (head.traceparent, b"id-1")
    assert again.is_http_11 and again.keep_alive and not again.expects_continue


@pytest.mark.parametrize(
    "case", [case for case in REQUESTS if case.expect == "accept"], ids=lambda case: case.id
)
def test_accepted_request_reads_alike_to_llhttp_and_to_ourselves_again(case: RequestCase) -> None:
    raw = case.raw.removeprefix(b"\r\n")
    end = find_request_head(raw)
    head = parse_request(raw[:end])
    check_against_llhttp(raw[:end], head)
    if len(head.forward) + 3 <= MAX_FIELDS:  # our own three count as well when it comes back
        check_round_trip(head)


@many
@given(raw=raw_heads())
def test_whatever_we_accept_reads_alike_to_llhttp_and_to_ourselves_again(raw: bytes) -> None:
    try:
        head = parse_request(raw)
    except RequestError:
        return
    check_against_llhttp(raw, head)
    check_round_trip(head)


@many
@given(
    case=st.sampled_from([case for case in REQUESTS if len(case.raw) < 400]),
    edits=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=2)), min_size=1, max_size=3),
)
def test_mutated_request_that_is_still_accepted_reads_alike_to_all(
    case: RequestCase, edits: list[tuple[int, bytes]]
) -> None:
    raw = case.raw
    for at, replacement in edits:
        at %= len(raw) + 1
        raw = raw[:at] + replacement + raw[at + 1 :]
    read = read_request([raw])
    assert read_request(single_bytes(raw)).meaning()[0] == read.verdict
    if read.request is not None:
        start = 2 if raw[:2] == b"\r\n" else 0
        end = raw.index(b"\r\n\r\n", start) + 4
        check_against_llhttp(raw[start:end], read.request)
        check_round_trip(read.request)


@many
@given(raw=raw_heads(), places=places)
def test_drawn_head_gets_the_same_verdict_in_any_pieces(raw: bytes, places: list[int]) -> None:
    assert read_request(pieces_of(raw, places)).meaning() == read_request([raw]).meaning()


@few
@given(raw=st.binary(max_size=200))
def test_any_bytes_get_a_verdict_and_never_another_error(raw: bytes) -> None:
    assert read_request([raw]).verdict == read_request(single_bytes(raw)).verdict
    read_answer([b"HTTP/1.1 200 OK\r\n" + raw], b"GET", closes=False)


# Limits.


def head_of_size(size: int) -> bytes:
    shell = b"GET / HTTP/1.1\r\nHost: a\r\nx: \r\n\r\n"
    return shell.replace(b"x: ", b"x: " + b"v" * (size - len(shell)))


def test_head_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    raw = head_of_size(MAX_HEAD_BYTES)
    assert find_request_head(raw) == len(raw) == MAX_HEAD_BYTES
    parse_request(raw)
    with pytest.raises(RequestError) as caught:
        find_request_head(head_of_size(MAX_HEAD_BYTES + 1))
    assert caught.value.status_hint == 431


@pytest.mark.parametrize("extra", [1, 2, 3, 4, 1000])
def test_oversized_head_is_refused_before_its_end_has_come(extra: int) -> None:
    with pytest.raises(RequestError) as caught:
        find_request_head(head_of_size(MAX_HEAD_BYTES + 5000)[: MAX_HEAD_BYTES + extra])
    assert caught.value.status_hint == 431


@pytest.mark.parametrize("is_whole", [False, True])
def test_endless_target_is_told_apart_from_endless_fields(is_whole: bool) -> None:
    raw = b"GET /" + b"a" * MAX_HEAD_BYTES + (b" HTTP/1.1\r\nHost: a\r\n\r\n" if is_whole else b"")
    with pytest.raises(RequestError) as caught:
        find_request_head(raw)
    assert caught.value.status_hint == 414


def test_limits_leave_room_for_the_longest_target_and_the_most_fields() -> None:
    assert MAX_TARGET_BYTES < MAX_HEAD_BYTES
    lines = b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_FIELDS - 1))
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert len(head.forward) == MAX_FIELDS - 1


def test_answer_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    shell = b"HTTP/1.1 200 OK\r\nx: \r\n\r\n"
    raw = shell.replace(b"x: ", b"x: " + b"v" * (MAX_HEAD_BYTES - len(shell)))
    assert find_answer_head(raw) == MAX_HEAD_BYTES
    with pytest.raises(AnswerError):
        find_answer_head(raw.replace(b"x: ", b"x: v"))


# Finding the end.


def test_bytes_behind_a_head_are_left_alone() -> None:
    assert find_head(SMALL + b"\x00\nanything") == len(SMALL)


def test_line_that_is_none_is_refused_as_soon_as_it_is_whole() -> None:
    assert find_request_head(b"GET /") == -1
    with pytest.raises(RequestError, match=r"not an HTTP/1\.1 request head"):
        find_request_head(b"GET /\r\n")


@pytest.mark.parametrize("bad", [b"\n", b"\rx", b"\x00", b"\x0b", b"\x1b", b"\x7f"])
@pytest.mark.parametrize("seen", range(4))
def test_byte_that_no_head_may_hold_is_refused_at_once(bad: bytes, seen: int) -> None:
    start = b"GET / HTTP/1.1\r\nx: y"
    with pytest.raises(RequestError, match="no message head may hold"):
        find_head(start + bad, max(0, len(start) - seen))


def test_answers_fault_is_the_variants_and_not_the_clients() -> None:
    with pytest.raises(AnswerError):
        find_answer_head(b"HTTP/1.1 200 OK\n")
    with pytest.raises(AnswerError):
        parse_answer(b"ICY 200 OK\r\n\r\n", b"GET")


def test_error_quotes_only_the_beginning_of_what_was_sent() -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(b"\xff" * 5000 + b"\r\n\r\n")
    assert len(str(caught.value)) < 500


def test_status_line_without_reason_gets_the_space_it_lacks() -> None:
    assert parse_answer(b"HTTP/1.1 200\r\n\r\n", b"GET").line == b"200 "
    assert parse_answer(b"HTTP/1.1 200 \r\n\r\n", b"GET").line == b"200 "
    assert parse_answer(b"HTTP/1.1 200 OK\r\n\r\n", b"GET").line == b"200 OK"
