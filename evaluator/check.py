"""One declared metric as a running check: outcomes in, a finding out. Pure.

``make`` picks the class by the metric's kind; the evaluator knows only the four methods.
"""

from msgspec import Struct

from evaluator.agreement import AgreementCheck, AgreementState
from evaluator.binary import BinaryCheck, BinaryState, Question
from evaluator.evidence import Role
from evaluator.finding import Finding, percent, points
from evaluator.join import Answer, Judgable, Mode
from evaluator.latency import LatencyCheck, LatencyState
from evaluator.metric import MetricSpec, is_failed
from router.observation import Outcome

DEFAULT_DETECT = 0.02
"""correct: two percentage points, bet on with a wide spread, when nobody declared an effect."""
DEFAULT_ERROR_MARGIN = 0.005


class Assigned(Struct, frozen=True):
    """One variant's outcome, drawn by lot."""

    epoch: int
    propensity: float
    unit: int
    is_challenger: bool
    outcome: Outcome
    is_resting: bool = False
    """The challenger was not asked because it had failed too often: that is a failure."""


class Paired(Struct, frozen=True):
    """Both variants' outcomes on one request."""

    epoch: int
    unit: int
    champion: Outcome
    challenger: Outcome
    is_agreed: bool | None
    """Whether the predictions are equal; None when that cannot be told (not: unequal)."""


class CheckState(Struct):
    """What a check remembers; one of the fields is set, by the metric's kind."""

    binary: BinaryState | None = None
    latency: LatencyState | None = None
    agreement: AgreementState | None = None


class Check:
    """A metric that looks at nothing; the base of the four kinds."""

    def __init__(self, spec: MetricSpec) -> None:
        self.spec = spec

    def learn(self, champion: Outcome) -> None:
        """Take in a champion's outcome without a lot."""

    def split(self, seen: Assigned) -> None:
        """Take in one variant's outcome, drawn by lot."""

    def pair(self, seen: Paired) -> None:
        """Take in both variants' outcomes."""

    def judge(self, judgable: Judgable, label: str | None) -> bool:
        """Take in an observation at maturity; return whether it was used."""
        return False

    def roll(self) -> None:
        """Begin the next epoch."""

    def finding(self) -> Finding:
        """Return the evidence now."""
        raise NotImplementedError

    def save(self) -> CheckState:
        """Return the state, not copied."""
        raise NotImplementedError

    def merge(self, other: "Check") -> None:
        """Add what another check of the same metric has seen."""
        raise NotImplementedError


class ErrorCheck(Check):
    """kind error: 5xx or no answer, at once."""

    def __init__(self, spec: MetricSpec, alpha: float, state: BinaryState | None, **how: bool):
        super().__init__(spec)
        self._alpha = alpha
        question = error_question(spec)
        self._check = (
            BinaryCheck.fresh(question, **how) if state is None else BinaryCheck(question, state)
        )

    def learn(self, champion: Outcome) -> None:
        """Count a champion's answer."""
        self._check.learn(not is_failed(champion))

    def split(self, seen: Assigned) -> None:
        """Count an answer; a resting challenger has failed."""
        is_good = not (seen.is_resting or is_failed(seen.outcome))
        self._check.observe_split(
            seen.epoch, seen.propensity, seen.is_challenger, is_good, seen.unit
        )

    def pair(self, seen: Paired) -> None:
        """Count both answers."""
        self._check.observe_pair(
            seen.epoch, not is_failed(seen.champion), not is_failed(seen.challenger), seen.unit
        )

    def roll(self) -> None:
        """Begin the next epoch."""
        self._check.roll()

    def finding(self) -> Finding:
        """Return the evidence now."""
        a, n_a, b, n_b = self._check.goods()
        told = f"errors: challenger {n_b - b} of {n_b}, champion {n_a - a} of {n_a}"
        return _found(self._check, self._alpha, told)

    def save(self) -> CheckState:
        """Return the state."""
        return CheckState(binary=self._check.state)

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, ErrorCheck)
        self._check.merge(other._check)


class CorrectCheck(Check):
    """kind correct: the prediction equals the label; at maturity, failures are incorrect."""

    def __init__(self, spec: MetricSpec, alpha: float, state: BinaryState | None, **how: bool):
        super().__init__(spec)
        self._alpha = alpha
        question = correct_question(spec)
        self._check = (
            BinaryCheck.fresh(question, **how) if state is None else BinaryCheck(question, state)
        )

    def judge(self, judgable: Judgable, label: str | None) -> bool:
        """Compare predictions with the label, or apply the rule for missing ones."""
        champion, challenger = judgable.champion, judgable.challenger
        if label is None and self.spec.missing == "ignore":
            return False
        if any(answer is not None and answer.is_cut for answer in (champion, challenger)):
            return False
        a_good = champion is not None and _is_correct(champion, label)
        b_good = challenger is not None and _is_correct(challenger, label)
        if judgable.mode is Mode.HISTORY:
            self._check.learn(a_good)
        elif judgable.mode is Mode.PAIR:
            self._check.observe_pair(judgable.epoch, a_good, b_good, judgable.unit)
        else:
            is_good = b_good if judgable.is_challenger else a_good
            self._check.observe_split(
                judgable.epoch, judgable.propensity, judgable.is_challenger, is_good, judgable.unit
            )
        return True

    def roll(self) -> None:
        """Begin the next epoch."""
        self._check.roll()

    def finding(self) -> Finding:
        """Return the evidence now."""
        a, n_a, b, n_b = self._check.goods()
        if not n_a + n_b:
            return Finding(0.0, 0.0, "no labelled answer to compare yet", 0, is_blind=True)
        shares = [percent(k / n) + f" of {n}" if n else "none yet" for k, n in ((b, n_b), (a, n_a))]
        told = f"correct: challenger {shares[0]}, champion {shares[1]}"
        return _found(self._check, self._alpha, told)

    def save(self) -> CheckState:
        """Return the state."""
        return CheckState(binary=self._check.state)

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, CorrectCheck)
        self._check.merge(other._check)


class SlowCheck(Check):
    """kind latency: seconds to the whole answer, at once."""

    def __init__(self, spec: MetricSpec, alpha: float, state: LatencyState | None, **how: bool):
        super().__init__(spec)
        self._check = (
            LatencyCheck.fresh(spec, alpha, **how)
            if state is None
            else LatencyCheck(spec, alpha, state)
        )

    def learn(self, champion: Outcome) -> None:
        """Measure a champion's answer."""
        self._check.learn(champion)

    def split(self, seen: Assigned) -> None:
        """Measure an answer; a challenger that was not asked has no latency."""
        if not seen.is_resting:
            self._check.observe_split(
                seen.epoch, seen.propensity, seen.is_challenger, seen.outcome, seen.unit
            )

    def pair(self, seen: Paired) -> None:
        """Measure both answers."""
        self._check.observe_pair(seen.epoch, seen.champion, seen.challenger, seen.unit)

    def roll(self) -> None:
        """Begin the next epoch."""
        self._check.roll()

    def finding(self) -> Finding:
        """Return the evidence now."""
        return self._check.finding()

    def save(self) -> CheckState:
        """Return the state."""
        return CheckState(latency=self._check.state)

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, SlowCheck)
        self._check.merge(other._check)


class AgreesCheck(Check):
    """kind agreement: both answers of a pair are equal."""

    def __init__(self, spec: MetricSpec, alpha: float, state: AgreementState | None, **how: bool):
        super().__init__(spec)
        self._check = (
            AgreementCheck.fresh(spec, alpha, **how)
            if state is None
            else AgreementCheck(spec, alpha, state)
        )

    def pair(self, seen: Paired) -> None:
        """Compare both answers, where that can be done."""
        if seen.is_agreed is not None:
            self._check.observe(seen.is_agreed, seen.unit)

    def finding(self) -> Finding:
        """Return the evidence now."""
        return self._check.finding()

    def save(self) -> CheckState:
        """Return the state."""
        return CheckState(agreement=self._check.state)

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, AgreesCheck)
        self._check.merge(other._check)


def make(spec: MetricSpec, alpha: float, *, is_clustered: bool, state: CheckState) -> Check:
    """Return the check of a metric, with what it remembers or fresh; ValueError for its kind."""
    if spec.kind == "correct":
        return CorrectCheck(spec, alpha, state.binary, is_clustered=is_clustered)
    if spec.kind == "error":
        return ErrorCheck(spec, alpha, state.binary, is_clustered=is_clustered)
    if spec.kind == "latency":
        return SlowCheck(spec, alpha, state.latency, is_clustered=is_clustered)
    if spec.kind == "agreement":
        return AgreesCheck(spec, alpha, state.agreement, is_clustered=is_clustered)
    raise ValueError(f"metric {spec.name!r} has an unknown kind {spec.kind!r}")


def error_question(spec: MetricSpec) -> Question:
    """Return what is asked about errors. An objective asks for fewer, a guardrail for few more."""
    is_objective = spec.role is Role.OBJECTIVE
    margin = DEFAULT_ERROR_MARGIN if spec.margin is None else spec.margin
    return Question(
        effect=spec.detect or margin or DEFAULT_ERROR_MARGIN,
        is_vague=False,
        margin=0.0 if is_objective else margin,
        is_rare=True,
        prior_good=0.99,  # one failure in a hundred: after a few hundred answers it is forgotten
        prior_discordance=0.01,
        prior_strength=100.0,
    )


def correct_question(spec: MetricSpec) -> Question:
    """Return what is asked about correct answers."""
    margin = 0.0 if spec.role is Role.OBJECTIVE else (spec.margin or 0.0)
    return Question(
        effect=spec.detect or margin or DEFAULT_DETECT,
        is_vague=spec.detect is None,
        margin=margin,
        is_rare=False,
        prior_good=0.5,
        prior_discordance=0.1,
        prior_strength=10.0,
    )


def _is_correct(answer: Answer, label: str | None) -> bool:
    return label is not None and not answer.is_failed and answer.prediction == label


def _found(check: BinaryCheck, alpha: float, told: str) -> Finding:
    interval = check.interval(alpha)
    if interval is not None:
        low, high = points(interval.low), points(interval.high)
        told += f" ({points(interval.effect)} points, between {low} and {high})"
    return Finding(
        log_e=check.claim_log_e(),
        log_e_harm=check.harm_log_e(),
        told=told,
        n=check.n(),
        interval=interval,
        growth=check.growth(),
    )
