"""When each epoch began, by the clock of the requests. Pure.

A token tells when its request was served, and the bets on it must have been fixed before that
(docs/adr/0017-exposure-tokens.md). An epoch's start is therefore the newest request of which
anything was known when its bets were fixed: whatever was served later was bet on blindly.
"""

from bisect import bisect_left
from operator import itemgetter

MAX_KNOWN = 256
"""Starts that are kept, newest last. Epochs end daily, at a change of share and at each doubling of
the observations: most of a year."""

Starts = list[tuple[int, int]]
"""(epoch, newest request known when it began: nanoseconds since the epoch), rising."""


def begin(starts: Starts, epoch: int, known_ns: int) -> None:
    """Note that ``epoch`` begins, and that requests up to ``known_ns`` are known."""
    newest = max(known_ns, starts[-1][1]) if starts else known_ns
    starts.append((epoch, newest))
    del starts[:-MAX_KNOWN]


def epoch_at(starts: Starts, at_ns: int) -> int:
    """Return the newest epoch whose bets were fixed before ``at_ns``.

    Where the start is not known any more it is epoch 0, which bets on what was declared: an
    earlier epoch is always a valid one.
    """
    at = bisect_left(starts, at_ns, key=itemgetter(1))
    return starts[at - 1][0] if at else 0
