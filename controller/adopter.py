"""Takes over a routing file: what may change changes, whole or not at all.

What may be adopted is decided in ``adoption``; here it is done and recorded.
"""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from controller.adoption import Adoption, IntentRefused, reconcile
from controller.audit import Entry
from controller.intake import Intake
from controller.mover import RECOVERY, Mover
from controller.plan import lay_out, plan_all
from controller.policy import Intent, RouteIntent
from controller.rollout import Event
from controller.store import RouteState, StoreError
from controller.traffic import Change, Traffic
from router.table import Route, RoutingTable, Variant

log = structlog.get_logger(__name__)


class Adopter:
    """One thread; made and used by the Controller.

    ``published`` are the routes that routers were last known to serve, and ``loss`` how the state
    was lost (empty: it was not); both matter for the first file only.
    """

    def __init__(
        self,
        mover: Mover,
        traffic: Traffic,
        intake: Intake,
        *,
        published: Mapping[str, Route],
        loss: str,
    ) -> None:
        self._mover = mover
        self._traffic = traffic
        self._intake = intake
        self._champions = {name: route.split.champion for name, route in published.items()}
        self._loss = loss
        self._refused_digest = ""

    def adopt(self, intent: Intent, who: str) -> None:
        """Take over ``intent``; IntentRefused or StoreError, and then nothing has changed.

        A challenger that it no longer declares is rolled back first: with the old file, which
        still says where its champion is.
        """
        try:
            _check_matches(intent)
            adoption = self._reconcile(intent)
        except IntentRefused as refusal:
            self._note(refusal, intent, who)
            raise
        self._traffic.require_settled()
        for name in adoption.withdrawn:
            self._withdraw(name, who)
        self._take_over(intent, self._reconcile(intent), who)

    def _withdraw(self, name: str, who: str) -> None:
        """Give the champion its users back, broken or not: what is not declared is not served."""
        evidence = self._intake.evidence(name, now_s=self._mover.wall_s())
        health = evidence.champion_health if evidence is not None else None
        because = "the routing file no longer declares it"
        if health is not None and health.is_broken:
            because += f"; the champion, which has the users again, is broken ({health.told})"
        self._mover.move(name, Event.WITHDRAWN, who=who, because=because, evidence=evidence)

    def _reconcile(self, intent: Intent) -> Adoption:
        is_first = self._mover.intent is None
        return reconcile(
            intent,
            self._mover.states,
            serving=self._champions if is_first else {},
            hold_reason=self._loss if is_first else "",
        )

    def _take_over(self, intent: Intent, adopted: Adoption, who: str) -> None:
        adoption = replace(
            adopted, states=tuple(self._asked(s, intent, who) for s in adopted.states)
        )
        declared = {route.name: route for route in intent.routes}
        table = self._traffic.table
        routes = tuple(self._mover.route_of(s, declared[s.name]) for s in adoption.states)
        planned = table if routes == table.routes else plan_all(table, routes)
        if intent != self._mover.intent or planned is not table:
            entries = self._accounts(intent, adoption, who, (table.version, planned.version))
            change = Change(planned, entries, adoption.states, adoption.removed, intent)
            self._traffic.advance(change, action="reload" if self._mover.states else "adopt")
        self._mover.intent = intent
        self._mover.states = {state.name: state for state in adoption.states}
        for name in adoption.removed:
            self._intake.end(name)

    def _asked(self, state: RouteState, intent: Intent, who: str) -> RouteState:
        """Note who asks for each variant of a route: whoever changes another one does not."""
        declared = next(route for route in intent.routes if route.name == state.name)
        before = self._mover.serving().get(state.name)
        old = {} if before is None else _variants(before)
        askers: dict[str, tuple[str, ...]] = {}
        for name, variant in _variants(declared).items():
            known = state.askers.get(name, ()) if name in old else ()
            is_asked = old.get(name) != variant and who not in known
            askers[name] = (*known, who) if is_asked else known
        return replace(state, askers=askers)

    def _accounts(
        self, intent: Intent, adoption: Adoption, who: str, tables: tuple[int, int]
    ) -> tuple[Entry, ...]:
        declared = {route.name: route for route in intent.routes}
        old, serving = self._mover.states, self._mover.serving()
        told: list[tuple[RouteState, str, str, str]] = []
        for state in adoption.states:
            if state.name in adoption.new:
                told.append((state, "adopt", _answers(state, declared[state.name]), who))
            else:
                is_same = declared[state.name] == serving.get(state.name)
                because = "as before" if is_same else "the routing file has changed it"
                told.append((state, "reload", because, who))
            if state.name in adoption.new and state.hold_reason:
                told.append((state, "hold", f"{state.hold_reason}; audit begins anew", RECOVERY))
        for name in adoption.removed:
            because = "the routing file no longer declares the route"
            told.append((old[name], "reload", because, who))
        return tuple(
            self._mover.account(
                old.get(state.name, state),
                state,
                who=by,
                action=action,
                because=because,
                tables=tables,
                digest=intent.digest,
            )
            for state, action, because, by in told
        )

    def _note(self, refusal: IntentRefused, intent: Intent, who: str) -> None:
        """Record an attempt to go around the gates: once a file, and if the store takes it."""
        log.warning("intent_refused", because=str(refusal))
        state = self._mover.states.get(refusal.route or "")
        if state is None or intent.digest == self._refused_digest:
            return
        self._refused_digest = intent.digest
        try:
            self._mover.annotate(state, who=who, action="refuse", because=str(refusal))
        except StoreError as exc:
            log.error("refusal_not_recorded", error=str(exc))


def _variants(route: RouteIntent) -> dict[str, tuple[Variant, str | None]]:
    """Return where each variant of the file is, and which registered version it runs, by name."""
    models = dict(route.models)
    declared = (route.champion, *route.challengers)
    return {one.name: (one, models.get(one.name)) for one in declared}


def _answers(state: RouteState, route: RouteIntent) -> str:
    if state.is_proven:
        return f"{state.champion} answers its users"
    nobody = "nobody" if route.standby is None else f"{route.standby.name}, the standby,"
    return f"{nobody} answers its users: {state.champion} has passed no gate yet"


def _check_matches(intent: Intent) -> None:
    """IntentRefused unless the routes make a table: before anything is moved for their sake."""
    try:
        RoutingTable(
            version=0,
            routes=tuple(
                lay_out(route, policy=route, champion=route.champion.name, rollout=None, salt=b"")
                for route in intent.routes
            ),
        )
    except ValueError as exc:
        raise IntentRefused(str(exc)) from exc
