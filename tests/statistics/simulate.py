"""The shipped formulas once more, vectorised with numpy over all looks of one run.

Only for measuring error rates; ``test_simulate.py`` holds each of them against the classes of
``evaluator/`` on sample paths. A path is the log evidence after every observation.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.eprocess.bounded import BREACH_SHARES, CLAIM_SHARES, Side
from evaluator.eprocess.clustered import _MIX, BUCKETS
from evaluator.eprocess.mixture import GRID, MAX_BET, log_weights
from evaluator.eprocess.normal import MIN_OBSERVATIONS, tn_log_e
from evaluator.eprocess.relative_risk import LOG_WEIGHTS as RATIO_LOG_WEIGHTS
from evaluator.eprocess.relative_risk import RATIOS
from evaluator.eprocess.restart import share_from
from evaluator.evaluator import FIRST_EPOCH
from evaluator.latency import HARM_FACTOR, MIN_LATENCIES, QUANTILES
from evaluator.question import PAIRED, Question
from evaluator.running import _GAMMA, LOWEST_S
from evaluator.srm import TILTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GRID = np.array(GRID)


@dataclass(frozen=True)
class Epoch:
    """Observations ``start`` to ``stop`` of a path, at one propensity."""

    number: int
    start: int
    stop: int
    propensity: float


@dataclass(frozen=True)
class Base:
    """What an epoch's bets are made from."""

    good: float
    discordance: float
    effect: float
    harm_effect: float


def epochs(stages: list[tuple[int, float]], first: int = FIRST_EPOCH) -> Iterator[Epoch]:
    """Yield the epochs of a run: ``stages`` are (observations, propensity), rolled between them."""
    number = n = 0
    for i, (length, propensity) in enumerate(stages):
        end = n + length
        if i:
            number += 1
        begun = n
        while n < end:
            stop = min(end, begun + max(first, begun))
            yield Epoch(number, n, stop, propensity)
            n = stop
            if stop - begun >= max(first, begun):
                number, begun = number + 1, stop


def log_sum(terms: Floats) -> Floats:
    """Return log(sum(exp)) over the last axis."""
    top = terms.max(axis=-1)
    total: Floats = top + np.log(np.exp(terms - top[..., None]).sum(axis=-1))
    return total


def values(propensity: float, good: float, margin: float) -> Floats:
    """Return h of the four cells of a table."""
    if propensity == PAIRED:
        return np.array([0.0, 1.0, -1.0, 0.0]) + margin
    pi = propensity
    a, y = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    h: Floats = (a - pi) * (y - good) + pi * (1 - pi) * margin
    return h


def clipped(bets: Floats, lowest: float) -> Floats:
    """Hold bets back as the shipped ones are."""
    cap: Floats = np.minimum(bets, MAX_BET / -lowest if lowest < 0 else np.inf)
    return cap


def bases(question: Question, cells: Ints, plan: list[Epoch]) -> list[Base]:
    """Return each epoch's base, learned from the epochs before it, with decay."""
    q, out = (
        question,
        [Base(question.prior_good, question.prior_discordance, question.effect, question.effect)],
    )
    n = hits = n_pairs = differ = 0.0
    for epoch, after in zip(plan, [*plan[1:], None], strict=True):
        part = cells[epoch.start : epoch.stop]
        if epoch.propensity == PAIRED:
            n, hits = n + len(part), hits + float((part >= 2).sum())
            n_pairs, differ = n_pairs + len(part), differ + float(((part == 1) | (part == 2)).sum())
        else:
            n, hits = n + float((part < 2).sum()), hits + float((part == 1).sum())
        rolls = 0 if after is None else after.number - epoch.number
        for _ in range(rolls):
            good = (hits + q.prior_good * q.prior_strength) / (n + q.prior_strength)
            discordance = (differ + q.prior_discordance * q.pair_strength) / (
                n_pairs + q.pair_strength
            )
            out.append(Base(good, discordance, q.effect, q.effect))
            n, hits = n / 2, hits / 2
    return out


def claim_path(question: Question, cells: Ints, plan: list[Epoch], base: list[Base]) -> Floats:
    """Return the claim's log evidence after every observation."""
    steps = np.zeros((len(cells), len(GRID)))
    for epoch in plan:
        b = base[epoch.number]
        h = values(epoch.propensity, b.good, question.margin)
        variance = b.discordance if epoch.propensity == PAIRED else b.good * (1 - b.good)
        bets = clipped(b.effect * _GRID / variance, h.min())
        steps[epoch.start : epoch.stop] = np.log1p(np.outer(h, bets))[
            cells[epoch.start : epoch.stop]
        ]
    return log_sum(np.array(log_weights(is_vague=question.is_vague)) + steps.cumsum(axis=0))


def harm_path(question: Question, cells: Ints, plan: list[Epoch], base: list[Base]) -> Floats:
    """Return the log evidence of harm after every observation, with copies started anew."""
    weights = (
        np.array(RATIO_LOG_WEIGHTS)
        if question.is_rare
        else np.array(log_weights(is_vague=question.is_vague))
    )
    steps = np.zeros((len(cells), len(weights)))
    for epoch in plan:
        b, pi = base[epoch.number], epoch.propensity
        h = -values(pi, 1.0 if question.is_rare else b.good, question.margin)
        if question.is_rare:
            share = 0.5 if pi == PAIRED else pi
            bets = (np.array(RATIOS) - 1) / (share * np.array(RATIOS) + 1 - share)
            bets = bets / 2 if pi == PAIRED else bets
        else:
            bets = (
                b.harm_effect * _GRID / (b.discordance if pi == PAIRED else b.good * (1 - b.good))
            )
        steps[epoch.start : epoch.stop] = np.log1p(np.outer(h, clipped(bets, h.min())))[
            cells[epoch.start : epoch.stop]
        ]
    out = np.zeros(len(cells))
    before, running = -1, np.full(len(weights), -np.inf)  # of all copies together, per component
    for epoch in plan:
        share = math.log(share_from(before + 1) - share_from(epoch.number + 1))
        running = np.logaddexp(running, share + weights)
        sums = running + steps[epoch.start : epoch.stop].cumsum(axis=0)
        later = math.log(share_from(epoch.number + 1))  # copies that have not started yet
        out[epoch.start : epoch.stop] = np.logaddexp(later, log_sum(sums))
        before, running = epoch.number, sums[-1]
    return out


def srm_path(is_challenger: Ints, plan: list[Epoch]) -> Floats:
    """Return the log evidence of a mismatch after every exposure."""
    tilts = np.array(TILTS)
    steps = np.zeros((len(is_challenger), len(tilts)))
    for epoch in plan:
        norm = np.log(epoch.propensity * np.exp(tilts) + 1 - epoch.propensity)
        table = np.array([-norm, tilts - norm])
        steps[epoch.start : epoch.stop] = table[is_challenger[epoch.start : epoch.stop]]
    return log_sum(steps.cumsum(axis=0) - math.log(len(tilts)))


def bounded_path(agreed: Ints, target: float, side: Side) -> Floats:
    """Return the log evidence about a share after every pair."""
    allowed, variance = 1 - target, target * (1 - target)
    if side is Side.CLAIM:
        bets = clipped(allowed * (1 - np.array(CLAIM_SHARES)) / variance, -target)
        table = np.log1p(np.outer([-target, allowed], bets))
    else:
        bets = clipped(allowed * (np.array(BREACH_SHARES) - 1) / variance, -allowed)
        table = np.log1p(np.outer([target, -allowed], bets))
    return log_sum(table[agreed].cumsum(axis=0) - math.log(len(bets)))


def bins(seconds: Floats) -> Ints:
    """Return the histogram bins of durations."""
    raw = np.ceil(np.log(np.maximum(seconds, LOWEST_S) / LOWEST_S) / _GAMMA - 1e-9)
    return np.maximum(raw, 0).astype(np.int64)


def latency_path(
    question: Question,
    seconds: Floats,
    is_challenger: Ints,
    plan: list[Epoch],
    *,
    margin: float,
    quantile: float,
    is_harm: bool,
) -> Floats:
    """Return the path of the claim or of the harm of a latency check in split mode."""
    chosen = _thresholds(seconds, is_challenger, plan, margin, question)
    live = [epoch for epoch in plan if chosen[epoch.number] is not None]
    begin = live[0].start
    moved = [Epoch(e.number, e.start - begin, e.stop - begin, e.propensity) for e in live]
    paths = []
    for i in range(len(QUANTILES)) if is_harm else [QUANTILES.index(quantile)]:
        cells = np.zeros(len(seconds), dtype=np.int64)
        base = [Base(0.5, 0.1, 0.02, 0.02)] * (plan[-1].number + 1)
        for epoch in live:
            at = chosen[epoch.number]
            assert at is not None
            base[epoch.number] = at[i][1]
            where = slice(epoch.start, epoch.stop)
            limit_s = at[i][0] * (1 + margin * is_challenger[where])
            cells[where] = 2 * is_challenger[where] + (seconds[where] <= limit_s)
        make = harm_path if is_harm else claim_path
        paths.append(make(question, cells[begin:], moved, base))
    mean = log_sum(np.stack(paths, axis=-1)) - math.log(len(paths))
    return np.concatenate([np.zeros(begin), mean])


def _thresholds(
    seconds: Floats, is_challenger: Ints, plan: list[Epoch], margin: float, question: Question
) -> list[list[tuple[float, Base]] | None]:
    """Return for each epoch the thresholds and bases, from the champion's earlier answers."""
    out: list[list[tuple[float, Base]] | None] = [None] * (plan[-1].number + 1)
    pool: list[Floats] = []
    for epoch in plan:
        if epoch.number:
            kept = np.concatenate(pool) if pool else np.zeros(0)
            if len(kept) >= MIN_LATENCIES:
                out[epoch.number] = [_threshold(kept, q, margin) for q in QUANTILES]
                pool = []
            else:
                out[epoch.number] = out[epoch.number - 1]
        where = slice(epoch.start, epoch.stop)
        pool.append(seconds[where][is_challenger[where] == 0])
    return out


def _threshold(kept: Floats, q: float, margin: float) -> tuple[float, Base]:
    ranked = np.sort(kept)
    index = int(bins(ranked[[max(0, math.ceil(q * len(kept)) - 1)]])[0])
    limit_s = LOWEST_S * math.exp(_GAMMA * index)
    n, held = len(kept), bins(kept)

    def above(seconds: float) -> float:
        return float((held > bins(np.array([seconds]))[0]).sum()) / n

    slow = (above(limit_s) * n + 0.5) / (n + 1)
    gain, loss = slow - above(limit_s * (1 + margin)), above(limit_s / HARM_FACTOR) - slow
    least = 0.1 * slow
    return limit_s, Base(1 - slow, 2 * slow * (1 - slow), max(gain, least), max(loss, least))


def clustered_path(
    units: NDArray[np.uint64],
    g: Floats,
    weight: Floats,
    *,
    effect: float,
    margin: float,
    every: int,
) -> Floats:
    """Return the claim's log evidence from bucket sums after every ``every`` requests."""
    with np.errstate(over="ignore"):
        buckets = ((units * np.uint64(_MIX)) >> np.uint64(54)).astype(np.int64)
    sums, weights, out = np.zeros(BUCKETS), np.zeros(BUCKETS), []
    for start in range(0, len(g), every):
        where = slice(start, start + every)
        np.add.at(sums, buckets[where], g[where])
        np.add.at(weights, buckets[where], weight[where])
        if (weights > 0).sum() < MIN_OBSERVATIONS:
            out.append(0.0)
            continue
        shifted = sums + margin * weights
        v = max(float((shifted**2).sum()), float(weights.sum()))
        out.append(tn_log_e(float(shifted.sum()), v, effect, 0.5 * effect))
    return np.array(out)


def first_crossing(path: Floats, alpha: float) -> int | None:
    """Return after how many observations the path first reaches 1/alpha; None if it never does."""
    over = path >= -math.log(alpha)
    return int(over.argmax()) + 1 if over.any() else None
