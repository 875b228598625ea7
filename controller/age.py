"""How old a request is, although the wall clock may jump. Pure.

Requests carry the wall clock of their moment, and a label is waited for in days, over restarts. So
age is counted by the wall clock, and a jump of it must not make an observation old: it would be
judged before its label could come.
"""

from dataclasses import dataclass

JUMP_NS = 10**9
"""What a clock is put right by in smaller steps than this is no jump. Chosen; NTP steps from
128 ms on, and slews 0.5 ms in a second."""
MAX_ERAS = 64
"""Jumps remembered; of more, the oldest is forgotten. Chosen."""


@dataclass(frozen=True, slots=True)
class _Era:
    """A time without jumps that is over."""

    ahead_ns: int
    """By how much the wall clock was ahead of the monotonic one."""
    end_ns: int
    """What the wall clock would have shown when the jump was noted."""


class Ages:
    """Compares the two clocks. Owner: the Controller; remembers no jump over a restart."""

    def __init__(self, wall_ns: int, mono_s: float) -> None:
        self._eras: list[_Era] = []
        self._longest_ns = 0
        """The greatest age asked for so far."""
        self._wall_ns = wall_ns
        self._mono_ns = _ns(mono_s)
        self._ahead_ns = wall_ns - self._mono_ns

    def note(self, wall_ns: int, mono_s: float) -> None:
        """Take in what both clocks show now; called every 100 ms."""
        self._wall_ns, self._mono_ns = wall_ns, _ns(mono_s)
        ahead_ns = wall_ns - self._mono_ns
        if abs(ahead_ns - self._ahead_ns) > JUMP_NS:
            self._eras.append(_Era(self._ahead_ns, self._mono_ns + self._ahead_ns))
        self._ahead_ns = ahead_ns
        self._eras = [era for era in self._eras[-MAX_ERAS:] if self._may_matter(era)]

    def before_ns(self, age_ns: int) -> int:
        """Return the wall clock up to which every request is ``age_ns`` old, by both clocks.

        After a jump forward that is exact. After one backward requests from before it may have to
        wait longer, by the jump at most: their times occur twice.
        """
        self._longest_ns = max(self._longest_ns, age_ns)
        before_ns = self._wall_ns - age_ns
        for era in self._eras:
            old_ns = self._mono_ns + era.ahead_ns - age_ns
            if old_ns < era.end_ns:
                before_ns = min(before_ns, old_ns)
        return before_ns

    def _may_matter(self, era: _Era) -> bool:
        is_asked = self._longest_ns > 0
        return not is_asked or self._mono_ns + era.ahead_ns - self._longest_ns < era.end_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
