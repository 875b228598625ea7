"""A variant's connections: which to reuse, when to open one, who waits. How one is opened is the
dial's business.

Last in, first out, so that the number in use follows the load and the rest grow old and close;
the oldest idle one is always at the other end. No request ever looks at more than it needs.
"""

from collections import deque
from collections.abc import Callable

from router.call import Call
from router.deadline import Deadlines
from router.dial import Dial, DialError
from router.tasks import spawn
from router.upstream import Upstream


class Room:
    """How many connections all pools of a router may open together. Owner: the Server."""

    __slots__ = ("n_free",)

    def __init__(self, n_free: int) -> None:
        self.n_free = n_free


class Pool:
    """Owner: the LiveRoute that names the variant. Closed when no table names it any more."""

    def __init__(
        self,
        dial: Dial,
        deadlines: Deadlines,
        clock: Callable[[], float],
        room: Room | None = None,
        silence_deadlines: Deadlines | None = None,
    ) -> None:
        self.variant = dial.variant
        self.name = dial.variant.name
        self.deadlines = deadlines
        """For the response timeout of this variant's calls."""
        self.silence_deadlines = deadlines if silence_deadlines is None else silence_deadlines
        """For their idle timeout: a part of it, see stream.CHECKS."""
        self.authority = dial.variant.authority.encode()
        self.n_open = 0
        """Connections that are open or being opened."""
        self._dial = dial
        self._open_ones: set[Upstream] = set()
        """Those that are open, idle or not."""
        self.keepalive_s = dial.variant.keepalive_s
        """How long a connection may be idle and still be used: the table's word, or less."""
        self.now_s = clock
        self._idle: deque[Upstream] = deque()
        self._waiting: deque[Call] = deque()
        self._is_closed = False
        self._room = room if room is not None else Room(1_000_000)
        dial.keep_only = self._keep_only

    def __repr__(self) -> str:
        return (
            f"<Pool {self.variant.name} [{self.n_open} open, {len(self._idle)} idle, "
            f"{len(self._waiting)} waiting]>"
        )

    @property
    def n_idle(self) -> int:
        """Connections that could take a call now."""
        return len(self._idle)

    @property
    def n_waiting(self) -> int:
        """Calls without a connection yet."""
        return len(self._waiting)

    def submit(self, call: Call, *, fresh: bool = False) -> None:
        """Have ``call`` carried by an idle connection, a new one, or the next to come free.

        ``fresh`` asks for a connection that has carried nothing before.
        """
        now_s = call.started_s
        self.deadlines.add(call, now_s)
        idle = self._idle
        while idle and not fresh:
            connection = idle.pop()
            if connection.is_closed:
                continue
            if now_s - connection.idle_since_s <= self.keepalive_s:
                connection.start(call)
                return
            connection.abort()  # the sweep comes once a second; the variant may be quicker
        if idle:  # one comes, one goes: clients that ask once must not pile up connections
            oldest = idle.popleft()
            oldest.abort()
            self.forget(oldest)
        if self.n_open < self.variant.max_connections and self._room.n_free > 0:
            self._start_opening(call)
        elif self.n_open and len(self._waiting) < self.variant.max_pending:
            self._waiting.append(call)
        else:
            call.fail("overload")

    async def _open(self, call: Call) -> None:
        try:
            connection = await self._dial.open(lambda: Upstream(self))
        except DialError as error:
            if error.reason != "descriptors":
                self._not_opened(call, "connect")
            elif not self._may_wait(call):
                self._not_opened(call, "overload")
            return
        except BaseException:
            self._not_opened(call, "connect")
            raise
        if connection.is_closed:
            call.fail("reset")  # lost between its making and now; nobody will say so again
            return
        self._open_ones.add(connection)
        if call.is_over:
            connection.idle_since_s = self.now_s()
            self.release(connection)
        else:
            connection.start(call)

    def _may_wait(self, call: Call) -> bool:
        """Out of descriptors: the call waits for one of the connections that there are, if any."""
        if self.n_open <= 1 or len(self._waiting) >= self.variant.max_pending:
            return False
        # Not by ``_place_is_free``: that would try to open another at once, and so on.
        self.n_open -= 1
        self._room.n_free += 1
        if not call.is_over:
            self._waiting.append(call)
        return True

    def _not_opened(self, call: Call, fault: str) -> None:
        call.fail(fault)
        self._place_is_free()

    def _place_is_free(self) -> None:
        """A connection has ended or never was; if calls wait, its place goes to the next."""
        self.n_open -= 1
        self._room.n_free += 1
        if self._waiting:
            self._open_for_waiting()

    def _open_for_waiting(self) -> None:
        """A place came free without a connection: the next in line tries its own."""
        call = self._next_waiting()
        if call is not None:
            self._start_opening(call)

    def _start_opening(self, call: Call) -> None:
        self.n_open += 1
        self._room.n_free -= 1
        spawn(self._open(call), name=f"connect-{self.variant.name}")

    def _next_waiting(self) -> Call | None:
        waiting = self._waiting
        while waiting:
            call = waiting.popleft()
            if not call.is_over:
                return call
        return None

    def release(self, connection: Upstream) -> None:
        """Take back a connection whose call is complete."""
        connection.is_reused = True
        if connection.is_retired:
            connection.abort()
            return
        call = self._next_waiting() if self._waiting else None
        if call is not None:
            connection.start(call)
            return
        if self._is_closed:
            connection.abort()
            return
        self._idle.append(connection)

    def learn_idle(self, said_s: int) -> None:
        """Note that the variant says it closes idle connections after ``said_s`` seconds.

        We close a second earlier, or at half of a time that is shorter than two.
        """
        self.keepalive_s = min(self.variant.keepalive_s, max(said_s - 1.0, said_s / 2))

    def forget(self, connection: Upstream) -> None:
        """A connection has ended. Idempotent."""
        if connection.is_forgotten:
            return
        connection.is_forgotten = True
        # An idle one is skipped when it comes to be used, or dropped below when it is the oldest.
        self._open_ones.discard(connection)
        self._place_is_free()

    def close_idle(self, now_s: float) -> None:
        """Close what has been idle for longer than it may."""
        idle = self._idle
        until = now_s - self.keepalive_s
        while idle and (idle[0].is_closed or idle[0].idle_since_s <= until):
            connection = idle.popleft()
            if not connection.is_closed:
                connection.abort()

    def _keep_only(self, addresses: frozenset[str]) -> None:
        """Leave all other addresses: idle connections now, busy ones after their call."""
        for connection in list(self._open_ones):
            if connection.address in addresses:
                continue
            connection.is_retired = True
            if connection.call is None:
                connection.abort()

    def close(self) -> None:
        """Close what is idle now, and the rest when no call of an old table needs it any more."""
        self._is_closed = True
        self._dial.close()
        while self._idle:
            self._idle.pop().abort()
