"""An exchange whose answer carries an exposure token in its head (docs/labels/token.md).

The head needs the prediction, which is in the body: an answer is held back until it is whole, up
to a declared size. What is held has not gone out, so until then the champion can still answer for
the challenger.
"""

from typing import TYPE_CHECKING

from router.call import Call
from router.exchange import Exchange
from router.message import RequestHead
from router.stream import EVENTS
from router.token import HEADER

if TYPE_CHECKING:
    from router.downstream import Downstream
    from router.routes import LiveRoute
    from router.server import Server


class SignedExchange(Exchange):
    """An exchange on a route that signs; like any other where its lane does not."""

    __slots__ = ("_held", "_held_bytes")

    def __init__(
        self, downstream: "Downstream", server: "Server", live: "LiveRoute", head: RequestHead
    ) -> None:
        super().__init__(downstream, server, live, head)
        self._held: list[bytes] | None = None
        """The answer's body so far, while its head waits for the rest."""
        self._held_bytes = 0

    def on_answer_head(self, call: Call, payload: bytes, is_last: bool) -> None:
        """An answer begins: hold it back, unless it is whole or never will be of a size to hold."""
        signer, head = self._live.signer, call.head
        if signer is None or head is None or call is not self._call:
            super().on_answer_head(call, payload, is_last)
        elif head.status >= 500 and self._may_fall_back(call):
            self._fall_back(call)
        elif is_last:
            self._answer(call, head, payload, True, _line(self._token(call)))
        elif head.form == EVENTS or max(head.body_length, len(payload)) > signer.hold_bytes:
            self._answer(call, head, payload, False, _line(self._token(None)))
        else:
            self._held = [payload]
            self._held_bytes = len(payload)

    def on_answer_payload(self, call: Call, payload: bytes, is_last: bool) -> None:
        """The answer goes on: let it go once it is whole, or too large to be held."""
        held, signer, head = self._held, self._live.signer, call.head
        if held is None or signer is None or head is None or call is not self._call:
            super().on_answer_payload(call, payload, is_last)
            return
        held.append(payload)
        self._held_bytes += len(payload)
        if not is_last and self._held_bytes <= signer.hold_bytes:
            return
        self._held = None
        line = _line(self._token(call if is_last else None))
        self._answer(call, head, b"".join(held), is_last, line)

    def on_call_failed(self, call: Call, is_stale: bool) -> None:
        """No complete answer will come: what was held of it goes to nobody."""
        if call is self._call:
            self._held = None
        super().on_call_failed(call, is_stale)

    def _failure_token(self) -> bytes:
        """Who was refused can label as well: else only one variant's failures would be labelled."""
        signer = self._live.signer
        return b"" if signer is None else self._sign(None, True)

    def _token(self, call: Call | None) -> bytes:
        """Return the token of an answer; None is one that goes out before it is whole."""
        # The champion's answer for a challenger that failed, or rested, is labelled as a failure.
        is_failed = self._failed is not None or self._loss == "circuit_open"
        return self._sign(call, is_failed)

    def _sign(self, call: Call | None, is_failed: bool) -> bytes:
        live, decision = self._live, self._decision
        signer = live.signer
        assert signer is not None  # who calls has looked
        reason = self._outside()
        if reason:
            signer.withhold(reason)
            return b""
        outcome = call.outcome() if call is not None and not is_failed else None
        return signer.token(self.request_id, decision, self._at_ns, outcome, is_failed=is_failed)

    def _outside(self) -> str:
        """Return why this request is no exposure, as the observation will say; empty if it is."""
        if self._decision.mirror is not None:
            return "pair"
        if self._loss == "body_too_large" or self._body_bytes > self._live.replay_bytes:
            return "body_too_large"
        return "" if self._is_body_done else "incomplete"


def _line(token: bytes) -> bytes:
    return HEADER + b": " + token if token else b""
