"""Copies of requests for the challenger: bounded, droppable, never waited for.

A copy is made when the whole request is in hand and the champion has it. From then on it shares
nothing with the client: it has its own connection, its own deadline and a place in a budget. What
cannot be copied is counted with its reason, because missing pairs are evidence too.
"""

from collections.abc import Callable

from router.call import Call
from router.message import AnswerHead, RequestHead
from router.observation import MirroredPair, Observation, Outcome
from router.routes import LiveRoute
from router.wire import copy_head

MAX_COPIES = 512
"""Under way at once, in one router process."""
MAX_COPY_BYTES = 64 * 1024 * 1024
"""Request bodies held by copies under way, in one router process."""
_UNMEASURED = {"timeout": "deadline", "aborted": "shutdown"}
"""Copies that were sent, and whose answer did not come: by fault, and the reason that counts them.
Nobody but ``close`` gives up on a copy."""


class PairIdentity:
    """What both halves of a pair share."""

    __slots__ = ("at_ns", "experiment", "request_id", "route", "table_version", "trace", "unit")

    def __init__(
        self, route: str, experiment: str, request_id: str, unit: int, table_version: int,
        at_ns: int, trace: str = "",
    ) -> None:  # fmt: skip
        self.route = route
        self.experiment = experiment
        self.request_id = request_id
        self.unit = unit
        self.table_version = table_version
        self.at_ns = at_ns
        self.trace = trace


class Pair:
    """Two answers to one request; whoever comes second makes the observation."""

    __slots__ = ("_challenger", "_champion", "_identity", "_loss", "_mirrors")

    def __init__(self, mirrors: "Mirrors", identity: PairIdentity) -> None:
        self._mirrors = mirrors
        self._identity = identity
        self._champion: Outcome | None = None
        self._challenger: Outcome | None = None
        self._loss = ""

    def settle_champion(self, outcome: Outcome) -> None:
        """The client's exchange is over."""
        self._champion = outcome
        if self._challenger is not None or self._loss:
            self._observe(outcome)

    def settle_challenger(self, outcome: Outcome) -> None:
        """The copy is over."""
        self._challenger = outcome
        if self._champion is not None:
            self._observe(self._champion)

    def lose(self, reason: str) -> None:
        """There is no copy; ``reason`` is one of LOSSES."""
        self._loss = reason
        if self._champion is not None:
            self._observe(self._champion)

    def _observe(self, champion: Outcome) -> None:
        identity = self._identity
        self._mirrors.observe(
            MirroredPair(
                identity.route,
                identity.experiment,
                identity.request_id,
                identity.unit,
                identity.table_version,
                identity.at_ns,
                champion,
                self._challenger,
                self._loss,
                identity.trace,
            )
        )


class Copy:
    """One mirrored request under way."""

    __slots__ = ("_live", "_mirrors", "_pair", "body_bytes", "call")

    def __init__(self, mirrors: "Mirrors", live: LiveRoute, pair: Pair, body_bytes: int) -> None:
        self._mirrors = mirrors
        self._live = live
        self._pair = pair
        self.body_bytes = body_bytes
        self.call: Call | None = None

    def on_answer_head(self, call: Call, payload: bytes, is_last: bool) -> None:
        if is_last:
            self._end(call)

    def on_answer_payload(self, call: Call, payload: bytes, is_last: bool) -> None:
        if is_last:
            self._end(call)

    def on_call_failed(self, call: Call, is_stale: bool) -> None:
        self._end(call)

    def on_switch(self, call: Call, raw: bytes, head: AnswerHead, rest: bytes) -> bool:
        return False

    def on_request_full(self) -> None:
        pass  # the whole copy was handed over at once; its bytes are in the budget

    def on_request_room(self) -> None:
        pass

    def _end(self, call: Call) -> None:
        self._mirrors.ended(self)
        self.call = None
        live, outcome = self._live, call.outcome()
        live.count_call(call, "mirror")
        reason = _UNMEASURED.get(outcome.fault)
        if reason is not None:
            live.count("understudy_mirror_dropped_total", reason=reason)
        self._mirrors.judge(live, outcome.fault)
        self._pair.settle_challenger(outcome)


class Mirrors:
    """All copies of one router process, and their budget."""

    def __init__(
        self, observe: Callable[[Observation], None], judge: Callable[[LiveRoute, str], None]
    ) -> None:
        self.observe = observe
        self.judge = judge
        """Told how each copy's call ended: its fault, or an empty string."""
        self.is_closed = False
        self.is_shedding = False
        """Whether the router is short of time or memory: copies are the first to go."""
        self._under_way: set[Copy] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._under_way)

    def copy(
        self, live: LiveRoute, variant: str, head: RequestHead, request_id: bytes,
        body: list[bytes], body_bytes: int, span_id: bytes, pair: Pair, trace: bytes = b"",
    ) -> None:  # fmt: skip
        """Send a copy of a whole request to ``variant``, if there is room for it.

        ``span_id`` and ``trace`` are those of ``copy_head``.
        """
        reason = self._no_room(body_bytes)
        if reason:
            self.lose(live, pair, reason)
            return
        copy = Copy(self, live, pair, body_bytes)
        self._under_way.add(copy)
        self._bytes += body_bytes
        pool = live.pools[variant]
        first = copy_head(
            head, request_id, pool.authority, body_bytes, span_id, live.copy_fields, trace
        )
        request = b"".join((first, *body))
        copy.call = Call(pool, head.method, request, copy, live.capture_bytes)
        pool.submit(copy.call)

    def _no_room(self, body_bytes: int) -> str:
        if self.is_closed:
            return "shutdown"
        if len(self._under_way) >= MAX_COPIES:
            return "queue_full"
        if self.is_shedding or self._bytes + body_bytes > MAX_COPY_BYTES:
            return "budget"
        return ""

    def lose(self, live: LiveRoute, pair: Pair, reason: str) -> None:
        """Count a copy that is not made."""
        live.count("understudy_mirror_dropped_total", reason=reason)
        pair.lose(reason)

    def ended(self, copy: Copy) -> None:
        """Give back the room of a copy that is over."""
        if copy in self._under_way:
            self._under_way.remove(copy)
            self._bytes -= copy.body_bytes

    def close(self) -> None:
        """Drop what is under way and make no more copies."""
        self.is_closed = True
        for copy in list(self._under_way):
            if copy.call is not None:
                copy.call.drop()
                copy.on_call_failed(copy.call, False)
