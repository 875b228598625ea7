"""What is measured of an answer that does not come all at once, and when silence is an end.

Pure: its caller reads the clock, once, at the first byte. A piece costs an addition.
"""

from typing import Final

EVENTS: Final = "sse"
"""The form of an answer that is a stream of events (``text/event-stream``)."""
CHECKS: Final = 4
"""How often silence is looked for within an idle timeout: it ends what is silent for that time and
at most a quarter more, at no cost for each piece."""


class Silence:
    """Notices that nothing moves. Looked at CHECKS times in an idle timeout."""

    __slots__ = ("_moved", "_strikes")

    def __init__(self) -> None:
        self._moved = -1
        self._strikes = 0

    def lasts(self, moved: int) -> bool:
        """Return whether ``moved``, a count that only grows, has stood still for the timeout."""
        if moved != self._moved:
            self._moved, self._strikes = moved, 0
            return False
        self._strikes += 1
        return self._strikes >= CHECKS


class Stream:
    """Owner: the Call whose answer it is. Pieces are events where events can be told apart."""

    __slots__ = ("_is_counting", "_silence", "_tail", "first_byte_s", "is_events",
                 "n_pieces")  # fmt: skip

    def __init__(self, is_events: bool, is_encoded: bool) -> None:
        self.is_events = is_events
        self.first_byte_s = 0.0
        """From the request's dispatch to the first byte of the answer's body; 0 before it. The
        call sets it."""
        self.n_pieces = 0
        self._is_counting = is_events and not is_encoded  # compressed events cannot be told apart
        self._tail = b""
        self._silence = Silence()

    def note(self, payload: bytes) -> None:
        """Take note of a piece of the body, which is not empty."""
        if self._is_counting:
            self._count_events(payload)
        else:
            self.n_pieces += 1

    def _count_events(self, payload: bytes) -> None:
        """Count the empty lines, which end events, also one that two pieces share."""
        seen = self._tail + payload if self._tail else payload
        self.n_pieces += seen.count(b"\n\n")
        if b"\r" in seen:
            self.n_pieces += seen.count(b"\n\r\n")
        is_end = seen[-2:] == b"\n\n" or seen[-3:] == b"\n\r\n"
        self._tail = b"" if is_end else seen[-2:]

    def is_silent(self, moved: int) -> bool:
        """Return whether a stream of events has brought nothing for its idle timeout.

        ``moved`` is how many bytes have come. Other answers have a time for the whole of them.
        """
        return not self.is_events or self._silence.lasts(moved)
