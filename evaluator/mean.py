"""Kinds mean and loss: a number in the answer, in the label, or made of both. Pure."""

from typing import Any

from msgspec import Struct

from evaluator.confseq import Interval
from evaluator.contrast import Contrast
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.evidence import Role
from evaluator.finding import Finding, both
from evaluator.ground import Asked
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.ledger import ContrastState
from evaluator.metric import MetricSpec, is_failed
from evaluator.question import PAIRED
from evaluator.reader import Reader
from router.observation import Outcome


class MeanState(Struct):
    """All that a MeanCheck remembers."""

    contrast: ContrastState | None
    refused: list[int]
    """Answers without a number there, by variant (champion, challenger); they count as the worst
    number there is. A number out of the declared range counts as its nearer end, not here."""


class MeanCheck(Check):
    """Compares the mean of a number: costs, rewards, sizes, scores, losses.

    What fails, or has no number where one should be, counts as the worst number there is (the end
    of the range, or the champion's 0.1 % quantile on the bad side): a challenger that gives up on
    hard requests must not look better for it. What we could not read for a reason of ours is left
    out. With a relative margin the challenger's number is divided by 1 +- margin first; numbers
    should then not be negative. Process, promise and source: evaluator/contrast.py.
    """

    STATE = MeanState

    def __init__(self, spec: MetricSpec, how: How, state: MeanState | None):
        super().__init__(spec, how)
        if state is None:
            state = MeanState(None, [0, 0])
        self._reader = Reader(spec, how, state.refused)
        self._is_proxied = spec.proxy is not None and how.label_rate is not None
        asked = self._asked()
        self._contrast = (
            Contrast.fresh(asked, is_clustered=how.is_clustered)
            if state.contrast is None
            else Contrast(asked, state.contrast)
        )

    # At once: numbers in answers.

    def learn(self, champion: Outcome, fields: dict[str, Any]) -> None:
        """Measure a champion's answer."""
        if not self.spec.needs_label and not is_failed(champion):
            y = self._reader.y_of(fields.get(self._reader.path), False)
            self._contrast.learn(y, self._reader.covariate(fields, None))

    def split(self, seen: Assigned) -> None:
        """Measure an answer drawn by lot."""
        if self.spec.needs_label or seen.is_cut:
            return
        y = None
        if not seen.is_resting:
            y = self._reader.at_once(seen.fields, seen.outcome, seen.is_challenger)
        self._contrast.observe_split(
            seen.epoch,
            seen.propensity,
            seen.is_challenger,
            y,
            seen.unit,
            self._reader.covariate(seen.fields, None),
        )

    def pair(self, seen: Paired) -> None:
        """Measure both answers."""
        if not self.spec.needs_label and not seen.is_cut:
            a = self._reader.at_once(seen.champion_fields, seen.champion, False)
            b = self._reader.at_once(seen.challenger_fields, seen.challenger, True)
            self._contrast.observe_pair(seen.epoch, a, b, seen.unit)

    # At maturity: numbers in labels, and losses.

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Make the numbers of prediction and label, or of the proxy where none was drawn."""
        if not self.spec.needs_label or (label is None and not self._is_proxied):
            return False
        answers = (judgable.champion, judgable.challenger)
        if any(answer is not None and answer.is_cut for answer in answers):
            return False
        a, b = (
            None
            if label is None or answer is None
            else self._reader.judged(answer, label, is_challenger)
            for answer, is_challenger in zip(answers, (False, True), strict=True)
        )
        is_pair = judgable.mode is Mode.PAIR
        if judgable.mode is Mode.HISTORY or (self.spec.is_split_only and is_pair):
            self._contrast.learn(a, self._x_of(judgable.champion, label))
        elif self._is_proxied:
            self._proxied(judgable, epoch, None if label is None else (a, b))
        elif is_pair:
            self._contrast.observe_pair(epoch, a, b, judgable.unit)
        else:
            is_challenger = judgable.is_challenger
            self._contrast.observe_split(
                judgable.epoch,
                judgable.propensity,
                is_challenger,
                b if is_challenger else a,
                judgable.unit,
                self._x_of(answers[is_challenger], label),
            )
        return True

    def roll(self) -> None:
        """Begin the next epoch."""
        self._contrast.roll()

    def finding(self) -> Finding:
        """Return the evidence now."""
        contrast = self._contrast
        if not contrast.n():
            if contrast.is_ready():
                return Finding(0.0, 0.0, "no number to compare yet", 0, is_blind=True)
            seen = contrast.state.ground.history.n
            told = (
                f"{seen} of {MIN_OBSERVATIONS} numbers of the champion seen; "
                "they set the limits for the next epoch"
            )
            return Finding(0.0, 0.0, told, 0, is_blind=True)
        interval = self._interval()
        claim = contrast.log_e("claim")
        return Finding(
            log_e=claim if self.spec.within is None else both(claim, contrast.log_e("upper")),
            log_e_harm=contrast.log_e("harm"),
            told=self._told(interval),
            n=contrast.n(),
            interval=interval,
            growth=contrast.growth(),
            log_e_futile=contrast.log_e("futile"),
        )

    def save(self) -> MeanState:
        """Return the state."""
        return MeanState(self._contrast.state, self._reader.refused)

    def merge(self, other: Check) -> None:
        """Add another one's sums."""
        assert isinstance(other, MeanCheck)
        self._contrast.merge(other._contrast)
        mine, theirs = self._reader.refused, other._reader.refused
        mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]

    def _asked(self) -> Asked:
        spec, unit = self.spec, self._reader.unit
        is_relative = spec.margin_relative is not None
        margin = spec.within or (0.0 if spec.role is Role.OBJECTIVE else (spec.margin or 0.0))
        effect = spec.detect or margin
        return Asked(
            margin=margin / unit,
            effect=effect / unit if effect else None,
            effect_relative=spec.margin_relative if is_relative and not effect else None,
            is_bounded=spec.range is not None and not self._is_proxied,
            detect=None if spec.detect is None else spec.detect / unit,
            within=None if spec.within is None else spec.within / unit,
            horizon=spec.horizon,
            alpha=self.how.alpha,
            label_rate=self.how.label_rate if self._is_proxied else None,
        )

    def _x_of(self, answer: Answer | None, label: str | None) -> float | None:
        return self._reader.covariate({} if answer is None else answer.fields, label)

    def _proxied(
        self, judgable: Judgable, epoch: int, truth: tuple[float | None, float | None] | None
    ) -> None:
        assert self.how.label_rate is not None and self.spec.proxy is not None
        is_pair = judgable.mode is Mode.PAIR
        a, b = (
            None
            if answer is None or answer.is_failed
            else self._reader.y_of(answer.fields.get(self.spec.proxy), is_challenger)
            for answer, is_challenger in (
                (judgable.champion, False),
                (judgable.challenger, True),
            )
        )
        if truth is not None and not is_pair:
            truth = self._worst_if_missing(judgable, truth)
        self._contrast.observe_proxied(
            epoch if is_pair else judgable.epoch,
            PAIRED if is_pair else judgable.propensity,
            judgable.unit,
            proxy=(a, b),
            truth=truth,
            rate=self.how.label_rate,
        )

    def _worst_if_missing(
        self, judgable: Judgable, truth: tuple[float | None, float | None]
    ) -> tuple[float | None, float | None]:
        """Return the truth of the variant that was drawn, with a failed one's at its worst."""
        base = self._contrast.state.bases[judgable.epoch]
        low = base.low if base.is_ready else None  # nothing is bet then, and nothing is learned
        a, b = truth
        if judgable.is_challenger:
            return None, low if b is None else b
        return (low if a is None else a), None

    # For people.

    def _interval(self) -> Interval | None:
        """Return the effect in the unit of the number; positive is better."""
        found = self._contrast.interval(self.how.alpha)
        if found is None:
            return None
        unit = self._reader.unit
        return Interval(found.effect * unit, found.low * unit, found.high * unit)

    def _told(self, interval: Interval | None) -> str:
        a, n_a, b, n_b = self._contrast.means()
        name = "loss" if self.spec.kind == "loss" else "mean"
        told = f"{name}: challenger {self._shown(b, n_b)}, champion {self._shown(a, n_a)}"
        if self._reader.scale != 1.0:
            told += f" (the challenger's divided by {self._reader.scale:g})"
        if interval is not None:
            told += (
                f" (effect {interval.effect:+.4g},"
                f" between {interval.low:+.4g} and {interval.high:+.4g})"
            )
        refused = self._reader.refused
        if any(refused):
            told += f"; no number in {refused[1]} and {refused[0]} answers"
        return told

    def _shown(self, y: float, n: int) -> str:
        return f"{self._reader.number(y):.4g} of {n}" if n else "none yet"
