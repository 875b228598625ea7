"""One request's life: choose, ask, pass on the answer, and say afterwards what was seen.

The client's promise is kept here. A challenger that fails before the first byte of its answer has
gone out is replaced by the champion, which gets the same request from the bytes we kept. The
order of states is in states.py; docs/life-of-a-request.md walks through it.
"""

from time import time_ns
from typing import TYPE_CHECKING, Final

from router import trace
from router.call import Call
from router.errors import RequestError
from router.message import CHUNKED, IDEMPOTENT, AnswerHead, RequestHead
from router.mirror import Pair, PairIdentity
from router.observation import Exposure, Outcome
from router.pool import Pool
from router.states import OVER, Event, State, after
from router.wire import answer_head, frame, request_head

if TYPE_CHECKING:
    from router.downstream import Downstream
    from router.routes import LiveRoute
    from router.server import Server

MAX_UNSENT_BYTES: Final = 64 * 1024
"""What may wait for a connection to a variant before the client is paused."""
REFUSALS: Final = {
    "connect": (502, "the model server cannot be reached"),
    "reset": (502, "the model server closed the connection before it had answered"),
    "protocol": (502, "the model server's answer is not valid HTTP/1.1"),
    "timeout": (504, "the model server did not answer in the time it has"),
    "overload": (503, "too many requests are waiting for the model server"),
}
MAX_JOINED_BYTES: Final = 128 * 1024
"""Payload up to this size is copied behind its head, larger is written by itself. A second write
costs a system call and wakes the other side for a head it cannot use yet: as much as copying that
many bytes does."""

_ASKING: Final = State.ASKING
_ANSWERING: Final = State.ANSWERING
_HEAD: Final = Event.HEAD
_END: Final = Event.END


class Exchange:
    """Owner: the Downstream it came in on. Over when its state is in OVER."""

    __slots__ = (
        "_at_ns", "_body_bytes", "_call", "_decision", "_downstream", "_failed", "_has_retried",
        "_head", "_is_body_done", "_is_chunked_answer", "_is_held", "_keeps_alive", "_kept",
        "_live", "_loss", "_pair", "_server", "_span", "request_id", "state",
    )  # fmt: skip

    def __init__(
        self, downstream: "Downstream", server: "Server", live: "LiveRoute", head: RequestHead
    ) -> None:
        if live.inference is not None:
            live = live.lane(head)
        unit = head.fields.get(live.unit_header, b"") if live.unit_header else b""
        self.state = _ASKING
        self.request_id = head.request_id or server.entropy.request_id()
        self._downstream = downstream
        self._server = server
        self._live = live
        self._head = head
        # A request id that the client made up must not decide its variant, so a request that is
        # its own unit is hashed by bytes that nobody outside knows.
        self._decision = live.lot.draw(unit or server.entropy.unit())
        self._at_ns = time_ns() if live.experiment else 0
        self._call: Call | None = None
        self._failed: Outcome | None = None
        """Of who was asked first and failed, when somebody else answers instead."""
        self._pair: Pair | None = None
        self._loss = ""
        self._kept: list[bytes] | None = None
        """The request's body so far, while somebody else may need it too."""
        self._body_bytes = 0
        self._is_body_done = False
        self._is_held = False
        """Whether the challenger waits for a body whose size was not declared."""
        self._is_chunked_answer = False
        self._has_retried = False
        self._span = b""
        """Names this exchange in the client's trace; empty, as most are, where it is not traced."""
        if live.tracing and head.traceparent and trace.is_sampled(head.traceparent):
            self._span = server.entropy.span_id()
        self._keeps_alive = False
        """Whether the answer's head told the client that the connection lives on."""

    # The request, from the client.

    def begin(self, payload: bytes, is_last: bool) -> None:
        """Choose, and ask, with what has come of the body; RequestError if it is too large."""
        head, decision, live = self._head, self._decision, self._live
        if head.body_length > live.body_limit_bytes:
            raise _too_large(live.body_limit_bytes)
        if decision.is_challenger or decision.mirror is not None:
            self._kept = []
            ejection = live.ejection
            if head.body_length > live.replay_bytes:
                self._lose("body_too_large")
            elif ejection.is_ejected and not ejection.may_use(self._server.now_s()):
                self._lose("circuit_open")
        self._take(payload, is_last)
        asks_challenger = decision.is_challenger and not self._loss
        if asks_challenger and head.body_length == CHUNKED and not is_last:
            self._is_held = True
            return
        # The first request of a client's connection, if it may be retried at all, gets a connection
        # of its own: an end without an answer is then the variant's word, and none is asked twice.
        fresh = self._downstream.is_first and head.method in IDEMPOTENT
        pool = live.pools[decision.serve] if asks_challenger else live.champion
        self._ask(pool, payload, fresh=fresh)
        if is_last and decision.mirror is not None and self.state not in OVER:
            self._mirror(decision.mirror)

    def on_body(self, payload: bytes, is_last: bool) -> None:
        """More of the request's body; RequestError if it is too large."""
        self._take(payload, is_last)
        if self._is_held:
            self._stop_holding()
        elif self._call is not None and not self._call.is_over:
            if is_last:
                self._call.complete()
            self._call.send(frame(payload, is_last, self._head.body_length))
            if self._call.unsent_bytes > MAX_UNSENT_BYTES:
                self.on_request_full()
        if is_last and self._decision.mirror is not None and self.state not in OVER:
            self._mirror(self._decision.mirror)

    def _take(self, payload: bytes, is_last: bool) -> None:
        live = self._live
        self._is_body_done = is_last
        self._body_bytes += len(payload)
        if self._body_bytes > live.body_limit_bytes:
            raise _too_large(live.body_limit_bytes)
        if self._kept is not None:
            self._kept.append(payload)
            if self._body_bytes > live.replay_bytes and not self._is_held:
                self._lose("body_too_large")

    def _stop_holding(self) -> None:
        """Ask once the whole body is here, or once it is clear that it cannot be kept."""
        live = self._live
        fits = self._body_bytes <= live.replay_bytes
        if not self._is_body_done and fits:
            return
        assert self._kept is not None
        body = b"".join(self._kept)
        self._is_held = False
        if not fits:
            self._lose("body_too_large")
        self._ask(live.pools[self._decision.serve] if fits else live.champion, body)

    def _lose(self, reason: str) -> None:
        self._loss = reason
        self._kept = None

    def _ask(self, pool: Pool, payload: bytes, *, fresh: bool = False) -> None:
        live, head = self._live, self._head
        if live.standby is not None and pool is live.champion:
            pool = self._champion_or_standby(live, live.standby)
        if head.body_length == CHUNKED:
            payload = frame(payload, self._is_body_done, CHUNKED)
        is_joined = len(payload) <= MAX_JOINED_BYTES
        span = self._served_trace() if self._span else b""
        request = request_head(
            head, self.request_id, pool.authority, payload if is_joined else b"", span
        )
        call = Call(pool, head.method, request, self, live.capture_bytes)
        if not is_joined:
            call.send(payload)
        call.is_sent = self._is_body_done
        self._call = call
        pool.submit(call, fresh=fresh)

    def _served_trace(self) -> bytes:
        """Return the traceparent of a call: of the first who is asked, or of who stands in."""
        number = 1 if self._failed is None else 2
        return trace.served(self._head.traceparent, trace.leg(self._span, number))

    def _traced(self) -> str:
        """Return what the observation says of the trace."""
        return (self._head.traceparent + b"/" + self._span).decode("ascii") if self._span else ""

    def _mirror(self, variant: str) -> None:
        """The champion has the whole request: the challenger may have its copy."""
        live, server = self._live, self._server
        self._pair = pair = self._new_pair()
        if self._kept is None:
            server.mirrors.lose(live, pair, self._loss)
            return
        head, span, copied = self._head, b"", b""
        if self._span:
            copied = trace.copied(head.traceparent, trace.leg(self._span, 3))
        elif head.traceparent:
            span = server.entropy.span_id()
        kept, size = self._kept, self._body_bytes
        server.mirrors.copy(live, variant, head, self.request_id, kept, size, span, pair, copied)
        self._kept = None

    def _new_pair(self) -> Pair:
        live = self._live
        identity = PairIdentity(
            live.name,
            live.experiment,
            self.request_id.decode("ascii"),
            self._decision.unit,
            live.table_version,
            self._at_ns,
            self._traced(),
        )
        return Pair(self._server.mirrors, identity)

    def on_request_full(self) -> None:
        """The variant's side is full: the client must wait."""
        self._downstream.pause_request()

    def on_request_room(self) -> None:
        """The variant's side has room again."""
        self._downstream.resume_request()

    # The answer, from a variant.

    def on_answer_head(self, call: Call, payload: bytes, is_last: bool) -> None:
        """An answer begins: the client's, unless it is a challenger's failure."""
        if call is not self._call:
            return
        head = call.head
        assert head is not None
        if head.status >= 500 and self._may_fall_back(call):
            self._fall_back(call)
            return
        self._answer(call, head, payload, is_last, b"")

    def _answer(
        self, call: Call, head: AnswerHead, payload: bytes, is_last: bool, ours: bytes
    ) -> None:
        """Begin the client's answer: there is no way back from here.

        ``ours`` are field lines that go into its head; empty for most.
        """
        self.state = after(self.state, _HEAD)
        if not is_last and self._decision.mirror is None:
            self._kept = None  # nobody else will answer, and a stream may last for minutes
        request = self._head
        keep = request.keep_alive and self._is_body_done and not self._server.ends_keep_alive
        self._keeps_alive = keep
        variant = call.pool.name if self._live.show_variant else ""
        begin = answer_head(head, request, self.request_id, keep, variant, ours)
        if head.body_length < 0 and request.is_http_11:
            self._is_chunked_answer = True
            payload = frame(payload, is_last, CHUNKED)
        if len(payload) <= MAX_JOINED_BYTES:
            self._downstream.write(begin + payload)
        else:
            self._downstream.write(begin)
            self._downstream.write(payload)
        if is_last:
            self._end()

    def on_answer_payload(self, call: Call, payload: bytes, is_last: bool) -> None:
        """The answer goes on."""
        if call is not self._call:
            return
        if self._is_chunked_answer:
            payload = frame(payload, is_last, CHUNKED)
        if payload:
            self._downstream.write(payload)
        if is_last:
            self._end()

    def on_switch(self, call: Call, raw: bytes, head: AnswerHead, rest: bytes) -> bool:
        """A 101 that nobody asked for; see upgrade.py for one that was."""
        return False

    def on_call_failed(self, call: Call, is_stale: bool) -> None:
        """No complete answer will come from this variant."""
        if call is not self._call:
            return
        if self.state is _ANSWERING:
            self.state = after(self.state, Event.FAIL)
            self._settle(call)
            self._cut()
        elif is_stale and self._may_retry():
            self.state = after(self.state, Event.RETRY)
            self._has_retried = True
            self._live.count("understudy_retries_total", variant=call.pool.name)
            self._downstream.resume_request()
            self._ask(call.pool, self._body_so_far(), fresh=True)
        elif self._may_fall_back(call):
            self._fall_back(call)
        elif self._live.standby is not None and self._stand_in(call, self._live.standby):
            pass
        else:
            self.state = after(self.state, Event.FAIL)
            self._settle(call)
            status, message = REFUSALS[call.fault]
            keep = self._head.keep_alive and self._is_body_done
            self._downstream.refuse(
                status, message, keep=keep, method=self._head.method, token=self._failure_token()
            )

    def _failure_token(self) -> bytes:
        """Return what the client can label a request with that nobody answered; see signed.py."""
        return b""

    def _may_retry(self) -> bool:
        """A POST is never sent twice once a byte of it may have been read (RFC 9110, 9.2.2)."""
        if self._has_retried or self._head.method not in IDEMPOTENT:
            return False
        return not self._body_bytes or self._kept is not None

    def _body_so_far(self) -> bytes:
        return b"".join(self._kept) if self._kept is not None else b""

    def _may_fall_back(self, call: Call) -> bool:
        pool, live = call.pool, self._live
        return pool is not live.champion and pool is not live.standby and self._kept is not None

    def _fall_back(self, call: Call) -> None:
        """The champion answers for the challenger, and the challenger bears the failure."""
        self.state = after(self.state, Event.FALL_BACK)
        if not call.is_over:
            call.drop("status")
        live = self._live
        live.count("understudy_fallbacks_total", reason=call.fault)
        outcome = call.outcome()
        live.count_call(call, "challenger")
        self._server.judge(live, outcome.fault)
        self._failed = outcome
        self._downstream.resume_request()
        self._ask(live.champion, self._body_so_far())

    # The standby, where there is one.

    def _champion_or_standby(self, live: "LiveRoute", standby: Pool) -> Pool:
        """Return whom to ask: a champion that rests after failures in a row is not asked."""
        health = live.health
        if not health.is_ejected or health.may_use(self._server.now_s()):
            return live.champion
        live.count("understudy_standby_requests_total", reason="resting")
        if self._failed is None:
            self._failed = Outcome(live.champion.name, 0, 0.0, "connect")
        return standby

    def _stand_in(self, call: Call, standby: Pool) -> bool:
        """Have the standby answer for the champion, if the request may be sent once more.

        Any request may of which nothing was sent; of the others only one that may be done twice,
        and nobody has done three times: this is the last that is asked.
        """
        live = self._live
        if call.pool is not live.champion or call.fault == "overload":
            return False
        unsent = call.take_unsent()
        if not unsent and not self._may_retry():
            return False
        self.state = after(self.state, Event.FALL_BACK)
        live.count("understudy_standby_requests_total", reason=call.fault)
        live.count_call(call, "champion")
        self._server.judge_champion(live, call.fault)
        if self._failed is None:
            self._failed = call.outcome()
        self._downstream.resume_request()
        if not unsent:
            self._ask(standby, self._body_so_far())
            return True
        again = Call(standby, self._head.method, b"".join(unsent), self, live.capture_bytes)
        again.is_sent = self._is_body_done
        self._call = again
        standby.submit(again)
        return True

    # The end.

    def _end(self) -> None:
        self.state = after(self.state, _END)
        assert self._call is not None
        self._settle(self._call)
        self._downstream.exchange_over(self._keeps_alive)

    def leave(self) -> None:
        """The client has gone: nobody's error, and no more work for it."""
        self.state = after(self.state, Event.LEAVE)
        self._drop("aborted")

    def break_off(self) -> None:
        """The process stops before the answer is whole."""
        self.leave()
        self._cut()

    def refuse(self, error: RequestError) -> None:
        """The client's request went wrong after it began; it may have an answer under way."""
        was_asking = self.state is _ASKING
        self.state = after(self.state, Event.REFUSE)
        self._drop("aborted")
        if was_asking:
            method = self._head.method
            self._downstream.refuse(error.status_hint, str(error), keep=False, method=method)
        else:
            self._cut()

    def _cut(self) -> None:
        # In HTTP/1.0 only a length tells a whole answer from a broken one.
        self._downstream.cut(with_reset=not self._head.is_http_11)

    def _drop(self, fault: str) -> None:
        call = self._call
        if call is None:
            return
        call.drop(fault)
        self._settle(call)

    def pause_answer(self) -> None:
        """The client does not read: stop taking in the answer."""
        call = self._call
        # When the answer's end is what filled the client's side, the connection is not ours any
        # more: paused, it would never answer the next request that it carries.
        if call is not None and not call.is_over:
            call.pause()

    def resume_answer(self) -> None:
        """The client reads again."""
        if self._call is not None and not self._call.is_over:
            self._call.resume()

    def _settle(self, call: Call) -> None:
        """Count the serving call and observe what was seen; once, at the end."""
        live = self._live
        pool = call.pool
        if pool is live.champion:
            live.count_call(call, "champion" if self._failed is None else "fallback")
            if live.standby is not None:
                self._server.judge_champion(live, call.fault)
        elif pool is live.standby:
            live.count_call(call, "standby")
        else:
            live.count_call(call, "challenger")
            self._server.judge(live, call.fault)
        if live.experiment:
            self._observe(call.outcome())
        # The call knows this exchange: left in place, each request would be a cycle for the
        # garbage collector.
        self._call = None

    def _observe(self, served: Outcome) -> None:
        if self._pair is None and self._decision.mirror is not None:
            # Answered, refused or left before the request was whole: there is nothing to copy.
            self._pair = self._new_pair()
            self._server.mirrors.lose(self._live, self._pair, self._loss or "incomplete")
        if self._pair is not None:
            self._pair.settle_champion(served if self._failed is None else self._failed)
            return
        live, decision = self._live, self._decision
        failed = self._failed
        # Too large to be kept means outside the experiment, whoever it was assigned to.
        too_large = self._body_bytes > live.replay_bytes
        self._server.observe(
            Exposure(
                live.name,
                live.experiment,
                self.request_id.decode("ascii"),
                decision.unit,
                decision.is_challenger,
                decision.propensity,
                live.table_version,
                self._at_ns,
                served if failed is None else failed,
                None if failed is None else served,
                "body_too_large" if too_large else self._loss,
                self._traced(),
            )
        )


def _too_large(limit_bytes: int) -> RequestError:
    return RequestError(f"the body is over {limit_bytes} bytes", status_hint=413)
