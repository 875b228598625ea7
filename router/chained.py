"""An exchange on a route that feeds another one, or is fed by one (docs/governance/chains.md).

The set of versions that the request brought is read before its lot is drawn. The answer carries the
set with this route's lot behind it, and is an observation of every experiment in the set that this
route is fed by.
"""

from time import time, time_ns
from typing import TYPE_CHECKING

from router.call import Call
from router.chain import HEADER, Link, Versions, extended, opened, seal
from router.message import AnswerHead, RequestHead
from router.observation import Exposure, Outcome
from router.signed import SignedExchange
from router.table import Chain, chained_name
from router.token import Key

if TYPE_CHECKING:
    from router.downstream import Downstream
    from router.routes import LiveRoute
    from router.server import Server


class ChainedExchange(SignedExchange):
    """An exchange on a route with a chain; like any other where its lane has none."""

    __slots__ = ("_chain", "_key", "_versions")

    def __init__(
        self, downstream: "Downstream", server: "Server", live: "LiveRoute", head: RequestHead
    ) -> None:
        super().__init__(downstream, server, live, head)
        self._chain: Chain | None = self._live.route.chain  # of its lane: that may have none
        self._key: Key | None = self._live.chain_key
        self._versions: Versions | None = None
        """What the request brought, if it is ours."""
        value = head.fields.get(HEADER, b"")
        if not value or self._key is None:
            return
        found = opened(value, self._key, time())
        if isinstance(found, str):
            self._live.count("understudy_versions_refused_total", reason=found)
            return
        self._versions = found
        self._at_ns = self._at_ns or time_ns()
        if not self._live.unit_header or not head.fields.get(self._live.unit_header):
            # All requests of one chain meet the same version; our salt keeps lots independent.
            self._decision = self._live.lot.draw(found.unit.to_bytes(8, "big"))

    def _answer(
        self, call: Call, head: AnswerHead, payload: bytes, is_last: bool, ours: bytes
    ) -> None:
        """Begin the client's answer, with the set in its head."""
        versions, key = self._passed_on(), self._key
        if versions is not None and key is not None:
            line = HEADER + b": " + seal(versions, key)
            ours = line if not ours else ours + b"\r\n" + line
        super()._answer(call, head, payload, is_last, ours)

    def _passed_on(self) -> Versions | None:
        """Return the set as the next route should see it; None if there is nothing to tell."""
        live, decision, versions = self._live, self._decision, self._versions
        is_lot = 0.0 < decision.propensity < 1.0 and decision.mirror is None
        if self._chain is None or not live.experiment or not is_lot:
            return versions
        if self._loss == "body_too_large" or self._body_bytes > live.replay_bytes:
            return versions  # outside of the experiment, whoever was drawn
        link = Link(
            live.name,
            live.experiment,
            decision.is_challenger,
            decision.propensity,
            decision.unit,
        )
        return extended(versions, link, time())

    def _settle(self, call: Call) -> None:
        """Observe what was seen for this route's own experiment, and for those that fed it."""
        chain, versions = self._chain, self._versions
        if chain is None or versions is None:
            super()._settle(call)
            return
        outcome = call.outcome()
        super()._settle(call)
        for link in versions.links:
            if link.route in chain.fed_by:
                self._observe_for(link, outcome)

    def _observe_for(self, link: Link, outcome: Outcome) -> None:
        live = self._live
        self._server.observe(
            Exposure(
                chained_name(link.route, live.name),
                link.experiment,
                self.request_id.decode("ascii"),
                link.unit,
                link.is_challenger,
                link.propensity,
                live.table_version,
                self._at_ns,
                outcome,
            )
        )
