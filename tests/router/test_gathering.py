"""A frame made piece by piece is the frame of the batch."""

from hypothesis import given
from hypothesis import strategies as st

from router import frames
from router.gathering import Gathering
from router.observation import Batch, Exposure, MirroredPair, Observation, Outcome

SOURCE = "w0-1-abcd"

texts = st.text(max_size=40)
wholes = st.integers(0, 2**63 - 1)
outcomes = st.builds(
    Outcome,
    variant=texts,
    status=st.integers(0, 599),
    latency_s=st.floats(0, 1e6),
    fault=texts,
    body=st.binary(max_size=300),
    body_bytes=wholes,
    encoding=texts,
)
exposures = st.builds(
    Exposure,
    route=texts, experiment=texts, request_id=texts, unit=wholes, is_challenger=st.booleans(),
    propensity=st.floats(0, 1), table_version=wholes, at_ns=wholes, outcome=outcomes,
    fallback=st.none() | outcomes, loss=texts,
)  # fmt: skip
pairs = st.builds(
    MirroredPair,
    route=texts, experiment=texts, request_id=texts, unit=wholes, table_version=wholes,
    at_ns=wholes, champion=outcomes, challenger=st.none() | outcomes, loss=texts,
)  # fmt: skip


def read(raw: bytes | bytearray) -> object:
    (frame,) = frames.Deframer().feed(bytes(raw))
    return frames.decode_from_router(frame)


@given(st.lists(exposures | pairs, max_size=5), st.integers(1, 2**63 - 1))
def test_gathered_frame_says_what_the_batch_says(seen: list[Observation], sequence: int) -> None:
    gathering = Gathering(SOURCE)
    for observation in seen:
        gathering.add(observation)
    assert gathering.n == len(seen)
    size = len(gathering)
    raw = gathering.frame(sequence)
    assert len(raw) == size
    batch = Batch(SOURCE, sequence, tuple(seen))
    assert read(raw) == batch == read(frames.encode(batch))


def test_frame_that_is_taken_leaves_an_empty_one() -> None:
    gathering = Gathering(SOURCE)
    gathering.add(MirroredPair("r", "e", "i", 1, 1, 1, Outcome("m", 200, 0.1, ""), None, "budget"))
    first = gathering.frame(1)
    assert gathering.n == 0
    assert read(gathering.frame(2)) == Batch(SOURCE, 2, ())
    assert len(first) > len(gathering)
