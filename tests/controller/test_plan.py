from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan import Shares, lay_out, plan, plan_all, shares, variant_of
from controller.policy import RouteIntent, TokenSpec
from controller.rollout import WITH_TRAFFIC, Phase, Rollout
from router.table import BUCKETS, Mirror, Route, RoutingTable, Signing, Split
from tests.controller.builders import CANARY, PRODUCTION, SHADOW, route_intent

SALT = b"s" * 32


def rollout(phase: Phase, step: int = 0) -> Rollout:
    return Rollout(
        challenger="digits-2", champion="digits-1", experiment="x", phase=phase, step=step
    )


def laid_out(phase: Phase | None, step: int = 0, *, serving: RouteIntent | None = None) -> Route:
    return lay_out(
        serving or route_intent(),
        policy=route_intent(),
        champion="digits-1",
        rollout=None if phase is None else rollout(phase, step),
        salt=SALT,
    )


@pytest.mark.parametrize(
    "phase", [None, Phase.QUEUED, Phase.FUNCTIONAL, Phase.PROMOTED, Phase.ROLLED_BACK]
)
def test_challenger_gets_nothing_outside_the_three_phases_with_traffic(phase):
    route = laid_out(phase)
    assert route.split == Split(champion="digits-1")
    assert route.mirror is None
    assert (route.experiment, route.salt) == ("", b"")
    assert [variant.name for variant in route.variants] == ["digits-1"]


def test_shadow_copies_and_serves_nobody():
    route = laid_out(Phase.SHADOW)
    assert route.split == Split(champion="digits-1")
    assert route.mirror == Mirror(variant="digits-2", buckets=SHADOW.mirror_buckets)
    assert (route.experiment, route.salt) == ("x", SALT)


@pytest.mark.parametrize("step", range(3))
def test_canary_serves_the_declared_share_of_its_step(step):
    route = laid_out(Phase.CANARY, step)
    assert route.split.challenger == "digits-2"
    assert route.split.challenger_buckets == CANARY.shares_buckets[step]
    assert route.mirror is None


def test_watch_keeps_the_roles_and_the_holdback():
    route = laid_out(Phase.WATCH)
    assert route.split.champion == "digits-1"
    assert route.split.challenger_buckets == BUCKETS - PRODUCTION.holdback_buckets


@given(phase=st.sampled_from(Phase), step=st.integers(0, 2))
def test_no_share_exists_outside_the_declared_ladder(phase, step):
    given_shares = shares(route_intent(), rollout(phase, step))
    ladder = {0, *CANARY.shares_buckets, BUCKETS - PRODUCTION.holdback_buckets}
    assert given_shares.challenger_buckets in ladder
    assert (given_shares != Shares()) == (phase in WITH_TRAFFIC)


def test_ladder_of_a_later_file_does_not_reach_a_rollout_under_way():
    steep = route_intent(stages=(SHADOW,))
    assert laid_out(Phase.CANARY, 1, serving=steep) == laid_out(Phase.CANARY, 1)


def test_addresses_come_from_the_present_file():
    moved = route_intent(challengers=("other", "digits-2"))
    route = laid_out(Phase.SHADOW, serving=moved)
    assert route.variant("digits-2").port == 9003


def test_a_needed_variant_that_the_file_does_not_declare_is_an_error():
    with pytest.raises(KeyError, match="digits-2"):
        laid_out(Phase.SHADOW, serving=route_intent(challengers=()))


def test_plan_replaces_one_route_in_place_and_raises_the_version():
    other = lay_out(
        route_intent(name="other", path="/other"),
        policy=route_intent(),
        champion="digits-1",
        rollout=None,
        salt=b"",
    )
    table = RoutingTable(version=7, routes=(laid_out(None), other))
    planned = plan(table, laid_out(Phase.SHADOW))
    assert planned.version == 8
    assert planned.routes == (laid_out(Phase.SHADOW), other)
    assert table.routes[0].mirror is None


def test_plan_refuses_a_route_that_the_table_does_not_have():
    with pytest.raises(KeyError, match="digits"):
        plan(RoutingTable(version=1), laid_out(None))


def test_plan_all_keeps_the_order_of_matching():
    planned = plan_all(RoutingTable(version=1), (laid_out(None),))
    assert (planned.version, [route.name for route in planned.routes]) == (2, ["digits"])


def test_variants_are_found_among_champion_and_challengers():
    assert variant_of(route_intent(), "digits-1").port == 9001
    assert variant_of(route_intent(), "digits-2").port == 9002
    with pytest.raises(KeyError, match="digits-9"):
        variant_of(route_intent(), "digits-9")


def test_exposures_are_signed_with_the_files_keys_by_the_prediction_that_is_judged():
    token = TokenSpec("/new/keys", 100, joins=False)
    serving = replace(route_intent(), token=token, prediction="another")
    route = laid_out(Phase.CANARY, serving=serving)
    assert route.signing == Signing(keys="/new/keys", hold_bytes=100, prediction="prediction")
    assert laid_out(None, serving=serving).signing is None
    assert laid_out(Phase.CANARY).signing is None
