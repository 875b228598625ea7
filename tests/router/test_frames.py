"""What routers and the controller say to each other survives any cutting of the stream."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.frames import (
    MAX_FRAME_BYTES,
    Ack,
    Applied,
    Counters,
    Deframer,
    Ejected,
    FromController,
    FromRouter,
    Hello,
    Publish,
    decode_from_controller,
    decode_from_router,
    encode,
)
from router.observation import Batch
from tests.router.strategies import few, many, pieces_of, places

texts = st.text(max_size=6)
numbers = st.integers(0, 2**62)
from_router = st.one_of(
    st.builds(Hello, texts, numbers, numbers, numbers),
    st.builds(Applied, texts, numbers),
    st.builds(Ejected, texts, texts, texts, numbers, numbers),
    st.builds(Counters, texts, numbers, st.dictionaries(texts, st.floats(0, 1e9), max_size=4)),
    st.builds(Batch, texts, numbers, st.just(())),
)
from_controller = st.one_of(
    st.builds(Publish, st.binary(max_size=64)), st.builds(Ack, texts, numbers)
)


def deframed(pieces: list[bytes]) -> list[bytes]:
    deframer = Deframer()
    return [frame for piece in pieces for frame in deframer.feed(piece)]


@few
@given(message=from_router)
def test_what_a_router_says_arrives_unchanged(message: FromRouter) -> None:
    (raw,) = deframed([encode(message)])
    assert decode_from_router(raw) == message


@few
@given(message=from_controller)
def test_what_the_controller_says_arrives_unchanged(message: FromController) -> None:
    (raw,) = deframed([encode(message)])
    assert decode_from_controller(raw) == message


@many
@given(messages=st.lists(from_router, max_size=6), places=places)
def test_frames_are_the_same_wherever_the_stream_is_cut(
    messages: list[FromRouter], places: list[int]
) -> None:
    frames = deframed(pieces_of(b"".join(map(encode, messages)), places))
    assert [decode_from_router(frame) for frame in frames] == messages


def test_frames_are_the_same_byte_by_byte() -> None:
    stream = encode(Ack("w0", 1)) + encode(Publish(b"")) + encode(Ack("w1", 2**40))
    frames = deframed([stream[at : at + 1] for at in range(len(stream))])
    assert [decode_from_controller(frame) for frame in frames] == [
        Ack("w0", 1),
        Publish(b""),
        Ack("w1", 2**40),
    ]


def test_half_a_frame_is_kept_for_later() -> None:
    deframer, frame = Deframer(), encode(Ack("w0", 1))
    assert list(deframer.feed(frame[:-1])) == []
    assert len(list(deframer.feed(frame[-1:] + frame))) == 2


def test_frame_over_the_limit_is_refused_before_it_arrives() -> None:
    with pytest.raises(ValueError, match=f"is over {MAX_FRAME_BYTES}"):
        deframed([struct.pack(">I", MAX_FRAME_BYTES + 1)])


def test_frame_at_the_limit_is_awaited() -> None:
    assert deframed([struct.pack(">I", MAX_FRAME_BYTES)]) == []


def test_each_side_understands_only_what_the_other_may_say() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_from_router(encode(Ack("w0", 1))[4:])
    with pytest.raises(msgspec.ValidationError):
        decode_from_controller(encode(Applied("w0", 1))[4:])


@few
@given(raw=st.binary(max_size=40))
def test_other_bytes_are_nothing_that_anybody_said(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_from_router(raw)
    with pytest.raises(msgspec.DecodeError):
        decode_from_controller(raw)
