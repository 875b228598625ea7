"""What one check says before its state is decided, and how numbers are told to people. Pure."""

import math
from dataclasses import dataclass

from evaluator.confseq import Interval


@dataclass(frozen=True, slots=True)
class Finding:
    """Evidence of one check at one moment."""

    log_e: float
    log_e_harm: float
    told: str
    """The numbers, as the first part of a sentence."""
    n: int
    interval: Interval | None = None
    growth: float = 0.0
    """Mean gain of log_e per observation if the effect is as declared."""
    is_blind: bool = False
    """It has nothing to compare with yet."""
    log_e_futile: float = 0.0
    """Evidence that the effect is below the one to detect; 0 where none was declared."""


def both(first: float, second: float) -> float:
    """Return evidence for two claims at once: the lesser of the two (intersection-union)."""
    return min(first, second)


def percent(share: float, *, signed: bool = False) -> str:
    """Write a share as a percentage with the digits that matter: ``3.2 %``, ``0.04 %``."""
    value = 100.0 * share
    digits = 1 if abs(value) >= 1.0 or value == 0.0 else 2
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return f"{text} %"


def points(share: float) -> str:
    """Write a difference of shares in percentage points, signed: ``+1.3``."""
    value = 100.0 * share
    text = f"{value:+.1f}" if abs(value) >= 1.0 else f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def odds(log_e: float) -> str:
    """Write an e-value as odds: ``20:1`` speaks for the claim, ``1:3`` against it."""
    size = math.exp(min(abs(log_e), 60.0))
    text = f"{size:.1f}".removesuffix(".0") if size < 10.0 else f"{size:.0f}"
    return f"{text}:1" if log_e >= 0.0 else f"1:{text}"


def milliseconds(seconds: float) -> str:
    """Write a duration in milliseconds or seconds."""
    return f"{1000.0 * seconds:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"
