"""All that an evaluator remembers, and its bytes in a snapshot. Pure."""

from collections import Counter

import msgspec
from msgspec import Struct, field

from evaluator.delivery import DeliveryState
from evaluator.epochs import Starts
from evaluator.forecast import ForecastState
from evaluator.health import HealthState
from evaluator.integrity import IntegrityState
from evaluator.metric import ExperimentPlan
from evaluator.monitor import MonitorState

COUNTS = (
    "pairs",
    "exposures_champion",
    "exposures_challenger",
    "judged",
    "unlabelled",
    "needless",
    "unreadable",
    "lost",
    "fallbacks",
    "aborted",
    "errors_champion",
    "errors_challenger",
    "foreign",
    "epochs",
    "refused",
    "repeated",
)
"""Always there. ``needless``: judged where no label was needed. ``foreign``: of another experiment,
or judged after its epoch was forgotten. ``refused`` and ``repeated``: not kept until their label
comes, see ``lose_waiting``."""


class State(Struct):
    """All that an evaluator remembers."""

    plan: str
    """The plan's text: a snapshot fits no other."""
    epoch: int
    n: int
    """Observations in all."""
    n_at_epoch: int
    """Observations in all when this epoch began."""
    last_at_ns: int
    counts: dict[str, int]
    checks: dict[str, bytes]
    """Each check's own state, encoded: its kind says how."""
    integrity: IntegrityState
    delivery: DeliveryState
    monitor: MonitorState
    starts: Starts = field(default_factory=list)
    newest_judged_ns: int = 0
    """Of the requests that were judged; labels by token may be ahead of observations."""
    forecast: ForecastState = field(default_factory=lambda: ForecastState([]))
    champion_health: HealthState = field(default_factory=HealthState.empty)
    challenger_health: HealthState = field(default_factory=HealthState.empty)

    def count(self, name: str) -> None:
        """Add one to a count of ``COUNTS``."""
        self.counts[name] += 1

    def merge(self, other: "State") -> None:
        """Add counts and times of another one with the same epochs; checks and monitors add
        theirs themselves."""
        epochs = self.counts["epochs"]
        added = Counter(self.counts) + Counter(other.counts)
        self.counts = {name: added.get(name, 0) for name in COUNTS}
        self.counts["epochs"] = epochs
        self.n += other.n
        self.last_at_ns = max(self.last_at_ns, other.last_at_ns)


def empty(plan: ExperimentPlan) -> State:
    """Return what an evaluator of ``plan`` remembers before it has seen anything."""
    return State(
        plan=repr(plan),
        epoch=0,
        n=0,
        n_at_epoch=0,
        last_at_ns=0,
        counts=dict.fromkeys(COUNTS, 0),
        checks={},
        integrity=IntegrityState.empty(is_clustered=plan.clustered),
        delivery=DeliveryState.empty(is_clustered=plan.clustered),
        monitor=MonitorState([]),
    )


def encoded(state: State) -> bytes:
    """Return the bytes of ``state``, exactly."""
    return msgspec.msgpack.encode(state)


def decoded(plan: ExperimentPlan, raw: bytes) -> State:
    """Return the state that ``encoded`` made ``raw`` of; ValueError if none, or of another plan."""
    try:
        state = msgspec.msgpack.decode(raw, type=State)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a snapshot of an evaluator: {error}") from error
    if state.plan != repr(plan):
        raise ValueError(f"snapshot of another plan: {state.plan} instead of {plan!r}")
    for name in COUNTS:  # an older version's state may know fewer
        state.counts.setdefault(name, 0)
    return state
