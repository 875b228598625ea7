"""Labels and judgables."""

import msgspec
import pytest

from evaluator.join import (
    MAX_ID_CHARS,
    Answer,
    Judgable,
    Label,
    LabelOutcome,
    LabelResult,
    Mode,
    checked,
)


def test_label_is_brought_into_canonical_form() -> None:
    clean = checked(Label("q1", "7.0", "digits", 5))
    assert clean == Label("q1", "7", "digits", 5)


@pytest.mark.parametrize(
    ("request_id", "label"),
    [("", "7"), ("q" * (MAX_ID_CHARS + 1), "7"), ("q1", "null"), ("q1", "nope"), ("q1", "NaN")],
)
def test_what_is_no_label_is_invalid_with_a_reason(request_id: str, label: str) -> None:
    result = checked(Label(request_id, label))
    assert isinstance(result, LabelResult)
    assert result.outcome is LabelOutcome.INVALID
    assert result.because


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_judgable_survives_both_wire_forms(codec) -> None:  # type: ignore[no-untyped-def]  # a module
    judgable = Judgable(
        "q1", 17, Mode.PAIR, 0.5, 2**63 - 1, 3, Answer("7"), Answer(None, is_failed=True)
    )
    assert codec.decode(codec.encode(judgable), type=Judgable) == judgable


def test_only_a_lot_makes_a_challenger() -> None:
    split = Judgable("q1", 17, Mode.SPLIT, 0.5, 1, 0, None, Answer("7"))
    pair = Judgable("q1", 17, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("7"))
    assert split.is_challenger
    assert not pair.is_challenger
