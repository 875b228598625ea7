"""Kinds error and correct: how often an answer is good. Pure."""

from dataclasses import replace
from typing import Any

from msgspec import Struct

from evaluator import wanted
from evaluator.agreement import AgreementCheck, AgreementState
from evaluator.binary import BinaryCheck
from evaluator.eprocess.mixture import log_mean
from evaluator.evidence import Role
from evaluator.finding import Finding, both, percent, points
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.metric import MetricSpec, is_failed
from evaluator.question import Question
from evaluator.tally import BinaryState
from router.observation import Outcome

DEFAULT_DETECT = 0.02
"""correct: two percentage points, bet on with a wide spread, when nobody declared an effect."""
DEFAULT_ERROR_MARGIN = 0.005


class ErrorCheck(Check):
    """kind error: 5xx or no answer, at once."""

    STATE = BinaryState

    def __init__(self, spec: MetricSpec, how: How, state: BinaryState | None):
        super().__init__(spec, how)
        question = error_question(spec, how.alpha)
        self._check = (
            BinaryCheck.fresh(question, is_clustered=how.is_clustered)
            if state is None
            else BinaryCheck(question, state)
        )

    def learn(self, champion: Outcome, fields: dict[str, Any]) -> None:
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
        return _found(self._check, self.how.alpha, told)

    def save(self) -> BinaryState:
        """Return the state."""
        return self._check.state

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, ErrorCheck)
        self._check.merge(other._check)


class CorrectState(Struct):
    """All that a CorrectCheck remembers."""

    binary: BinaryState
    disagreement: AgreementState | None = None
    """Guardrails with an absolute margin: how many pairs agree, labelled or not."""


class CorrectCheck(Check):
    """kind correct: the prediction equals the label; at maturity, failures are incorrect.

    A guardrail with an absolute margin may pass without any label: accuracy cannot be lower by the
    margin unless the challenger's answer differs from one that the champion gave, that often. So
    "P(differ) >= margin" rejected is "worse by the margin" rejected. Its claim is the mean of both
    e-values, which is one for their common null.
    """

    STATE = CorrectState

    def __init__(self, spec: MetricSpec, how: How, state: CorrectState | None):
        super().__init__(spec, how)
        question = correct_question(spec, how.alpha)
        if how.is_differing_only and how.label_rate is not None:
            question = replace(question, label_rate=how.label_rate)
        without = _agreement_spec(spec)
        if state is None:
            self._check = BinaryCheck.fresh(question, is_clustered=how.is_clustered)
        else:
            self._check = BinaryCheck(question, state.binary)
        self._without: AgreementCheck | None = None
        if without is not None and (state is None or state.disagreement is None):
            self._without = AgreementCheck.fresh(without, how.alpha, is_clustered=how.is_clustered)
        elif without is not None and state is not None and state.disagreement is not None:
            self._without = AgreementCheck(without, how.alpha, state.disagreement)

    def pair(self, seen: Paired) -> None:
        """Compare both answers, before anybody knows which is right."""
        if seen.is_agreed is not None:
            self._check.foresee(not seen.is_agreed)
        if self._without is not None:
            # Where the champion has no answer the challenger cannot be worse; what we could not
            # read may hide a difference.
            is_harmless = seen.is_agreed if seen.is_agreed is not None else not seen.is_cut
            self._without.observe(is_harmless, seen.unit)

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Compare predictions with the label, or apply the rule for missing ones."""
        champion, challenger = judgable.champion, judgable.challenger
        if any(answer is not None and answer.is_cut for answer in (champion, challenger)):
            return False
        if self.how.is_differing_only:
            is_drawn = wanted.is_drawn(
                self.how.experiment, judgable.request_id, self.how.label_rate
            )
            if champion is not None and challenger is not None:
                self._judge_pair(judgable, champion, challenger, label, epoch, is_drawn=is_drawn)
                return True
            if not is_drawn:
                return False
        if label is None and self.spec.missing == "ignore":
            return False
        a_good = champion is not None and _is_correct(champion, label)
        b_good = challenger is not None and _is_correct(challenger, label)
        if judgable.mode is Mode.HISTORY:
            self._check.learn(a_good)
        elif judgable.mode is Mode.PAIR:
            differs = _differ(champion, challenger)
            self._check.observe_pair(epoch, a_good, b_good, judgable.unit, differs=differs)
        else:
            is_good = b_good if judgable.is_challenger else a_good
            self._check.observe_split(
                judgable.epoch, judgable.propensity, judgable.is_challenger, is_good, judgable.unit
            )
        return True

    def _judge_pair(
        self,
        judgable: Judgable,
        champion: Answer,
        challenger: Answer,
        label: str | None,
        epoch: int,
        *,
        is_drawn: bool,
    ) -> None:
        """Take in a pair where only those that differ are labelled."""
        check, unit = self._check, judgable.unit
        a_good = _is_correct(champion, label)
        if wanted.is_settled(champion, challenger):
            check.settle(epoch, unit, None if label is None else a_good)
        elif not is_drawn or label is None:
            # Left out, they would make equal answers stand for more than their share.
            is_against = self.spec.missing == "ignore"
            check.pass_over(epoch, unit, is_drawn=is_drawn, is_against=is_against)
        else:
            check.decide(epoch, a_good, _is_correct(challenger, label), unit)

    def roll(self) -> None:
        """Begin the next epoch."""
        self._check.roll()

    def finding(self) -> Finding:
        """Return the evidence now."""
        a, n_a, b, n_b = self._check.goods(of_lots=self.how.is_differing_only)
        without = None if self._without is None else self._without.finding()
        if not self._check.n():
            told = "no labelled answer to compare yet"
            if without is None or not without.n:
                return Finding(0.0, 0.0, told, 0, is_blind=True)
            found = Finding(0.0, 0.0, told, 0)
        else:
            shares = [
                percent(k / n) + f" of {n}" if n else "none yet" for k, n in ((b, n_b), (a, n_a))
            ]
            name = "correct" if self.spec.kind == "correct" else f"recall of {self.spec.positive}"
            told = f"{name}: challenger {shares[0]}, champion {shares[1]}"
            if self.how.is_differing_only:
                told = _told_of_differing(self._check, told)
            found = _found(self._check, self.how.alpha, told)
        return found if without is None else _with_unlabelled(found, without)

    def save(self) -> CorrectState:
        """Return the state."""
        without = self._without
        return CorrectState(self._check.state, None if without is None else without.state)

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, CorrectCheck)
        self._check.merge(other._check)
        if self._without is not None and other._without is not None:
            self._without.merge(other._without)


def error_question(spec: MetricSpec, alpha: float = 0.05) -> Question:
    """Return what is asked about errors. An objective asks for fewer, a guardrail for few more."""
    margin = DEFAULT_ERROR_MARGIN if spec.margin is None else spec.margin
    if spec.within is not None:
        margin = spec.within
    elif spec.role is Role.OBJECTIVE or spec.margin_relative is not None:
        margin = 0.0
    return Question(
        effect=spec.detect or margin or DEFAULT_ERROR_MARGIN,
        is_vague=False,
        margin=margin,
        is_rare=True,
        prior_good=0.99,  # one failure in a hundred: after a few hundred answers it is forgotten
        prior_discordance=0.01,
        prior_strength=100.0,
        pair_strength=100.0,
        scale=1.0 + (spec.margin_relative or 0.0),
        detect=spec.detect,
        within=spec.within,
        horizon=spec.horizon,
        alpha=alpha,
    )


def correct_question(spec: MetricSpec, alpha: float = 0.05) -> Question:
    """Return what is asked about correct answers."""
    margin = spec.within or (0.0 if spec.role is Role.OBJECTIVE else (spec.margin or 0.0))
    effect = spec.detect or margin
    return Question(
        effect=effect or DEFAULT_DETECT,
        is_vague=not effect and spec.margin_relative is None,
        margin=margin,
        is_rare=False,
        prior_good=0.5,
        prior_discordance=0.11,  # measured from .05 to .17: the worst case is best served here
        prior_strength=10.0,
        scale=1.0 - (spec.margin_relative or 0.0),
        detect=spec.detect,
        within=spec.within,
        horizon=spec.horizon,
        alpha=alpha,
    )


def _agreement_spec(spec: MetricSpec) -> MetricSpec | None:
    """Return the agreement that shows non-inferiority without labels, None where it cannot."""
    if spec.kind != "correct" or spec.role is Role.OBJECTIVE or not spec.margin:
        return None
    return MetricSpec(spec.name, "agreement", spec.role, at_least=1.0 - spec.margin)


def _with_unlabelled(found: Finding, without: Finding) -> Finding:
    told = f"{found.told}; labelled or not, {without.told}"
    log_e = log_mean([found.log_e, without.log_e])
    growth = max(found.growth, without.growth)
    return Finding(
        log_e,
        found.log_e_harm,
        told,
        max(found.n, without.n),
        interval=found.interval,
        growth=growth,
        log_e_futile=found.log_e_futile,
    )


def _told_of_differing(check: BinaryCheck, told: str) -> str:
    """Return what is known where only pairs that differ are labelled; shares are of lots alone."""
    neither, gains, losses, both_good, settled, nameless = check.pairs()
    labelled = neither + gains + losses + both_good
    parts = [
        f"pairs: {gains} won and {losses} lost by the challenger, of {labelled} labelled that"
        f" differ; {settled} count as equal"
    ]
    if nameless:
        parts.append(f"{nameless} lack their label and count against every claim")
    if check.n() > labelled + settled + nameless:
        parts.append(told)
    return "; ".join(parts)


def _differ(champion: Answer | None, challenger: Answer | None) -> bool:
    """Return whether two answers were counted as differing when they came."""
    if champion is None or challenger is None or champion.prediction is None:
        return False
    return champion.prediction != challenger.prediction


def _is_correct(answer: Answer, label: str | None) -> bool:
    return label is not None and not answer.is_failed and answer.prediction == label


def _found(check: BinaryCheck, alpha: float, told: str) -> Finding:
    interval = check.interval(alpha)
    if interval is not None:
        low, high = points(interval.low), points(interval.high)
        told += f" ({points(interval.effect)} points, between {low} and {high})"
    claim = check.claim_log_e()
    return Finding(
        log_e=claim if check.is_one_sided else both(claim, check.upper_log_e()),
        log_e_harm=check.harm_log_e(),
        told=told,
        n=check.n(),
        interval=interval,
        growth=check.growth(),
        log_e_futile=check.futile_log_e(),
    )
