"""Must the challenger reach a declared number by itself? For a start without a champion. Pure."""

from msgspec import Struct

from evaluator.benchmark import Benchmark, BenchmarkState
from evaluator.confseq import Interval
from evaluator.finding import Finding, milliseconds, percent
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.latency import DEFAULT_QUANTILE
from evaluator.metric import MetricSpec, is_failed, is_slower
from evaluator.reader import Reader
from router.observation import Outcome


class AloneState(Struct):
    """All that an AloneCheck remembers."""

    benchmark: BenchmarkState | None
    refused: list[int]


class AloneCheck(Check):
    """correct, error, latency, mean or loss with ``at_least`` or ``at_most``: the challenger alone.

    Null:    claim: its mean does not reach the declared number; harm: it does.
             latency: that its ``quantile`` is at most ``at_most`` seconds is the claim that at
             least that share of its answers is not slower.
    Promise: as for Benchmark: exact, whatever the champion does. A number fixed in advance says
             nothing about the traffic being harder today: prefer a comparison where there is one.
    """

    STATE = AloneState

    def __init__(self, spec: MetricSpec, how: How, state: AloneState | None):
        super().__init__(spec, how)
        if state is None:
            state = AloneState(None, [0, 0])
        self._reader = Reader(spec, how, state.refused)
        target, effect = self._target(), spec.detect
        if effect is not None:
            effect = effect / self._reader.unit if spec.kind in ("mean", "loss") else effect
        self._benchmark = (
            Benchmark.fresh(target, effect, is_clustered=how.is_clustered)
            if state.benchmark is None
            else Benchmark(target, effect, state.benchmark)
        )

    def split(self, seen: Assigned) -> None:
        """Take in an answer of the challenger, drawn by lot."""
        if self.spec.needs_label or not seen.is_challenger:
            return
        if self._is_at_once:
            self._observe(float(not seen.is_resting and self._is_good(seen.outcome)), seen.unit)
        elif not seen.is_cut:
            failed = seen.is_resting
            y = None if failed else self._reader.at_once(seen.fields, seen.outcome, True)
            self._observe(y, seen.unit)

    def pair(self, seen: Paired) -> None:
        """Take in the challenger's answer to a copy."""
        if self._is_at_once:
            self._observe(float(self._is_good(seen.challenger)), seen.unit)
        elif not self.spec.needs_label and not seen.is_cut:
            y = self._reader.at_once(seen.challenger_fields, seen.challenger, True)
            self._observe(y, seen.unit)

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Take in the challenger's answer with its label, or apply the rule for missing ones."""
        answer = judgable.challenger
        if not self.spec.needs_label or judgable.mode is Mode.HISTORY or answer is None:
            return False
        if self.spec.is_split_only and judgable.mode is Mode.PAIR:
            return False
        if answer.is_cut or (label is None and self.spec.missing == "ignore"):
            return False
        self._observe(self._judged(answer, label), judgable.unit)
        return True

    def finding(self) -> Finding:
        """Return the evidence now."""
        benchmark = self._benchmark
        n = benchmark.state.n
        if not n:
            return Finding(0.0, 0.0, "no answer of the challenger yet", 0, is_blind=True)
        told = self._told(benchmark.state.total / n, n)
        return Finding(
            log_e=benchmark.claim_log_e(),
            log_e_harm=benchmark.breach_log_e(),
            told=told,
            n=n,
            interval=self._interval(),
            growth=benchmark.growth(),
        )

    def save(self) -> AloneState:
        """Return the state."""
        return AloneState(self._benchmark.state, self._reader.refused)

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, AloneCheck)
        self._benchmark.merge(other._benchmark)
        mine, theirs = self._reader.refused, other._reader.refused
        mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]

    @property
    def _is_share(self) -> bool:
        return self.spec.kind == "correct" or self._is_at_once

    @property
    def _is_at_once(self) -> bool:
        """Whether an answer is good or bad by its outcome alone."""
        return self.spec.kind in ("error", "latency")

    def _is_good(self, outcome: Outcome) -> bool:
        if self.spec.kind == "error":
            return not is_failed(outcome)
        return not is_slower(outcome, self._declared())

    def _declared(self) -> float:
        spec = self.spec
        declared = spec.at_least if spec.at_least is not None else spec.at_most
        assert declared is not None, "make() asks for one of them"
        return declared

    def _target(self) -> float:
        spec, declared = self.spec, self._declared()
        if spec.kind == "error":
            return 1.0 - declared
        if spec.kind == "latency":
            return _quantile(spec)
        return declared if spec.kind == "correct" else self._reader.y(declared)

    def _observe(self, y: float | None, unit: int) -> None:
        self._benchmark.observe(0.0 if y is None else y, unit)

    def _judged(self, answer: Answer, label: str | None) -> float | None:
        if label is None:
            return None
        if self.spec.kind == "correct":
            return float(not answer.is_failed and answer.prediction == label)
        return self._reader.judged(answer, label, True)

    def _interval(self) -> Interval | None:
        found = self._benchmark.interval(self.how.alpha)
        if found is None or self._is_share:
            return found
        unit = self._reader.unit
        return Interval(found.effect * unit, found.low * unit, found.high * unit)

    def _told(self, mean: float, n: int) -> str:
        spec, declared = self.spec, self._declared()
        if spec.kind == "latency":
            slow, limit = percent(1.0 - mean), milliseconds(declared)
            wanted = percent(1.0 - _quantile(spec))
            return f"{slow} of {n} answers slower than {limit}, at most {wanted} wanted"
        word = "at least" if spec.at_least is not None else "at most"
        return f"{self._shown(mean)} of {n} answers, {word} {self._text(declared)} wanted"

    def _shown(self, mean: float) -> str:
        if not self._is_share:
            return f"{self._reader.number(mean):.4g} on average"
        return f"{percent(mean)} right" if self.spec.kind == "correct" else _failed(mean)

    def _text(self, declared: float) -> str:
        return percent(declared) if self._is_share else f"{declared:g}"


def _quantile(spec: MetricSpec) -> float:
    return DEFAULT_QUANTILE if spec.quantile is None else spec.quantile


def _failed(good: float) -> str:
    return f"{percent(1.0 - good)} failed"
