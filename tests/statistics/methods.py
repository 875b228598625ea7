"""Ways to decide, ours and the peers', over many runs at once. What stops is a false promotion when
the challenger is no better, and the sample size when it is."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from evaluator.eprocess.horizon import boundary
from evaluator.eprocess.mixture import GRID, MAX_BET, log_weights
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.question import PAIRED, Question
from tests.statistics import peers
from tests.statistics.simulate import Base, Floats, Ints, log_sum
from tests.statistics.streams import Block, Bools, Looking, Rates

ALPHA = 0.05
_GRID = np.array(GRID)


def first_true(crossed: Bools) -> Ints:
    """Return the first column, from 1, that is true in each row; 0 if none is."""
    found: Ints = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 0)
    return found


# Ours.


@dataclass(frozen=True)
class Bets:
    """The shipped claim: the mixture of thirteen bets, with baselines learned epoch by epoch."""

    question: Question
    known: Base | None = None
    """What the champion's history tells; None: learned on the way from the shipped priors."""
    alpha: float = ALPHA
    is_futility: bool = False
    """Bet that the effect is below the one to detect, instead of above zero."""
    ends_at: float = math.inf

    def start(self, runs: int) -> "_Betting":
        """Begin."""
        return _Betting(self, runs)


class _Betting:
    def __init__(self, how: Bets, runs: int) -> None:
        self._how = how
        self._log_weights = np.array(log_weights(is_vague=how.question.is_vague))
        self._products = np.zeros((runs, len(GRID)))
        self._counts = np.zeros((runs, 4))  # before the next block
        self._at_roll = np.zeros((runs, 4))  # when the epoch began
        self._learned = np.zeros((runs, 4))  # champion's n and hits, pairs' n and differing
        self._segment: tuple[int, float] | None = None
        self._values = np.zeros((runs, 4))
        self._bets = np.zeros((runs, len(GRID)))

    def look(self, block: Block, is_open: Bools) -> Ints:
        segment = (block.epoch.number, block.epoch.propensity)
        if segment != self._segment:
            self._begin(*segment)
        steps = [c - b[:, None] for c, b in zip(block.cells, self._counts.T, strict=True)]
        walk = sum(h[:, None] * step for h, step in zip(self._values.T, steps, strict=True))
        # log(1 + x) <= x: where even this bound stays below, nothing has to be looked at.
        most = np.maximum(walk.max(axis=1), 0.0)  # type: ignore[union-attr]
        bound = log_sum(self._log_weights + self._products + self._bets * most[:, None])
        near = np.flatnonzero(is_open & (bound >= -math.log(self._how.alpha)))
        table = np.log1p(self._values[:, :, None] * self._bets[:, None, :])
        found = np.zeros(len(most), dtype=np.int64)
        if len(near):
            counts = np.stack([step[near] for step in steps], axis=-1)
            paths = counts @ table[near] + (self._log_weights + self._products[near])[:, None, :]
            found[near] = first_true(log_sum(paths) >= -math.log(self._how.alpha))
        last = np.stack([step[:, -1] for step in steps], axis=-1)
        self._products += (last[:, None, :] @ table)[:, 0, :]
        self._counts = self._counts + last
        return found

    def keep(self, rows: Bools) -> None:
        for name in ("_products", "_counts", "_at_roll", "_learned", "_values", "_bets"):
            setattr(self, name, getattr(self, name)[rows])

    def _begin(self, number: int, propensity: float) -> None:
        """Learn from the epoch that ends and fix the bets of the one that begins."""
        q, known = self._how.question, self._how.known
        if self._segment is not None:
            self._learn(self._counts - self._at_roll, self._segment[1] == PAIRED)
            self._at_roll = self._counts.copy()
        n, hits, n_pairs, differ = self._learned.T
        good = (hits + q.prior_good * q.prior_strength) / (n + q.prior_strength)
        discordance = (differ + q.prior_discordance * q.pair_strength) / (n_pairs + q.pair_strength)
        if known is not None:
            good = np.full_like(good, known.good)
            discordance = np.full_like(discordance, known.discordance)
        if self._segment is not None:  # simulate.bases: one roll for each new number
            self._learned[:, :2] *= 0.5 ** (number - self._segment[0])
        self._segment = (number, propensity)
        self._set(propensity, good, discordance)

    def _learn(self, counts: Floats, is_paired: bool) -> None:
        if is_paired:
            n, hits = counts.sum(axis=1), counts[:, 2] + counts[:, 3]
            self._learned += np.stack([n, hits, n, counts[:, 1] + counts[:, 2]], axis=1)
        else:
            n, zero = counts[:, 0] + counts[:, 1], np.zeros(len(counts))
            self._learned += np.stack([n, counts[:, 1], zero, zero], axis=1)

    def _set(self, pi: float, good: Floats, discordance: Floats) -> None:
        q = self._how.question
        if pi == PAIRED:
            weight, variance = 1.0, discordance
            h = np.tile([0.0, 1.0, -1.0, 0.0], (len(good), 1))
        else:
            weight, variance = pi * (1 - pi), np.maximum(good * (1 - good), 1e-6)
            h = np.stack(
                [pi * good, -pi * (1 - good), -(1 - pi) * good, (1 - pi) * (1 - good)], axis=1
            )
        h = weight * q.effect - h if self._how.is_futility else h + weight * q.margin
        cap = MAX_BET / np.maximum(-h.min(axis=1), 1e-12)
        self._values = h
        self._bets = np.minimum(q.effect * _GRID / variance[:, None], cap[:, None])


@dataclass(frozen=True)
class Normal:
    """The truncated-normal mixture on the sums of h and h^2, at a 50/50 split or on pairs."""

    mean: float
    """The champion's, from history; not used for pairs."""
    bet: float
    """The effect to detect over the variance of one value (for pairs: the discordance)."""
    ends_at: float = math.inf

    def start(self, runs: int) -> "Stateless":
        """Begin."""
        return Stateless(self._crossed)

    def _crossed(self, block: Block) -> Bools:
        s, v = sums(block, self.mean)
        spread = 0.5 * self.bet
        precision = v + 1.0 / spread**2
        b = s + self.bet / spread**2
        x = b / np.sqrt(precision)
        log_e = (
            -0.5 * np.log(precision * spread**2)
            + 0.5 * x * x
            - 0.5 * (self.bet / spread) ** 2
            - special.log_ndtr(self.bet / spread)
        )
        threshold = -math.log(ALPHA)
        near = (x > 0.0) & (log_e >= threshold) & (block.n >= MIN_OBSERVATIONS)
        crossed = near.copy()
        crossed[near] = log_e[near] + special.log_ndtr(x[near]) >= threshold
        return crossed


def sums(block: Block, mean: float) -> tuple[Floats, Floats]:
    """Return S and V of h = (A - 1/2)(Y - mean), or of the differences of pairs."""
    if block.both is not None:
        return block.s_b - block.s_a, block.s_b + block.s_a
    s = 0.5 * (block.s_b - mean * block.n_b) - 0.5 * (block.s_a - mean * block.n_a)
    total = block.s_a + block.s_b
    q = total if block.q is None else block.q
    return s, 0.25 * (q - 2 * mean * total + mean * mean * block.n)


@dataclass(frozen=True)
class Horizon:
    """Fixed-horizon mode: the shipped boundary on S until V has used up what was planned."""

    mean: float
    v_end: float
    ends_at: float

    def start(self, runs: int) -> "Stateless":
        """Begin."""
        begin, end = (boundary(v, self.v_end, ALPHA) for v in (0.0, self.v_end))

        def crossed(block: Block) -> Bools:
            s, v = sums(block, self.mean)
            return (s >= begin + (end - begin) * v / self.v_end) & (v <= self.v_end)

        return Stateless(crossed)


# The oracle.


@dataclass(frozen=True)
class Oracle:
    """The sequential test that knows both rates: no test needs fewer observations on average."""

    log_ratios: Callable[[Floats, float], Floats]
    """(times of the columns, propensity) -> log ratio of each cell (4, columns)."""
    ends_at: float = math.inf

    def start(self, runs: int) -> Looking:
        """Begin."""
        return _Knowing(self.log_ratios, runs)


class _Knowing:
    def __init__(self, log_ratios: Callable[[Floats, float], Floats], runs: int) -> None:
        self._log_ratios = log_ratios
        self._total = np.zeros(runs)
        self._counts: Floats = np.zeros((runs, 4))

    def look(self, block: Block, is_open: Bools) -> Ints:
        table = self._log_ratios(block.n - 1, block.epoch.propensity)
        walk = np.zeros(block.s_a.shape)
        ends = []
        for before, count, ratios in zip(self._counts.T, block.cells, table, strict=True):
            walk += np.diff(count, axis=1, prepend=before[:, None]) * ratios
            ends.append(count[:, -1])
        walk = walk.cumsum(axis=1) + self._total[:, None]
        self._total, self._counts = walk[:, -1].copy(), np.stack(ends, axis=1)
        return first_true(walk >= -math.log(ALPHA))

    def keep(self, rows: Bools) -> None:
        self._total, self._counts = self._total[rows], self._counts[rows]


def split_oracle(rates: Rates, horizon: int) -> Oracle:
    """Return the growth-optimal two-sample test of Turner, Ly & Gruenwald at the true rates."""

    def log_ratios(at: Floats, pi: float) -> Floats:
        a, b = rates(at / horizon)
        q = pi * b + (1 - pi) * a
        return np.log(np.stack([(1 - a) / (1 - q), a / q, (1 - b) / (1 - q), b / q]))

    return Oracle(log_ratios)


def pair_oracle(only_a: float, only_b: float) -> Oracle:
    """Return the likelihood ratio on the pairs that differ."""
    wins = only_b / (only_a + only_b)
    ratios = np.array([[0.0], [math.log(2 * wins)], [math.log(2 * (1 - wins))], [0.0]])
    return Oracle(lambda at, _: np.broadcast_to(ratios, (4, len(at))))


def gaussian_oracle(effect: float) -> "Plain":
    """Return the likelihood ratio against both means being equal, standard deviation 1."""

    def crossed(block: Block) -> Bools:
        middle = 0.5 * effect
        s = (block.s_b - middle * block.n_b) - (block.s_a - middle * block.n_a)
        return middle * s - 0.5 * middle**2 * block.n >= -math.log(ALPHA)

    return Plain(crossed)


# The peers, and the usual tests.


class Stateless:
    """A method that needs nothing but the sums."""

    def __init__(self, crossed: Callable[[Block], Bools]) -> None:
        self._crossed = crossed

    def look(self, block: Block, is_open: Bools) -> Ints:
        """Return where the statistic is over its threshold first."""
        return first_true(self._crossed(block))

    def keep(self, rows: Bools) -> None:
        """Nothing is remembered."""


@dataclass(frozen=True)
class Plain:
    """A method that is a comparison on the sums."""

    crossed: Callable[[Block], Bools]
    ends_at: float = math.inf

    def start(self, runs: int) -> Stateless:
        """Begin."""
        return Stateless(self.crossed)


def growthbook(tuning: float, *, one_sided: bool) -> Plain:
    """Return GrowthBook's test; two-sided as shipped, of which the upper side is counted."""
    return Plain(
        lambda block: (
            block.z >= peers.growthbook_threshold(block.n, ALPHA, tuning, one_sided=one_sided)
        )
    )


def growthbook_on_pairs(tuning: float, *, one_sided: bool) -> Plain:
    """Return the same formula on the differences of pairs (asymptotic confidence sequence)."""

    def crossed(block: Block) -> Bools:
        total, s = block.s_a + block.s_b, block.s_b - block.s_a
        v = total - s * s / block.n
        threshold = peers.growthbook_threshold(block.n, ALPHA, tuning, one_sided=one_sided)
        return (s >= threshold * np.sqrt(np.maximum(v, 1e-9))) & (total >= 4)

    return Plain(crossed)


def growthbook_unpaired(tuning: float) -> Plain:
    """Return GrowthBook's one-sided test on pairs as if they were two samples."""

    def crossed(block: Block) -> Bools:
        assert block.both is not None
        a, b = ((block.both + only) / block.n for only in (block.s_a, block.s_b))
        error = np.sqrt(np.maximum((a * (1 - a) + b * (1 - b)) / block.n, 1e-12))
        threshold = peers.growthbook_threshold(2 * block.n, ALPHA, tuning, one_sided=True)
        return ((b - a) / error >= threshold) & (block.n >= 4)

    return Plain(crossed)


def statsig(*, one_sided: bool) -> Plain:
    """Return Statsig's mixture SPRT."""

    def crossed(block: Block) -> Bools:
        near = block.z >= 2.5  # its threshold is never below 3.4
        found = near.copy()
        n_a, n_b, s_a, s_b = (x[near] for x in (block.n_a, block.n_b, block.s_a, block.s_b))
        if block.q is None:
            var_a, var_b = s_a / n_a * (1 - s_a / n_a), s_b / n_b * (1 - s_b / n_b)
        else:
            var_a = var_b = (block.residual / np.maximum(block.n - 2, 1.0))[near]
        found[near] = block.z[near] >= peers.statsig_threshold(
            n_a, n_b, var_a, var_b, ALPHA, one_sided=one_sided
        )
        return found

    return Plain(crossed)


def savvi_regression(phi: float, alpha: float) -> Plain:
    """Return savvi's regression t-test on the treatment, upper side counted."""

    def crossed(block: Block) -> Bools:
        freedom = block.n - 2
        error = np.maximum(block.residual, 1e-9) / np.maximum(freedom, 1.0)
        zz = block.n_a * block.n_b / block.n
        t2 = block.effect**2 * zz / error
        near = (block.effect > 0) & (block.n > 3) & (t2 >= -1.8 * math.log(alpha))
        dof, size = np.broadcast_to(freedom - 1, t2.shape)[near], zz[near]
        found = near.copy()
        found[near] = peers.regression_log_bf(t2[near], dof, size, phi) >= -math.log(alpha)
        return found

    return Plain(crossed)


def savvi_multinomial_on_pairs(k: float, alpha: float) -> Plain:
    """Return savvi's multinomial test on the pairs that differ, upper side counted."""

    def crossed(block: Block) -> Bools:
        near = block.paired_z >= math.sqrt(-1.8 * math.log(alpha))
        counts = np.stack([block.s_a[near], block.s_b[near]], axis=-1)
        found = near.copy()
        found[near] = peers.multinomial_log_bf(counts, [0.5, 0.5], k) >= -math.log(alpha)
        return found

    return Plain(crossed)


def naive(every: int = 100, *, is_paired: bool = False) -> Plain:
    """Return a usual one-sided 5 % test, looked at again and again."""

    def crossed(block: Block) -> Bools:
        z = block.paired_z if is_paired else block.z
        return (z >= special.ndtri(1 - ALPHA)) & (block.n % every == 0)

    return Plain(crossed)


def fixed(n: int, *, is_paired: bool = False) -> Plain:
    """Return a usual one-sided 5 % test, looked at once."""

    def crossed(block: Block) -> Bools:
        z = block.paired_z if is_paired else block.z
        return (z >= special.ndtri(1 - ALPHA)) & (block.n == n)

    return Plain(crossed, ends_at=n)
