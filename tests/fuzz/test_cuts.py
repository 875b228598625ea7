"""The corpus through the whole router, cut: heads, bodies and what is pipelined behind them.

The parser's tests cut every message at every byte by itself; here connections carry them, another
request follows, and what counts is what the variant and the client get.
"""

from collections.abc import Iterator

import pytest

from tests.fuzz.case import Case, Plan, Step
from tests.fuzz.metamorphic import Outcome, outcome
from tests.fuzz.world import World
from tests.router.cases import ANSWERS, REQUESTS, AnswerCase, RequestCase, single_bytes

OK = Plan([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"])
NEXT = b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n"
FEW = 6
MAX_BYTES = 3000
"""Longer messages are cut in a few places only, not into single bytes."""


def came_of(pieces: list[bytes], answer: Plan = OK) -> Outcome:
    """Return what came of a client that sends these pieces and closes its side."""
    steps = [*(Step("send", piece) for piece in pieces), Step("eof")]
    plans = {"champion": [answer, OK], "challenger": [OK]}
    case = Case(plans=plans, steps=steps)
    record = World().run(case)
    assert record.trouble == []
    assert record.leftovers == []
    assert record.violations == []
    return outcome(case, record)


def cuts(raw: bytes, n: int) -> Iterator[list[bytes]]:
    """Yield ``raw`` in two pieces, at ``n`` places, and byte by byte."""
    for at in sorted({1 + k * (len(raw) - 1) // n for k in range(n)}):
        yield [raw[:at], raw[at:]]
    if len(raw) <= MAX_BYTES:
        yield single_bytes(raw)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_request_and_the_next_end_the_same_wherever_they_are_cut(case: RequestCase) -> None:
    raw = case.raw + NEXT
    whole = came_of([raw])
    for pieces in cuts(raw, FEW):
        assert came_of(pieces) == whole, f"first piece of {len(pieces[0])} bytes"
    is_followed = case.expect == "accept" and not case.rest
    if is_followed and b"HTTP/1.0" not in case.raw and b"lose\r\n" not in case.raw:
        assert [arrived[0][1] for arrived in whole[0]] == [case.target, b"/next"]


@pytest.mark.parametrize("case", [case for case in REQUESTS if case.rest], ids=lambda case: case.id)
def test_pipelined_requests_end_the_same_cut_at_every_byte(case: RequestCase) -> None:
    whole = came_of([case.raw])
    assert len(whole[0]) == len(whole[1]) == 2
    for at in range(1, len(case.raw)):
        assert came_of([case.raw[:at], case.raw[at:]]) == whole, f"cut at byte {at}"


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.id)
def test_answer_ends_the_same_wherever_it_is_cut(case: AnswerCase) -> None:
    """What is spoken behind an answer that is whole comes too late to be told from the next."""
    ask = case.method.encode() + b" /x HTTP/1.1\r\nHost: a\r\n\r\n"
    end = "eof" if case.closes else "open"
    whole = came_of([ask], Plan([case.raw], end))
    for pieces in cuts(case.raw, FEW) if case.raw else ():
        assert came_of([ask], Plan(pieces, end)) == whole, f"first piece {len(pieces[0])} bytes"
