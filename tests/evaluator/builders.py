"""Observations for the evaluator's tests, each with the values that a test does not care about,
and what an evaluator makes of them."""

import json
from typing import Any

from evaluator.evaluator import Evaluator
from evaluator.evidence import Reading, Role
from evaluator.metric import ExperimentPlan, MetricSpec
from router.observation import Exposure, MirroredPair, Observation, Outcome

ACCURACY = MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=0.05)
ERRORS = MetricSpec("errors", "error", Role.GUARDRAIL, margin=0.005)
LATENCY = MetricSpec("latency", "latency", Role.GUARDRAIL, margin=0.25, quantile=0.95)
AGREES = MetricSpec("agrees", "agreement", Role.PROXY, at_least=0.8)
ALL = (ACCURACY, ERRORS, LATENCY, AGREES)


def plan(*metrics: MetricSpec, **fields: Any) -> ExperimentPlan:
    """Return a plan of the given metrics, all four kinds by default."""
    given: dict[str, Any] = {
        "experiment": "x1",
        "route": "digits",
        "champion": "digits-1",
        "challenger": "digits-2",
        "metrics": metrics or ALL,
        "prediction": "prediction",
    }
    return ExperimentPlan(**given | fields)


def answer(prediction: object = 7, *, latency_s: float = 0.02, status: int = 200) -> Outcome:
    """Return an answer with a prediction in it."""
    body = json.dumps({"prediction": prediction}).encode()
    return Outcome("v", status, latency_s, "", body, len(body))


def failure(fault: str = "connect") -> Outcome:
    """Return the outcome of a variant that gave no answer."""
    return Outcome("v", 0, 0.001, fault)


def exposure(
    number: int,
    *,
    is_challenger: bool = False,
    outcome: Outcome | None = None,
    propensity: float = 0.5,
    **fields: Any,
) -> Exposure:
    """Return an exposure; ``number`` makes its id, unit and time."""
    given: dict[str, Any] = {
        "route": "digits",
        "experiment": "x1",
        "request_id": f"q{number}",
        "unit": (number * 0x9E3779B97F4A7C15) & (2**63 - 1),
        "is_challenger": is_challenger,
        "propensity": propensity,
        "table_version": 1,
        "at_ns": 1_000_000_000 + number,
        "outcome": answer() if outcome is None else outcome,
    }
    return Exposure(**given | fields)


def pair(
    number: int,
    *,
    champion: Outcome | None = None,
    challenger: Outcome | None = None,
    **fields: Any,
) -> MirroredPair:
    """Return a mirrored pair; both answer 7 unless told otherwise."""
    given: dict[str, Any] = {
        "route": "digits",
        "experiment": "x1",
        "request_id": f"q{number}",
        "unit": (number * 0x9E3779B97F4A7C15) & (2**63 - 1),
        "table_version": 1,
        "at_ns": 1_000_000_000 + number,
        "champion": answer() if champion is None else champion,
        "challenger": answer() if challenger is None else challenger,
    }
    return MirroredPair(**given | fields)


def read(evaluator: Evaluator, check: str) -> Reading:
    """Return what the evaluator says of one check."""
    reading = evaluator.evidence(1.0).reading(check)
    assert reading is not None
    return reading


def live(evaluator: Evaluator, observation: Observation, label: str = "7") -> None:
    """Show an observation, and at once its label."""
    judgable = evaluator.observe(observation)
    if judgable is not None:
        evaluator.judge(judgable, label)
