"""One declared metric as a running check: which family it belongs to. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec

from evaluator.agreement import AgreesCheck
from evaluator.alone import AloneCheck
from evaluator.divergence import DivergenceCheck
from evaluator.drift import DriftCheck
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.latency import SlowCheck
from evaluator.mean import MeanCheck
from evaluator.metric import MetricSpec
from evaluator.ranking import RankingCheck
from evaluator.rates import CorrectCheck, ErrorCheck, correct_question, error_question
from evaluator.ratio import RatioCheck, RecallCheck

__all__ = ["Assigned", "Check", "How", "Paired", "correct_question", "error_question", "make"]

_FAMILIES: dict[str, Callable[[MetricSpec, How, Any], Check]] = {
    "correct": CorrectCheck,
    "error": ErrorCheck,
    "latency": SlowCheck,
    "agreement": AgreesCheck,
    "mean": MeanCheck,
    "loss": MeanCheck,
    "divergence": DivergenceCheck,
    "drift": DriftCheck,
    "precision": RatioCheck,
    "f1": RatioCheck,
    "recall": RecallCheck,
    "auc": RankingCheck,
}


def make(spec: MetricSpec, how: How, raw: bytes | None = None) -> Check:
    """Return the check of a metric, fresh or with what it remembers; ValueError for its kind.

    ``raw`` is what ``saved`` returned for a check of the same metric.
    """
    family = _FAMILIES.get(spec.kind)
    if family is None:
        raise ValueError(f"metric {spec.name!r} has an unknown kind {spec.kind!r}")
    if spec.is_one_sample:
        family = AloneCheck
    state_type = getattr(family, "STATE", None)
    assert state_type is not None, "every family says what its state is"
    state = None if raw is None else msgspec.msgpack.decode(raw, type=state_type)
    return family(spec, how, state)


def saved(check: Check) -> bytes:
    """Return the state of a check, exactly."""
    return msgspec.msgpack.encode(check.save())
