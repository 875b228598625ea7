"""Labels and what becomes of them; what an observation keeps until its label comes. Pure."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from evaluator.extract import canonical_text

if TYPE_CHECKING:
    from evaluator.exposed import Exposed

MAX_ID_CHARS = 200


class Mode(enum.Enum):
    """How a request bears on the comparison."""

    PAIR = "pair"  # both variants answered it
    SPLIT = "split"  # one of them did, drawn by lot
    HISTORY = "history"  # the champion did, without a lot: teaches its rate, proves nothing
    WATCH = "watch"  # the new champion did, without a lot: held against what was usual


class Answer(Struct, frozen=True, array_like=True):
    """What is kept of one variant's answer."""

    prediction: str | None
    """Canonical JSON text; None when it failed or could not be read."""
    is_failed: bool = False
    """5xx, no answer, or not asked because the variant was resting: wrong, whatever the label."""
    is_cut: bool = False
    """We could not read it for a reason of ours (too large to capture, unknown encoding): left
    out. Any other unreadable answer is a wrong answer."""
    fields: dict[str, Any] = {}
    """What metrics with labels read from the answer besides, by JMESPath."""


class Judgable(Struct, frozen=True, array_like=True, tag="judgable"):
    """An observation that waits for its label. To and from MessagePack or JSON by msgspec."""

    request_id: str
    at_ns: int
    """Wall clock at dispatch, nanoseconds since the epoch."""
    mode: Mode
    propensity: float
    """P(challenger) with which the unit was assigned; without meaning for a pair."""
    unit: int
    epoch: int
    """The evaluator's epoch in which it was observed: its bets were fixed then."""
    champion: Answer | None
    """None when the champion was not assigned."""
    challenger: Answer | None

    @property
    def is_challenger(self) -> bool:
        """Whether the unit was served the challenger."""
        return self.mode is Mode.SPLIT and self.challenger is not None


class LabelOutcome(enum.Enum):
    """What became of a label."""

    ACCEPTED = "accepted"  # durable, and will be used when its observation is judged
    CORRECTED = "corrected"  # the same, in place of the label that was there
    DUPLICATE = "duplicate"  # the same label again: nothing changed
    CONFLICT = "conflict"  # another label was there first, and stays
    UNKNOWN = "unknown"  # no observation of that id (yet)
    LATE = "late"  # its observation was judged without it, or is past the window
    INVALID = "invalid"  # not a label
    FORGED = "forged"  # its token is not ours, or for another request or route


@dataclass(frozen=True, slots=True)
class Label:
    """Ground truth for one request."""

    request_id: str
    label: str
    """JSON text; 7 and 7.0 are the same label, "7" is another one."""
    route: str | None = None
    """None asks for the one route that knows the request id."""
    at_ns: int | None = None
    """When the truth was known, as the sender says; kept, not used."""
    is_correction: bool = False
    """It replaces another label while the observation waits; as the first one it is like any."""
    exposure: "Exposed | None" = None
    """What its token told, once that was found to be ours."""
    token: str | None = None
    """An exposure token as it was sent; ``request_id`` may be empty beside one."""


@dataclass(frozen=True, slots=True)
class LabelResult:
    """What became of one label, and why."""

    outcome: LabelOutcome
    because: str
    route: str | None = None
    """The route it was joined on, None if on none."""


def checked(label: Label) -> Label | LabelResult:
    """Return ``label`` with its text in canonical form, or an INVALID result that says why."""
    if not 0 < len(label.request_id) <= MAX_ID_CHARS:
        return LabelResult(
            LabelOutcome.INVALID, f"request_id must have 1 to {MAX_ID_CHARS} characters"
        )
    try:
        text = canonical_text(label.label)
    except ValueError as error:
        return LabelResult(LabelOutcome.INVALID, f"label: {error}")
    return replace(label, label=text)


class Found(Struct, gc=False):
    """What the journal knows under one request id on one route."""

    route: str
    sequence: int
    at_ns: int | None
    """None when it waits no more."""
    label: str | None


def on_route(known: Sequence[Found], route: str | None) -> Found | LabelResult | None:
    """Return what a label for ``route`` (None: any) means; None if nothing, INVALID if several.

    What a route was observed for on behalf of another one (``A>B``) has labels of its own.
    """
    known = [
        one for one in known if (">" not in one.route if route is None else one.route == route)
    ]
    if not known:
        return None
    if len(known) > 1:
        return LabelResult(
            LabelOutcome.INVALID,
            f"routes {known[0].route!r} and {known[1].route!r} both have this id",
        )
    return known[0]


def joined(found: Found, label: Label, now_ns: int, window_ns: int | None) -> LabelResult:
    """Return what becomes of ``label`` at what was found for it."""
    present, route = found.label, found.route
    if present is not None and (present == label.label or not label.is_correction):
        return _again(present, label.label, route)
    if found.at_ns is None:
        with_what = "without it" if present is None else "with the label that it corrects"
        return LabelResult(LabelOutcome.LATE, f"its observation was judged {with_what}", route)
    if window_ns is not None and now_ns - found.at_ns > window_ns:
        return LabelResult(LabelOutcome.LATE, "its observation is past the window", route)
    if present is not None:
        return LabelResult(LabelOutcome.CORRECTED, "in place of another label", route)
    return _accepted(route)


def is_told(found: Found, judgable: Judgable) -> bool:
    """Whether a token brought an exposure before it came itself: it is no other request's."""
    return judgable.mode is Mode.SPLIT and judgable.at_ns == found.at_ns


def _again(present: str, label: str, route: str) -> LabelResult:
    if present == label:
        return LabelResult(LabelOutcome.DUPLICATE, "the same label is there already", route)
    return LabelResult(LabelOutcome.CONFLICT, "another label came first and stays", route)


@lru_cache(maxsize=64)
def _accepted(route: str) -> LabelResult:
    """Return the usual answer; one for each label would take a tenth of the time of a join."""
    return LabelResult(LabelOutcome.ACCEPTED, "joined", route)
