"""What one observation shows to the checks and monitors, and what of it waits for a label. Pure."""

from evaluator.extract import Extracted, is_cut
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import NO_FIELDS, Assigned, Paired
from evaluator.memory import State
from evaluator.metric import is_aborted, is_failed
from evaluator.panel import Panel
from evaluator.sight import NOTHING, Sight, is_agreed
from router.observation import Exposure, MirroredPair, Observation, Outcome

OUTSIDE = ("body_too_large", "incomplete", "circuit_open", "shutdown")
"""Copies lost for these reasons were not to be made: the request is outside of the experiment or
never came whole, the challenger rests (and is judged for that elsewhere), or the router stops."""


class Observer:
    """Shows observations to the panel, as what they are worth: a pair, a lot or none at all.

    Owned by one evaluator, whose state it counts in.
    """

    def __init__(self, sight: Sight, panel: Panel, state: State, *, is_alone: bool = False) -> None:
        """``is_alone``: there is no champion, so whoever answers is under evaluation."""
        self._is_alone = is_alone
        self._sight = sight
        self._panel = panel
        self._state = state
        self.compared: tuple[str | None, str | None] | None = None
        """What champion and challenger predicted in the last pair (canonical JSON text, None where
        an answer holds none); None when nothing was compared."""

    def pair(self, pair: MirroredPair) -> Judgable | None:
        """Take in both answers to one request, or the champion's if there is no other."""
        self.compared = None
        champion, challenger = pair.champion, pair.challenger
        is_lost = bool(pair.loss) or challenger is None
        if pair.loss not in OUTSIDE:
            self._panel.delivery.copied(is_lost)
        if is_lost or challenger is None:
            self._state.count("lost")
            return self._alone(pair, champion)
        if is_aborted(champion) or is_aborted(challenger):
            self._state.count("aborted")
            return None
        self._state.count("pairs")
        self._count_errors(champion, challenger)
        self._panel.forecast.learn("error", pair.at_ns, not is_failed(champion))
        a, b = self._read(champion, False), self._read(challenger, True)
        self.compared = (a.text, b.text)
        one, other = self._sight.answer(champion, a), self._sight.answer(challenger, b)
        seen = Paired(
            self._state.epoch,
            pair.unit,
            champion,
            challenger,
            is_agreed(champion, a, b, challenger),
            self._sight.fields(champion),
            self._sight.fields(challenger),
            one.is_cut or other.is_cut,
        )
        for check in self._panel.checks.values():
            check.pair(seen)
        return self._waiting(pair, Mode.PAIR, 0.5, champion=one, challenger=other)

    def exposure(self, exposure: Exposure) -> Judgable | None:
        """Take in the answer of the variant that a unit was assigned to."""
        is_challenger = exposure.is_challenger or self._is_alone
        propensity = exposure.propensity
        self._state.count("exposures_challenger" if is_challenger else "exposures_champion")
        if exposure.fallback is not None:
            self._state.count("fallbacks")
        is_lot = 0.0 < propensity < 1.0
        if is_lot:
            self._panel.integrity.assigned(propensity, is_challenger, exposure.unit)
        is_resting = exposure.loss == "circuit_open" and is_challenger
        if exposure.loss and not is_resting:
            # E.g. too large a body: outside the experiment for both alike.
            self._state.count("lost")
            return None
        if is_resting:
            self._state.count("lost")
        elif is_aborted(exposure.outcome):
            self._state.count("aborted")
            return None
        if self._is_alone:
            return self._first(exposure)
        if not is_lot and is_challenger:
            return self._promoted(exposure, is_resting=is_resting)
        if not is_lot:
            return self._alone(exposure, exposure.outcome)
        return self._drawn(exposure, is_resting=is_resting)

    def _drawn(self, exposure: Exposure, *, is_resting: bool) -> Judgable | None:
        """Take in a unit that was given its variant by lot: intention to treat."""
        outcome, is_challenger = exposure.outcome, exposure.is_challenger
        if is_resting or is_failed(outcome):
            self._state.count("errors_challenger" if is_challenger else "errors_champion")
        if is_resting:
            self._panel.answered(True, True)
            answer, fields = Answer(None, is_failed=True), NO_FIELDS
        else:
            answer = self._sight.answer(outcome, self._read(outcome, is_challenger))
            fields = self._sight.fields(outcome)
        self._panel.delivery.answered(exposure.propensity, is_challenger, exposure.unit)
        is_good = not (is_resting or is_failed(outcome))
        self._panel.monitor.observe("error", exposure.propensity, is_challenger, is_good)
        if not is_challenger:
            self._panel.forecast.learn("error", exposure.at_ns, is_good)
        seen = Assigned(
            self._state.epoch,
            exposure.propensity,
            exposure.unit,
            is_challenger,
            outcome,
            is_resting,
            fields,
            answer.is_cut,
        )
        for check in self._panel.checks.values():
            check.split(seen)
        return self._waiting(
            exposure,
            Mode.SPLIT,
            exposure.propensity,
            champion=None if is_challenger else answer,
            challenger=answer if is_challenger else None,
        )

    def _first(self, exposure: Exposure) -> Judgable | None:
        """Take in an answer of the first version, which answers everybody."""
        outcome = exposure.outcome
        if is_failed(outcome):
            self._state.count("errors_challenger")
        answer = self._sight.answer(outcome, self._read(outcome, True))
        fields = self._sight.fields(outcome)
        seen = Assigned(
            self._state.epoch, 1.0, exposure.unit, True, outcome, False, fields, answer.is_cut
        )
        for check in self._panel.checks.values():
            check.split(seen)
        return self._waiting(exposure, Mode.SPLIT, 1.0, champion=None, challenger=answer)

    def _promoted(self, exposure: Exposure, *, is_resting: bool) -> Judgable | None:
        """Watch the new champion where nobody is held back; it proves nothing else any more."""
        outcome = exposure.outcome
        is_good = not (is_resting or is_failed(outcome))
        if not self._state.forecast.is_watching:
            self._panel.answered(True, not is_good)
            return None
        self._panel.forecast.observe("error", exposure.at_ns, is_good)
        if not is_good:
            self._state.count("errors_challenger")
        if is_resting:
            self._panel.answered(True, True)
            answer = Answer(None, is_failed=True)
        else:
            answer = self._sight.answer(outcome, self._read(outcome, True))
        return self._waiting(exposure, Mode.WATCH, 1.0, champion=None, challenger=answer)

    def _alone(self, seen: Observation, champion: Outcome) -> Judgable | None:
        """Learn the champion's rates from an answer that was not drawn by lot."""
        if is_aborted(champion):
            self._state.count("aborted")
            return None
        answer = self._sight.answer(champion, self._read(champion, False))
        self._panel.forecast.learn("error", seen.at_ns, not is_failed(champion))
        fields = self._sight.fields(champion)
        for check in self._panel.checks.values():
            check.learn(champion, fields)
        return self._waiting(seen, Mode.HISTORY, 0.0, champion=answer, challenger=None)

    def _waiting(
        self,
        seen: Observation,
        mode: Mode,
        propensity: float,
        *,
        champion: Answer | None,
        challenger: Answer | None,
    ) -> Judgable | None:
        if not self._sight.has_labels:
            return None
        self._panel.delivery.awaited()
        return Judgable(
            seen.request_id,
            seen.at_ns,
            mode,
            propensity,
            seen.unit,
            self._state.epoch,
            champion,
            challenger,
        )

    def _read(self, outcome: Outcome, is_challenger: bool) -> Extracted:
        """Return the prediction in an answer, and count whether it came and could be read."""
        found = self._sight.prediction(outcome)
        is_garbled = found is not NOTHING and found.text is None and not is_cut(outcome, found)
        self._panel.answered(is_challenger, is_failed(outcome) or is_garbled)
        if found is not NOTHING:
            if found.text is None:
                self._state.count("unreadable")
            self._panel.integrity.read(is_challenger, found.text is not None)
        return found

    def _count_errors(self, champion: Outcome, challenger: Outcome) -> None:
        if is_failed(champion):
            self._state.count("errors_champion")
        if is_failed(challenger):
            self._state.count("errors_challenger")
