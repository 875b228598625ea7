"""Labelled cases of two classes, with the answers of both variants."""

import math
import random

from evaluator.join import Answer, Judgable, Mode


class Cases:
    """A fifth is of class 1; both variants score it with noise, the challenger ``shift`` better."""

    def __init__(self, seed: int, *, shift: float = 0.0) -> None:
        self._rng = random.Random(seed)
        self._shift = shift
        self._number = 0

    def case(self, propensity: float | None, *, epoch: int = 0) -> tuple[Judgable, str]:
        """Return a pair (None) or a lot, and its label."""
        rng = self._rng
        self._number += 1
        y = rng.random() < 0.2
        base = rng.gauss(1.5 * y, 1.0)
        a, b = base + rng.gauss(0, 0.6), base + rng.gauss(self._shift * y, 0.6)
        one, other = _answer(a), _answer(b)
        unit = rng.getrandbits(63)
        if propensity is None:
            pair = Judgable(f"q{self._number}", 1, Mode.PAIR, 0.5, unit, epoch, one, other)
            return pair, str(int(y))
        is_challenger = rng.random() < propensity
        sides = (None, other) if is_challenger else (one, None)
        lot = Judgable(f"q{self._number}", 1, Mode.SPLIT, propensity, unit, epoch, *sides)
        return lot, str(int(y))


def _answer(score: float) -> Answer:
    return Answer(str(int(score > 1.0)), fields={"s": 1.0 / (1.0 + math.exp(-score))})
