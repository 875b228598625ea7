"""The basis of a verdict comes back from its record as it was, whatever numbers are in it."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.account import evidence_json
from controller.audit import Entry
from controller.basis import KEY, Basis, NoBasis, basis_of, digest_of, with_basis
from controller.chain import canonical
from controller.rollout import Event, Phase, Rollout
from controller.store import RouteState
from evaluator.evidence import CheckState, Evidence, Reading, Role
from tests.controller.builders import intent

POLICY = intent().routes[0]
ROLLOUT = Rollout("digits-2", "digits-1", "digits-2-x", Phase.CANARY, 1, in_step_s=3.5)
STATE = RouteState("digits", "digits-1", "digits-1", rollout=ROLLOUT, policy=POLICY)
STATE = replace(STATE, cooling_s=7.5)
READING = Reading("errors", "error", Role.GUARDRAIL, CheckState.PASSED, "fine", 3.1, n=7)
NUMBERS = st.floats(allow_nan=False)


def recorded(evidence: Evidence | None, state: RouteState = STATE) -> dict[str, Any]:
    """Return the record of a move as it is read from the store."""
    entry = Entry(
        at_ns=0,
        who="controller",
        route="digits",
        action="advance",
        because="x",
        config_digest="d",
        evidence=evidence_json(evidence),
    )
    entry = with_basis(entry, state, Event.STEP_PASSED, evidence, b"snapshot")
    record: dict[str, Any] = json.loads(canonical({"evidence": entry.evidence}))
    return record


@given(NUMBERS, NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS, st.none() | st.floats(0, 2e9))
def test_it_comes_back_as_it_was(
    log_e: float, harm: float, effect: float | None, low: float | None, last_s: float | None
) -> None:
    one = replace(READING, log_e=log_e, log_e_harm=harm, effect=effect, low=low, high=math.inf)
    evidence = Evidence("digits-2-x", 17.25, (READING, one), {"pairs": 3}, last_s)
    assert basis_of(recorded(evidence)) == Basis(
        Event.STEP_PASSED, ROLLOUT, POLICY, evidence, 7.5, digest_of(b"snapshot")
    )


def test_numbers_that_json_does_not_have_are_kept_aside() -> None:
    odd = replace(READING, log_e=-math.inf, log_e_harm=math.nan)
    record = recorded(Evidence("x", 0.0, (odd,)))
    assert record["evidence"][KEY]["exact"] == [{"log_e": "-inf", "log_e_harm": "nan"}]
    (back,) = basis_of(record).evidence.readings
    assert back.log_e == -math.inf and math.isnan(back.log_e_harm)


def test_a_move_without_evidence_has_no_basis_and_says_so() -> None:
    assert recorded(None) == {"evidence": {}}
    with pytest.raises(NoBasis, match="no verdict of the evidence"):
        basis_of(recorded(None))
    bare = replace(STATE, policy=None)
    assert KEY not in recorded(Evidence("x", 0.0), bare)["evidence"]


@pytest.mark.parametrize("key", ["event", "rollout", "policy", "exact", "snapshot"])
def test_a_basis_that_cannot_be_read_is_none(key: str) -> None:
    record = recorded(Evidence("x", 0.0, (READING,)))
    record["evidence"][KEY][key] = None if key in ("event", "exact") else 7
    if key == "snapshot":
        del record["evidence"][KEY][key]
    with pytest.raises(NoBasis, match="of another version"):
        basis_of(record)
