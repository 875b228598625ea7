import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import record
from controller.record import Begun, EpochLine, Gap, LineError, Raw
from evaluator.join import Answer, Judgable, Mode
from evaluator.metric import ExperimentPlan
from router.observation import Exposure, MirroredPair, Outcome
from tests.controller.builders import METRICS

OUTCOMES = st.builds(
    Outcome,
    variant=st.text(max_size=9),
    status=st.integers(0, 599),
    latency_s=st.floats(0, 100),
    fault=st.sampled_from(["", "timeout"]),
    body=st.binary(max_size=40),
    body_bytes=st.integers(0, 2**40),
    encoding=st.sampled_from(["", "gzip"]),
    form=st.sampled_from(["", "sse", "json:12"]),
    first_byte_s=st.floats(0, 100),
    n_pieces=st.integers(0, 2**31),
)
COMMON = {
    "route": st.text(max_size=9),
    "experiment": st.text(max_size=9),
    "request_id": st.text(max_size=9),
    "unit": st.integers(0, 2**64 - 1),
    "table_version": st.integers(0, 2**31),
    "at_ns": st.integers(0, 2**62),
    "loss": st.sampled_from(["", "circuit_open"]),
}
EXPOSURES = st.builds(
    Exposure,
    **COMMON,
    is_challenger=st.booleans(),
    propensity=st.floats(0, 1),
    outcome=OUTCOMES,
    fallback=st.none() | OUTCOMES,
)
PAIRS = st.builds(MirroredPair, **COMMON, champion=OUTCOMES, challenger=st.none() | OUTCOMES)


def test_lines_have_every_field_of_what_they_tell() -> None:
    not_kept = {"trace"}  # where it was seen is no evidence
    assert set(record.OutcomeLine.__struct_fields__) == set(Outcome.__struct_fields__)
    assert set(record.ExposureLine.__struct_fields__) == set(Exposure.__struct_fields__) - not_kept
    assert set(record.PairLine.__struct_fields__) == set(MirroredPair.__struct_fields__) - not_kept


def again(line: record.Line) -> record.Line:
    return record.decode(record.encode(line), 1)


@given(seen=EXPOSURES | PAIRS)
def test_observation_comes_back_equal(seen: Exposure | MirroredPair) -> None:
    line = again(record.of_observation(seen))
    assert isinstance(line, record.ExposureLine | record.PairLine)
    assert record.observation_of(line) == seen


@pytest.mark.parametrize("label", [None, "7", '"cat"', '{"a":[1,2.5]}'])
def test_what_was_judged_comes_back_equal(label: str | None) -> None:
    judgable = Judgable("r", 5, Mode.PAIR, 0.5, 2**63, 3, Answer("7"), Answer(None, True, True))
    line = again(record.of_judged("digits", judgable, label))
    assert isinstance(line, record.JudgedLine)
    assert record.judgable_of(line) == judgable
    assert record.label_of(line) == label


def test_experiment_comes_back_with_its_metrics_and_its_state() -> None:
    plan = ExperimentPlan("x", "digits", "a", "b", METRICS, "prediction", maturity_s=0.1)
    assert again(Begun(plan=plan, snapshot=b"\x00\xff")) == Begun(plan=plan, snapshot=b"\x00\xff")


def test_a_line_is_one_json_object_that_names_its_kind() -> None:
    raw = record.encode(EpochLine(route="digits", why="a new\nday"))
    assert raw.count(b"\n") == 1
    assert json.loads(raw) == {"kind": "epoch", "route": "digits", "why": "a new\nday"}
    label = record.LabelLine(request_id="r", label=Raw(b'{"a": 1}'), at_ns=1)
    assert json.loads(record.encode(label))["label"] == {"a": 1}


@pytest.mark.parametrize(
    "raw",
    [b"{}", b"[]", b"nonsense", b"\xff", b'{"kind":"gap"}', b'{"kind":"pair","route":7}'],
)
def test_a_line_that_is_none_is_refused_with_its_number(raw: bytes) -> None:
    with pytest.raises(LineError, match="line 3"):
        record.decode(raw, 3)


def test_an_unfinished_last_line_is_left_out() -> None:
    """It is being written, or the machine went down in the middle of it."""
    whole = record.encode(Gap(lost=1, why="x"))
    assert list(record.lines_of([whole, b"\n", whole[:-9]])) == [Gap(lost=1, why="x")]
