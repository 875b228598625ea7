"""The life of one exchange: a client's request and whatever it takes to answer it. Pure.

Everything that affects the machine is in this file, and this file knows no sockets. Reading the
table from top to bottom is reading a request's life; docs/life-of-a-request.md draws it.
"""

import enum
from typing import Final


class State(enum.IntEnum):
    """Where an exchange stands. Integers: an Enum's hash is a Python call, 0.2 us each time."""

    ASKING = enum.auto()  # a variant was chosen; its connection is awaited or has the request
    ANSWERING = enum.auto()  # the first byte of an answer has gone to the client
    DONE = enum.auto()  # the client has its whole answer, or the tunnel that it asked for
    REFUSED = enum.auto()  # the client has an answer of ours (4xx, 5xx)
    CUT = enum.auto()  # the answer broke off; the client can see that it is incomplete
    ABORTED = enum.auto()  # the client went away


class Event(enum.IntEnum):
    """What happens to an exchange."""

    HEAD = enum.auto()  # an answer's head arrived
    END = enum.auto()  # the answer's last byte arrived
    FALL_BACK = enum.auto()  # the challenger failed before its first byte went out
    RETRY = enum.auto()  # a reused connection was closed by the variant before it answered
    FAIL = enum.auto()  # the variant failed
    REFUSE = enum.auto()  # the client's request went wrong
    SWITCH = enum.auto()  # the variant changed the protocol (101): the connection is a tunnel
    LEAVE = enum.auto()  # the client's connection ended


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    # The usual way.
    (State.ASKING, Event.HEAD): State.ANSWERING,
    (State.ANSWERING, Event.END): State.DONE,
    (State.ASKING, Event.SWITCH): State.DONE,
    # Nothing has reached the client yet, so somebody else may still answer.
    (State.ASKING, Event.FALL_BACK): State.ASKING,
    (State.ASKING, Event.RETRY): State.ASKING,
    # Nobody else is left: 502 or 504 of our own.
    (State.ASKING, Event.FAIL): State.REFUSED,
    # Too late for another answer: the client must see that this one is incomplete.
    (State.ANSWERING, Event.FAIL): State.CUT,
    # The body turned out malformed, too large or too slow after the exchange began.
    (State.ASKING, Event.REFUSE): State.REFUSED,
    (State.ANSWERING, Event.REFUSE): State.CUT,
    # The client may leave at any time; that is nobody's error.
    (State.ASKING, Event.LEAVE): State.ABORTED,
    (State.ANSWERING, Event.LEAVE): State.ABORTED,
}

OVER: Final = frozenset({State.DONE, State.REFUSED, State.CUT, State.ABORTED})


def after(state: State, event: Event) -> State:
    """Return the state after ``event``; KeyError if it cannot happen there."""
    return TRANSITIONS[state, event]
