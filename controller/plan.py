"""What the data plane must be told in each phase of a rollout. Pure.

Shares come from one place, ``shares``, and only from the ladder that was declared when the rollout
began: no file, reload or restart can raise a challenger's share between two rungs.
"""

from dataclasses import dataclass, replace

import msgspec

from controller.policy import RouteIntent
from controller.rollout import WITH_TRAFFIC, Phase, Rollout, stage_for
from router.table import BUCKETS, Chain, Mirror, Route, RoutingTable, Signing, Split, Variant


@dataclass(frozen=True, slots=True)
class Shares:
    """What a challenger gets of a route's units."""

    challenger_buckets: int = 0
    """Served by the challenger."""
    mirror_buckets: int = 0
    """Served by the champion, and copied to the challenger."""


def shares(policy: RouteIntent, rollout: Rollout | None) -> Shares:
    """Return what the rollout's phase gives its challenger; nothing without one that runs.

    ``policy`` is the declaration that the rollout began under, not the present file.
    """
    if rollout is None:
        return Shares()
    match rollout.phase:
        case Phase.SHADOW:
            return Shares(mirror_buckets=stage_for(policy, Phase.SHADOW).mirror_buckets)
        case Phase.CANARY:
            ladder = stage_for(policy, Phase.CANARY).shares_buckets
            return Shares(challenger_buckets=ladder[rollout.step])
        case Phase.WATCH:
            holdback = 0 if rollout.is_rescue else stage_for(policy, Phase.WATCH).holdback_buckets
            return Shares(challenger_buckets=BUCKETS - holdback)
    return Shares()


def lay_out(
    serving: RouteIntent,
    *,
    policy: RouteIntent,
    champion: str,
    rollout: Rollout | None,
    salt: bytes,
    is_proven: bool = True,
    chain_key: bytes = b"",
) -> Route:
    """Return the route as the routers must serve it.

    ``serving`` is the present file: addresses, limits and the match. ``policy`` is the one that
    the rollout began under: shares, and what a unit is. KeyError when ``serving`` does not declare
    a variant that is needed. Unless ``is_proven`` the champion answers only in the phase that is
    for that; before and after, the standby does, or nobody.
    """
    is_first = rollout is not None and rollout.phase is Phase.COLD_START
    is_closed = not (is_proven or is_first)
    if is_closed and serving.standby is not None:
        stand_in, is_closed = serving.standby, False
        serving = replace(serving, champion=stand_in, standby=None)
        champion = stand_in.name
    is_on = is_first or (rollout is not None and rollout.phase in WITH_TRAFFIC)
    given = shares(policy, rollout)
    challenger = rollout.challenger if rollout is not None and is_on and not is_first else None
    names = [champion] if challenger is None else [champion, challenger]
    has_share, has_mirror = given.challenger_buckets > 0, given.mirror_buckets > 0
    return Route(
        name=serving.name,
        match=serving.match,
        variants=tuple(variant_of(serving, name) for name in names),
        split=Split(
            champion=champion,
            challenger=challenger if has_share else None,
            challenger_buckets=given.challenger_buckets,
        ),
        mirror=(
            Mirror(variant=challenger, buckets=given.mirror_buckets)
            if challenger is not None and has_mirror
            else None
        ),
        standby=_standby(serving, champion),
        experiment=rollout.experiment if rollout is not None and is_on else "",
        salt=salt if is_on else b"",
        unit_header=policy.unit_header if is_on else serving.unit_header,
        capture_bytes=serving.capture_bytes,
        body_limit_bytes=serving.body_limit_bytes,
        replay_bytes=serving.replay_bytes,
        eject_after=serving.eject_after,
        show_variant=serving.response_header,
        inference=serving.inference,
        copy_strip=serving.copy_strip,
        copy_only=serving.copy_only,
        upgrade=serving.upgrade,
        tracing=serving.tracing,
        signing=_signing(serving, policy) if is_on else None,
        is_closed=is_closed,
        chain=_chain(serving, chain_key),
    )


def _chain(serving: RouteIntent, key: bytes) -> Chain | None:
    """Return how the route takes part in a chain; without a key it does not yet."""
    if not key or not (serving.feeds or serving.fed_by):
        return None
    return Chain(key=key, fed_by=serving.fed_by)


def _standby(serving: RouteIntent, champion: str) -> Variant | None:
    """Return who stands in; nobody does for a standby that users were rolled back to."""
    standby = serving.standby
    return None if standby is None or standby.name == champion else standby


def _signing(serving: RouteIntent, policy: RouteIntent) -> Signing | None:
    """Return how exposures are signed: with the keys of now, by the prediction that is judged."""
    token = serving.token
    if token is None:
        return None
    return Signing(keys=token.keys, hold_bytes=token.hold_bytes, prediction=policy.prediction)


def plan(table: RoutingTable, route: Route) -> RoutingTable:
    """Return ``table`` with ``route`` in its place and the next version; KeyError if it has none
    of that name."""
    if all(old.name != route.name for old in table.routes):
        raise KeyError(f"table {table.version} has no route {route.name!r}")
    routes = tuple(route if old.name == route.name else old for old in table.routes)
    return plan_all(table, routes)


def plan_all(table: RoutingTable, routes: tuple[Route, ...]) -> RoutingTable:
    """Return a table of ``routes``, in the order in which they match, with the next version."""
    return msgspec.structs.replace(table, version=table.version + 1, routes=routes)


def variant_of(route: RouteIntent, name: str) -> Variant:
    """Return the variant that the file declares under ``name``; KeyError if it does not."""
    for variant in (route.champion, *route.challengers, route.standby):
        if variant is not None and variant.name == name:
            return variant
    raise KeyError(f"route {route.name!r} does not declare {name!r}")
