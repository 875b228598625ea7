import asyncio
import re

import pytest

from loadtests.upstream import Answer, Tally

PREDICT = (
    b"POST /v1/models/bench:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"
)
COUNT = b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


def talk(*chunks: bytes) -> tuple[Tally, bytes]:
    tally, wire = Tally(b'{"predictions": [7]}'), Wire()
    answer = Answer(tally)
    answer.connection_made(wire)
    for chunk in chunks:
        answer.data_received(chunk)
    return tally, wire.written


def statuses(written: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+)", written)


@pytest.mark.parametrize("cut", range(1, len(PREDICT)))
def test_request_cut_anywhere_is_answered_once_and_when_it_is_whole(cut: int) -> None:
    tally, written = talk(PREDICT[:cut])
    assert written == b""
    tally, written = talk(PREDICT[:cut], PREDICT[cut:])
    assert statuses(written) == [b"200"]
    assert tally.predictions == 1


def test_requests_in_one_chunk_are_all_answered_in_order() -> None:
    _, written = talk(PREDICT + PREDICT + COUNT + PREDICT)
    assert statuses(written) == [b"200"] * 4
    assert written.index(b'{"predictions": 2}') > written.index(b'{"predictions": [7]}')


def test_only_posts_are_counted() -> None:
    tally, _ = talk(COUNT, PREDICT, COUNT)
    assert tally.predictions == 1


def test_chunked_body_is_refused_and_not_guessed_at() -> None:
    tally, written = talk(CHUNKED)
    assert statuses(written) == [b"501"]
    assert tally.predictions == 0
