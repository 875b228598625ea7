"""What a metric of the routing file says of rows that both models answered. Pure.

Numbers are made as the evaluator makes them of live traffic (evaluator/number.py); what differs is
that all rows are here at once, so that an interval of fixed size is the right one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controller.gates import pairedratio
from controller.gates.goldenspec import Allowed
from controller.gates.paired import Comparison
from controller.gates.pairedmean import Mean, mean_difference
from controller.gates.pairedrate import PairedRate, Share
from evaluator.metric import MetricSpec, is_failed
from evaluator.number import as_number, distance_of, loss_of, parsed_text
from router.observation import Outcome

MAX_LEFT_OUT = 0.05
"""Share of the rows that may be without a number, as ``ExperimentPlan.max_unreadable``: with more
gone, the rest is another set than the one that was declared."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is kept of one model's answer to one row."""

    outcome: Outcome
    """Without its body."""
    text: str | None
    """The prediction as canonical JSON text; None if there is none to read."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What metrics read from the answer, by JMESPath."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One row, asked of both."""

    label: str | None
    challenger: Reply
    champion: Reply | None
    """None where there is no champion."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric on some rows: what was found, and what has to be shown."""

    comparison: Comparison
    """Larger is better."""
    bound: float
    """The effect must be shown to be more than this."""
    ceiling: float | None
    """``within``: it must also be shown to be less than this."""
    challenger: float
    champion: float | None
    """In the metric's own direction; None if it is not held against the champion."""
    left_out: int
    """Rows without a number."""


class NotMeasured(Exception):
    """The rows say nothing of this metric; the message says why."""


def measure(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    """Return what ``rows`` say of a metric; NotMeasured if they say nothing."""
    if not rows:
        raise NotMeasured("no rows")
    if not spec.is_one_sample and rows[0].champion is None:
        raise NotMeasured("there is no champion to compare with")
    return _KINDS[spec.kind](spec, rows, allowed)


def value_path(spec: MetricSpec) -> str | None:
    """Return the JMESPath that a metric reads beside the prediction; None without one."""
    return spec.value if spec.kind in ("mean", "loss", "divergence", "auc") else None


def _correct(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    known = [row for row in rows if row.label is not None]
    _enough(len(rows) - len(known), len(rows), "without a label")
    return _rates(spec, known, lambda reply, row: reply.text == row.label, allowed, len(rows))


def _error(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    return _rates(spec, rows, lambda reply, _: is_failed(reply.outcome), allowed, len(rows), -1)


def _recall(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    of_class = [row for row in rows if row.label == spec.positive]
    if not of_class:
        raise NotMeasured(f"no row of class {spec.positive}")
    return _rates(
        spec, of_class, lambda reply, _: reply.text == spec.positive, allowed, len(of_class)
    )


def _rates(
    spec: MetricSpec,
    rows: Sequence[Answered],
    happens: Callable[[Reply, Answered], bool],
    allowed: Allowed,
    n_all: int,
    sign: int = 1,
) -> Measured:
    """Compare how often something happens; ``sign`` is -1 if it had better not."""
    theirs = [happens(row.challenger, row) for row in rows]
    challenger, left_out = sum(theirs) / len(rows), n_all - len(rows)
    if spec.is_one_sample:
        return _alone(spec, theirs, sign, left_out)
    ours = [row.champion is not None and happens(row.champion, row) for row in rows]
    more = sum(a and not b for a, b in zip(theirs, ours, strict=True))
    fewer = sum(b and not a for a, b in zip(theirs, ours, strict=True))
    wins, losses = (more, fewer) if sign > 0 else (fewer, more)
    champion = sum(ours) / len(rows)
    found = PairedRate(wins, losses, len(rows))
    return _against(spec, found, challenger, champion, allowed, left_out)


def _alone(spec: MetricSpec, happened: Sequence[bool], sign: int, left_out: int) -> Measured:
    n, times = len(happened), sum(happened)
    limit = spec.at_least if spec.at_least is not None else spec.at_most
    assert limit is not None
    good, bound = (times, limit) if sign > 0 else (n - times, 1.0 - limit)
    return Measured(Share(good, n), bound, None, times / n, None, left_out)


def _against(
    spec: MetricSpec,
    found: Comparison,
    challenger: float,
    champion: float,
    allowed: Allowed,
    left_out: int,
) -> Measured:
    """Return a comparison with the champion, and what the file asks of it."""
    if spec.within is not None:
        return Measured(found, -spec.within, spec.within, challenger, champion, left_out)
    return Measured(found, -allowed.bound(champion), None, challenger, champion, left_out)


def _agreement(spec: MetricSpec, rows: Sequence[Answered], _: Allowed) -> Measured:
    known = [row for row in rows if row.champion is not None and row.champion.text is not None]
    _enough(len(rows) - len(known), len(rows), "without a prediction of the champion")
    agreed = [
        row.champion is not None and row.challenger.text == row.champion.text for row in known
    ]
    return _alone(spec, agreed, 1, len(rows) - len(known))


def _latency(spec: MetricSpec, rows: Sequence[Answered], _: Allowed) -> Measured:
    """The share of the challenger's answers that are in time: the champion's quantile and margin.

    The quantile is the champion's on these rows, and taken as known.
    """
    share, margin = spec.quantile or 0.95, spec.margin or 0.0
    ours = sorted(math.inf if is_failed(reply.outcome) else reply.outcome.latency_s
                  for row in rows if (reply := row.champion) is not None)  # fmt: skip
    usual_s = ours[max(0, math.ceil(share * len(ours)) - 1)]
    limit_s = usual_s * (1.0 + margin)
    replies = [row.challenger.outcome for row in rows]
    in_time = sum(not is_failed(one) and one.latency_s <= limit_s for one in replies)
    theirs = sorted(math.inf if is_failed(one) else one.latency_s for one in replies)
    challenger_s = theirs[max(0, math.ceil(share * len(theirs)) - 1)]
    return Measured(Share(in_time, len(rows)), share, None, challenger_s, usual_s, 0)


def _mean(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    sign = 1.0 if spec.direction == "higher" else -1.0
    return _numbers(spec, rows, lambda reply, _: as_number(_read(spec, reply)), sign, allowed)


def _loss(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    measure, quantile = spec.measure or "absolute", spec.quantile or 0.5

    def number(reply: Reply, row: Answered) -> float | None:
        if row.label is None:
            return None
        return loss_of(measure, _read(spec, reply), parsed_text(row.label), quantile)

    return _numbers(spec, rows, number, -1.0, allowed)


def _numbers(
    spec: MetricSpec,
    rows: Sequence[Answered],
    number: Callable[[Reply, Answered], float | None],
    sign: float,
    allowed: Allowed,
) -> Measured:
    pairs = [
        (number(row.challenger, row), number(row.champion, row) if row.champion else None)
        for row in rows
    ]
    if spec.is_one_sample:
        theirs = [a for a, _ in pairs if a is not None]
        _enough(len(rows) - len(theirs), len(rows), "without a number")
        return _mean_alone(spec, theirs, len(rows) - len(theirs))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    _enough(len(rows) - len(both), len(rows), "without two numbers")
    _at_least_two(len(both))
    challenger, champion = (math.fsum(one) / len(both) for one in zip(*both, strict=True))
    found = mean_difference([b for _, b in both], [a for a, _ in both], sign)
    return _against(spec, found, challenger, champion, allowed, len(rows) - len(both))


def _mean_alone(spec: MetricSpec, numbers: Sequence[float], left_out: int) -> Measured:
    _at_least_two(len(numbers))
    is_floor = spec.at_least is not None
    limit = spec.at_least if is_floor else spec.at_most
    assert limit is not None
    sign = 1.0 if is_floor else -1.0
    found = Mean(sign * np.asarray(numbers, float))
    return Measured(found, sign * limit, None, math.fsum(numbers) / len(numbers), None, left_out)


def _divergence(spec: MetricSpec, rows: Sequence[Answered], _: Allowed) -> Measured:
    distances = [
        distance_of(
            spec.measure or "absolute", _read(spec, row.champion), _read(spec, row.challenger)
        )
        for row in rows
        if row.champion is not None
    ]
    numbers = [one for one in distances if one is not None]
    _enough(len(rows) - len(numbers), len(rows), "without two answers that have a distance")
    return _mean_alone(spec, numbers, len(rows) - len(numbers))


def _precision(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    flags, left_out = _flags(spec, rows)
    if not (flags[1].any() and flags[2].any()):
        raise NotMeasured(f"a model never says {spec.positive}: it has no precision")
    one, other = (pairedratio.precision(flags[0], said) for said in flags[1:])
    found = pairedratio.precision_difference(*flags)
    return _against(spec, found, other, one, allowed, left_out)


def _f1(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    flags, left_out = _flags(spec, rows)
    if not flags[0].any():
        raise NotMeasured(f"no row of class {spec.positive}")
    one, other = (pairedratio.f1(flags[0], said) for said in flags[1:])
    return _against(spec, pairedratio.f1_difference(*flags), other, one, allowed, left_out)


def _flags(
    spec: MetricSpec, rows: Sequence[Answered]
) -> tuple[tuple[pairedratio.Flags, pairedratio.Flags, pairedratio.Flags], int]:
    known = [row for row in rows if row.label is not None]
    _enough(len(rows) - len(known), len(rows), "without a label")
    texts = [
        (row.label, row.champion.text if row.champion else None, row.challenger.text)
        for row in known
    ]
    truth, one, other = (np.array([text == spec.positive for text in column], bool)
                         for column in zip(*texts, strict=True))  # fmt: skip
    return (truth, one, other), len(rows) - len(known)


def _auc(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured:
    scores = [
        (row.label == spec.positive, as_number(_read(spec, row.champion)), other)
        for row in rows
        if row.label is not None and (other := as_number(_read(spec, row.challenger))) is not None
    ]
    both = [(y, a, b) for y, a, b in scores if a is not None]
    _enough(len(rows) - len(both), len(rows), "without label and two scores")
    truth = np.array([y for y, _, _ in both], bool)
    one, other_scores = (np.array([row[at] for row in both], float) for at in (1, 2))
    try:
        found = pairedratio.auc_difference(truth, one, other_scores)
    except ValueError as error:
        raise NotMeasured(str(error)) from error
    ours, theirs = pairedratio.auc(truth, one), pairedratio.auc(truth, other_scores)
    return _against(spec, found, theirs, ours, allowed, len(rows) - len(both))


def _read(spec: MetricSpec, reply: Reply | None) -> Any:
    if reply is None:
        return None
    return parsed_text(reply.text) if spec.value is None else reply.fields.get(spec.value)


def _enough(n_out: int, n: int, what: str) -> None:
    if n_out > MAX_LEFT_OUT * n or n_out == n:
        raise NotMeasured(f"{n_out} of {n} rows {what}")


def _at_least_two(n: int) -> None:
    if n < 2:
        raise NotMeasured("a mean needs two rows at least")


_KINDS: Mapping[str, Callable[[MetricSpec, Sequence[Answered], Allowed], Measured]] = {
    "correct": _correct,
    "error": _error,
    "recall": _recall,
    "agreement": _agreement,
    "latency": _latency,
    "mean": _mean,
    "loss": _loss,
    "divergence": _divergence,
    "precision": _precision,
    "f1": _f1,
    "auc": _auc,
}
