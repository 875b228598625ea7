"""One attempt with one variant: it ends once, and says what was measured."""

import pytest

from router.call import Call
from router.deadline import Deadlines
from router.message import AnswerHead
from router.pool import Pool
from router.stream import CHECKS
from tests.router.kit import dial_of, variant
from tests.router.test_pool import Recorder


class Made:
    """A call whose connection is never opened."""

    def __init__(self, capture_limit: int = 100, status: int = 200) -> None:
        self.now_s = 0.0
        self.deadlines = Deadlines(2.0)
        pool = Pool(dial_of(variant("m", 1)), self.deadlines, lambda: self.now_s)
        self.caller = Recorder()
        self.call = Call(pool, b"GET", b"head", self.caller, capture_limit)
        self.head = AnswerHead(status, b"", [], 6, True, b"GZip")
        self.deadlines.add(self.call, self.now_s)


async def test_whole_answer_is_an_outcome_without_fault() -> None:
    made = Made()
    made.call.on_head(made.head, b"abc", False)
    made.call.on_payload(b"def", True)
    outcome = made.call.outcome()
    assert (outcome.variant, outcome.status, outcome.fault) == ("m", 200, "")
    assert (outcome.body, outcome.body_bytes, outcome.encoding) == (b"abcdef", 6, "gzip")
    assert 0 <= outcome.latency_s < 5
    assert made.caller.told == ["head abc", "payload def end"]
    assert len(made.deadlines) == 0


@pytest.mark.parametrize(("status", "fault"), [(499, ""), (500, "status"), (599, "status")])
async def test_answer_from_500_up_is_a_fault(status: int, fault: str) -> None:
    made = Made(status=status)
    made.call.on_head(made.head, b"", True)
    assert made.call.outcome().fault == fault


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 6, 7])
async def test_answer_over_the_capture_limit_is_not_kept_but_its_size_is(limit: int) -> None:
    made = Made(capture_limit=limit)
    made.call.on_head(made.head, b"abc", False)
    made.call.on_payload(b"def", True)
    assert made.call.outcome().body == (b"abcdef" if limit >= 6 else b"")
    assert made.call.outcome().body_bytes == 6


async def test_failure_is_told_once_and_drop_is_not_told_at_all() -> None:
    made = Made()
    made.call.fail("reset")
    made.call.fail("timeout")
    made.call.drop()
    assert made.caller.told == ["failed reset"]
    assert made.call.outcome().fault == "reset"
    other = Made()
    other.call.drop()
    other.call.fail("reset")
    assert other.caller.told == []
    assert other.call.outcome().fault == "aborted"
    assert len(made.deadlines) == len(other.deadlines) == 0


async def test_deadline_fails_a_call_that_is_sent() -> None:
    made = Made()
    assert made.deadlines.expire(1.9) == 0
    assert made.deadlines.expire(2.0) == 1
    assert made.caller.told == ["failed timeout"]


async def test_deadline_waits_for_a_client_that_still_sends() -> None:
    made = Made()
    made.call.is_sent = False
    made.now_s = 2.0
    made.deadlines.expire(2.0)
    assert made.caller.told == []
    made.now_s = 3.0
    made.call.complete()
    made.deadlines.expire(4.9)
    assert made.caller.told == []
    made.deadlines.expire(5.0)
    assert made.caller.told == ["failed timeout"]


async def test_deadline_does_not_wait_for_a_variant_that_takes_no_more() -> None:
    made = Made()
    made.call.is_sent = False
    made.call.on_full()
    made.deadlines.expire(2.0)
    assert made.caller.told == ["full", "failed timeout"]


async def test_deadline_stands_still_while_the_client_does_not_read() -> None:
    made = Made()
    made.call.pause()
    made.deadlines.expire(100.0)
    assert made.caller.told == []
    made.now_s = 100.0
    made.call.resume()
    made.deadlines.expire(102.0)
    assert made.caller.told == ["failed timeout"]


async def test_what_is_sent_before_there_is_a_connection_waits_in_order() -> None:
    made = Made()
    made.call.send(b" one")
    made.call.send(b" two")
    assert made.call.unsent_bytes == 12
    assert b"".join(made.call.take_unsent()) == b"head one two"
    assert made.call.unsent_bytes == 0


async def test_latency_is_measured_to_the_end() -> None:
    made = Made()
    made.now_s = 0.5
    made.call.fail("reset")
    assert made.call.latency_s == made.call.outcome().latency_s == 0.5


async def test_latency_leaves_out_what_the_client_does_not_read() -> None:
    made = Made()
    made.now_s = 1.0
    made.call.pause()
    made.now_s = 2.0
    made.call.resume()
    made.now_s = 2.5
    made.call.pause()
    made.now_s = 4.0
    made.call.fail("reset")
    assert made.call.latency_s == 1.5


def events(made: Made) -> AnswerHead:
    return AnswerHead(200, b"", [], -1, True, b"", "sse")


async def test_answer_that_comes_at_once_has_its_first_byte_with_its_last() -> None:
    made = Made()
    made.now_s = 0.5
    made.call.on_head(made.head, b"abcdef", True)
    outcome = made.call.outcome()
    assert (outcome.first_byte_s, outcome.latency_s, outcome.n_pieces) == (0.5, 0.5, 1)
    empty = Made()
    empty.now_s = 0.5
    empty.call.fail("reset")
    outcome = empty.call.outcome()
    assert (outcome.first_byte_s, outcome.n_pieces, outcome.is_complete) == (0.5, 0, False)


async def test_first_byte_is_the_bodys_and_not_the_heads() -> None:
    made = Made()
    made.now_s = 0.25
    made.call.on_head(events(made), b"", False)
    made.now_s = 0.5
    made.call.on_payload(b"data: a\n", False)
    made.now_s = 0.75
    made.call.on_payload(b"\ndata: b\n\n", False)
    made.now_s = 1.0
    made.call.on_payload(b"", True)
    outcome = made.call.outcome()
    assert (outcome.form, outcome.n_pieces, outcome.is_complete) == ("sse", 2, True)
    assert (outcome.first_byte_s, outcome.latency_s) == (0.5, 1.0)


async def test_stream_of_events_is_ended_by_silence_and_not_by_its_length() -> None:
    made = Made()
    made.call.on_head(events(made), b"", False)
    for n in range(1, 20):
        made.now_s = 2.0 * n
        made.call.on_payload(b"data: x\n\n", False)
        made.deadlines.expire(made.now_s)
    assert "failed timeout" not in made.caller.told
    for _ in range(CHECKS):
        made.now_s += 2.0
        made.deadlines.expire(made.now_s)
    assert made.caller.told[-1] == "failed timeout"
    assert not made.call.outcome().is_complete
