"""What routers saw arrives at the evaluator unchanged."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.observation import (
    FAULTS,
    LOSSES,
    Batch,
    Exposure,
    MirroredPair,
    Outcome,
    from_bytes,
    to_bytes,
)
from tests.router.strategies import few

texts = st.text(max_size=8)
outcomes = st.builds(
    Outcome,
    texts,
    st.integers(0, 999),
    st.floats(0, 1e6),
    st.sampled_from(FAULTS),
    st.binary(max_size=16),
    st.integers(0, 2**40),
    texts,
)
instants = st.integers(0, 2**63 - 1)
exposures = st.builds(
    Exposure,
    texts,
    texts,
    texts,
    instants,
    st.booleans(),
    st.floats(0, 1),
    st.integers(0, 2**31),
    instants,
    outcomes,
    st.none() | outcomes,
    st.sampled_from(LOSSES),
)
pairs = st.builds(
    MirroredPair,
    texts,
    texts,
    texts,
    instants,
    st.integers(0, 2**31),
    instants,
    outcomes,
    st.none() | outcomes,
    st.sampled_from(LOSSES),
)
batches = st.builds(
    Batch, texts, st.integers(1, 2**62), st.lists(exposures | pairs, max_size=5).map(tuple)
)


@few
@given(batch=batches)
def test_batch_survives_the_wire_unchanged(batch: Batch) -> None:
    assert from_bytes(to_bytes(batch)) == batch


@few
@given(raw=st.binary(max_size=64))
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        from_bytes(raw)


def test_cut_batch_is_refused() -> None:
    raw = to_bytes(Batch("w0", 1, ()))
    for end in range(len(raw)):
        with pytest.raises(msgspec.DecodeError):
            from_bytes(raw[:end])


def test_faults_and_losses_are_listed_once_and_begin_with_none() -> None:
    for reasons in (FAULTS, LOSSES):
        assert reasons[0] == ""
        assert len(set(reasons)) == len(reasons)
