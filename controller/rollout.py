"""One challenger's journey: phases, the table of moves, and the record of where it stands.

Pure: no clock, no I/O. Whatever the table does not list is illegal and raises. Three promises are
tests over the whole table: every phase has a way to safety, every wait has a time limit, and no
journey promotes twice.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from controller.consent import Approval, Glass
from controller.policy import RouteIntent, StageKind, StageSpec, WebhookSpec


class Phase(enum.Enum):
    """Where a rollout stands."""

    QUEUED = "queued"  # declared, not begun
    FUNCTIONAL = "functional"  # asked sample requests; no traffic
    PERFORMANCE = "performance"  # compared with the champion on a golden dataset; no traffic
    SECURITY = "security"  # its files, dependencies and fairness are looked at; no traffic
    SHADOW = "shadow"  # gets copies; its answers are measured, never sent
    COLD_START = "cold_start"  # serves everybody: there is no champion, and it may become one
    CANARY = "canary"  # serves a share of the units
    WATCH = "watch"  # promoted: serves all but the holdback, the old champion stays warm
    PROMOTED = "promoted"  # is the champion
    ROLLED_BACK = "rolled_back"  # has no traffic


class Event(enum.Enum):
    """What moves a rollout."""

    STARTED = "started"  # its turn has come
    CLEARED_FOR_PERFORMANCE = "cleared_for_performance"  # what stands before it was passed
    CLEARED_FOR_SECURITY = "cleared_for_security"
    CLEARED_FOR_SHADOW = "cleared_for_shadow"  # it may have copies
    CLEARED_FOR_CANARY = "cleared_for_canary"  # users may meet it
    UNOPPOSED = "unopposed"  # the gates before traffic are passed, and there is no champion
    ESTABLISHED = "established"  # the first version reached what was declared: it is the champion
    STEP_PASSED = "step_passed"  # one rung up the ladder of shares
    PROVEN = "proven"  # every check that a promotion needs has passed
    FORCED = "forced"  # a named person with a written reason, around the gates
    INSTALLED = "installed"  # the same where there is no champion
    WATCH_PASSED = "watch_passed"
    REFUSED = "refused"  # a gate found what asking again would find again
    HARMED = "harmed"  # a guardrail or the harm check tripped
    EJECTED = "ejected"  # a router gave up on the challenger
    FUTILE = "futile"  # what was looked for is not there, and the file says to stop then
    EXPIRED = "expired"  # the time of a promotion around the gates is over
    TIMED_OUT = "timed_out"  # the stage lasted longer than the file allows
    WITHDRAWN = "withdrawn"  # the file no longer declares the challenger, or the route
    ORDERED = "ordered"  # a person asked for the champion back
    REMEMBERED = "remembered"  # a rollback was published, and a crash came before its record


TRANSITIONS: dict[Phase, dict[Event, Phase]] = {
    Phase.QUEUED: {
        Event.STARTED: Phase.FUNCTIONAL,  # nothing stands before it in the file
        Event.FORCED: Phase.WATCH,  # break-glass: recorded for ever
        Event.INSTALLED: Phase.PROMOTED,
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,  # it will not be tried
    },
    Phase.FUNCTIONAL: {
        Event.CLEARED_FOR_PERFORMANCE: Phase.PERFORMANCE,
        Event.CLEARED_FOR_SECURITY: Phase.SECURITY,  # no performance stage is declared
        Event.CLEARED_FOR_SHADOW: Phase.SHADOW,  # nor a security stage
        Event.CLEARED_FOR_CANARY: Phase.CANARY,  # nor a shadow stage
        Event.UNOPPOSED: Phase.COLD_START,
        Event.FORCED: Phase.WATCH,
        Event.INSTALLED: Phase.PROMOTED,
        Event.REFUSED: Phase.ROLLED_BACK,
        Event.TIMED_OUT: Phase.ROLLED_BACK,  # it never answered its samples
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
    },
    Phase.PERFORMANCE: {
        Event.CLEARED_FOR_SECURITY: Phase.SECURITY,
        Event.CLEARED_FOR_SHADOW: Phase.SHADOW,
        Event.CLEARED_FOR_CANARY: Phase.CANARY,  # no shadow is declared, or none is needed
        Event.UNOPPOSED: Phase.COLD_START,
        Event.FORCED: Phase.WATCH,
        Event.INSTALLED: Phase.PROMOTED,
        Event.REFUSED: Phase.ROLLED_BACK,  # not as good as the champion on the same rows
        Event.TIMED_OUT: Phase.ROLLED_BACK,
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
    },
    Phase.SECURITY: {
        Event.CLEARED_FOR_SHADOW: Phase.SHADOW,
        Event.CLEARED_FOR_CANARY: Phase.CANARY,
        Event.UNOPPOSED: Phase.COLD_START,
        Event.FORCED: Phase.WATCH,
        Event.INSTALLED: Phase.PROMOTED,
        Event.REFUSED: Phase.ROLLED_BACK,  # something in it must not be served
        Event.TIMED_OUT: Phase.ROLLED_BACK,
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
    },
    Phase.COLD_START: {  # bad news hold it: nobody else could answer
        Event.ESTABLISHED: Phase.PROMOTED,
        Event.INSTALLED: Phase.PROMOTED,
        Event.TIMED_OUT: Phase.ROLLED_BACK,  # only if the file says so: the route is closed
        Event.REFUSED: Phase.ROLLED_BACK,  # it is not what was registered: better nobody
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
        Event.REMEMBERED: Phase.ROLLED_BACK,
    },
    Phase.SHADOW: {
        Event.CLEARED_FOR_CANARY: Phase.CANARY,  # guardrails hold on copies
        Event.PROVEN: Phase.WATCH,  # no canary stage is declared, and the pairs suffice
        Event.FORCED: Phase.WATCH,
        Event.REFUSED: Phase.ROLLED_BACK,
        Event.HARMED: Phase.ROLLED_BACK,
        Event.EJECTED: Phase.ROLLED_BACK,
        Event.FUTILE: Phase.ROLLED_BACK,
        Event.TIMED_OUT: Phase.ROLLED_BACK,
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
        Event.REMEMBERED: Phase.ROLLED_BACK,
    },
    Phase.CANARY: {
        Event.STEP_PASSED: Phase.CANARY,  # no harm seen at this share
        Event.PROVEN: Phase.WATCH,  # the promotion
        Event.FORCED: Phase.WATCH,
        Event.REFUSED: Phase.ROLLED_BACK,
        Event.HARMED: Phase.ROLLED_BACK,
        Event.EJECTED: Phase.ROLLED_BACK,
        Event.FUTILE: Phase.ROLLED_BACK,
        Event.TIMED_OUT: Phase.ROLLED_BACK,
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
        Event.REMEMBERED: Phase.ROLLED_BACK,
    },
    Phase.WATCH: {
        Event.WATCH_PASSED: Phase.PROMOTED,  # it kept what it promised
        Event.REFUSED: Phase.ROLLED_BACK,
        Event.HARMED: Phase.ROLLED_BACK,  # the old champion is still warm
        Event.EJECTED: Phase.ROLLED_BACK,
        Event.EXPIRED: Phase.ROLLED_BACK,  # forced, and not shown to be good meanwhile
        Event.TIMED_OUT: Phase.ROLLED_BACK,  # nobody came to be served: nothing was shown
        Event.WITHDRAWN: Phase.ROLLED_BACK,
        Event.ORDERED: Phase.ROLLED_BACK,
        Event.REMEMBERED: Phase.ROLLED_BACK,
    },
    Phase.PROMOTED: {
        Event.ORDERED: Phase.ROLLED_BACK,  # while the file still declares the old champion
        Event.REMEMBERED: Phase.ROLLED_BACK,
    },
    Phase.ROLLED_BACK: {},  # safe; another try is another rollout with new evidence
}

FINISHED = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK})
BEFORE_TRAFFIC = frozenset({Phase.FUNCTIONAL, Phase.PERFORMANCE, Phase.SECURITY})
"""Phases in which a gate asks and looks, and the challenger meets no request of any user."""
WITH_TRAFFIC = frozenset({Phase.SHADOW, Phase.CANARY, Phase.WATCH})
"""Phases in which the challenger gets requests of users, or copies of them."""

OBSERVED = WITH_TRAFFIC | {Phase.COLD_START}
"""Phases whose answers are evidence."""

_DAY_S = 86_400.0
DEFAULT_AT_MOST_S: dict[Phase, float] = {
    Phase.FUNCTIONAL: 600.0,  # chosen: a model server that loads for ten minutes is broken
    Phase.COLD_START: 7 * _DAY_S,  # one weekly cycle
    Phase.PERFORMANCE: 3600.0,  # chosen: a hundred thousand rows at thirty a second
    Phase.SECURITY: 3600.0,  # chosen: the scan of an artifact of a hundred gigabytes
    Phase.SHADOW: 7 * _DAY_S,  # one weekly cycle; SageMaker shadow tests default to the same
    Phase.CANARY: 14 * _DAY_S,  # chosen: two weekly cycles
    Phase.WATCH: 7 * _DAY_S,  # beyond ``watch_s``; chosen: one weekly cycle
}
"""Limits for stages without ``at_most``. QUEUED has none: it ends at the controller's next step,
unless a person or a recovery holds it."""

_KIND = {
    Phase.FUNCTIONAL: StageKind.FUNCTIONAL,
    Phase.PERFORMANCE: StageKind.PERFORMANCE,
    Phase.SECURITY: StageKind.SECURITY,
    Phase.SHADOW: StageKind.SHADOW,
    Phase.CANARY: StageKind.CANARY,
    Phase.WATCH: StageKind.PRODUCTION,
}
_AHEAD = (
    (Phase.PERFORMANCE, Event.CLEARED_FOR_PERFORMANCE),
    (Phase.SECURITY, Event.CLEARED_FOR_SECURITY),
    (Phase.SHADOW, Event.CLEARED_FOR_SHADOW),
    (Phase.CANARY, Event.CLEARED_FOR_CANARY),
)
"""The stages behind the functional one in their order, and the event that leads to each."""


NOBODY = ""
"""Whom a route's first version is compared with."""


class IllegalMove(ValueError):
    """The table has no such edge: a defect of the caller, never of the evidence."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where one challenger stands. The controller owns the present one of each route."""

    challenger: str
    champion: str
    """Whom it is compared with, and who gets the traffic back; NOBODY for a first version."""
    experiment: str
    """Names the comparison in observations; never used twice."""
    phase: Phase = Phase.QUEUED
    step: int = 0
    """CANARY: index into the ladder of shares."""
    began_at_s: float = 0.0
    """Wall clock: when it was queued."""
    entered_at_s: float = 0.0
    """Wall clock: when the present phase and step were entered. A date for people; durations are
    counted below, so that a clock that jumps ends nothing early."""
    in_step_s: float = 0.0
    """Time in the present phase and step."""
    waited_s: float = 0.0
    """Time in the present phase, all steps, not counting holds; ``at_most`` is measured on it."""
    held_by: str | None = None
    """Who holds it: a person, ``policy`` (on_timeout: hold) or ``recovery``; None: nobody."""
    hold_reason: str = ""
    because: str = ""
    """Why it stands where it stands."""
    is_rescue: bool = False
    """Whether it was promoted past a broken champion: nobody is held back with that one."""
    alpha_objective: float | None = None
    """Of the objectives' claims, where several challengers share the file's alpha
    (``controller/family.py``); None: alpha itself."""
    claimed_log_e: float | None = None
    """Of the objective that was shown least surely when the promotion was proven; None before."""
    skips_shadow: bool = False
    """The performance gate found so much that no shadow is needed, and the file allows for it."""
    approvals: tuple[Approval, ...] = ()
    """Of leaving the present phase."""
    glass: Glass | None = None
    """WATCH: it was promoted around the gates, and its checks have not passed since; else None."""
    counts_at_entry: dict[str, int] = field(default_factory=dict)
    """The evidence's counts when the present phase and step were entered."""

    def __post_init__(self) -> None:
        if self.step < 0:
            raise ValueError(f"step must be >= 0, got {self.step}")
        if self.challenger == self.champion:
            raise ValueError(f"{self.champion!r} cannot challenge itself")

    @property
    def is_first(self) -> bool:
        """Whether there is no champion, so that it is to become the first one."""
        return self.champion == NOBODY

    @property
    def is_running(self) -> bool:
        """Whether it may still move by itself."""
        return self.phase not in FINISHED


def after(phase: Phase, event: Event) -> Phase:
    """Return the phase that ``event`` leads to; IllegalMove if the table has no such edge."""
    try:
        return TRANSITIONS[phase][event]
    except KeyError as exc:
        raise IllegalMove(f"{event.name} is not legal in phase {phase.name}") from exc


def move(
    rollout: Rollout, event: Event, *, at_s: float, because: str, counts: dict[str, int]
) -> Rollout:
    """Return ``rollout`` after ``event``. Holds stay, except that a finished rollout has none."""
    phase = after(rollout.phase, event)
    is_finished = phase in FINISHED
    return replace(
        rollout,
        phase=phase,
        step=rollout.step + 1 if event is Event.STEP_PASSED else 0,
        entered_at_s=at_s,
        in_step_s=0.0,
        waited_s=rollout.waited_s if phase is rollout.phase else 0.0,
        held_by=None if is_finished else rollout.held_by,
        hold_reason="" if is_finished else rollout.hold_reason,
        because=because,
        approvals=rollout.approvals if phase is rollout.phase else (),
        glass=None if is_finished else rollout.glass,
        counts_at_entry=dict(counts),
    )


def elapse(rollout: Rollout, seconds: float) -> Rollout:
    """Return ``rollout`` after ``seconds`` more; negative ones count as none."""
    seconds = max(0.0, seconds)
    waited_s = rollout.waited_s + (seconds if rollout.held_by is None else 0.0)
    return replace(rollout, in_step_s=rollout.in_step_s + seconds, waited_s=waited_s)


def hold(rollout: Rollout, *, by: str, reason: str) -> Rollout:
    """Stop all moves forward. Ways to safety stay open."""
    return replace(rollout, held_by=by, hold_reason=reason)


def resume(rollout: Rollout) -> Rollout:
    """Let it move again, with the stage's whole time limit before it."""
    return replace(rollout, held_by=None, hold_reason="", waited_s=0.0)


def declared_stage(policy: RouteIntent, phase: Phase) -> StageSpec | None:
    """Return what the file says about the stage of ``phase``; None if it does not name it."""
    kind = _KIND.get(phase)
    return next((stage for stage in policy.stages if stage.kind is kind), None)


def stage_for(policy: RouteIntent, phase: Phase) -> StageSpec:
    """Return the stage of ``phase``, with defaults for one that the file leaves out.

    A functional gate without samples still asks that the challenger accepts connections; a
    production stage that is not declared has no watch and no holdback.
    """
    return declared_stage(policy, phase) or StageSpec(kind=_KIND[phase])


def limit_s(policy: RouteIntent, phase: Phase) -> float:
    """Return how long ``phase`` may wait, in seconds; KeyError if it never waits."""
    if phase is Phase.COLD_START and policy.cold_start is not None:
        return policy.cold_start.at_most_s
    if phase not in _KIND:
        return DEFAULT_AT_MOST_S[phase]
    stage = stage_for(policy, phase)
    if stage.at_most_s is not None:
        return max(stage.at_most_s, stage.watch_s)
    return DEFAULT_AT_MOST_S[phase] + stage.watch_s


def approvals_needed(policy: RouteIntent, rollout: Rollout, event: Event) -> int:
    """Return how many people must approve ``event``; those who have are among them.

    A stage is approved as a whole: its steps are not.
    """
    if rollout.phase not in _KIND or event is Event.STEP_PASSED:
        return 0
    return stage_for(policy, rollout.phase).approvals


def webhooks_asked(policy: RouteIntent, rollout: Rollout, event: Event) -> tuple[WebhookSpec, ...]:
    """Return who outside must confirm ``event``."""
    if rollout.phase not in _KIND:
        return ()
    hooks = stage_for(policy, rollout.phase).webhooks
    return tuple(hook for hook in hooks if hook.each_step or event is not Event.STEP_PASSED)


def cooling_after(policy: RouteIntent, phase: Phase, event: Event) -> float:
    """Return how long, in seconds, nothing is promoted by evidence after ``event`` in ``phase``.

    Hysteresis: a route that has just lost a new champion does not take the next one at once.
    """
    is_undone = phase in (Phase.WATCH, Phase.PROMOTED) and after(phase, event) is Phase.ROLLED_BACK
    return policy.cool_down_s if is_undone else 0.0


def way_forward(policy: RouteIntent, rollout: Rollout) -> Event:
    """Return the event that leaving the present stage with success is; IllegalMove if none is."""
    match rollout.phase:
        case Phase.QUEUED:
            return Event.STARTED
        case Phase.COLD_START:
            return Event.ESTABLISHED
        case Phase.CANARY:
            n_steps = len(stage_for(policy, Phase.CANARY).shares_buckets)
            return Event.STEP_PASSED if rollout.step + 1 < n_steps else Event.PROVEN
        case Phase.WATCH:
            return Event.WATCH_PASSED
        case phase if phase in FINISHED:
            raise IllegalMove(f"there is no way forward from phase {phase.name}")
    return _next_stage(policy, rollout)


def _next_stage(policy: RouteIntent, rollout: Rollout) -> Event:
    """Return the event that leads to the next declared stage: what is not declared is passed over.

    Behind the gates that need no traffic a stage with traffic comes in any case: nothing is
    promoted on what was seen before the challenger met a request.
    """
    has_canary = declared_stage(policy, Phase.CANARY) is not None
    last = Event.PROVEN if rollout.phase is Phase.SHADOW else Event.CLEARED_FOR_CANARY
    ahead: Sequence[tuple[Phase, Event]] = _AHEAD
    if rollout.is_first:  # nobody is there to be compared with on traffic
        last = Event.UNOPPOSED
        ahead = [(phase, event) for phase, event in _AHEAD if phase in BEFORE_TRAFFIC]
    for phase, event in ahead:
        is_skipped = phase is Phase.SHADOW and rollout.skips_shadow and has_canary
        is_ahead = event in TRANSITIONS[rollout.phase]
        if is_ahead and not is_skipped and declared_stage(policy, phase) is not None:
            return event
    return last
