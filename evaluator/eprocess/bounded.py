"""One sample against a declared number: does the mean reach it? Pure."""

import enum

from evaluator.eprocess.mixture import MixtureEProcess, clip_bets, even_log_weights

CLAIM_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""True shortfalls bet on by a claim, as parts of the allowed shortfall 1 - target."""
BREACH_SHARES = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""True shortfalls bet on by a breach, as multiples of the allowed one."""


class Side(enum.Enum):
    """Which of the two claims is looked for."""

    CLAIM = "claim"  # the mean is above the target
    BREACH = "breach"  # the mean is below the target


class BoundedEProcess:
    """Evidence that a mean lies above (claim) or below (breach) a declared target.

    Input:   x_t in [0, 1], such as "both answers of the pair agree".
    Null:    claim: E[x_t | past] <= target for every t. breach: >= target.
    Process: mixture of 1 + bet * (x - target), or of the mirrored bet for a breach; each component
             is the likelihood ratio of a Bernoulli mean q against the target for x in {0, 1}, with
             q on a grid of shortfalls 1 - q.
    Promise: under the null, P(E_t >= 1/alpha for some t) <= alpha.
    Merge:   the log-products add, in any order.
    Cost:    O(11) or O(8) per distinct value.
    Source:  Waudby-Smith & Ramdas (2024), JRSS-B 86(1), section 4; grid chosen by us.
    """

    __slots__ = ("_bets", "_sign", "process", "target")

    def __init__(self, target: float, side: Side) -> None:
        if not 0.0 < target < 1.0:
            raise ValueError(f"target must be in (0, 1), got {target!r}")
        self.target = target
        self._sign = 1.0 if side is Side.CLAIM else -1.0
        self._bets = _bets(target, side)
        self.process = MixtureEProcess(even_log_weights(len(self._bets)))

    @property
    def n(self) -> int:
        """Observations taken in."""
        return self.process.n

    def update(self, x: float, count: int = 1) -> None:
        """Take in ``count`` observations of the value ``x``; ValueError unless 0 <= x <= 1."""
        if not 0.0 <= x <= 1.0:  # this way round, NaN is refused too
            raise ValueError(f"observation must be in [0, 1], got {x!r}")
        self.process.update(self._sign * (x - self.target), self._bets, count)

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence; 0 before the first observation."""
        return self.process.log_e

    def rejects(self, alpha: float) -> bool:
        """Whether the null is rejected *now* at level ``alpha``."""
        return self.process.rejects(alpha)

    def merge(self, other: "BoundedEProcess") -> None:
        """Add what another process with the same target and side has seen."""
        if (other.target, other._sign) != (self.target, self._sign):
            raise ValueError("only processes with the same target and side can be merged")
        self.process.merge(other.process)


def _bets(target: float, side: Side) -> tuple[float, ...]:
    """Return (q - target) / variance for each q of the grid, positive on both sides."""
    allowed = 1.0 - target
    variance = target * allowed
    if side is Side.CLAIM:
        return clip_bets([allowed * (1.0 - s) / variance for s in CLAIM_SHARES], -target)
    return clip_bets([allowed * (s - 1.0) / variance for s in BREACH_SHARES], -allowed)
