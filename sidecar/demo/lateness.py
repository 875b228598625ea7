"""When the truth about a request becomes known, and how badly. Pure: the dice are passed in."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Lateness:
    """How labels misbehave. Every share is a probability per request."""

    earliest_s: float = 1.0
    latest_s: float = 6.0
    """Below the demo's maturity of 8 s, with time to be posted in."""
    never: float = 0.05
    """The label never comes."""
    twice: float = 0.05
    """It comes again, some time after the first."""
    misdirected: float = 0.01
    """A label for a request that nobody made comes along."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One label on its way."""

    due_in_s: float
    """Seconds after the request was answered."""
    request_id: str
    label: int


def postings(request_id: str, label: int, lateness: Lateness, random: Random) -> list[Posting]:
    """Return what will be posted because of one request: nothing, one label, or more."""
    due_s = random.uniform(lateness.earliest_s, lateness.latest_s)
    lost, twice, misdirected = (random.random() for _ in range(3))
    found = []
    if lost >= lateness.never:
        found.append(Posting(due_s, request_id, label))
        if twice < lateness.twice:
            again_s = random.uniform(due_s, lateness.latest_s)
            found.append(Posting(again_s, request_id, label))
    if misdirected < lateness.misdirected:
        found.append(Posting(due_s, f"nobody-{random.getrandbits(48):x}", label))
    return found
