"""What is measured of a stream, however the network cuts it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.stream import CHECKS, Silence, Stream

BODY = b"data: one\n\nevent: x\r\ndata: two\r\n\r\n: comment\n\ndata: three\n\n"


@given(st.lists(st.integers(1, len(BODY) - 1), max_size=20))
def test_events_are_counted_wherever_the_network_cuts_them(cuts: list[int]) -> None:
    stream = Stream(True, False)
    at = [0, *sorted(set(cuts)), len(BODY)]
    for begin, end in pairwise(at):
        stream.note(BODY[begin:end])
    assert stream.n_pieces == 4


@pytest.mark.parametrize(("is_events", "is_encoded"), [(False, False), (True, True)])
def test_other_answers_are_counted_by_pieces(is_events: bool, is_encoded: bool) -> None:
    stream = Stream(is_events, is_encoded)
    for piece in (b"a\n\nb\n\n", b"c"):
        stream.note(piece)
    assert stream.n_pieces == 2


def test_silence_is_an_end_after_all_its_checks_in_a_row() -> None:
    silence = Silence()
    assert not silence.lasts(0)
    assert [silence.lasts(0) for _ in range(CHECKS)] == [False] * (CHECKS - 1) + [True]
    silence = Silence()
    for moved in range(10):
        assert not any(silence.lasts(moved) for _ in range(CHECKS))


def test_answer_that_is_no_stream_of_events_has_no_more_time() -> None:
    assert Stream(False, False).is_silent(1)
    assert not Stream(True, False).is_silent(1)
