"""How much of the incoming bytes is body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.body import (
    LAST_CHUNK,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    Body,
    ChunkedBody,
    EndlessBody,
    LengthBody,
    body_reader,
    encode_chunk,
)
from router.errors import AnswerError, RequestError, RouterError
from router.message import CHUNKED, UNTIL_CLOSE
from tests.router.cases import REQUESTS, RequestCase, cuts, single_bytes
from tests.router.strategies import many, pieces_of, places

HELLO = b"5\r\nhello\r\n0\r\n\r\n"
CODING = b"Transfer-Encoding: chunked\r\n\r\n"
Result = tuple[str, bytes, bytes]


def read(pieces: list[bytes], body: Body | None = None) -> Result:
    """Return (how it ended, payload, what follows)."""
    body = ChunkedBody(RequestError) if body is None else body
    payload = rest = b""
    for piece in pieces:
        if body.is_done:
            rest += piece
            continue
        try:
            more, rest = body.feed(piece)
        except RouterError:
            return "error", b"", b""
        payload += more
    return "done" if body.is_done else "open", payload, rest


def chunked_part(case: RequestCase) -> bytes:
    return case.raw.partition(CODING)[2]


# By length, and until the end.


@many
@given(raw=st.binary(max_size=60), length=st.integers(1, 60), places=places)
def test_length_body_is_that_many_bytes_in_any_pieces(
    raw: bytes, length: int, places: list[int]
) -> None:
    ending = "done" if len(raw) >= length else "open"
    expected = (ending, raw[:length], raw[length:])
    assert read(pieces_of(raw, places), LengthBody(length)) == expected


def test_body_of_no_bytes_is_done_before_anything_comes() -> None:
    body = LengthBody(0)
    assert body.is_done
    assert body.feed(b"next") == (b"", b"next")


def test_endless_body_is_all_there_is_and_never_done() -> None:
    assert read([b"a", b"", b"b"], EndlessBody()) == ("open", b"ab", b"")


@pytest.mark.parametrize(
    ("length", "reader"),
    [(CHUNKED, ChunkedBody), (UNTIL_CLOSE, EndlessBody), (0, LengthBody), (9, LengthBody)],
)
def test_reader_is_the_one_that_the_framing_asks_for(length: int, reader: type[Body]) -> None:
    assert isinstance(body_reader(length, RequestError), reader)


# In chunks.


@many
@given(
    payloads=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    rest=st.binary(max_size=20),
    places=places,
)
def test_what_we_write_in_chunks_we_read_back_in_any_pieces(
    payloads: list[bytes], rest: bytes, places: list[int]
) -> None:
    raw = b"".join(map(encode_chunk, payloads)) + LAST_CHUNK + rest
    assert read(pieces_of(raw, places)) == ("done", b"".join(payloads), rest)


fragments = st.sampled_from(
    [b"5", b"0", b"a;x=y", b'1;q="\\""', b"\r\n", b"\r", b"\n", b"hello", b"x: y", b" ", b"\xff",
     b"\x00", b"0\r\n\r\n", b"5\r\nhello\r\n", b"te: x", b"GET / HTTP/1.1"]
)  # fmt: skip


@many
@given(parts=st.lists(fragments, max_size=14), places=places)
def test_any_bytes_end_the_same_in_any_pieces(parts: list[bytes], places: list[int]) -> None:
    raw = b"".join(parts)
    whole = read([raw])
    assert read(pieces_of(raw, places)) == whole
    assert read(single_bytes(raw)) == whole


@pytest.mark.parametrize(
    "case", [case for case in REQUESTS if case.id.startswith("chunk-")], ids=lambda case: case.id
)
def test_chunks_of_the_corpus_end_the_same_wherever_they_are_cut(case: RequestCase) -> None:
    raw = chunked_part(case)
    whole = read([raw])
    ending = {"accept": "done", "reject": "error", "incomplete": "open"}[case.expect]
    assert whole[0] == ending
    for cut in cuts(raw):
        assert read(list(cut)) == whole, f"cut at byte {len(cut[0])}"


def test_payload_is_handed_on_as_it_comes_and_nothing_is_held_back() -> None:
    body = ChunkedBody(RequestError)
    assert body.feed(b"a\r\n01234") == (b"01234", b"")
    assert body.feed(b"56789\r") == (b"56789", b"")
    assert body.feed(b"\n3\r\nabc\r\n") == (b"abc", b"")
    assert not body.is_done
    assert body.feed(b"0\r\n\r\nnext") == (b"", b"next")
    assert body.is_done


def test_error_is_of_the_kind_that_names_who_is_at_fault() -> None:
    for error in (RequestError, AnswerError):
        with pytest.raises(error):
            ChunkedBody(error).feed(b"zz\r\n")


@pytest.mark.parametrize("is_whole", [True, False])
def test_chunk_line_has_a_limit_whether_or_not_its_end_has_come(is_whole: bool) -> None:
    end = b"\r\nhello\r\n0\r\n\r\n" if is_whole else b""
    longest = b"5;" + b"a" * (MAX_CHUNK_LINE_BYTES - 3)
    assert read([longest + end])[0] == ("done" if is_whole else "open")
    assert read([longest + b"aa" + end])[0] == "error"


@pytest.mark.parametrize("is_whole", [True, False])
def test_trailer_section_has_a_limit_whether_or_not_its_end_has_come(is_whole: bool) -> None:
    end = b"\r\n\r\n" if is_whole else b""
    longest = b"0\r\nx: " + b"v" * (MAX_TRAILER_BYTES - 7)
    assert read([longest + end])[0] == ("done" if is_whole else "open")
    assert read([longest + b"v" * 5 + end])[0] == "error"


def test_chunk_of_exactly_the_limit_is_awaited_and_one_byte_more_is_not() -> None:
    assert read([b"%x\r\n" % MAX_CHUNK_BYTES])[0] == "open"
    assert read([b"%x\r\n" % (MAX_CHUNK_BYTES + 1)])[0] == "error"


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "TRANSFER-ENCODING", "host", "Authorization", "Connection", "Content-Type",
     "Content-Encoding", "Content-Range", "Trailer", "TE", "Upgrade", "Expect", "Cookie",
     "Set-Cookie"],
)  # fmt: skip
def test_trailer_that_would_change_what_was_acted_on_is_refused(name: str) -> None:
    assert read([f"0\r\nx: y\r\n{name}: 1\r\n\r\n".encode()])[0] == "error"
    assert read([f"0\r\nx-{name}: 1\r\n\r\n".encode()])[0] == "done"


def test_many_small_chunks_are_one_payload() -> None:
    raw = encode_chunk(b"x") * 20_000 + LAST_CHUNK
    assert read([raw]) == ("done", b"x" * 20_000, b"")


def test_hello_is_written_as_rfc_9112_writes_it() -> None:
    assert encode_chunk(b"hello") + LAST_CHUNK == HELLO
