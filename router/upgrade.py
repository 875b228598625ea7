"""A request that asks for another protocol on its connection, where the route declares that.

Only the champion's 101 makes the client's further bytes anything: until it comes they are held,
and after any other answer the connection is closed with them. Read as requests they would be
requests that somebody else's model server saw as the body of this one (CVE-2026-2833).
"""

import re
from typing import TYPE_CHECKING, Final

from router.call import Call
from router.exchange import Exchange
from router.message import AnswerHead, RequestHead
from router.states import Event, after
from router.tunnel import Half, Tunnel

if TYPE_CHECKING:
    from router.downstream import Downstream
    from router.routes import LiveRoute
    from router.server import Server

_UPGRADE: Final = re.compile(rb"(?im)^upgrade:[ \t]*([^\r\n]*?)[ \t]*\r$")


def asked_of(head: RequestHead, declared: frozenset[bytes]) -> bytes:
    """Return the protocol that ``head`` asks for, in lower case, if it may have it; else nothing.

    Without a body, which would have to be read before the tunnel begins (RFC 9110 section 7.8).
    """
    token = head.fields.get(b"upgrade", b"").lower()
    if token not in declared or head.method != b"GET" or not head.is_http_11:
        return b""
    nominated = head.fields.get(b"connection", b"").lower().split(b",")
    is_asked = b"upgrade" in [one.strip(b" \t") for one in nominated]
    return token if is_asked and not head.body_length and not head.expects_continue else b""


class Upgrade(Exchange):
    """An exchange that may end in a tunnel. On the lane without an experiment; never kept alive."""

    __slots__ = ("_token",)

    def __init__(
        self, downstream: "Downstream", server: "Server", live: "LiveRoute", head: RequestHead,
        token: bytes,
    ) -> None:  # fmt: skip
        head.forward += (b"connection: upgrade", b"upgrade: %b" % token)
        head.keep_alive = False
        super().__init__(downstream, server, live, head)
        self._token = token

    def on_switch(self, call: Call, raw: bytes, head: AnswerHead, rest: bytes) -> bool:
        """The variant says 101: become a tunnel, if it is to what was asked for."""
        found = _UPGRADE.findall(raw)
        upstream = call.connection
        if [one.lower() for one in found] != [self._token] or upstream is None:
            return False
        assert upstream.transport is not None
        self.state = after(self.state, Event.SWITCH)
        call.switch(head)
        self._settle(call)
        transport, held, has_left = self._downstream.hand_over()
        tunnel = Tunnel(self._server, self._live)
        client = Half(tunnel, self._downstream, transport)
        variant = Half(tunnel, upstream, upstream.transport)
        lines = [b"HTTP/1.1 %b" % head.line, *head.forward, b"connection: upgrade"]
        lines += (b"upgrade: %b" % self._token, b"x-request-id: %b\r\n\r\n" % self.request_id)
        tunnel.open(client, variant, b"\r\n".join(lines) + rest, held)
        if has_left:
            client.eof_received()
        return True

    def on_answer_head(self, call: Call, payload: bytes, is_last: bool) -> None:
        """Any other answer is passed on, and the connection ends with it."""
        self._live.count("understudy_tunnels_total", result="refused")
        super().on_answer_head(call, payload, is_last)
