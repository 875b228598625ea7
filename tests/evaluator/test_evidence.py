"""Readings as handed on."""

import dataclasses

import pytest

from evaluator.evidence import CheckState, Evidence, Reading, Role

READING = Reading("errors", "error", Role.GUARDRAIL, CheckState.PASSED, "0 of 900")


def test_reading_is_found_by_its_name() -> None:
    evidence = Evidence("x1", 1.0, (READING,))
    assert evidence.reading("errors") is READING
    assert evidence.reading("latency") is None


def test_evidence_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        READING.state = CheckState.TRIPPED  # type: ignore[misc]  # the point of the test
