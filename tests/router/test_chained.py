"""Routes in a chain: what an answer hands on, what a request brings, and what is observed of it."""

import time
from pathlib import Path

import msgspec
import pytest

from router.chain import HEADER, Link, Versions, extended, key_of, opened, seal
from router.table import Chain, Match, RoutingTable, Signing, Split
from tests.router.kit import Message, closes, get, post, rig, until
from tests.router.test_keyfile import write

SECRET = b"k" * 32
KEY = key_of(SECRET)
FEEDS = {"chain": Chain(key=SECRET)}
FED = {"chain": Chain(key=SECRET, fed_by=("embed",))}
HALF = {"mode": "split", "buckets": 5_000}
ALL_BUT_ONE = {"mode": "split", "buckets": 9_999}


def now_s() -> float:
    return time.time()


def brought(*, is_challenger: bool = True, unit: int = 77, route: str = "embed") -> bytes:
    """Return the field that a caller passes on."""
    link = Link(route, f"{route}-2-ab", is_challenger, 0.05, unit)
    return HEADER + b": " + seal(extended(None, link, now_s()), KEY)


def versions_of(answer: Message) -> Versions:
    found = opened(answer.fields[HEADER], KEY, now_s())
    assert isinstance(found, Versions), found
    return found


async def test_answer_of_a_lot_says_who_was_drawn_and_with_what_propensity() -> None:
    async with rig(**ALL_BUT_ONE, **FEEDS) as r:
        found = versions_of(await (await r.client()).ask(post(b"x")))
        (seen,) = await r.exposures()
        (link,) = found.links
        assert (link.route, link.experiment, link.propensity) == ("r", "e", 0.9999)
        assert (link.unit, link.is_challenger) == (seen.unit, seen.is_challenger)
        assert found.unit == seen.unit


async def test_lot_stands_although_the_champion_answered_for_a_failing_challenger() -> None:
    async with rig(challenger=closes, **ALL_BUT_ONE, **FEEDS) as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert answer.status == 200
        assert versions_of(answer).links[0].is_challenger


@pytest.mark.parametrize("mode", ["plain", "mirror"])
async def test_answer_says_nothing_where_no_lot_is_drawn(mode: str) -> None:
    async with rig(mode=mode, **FEEDS) as r:
        assert HEADER not in (await (await r.client()).ask(post(b"x"))).fields


async def test_route_outside_of_chains_drops_what_clients_send() -> None:
    async with rig(**HALF) as r:
        answer = await (await r.client()).ask(post(b"x", brought()))
        assert HEADER not in answer.fields
        await r.exposures()
        sent = [*r.champion.heads, *r.challenger.heads]
        assert len(sent) == 1 and HEADER not in sent[0].fields


async def test_answer_on_a_fed_route_is_an_exposure_of_the_experiment_that_fed_it() -> None:
    async with rig(**FED) as r:
        answer = await (await r.client()).ask(post(b"x", brought()))
        assert answer.status == 200
        (seen,) = await r.exposures()
        assert (seen.route, seen.experiment) == ("embed>r", "embed-2-ab")
        assert (seen.is_challenger, seen.propensity, seen.unit) == (True, 0.05, 77)
        assert (seen.outcome.variant, seen.outcome.status) == ("champion", 200)
        assert seen.outcome.body  # labels and metrics read it
        assert seen.at_ns > 0
        assert versions_of(answer).links[0].route == "embed"  # for the route behind this one
        assert HEADER not in r.champion.heads[0].fields


async def test_failure_of_a_fed_route_is_observed_too() -> None:
    async with rig(closes, **FED) as r:
        answer = await (await r.client()).ask(post(b"x", brought(is_challenger=False)))
        assert answer.status == 502
        (seen,) = await r.exposures()
        assert (seen.is_challenger, seen.outcome.fault) == (False, "reset")


async def test_middle_of_a_chain_adds_its_own_lot_and_observes_both() -> None:
    async with rig(**HALF, **FED) as r:
        answer = await (await r.client()).ask(post(b"x", brought()))
        assert [link.route for link in versions_of(answer).links] == ["embed", "r"]
        seen = await r.exposures(2)
        assert {one.route for one in seen} == {"r", "embed>r"}
        assert len({one.request_id for one in seen}) == 1


async def test_set_of_a_route_that_does_not_feed_this_one_is_only_passed_on() -> None:
    async with rig(**FED) as r:
        answer = await (await r.client()).ask(post(b"x", brought(route="other")))
        assert versions_of(answer).links[0].route == "other"
        assert r.controller.exposures == []


async def test_forged_set_counts_as_none_and_is_counted() -> None:
    forged = HEADER + b": " + seal(Versions(int(now_s()), 1, ()), key_of(b"f" * 32))
    async with rig(**FED) as r:
        client = await r.client()
        for field in (forged, HEADER + b": nonsense"):
            answer = await client.ask(post(b"x", field))
            assert answer.status == 200 and HEADER not in answer.fields
        assert r.events["understudy_versions_refused_total|route=r|reason=forged"] == 2
        assert r.controller.exposures == []


async def test_requests_of_one_chain_meet_one_version_whatever_they_ask() -> None:
    """A chain may ask the same route many times; another chain draws another lot."""
    async with rig(**HALF, **FED) as r:
        client = await r.client()
        for unit in range(8):
            for _ in range(3):
                await client.ask(post(b"x", brought(unit=unit)))
        seen = [one for one in await r.exposures(48) if one.route == "r"]
        assert len({one.unit for one in seen}) == 8
        drawn = {(one.unit, one.is_challenger) for one in seen}
        assert len(drawn) == 8 and {is_challenger for _, is_challenger in drawn} == {True, False}


async def test_unit_of_the_routes_own_goes_before_the_chains() -> None:
    async with rig(**HALF, **FED, unit_header="x-user") as r:
        client = await r.client()
        for unit in range(6):
            await client.ask(post(b"x", brought(unit=unit), b"x-user: ana"))
        seen = [one for one in await r.exposures(12) if one.route == "r"]
        assert len({one.unit for one in seen}) == 1


async def test_client_cannot_choose_its_version_by_what_it_sends() -> None:
    """F48: without a set of ours nothing that it sends moves the lot."""
    fields = [b"x-understudy-variant: challenger", HEADER + b": 1.AAAA.BBBB"]
    async with rig(mode="split", buckets=1, **FED) as r:
        client = await r.client()
        for _ in range(20):
            await client.ask(get(b"/x", *fields))
        await until(lambda: len(r.controller.exposures) >= 20)
        assert sum(one.is_challenger for one in r.controller.exposures) <= 1


async def test_what_is_no_inference_is_in_no_chain() -> None:
    async with rig(**HALF, **FED, inference=("POST /predict",)) as r:
        answer = await (await r.client()).ask(get(b"/health", brought()))
        assert answer.status == 200 and HEADER not in answer.fields
        assert r.controller.exposures == []


async def test_exposure_token_and_set_stand_side_by_side(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    write(keys, f"k1 {'A' * 43}=\n")
    signing = Signing(keys=str(keys))
    async with rig(**HALF, **FEEDS, signing=signing) as r:
        client = await r.client()
        await until(lambda: r.server._signers._files[str(keys)].keys)
        answer = await client.ask(post(b"x"))
        assert b"x-understudy-exposure" in answer.fields
        assert versions_of(answer).links[0].route == "r"


async def test_two_routes_of_one_table_hand_a_request_on_to_each_other() -> None:
    """What one route seals, the other one opens: nothing is played here but the application."""
    async with rig() as r:
        one = r.table.routes[0]
        lot = Split(champion="champion", challenger="challenger", challenger_buckets=5_000)
        embed = msgspec.structs.replace(
            one,
            name="embed",
            match=Match(path="/embed"),
            split=lot,
            experiment="e",
            salt=b"s",
            chain=Chain(key=SECRET),
        )
        rank = msgspec.structs.replace(
            one,
            name="rank",
            match=Match(path="/rank"),
            chain=Chain(key=SECRET, fed_by=("embed",)),
        )
        r.server.use(RoutingTable(version=2, routes=(embed, rank)))
        client = await r.client()
        for _ in range(20):
            answer = await client.ask(post(b"x", target=b"/embed"))
            field = HEADER + b": " + answer.fields[HEADER]
            assert (await client.ask(post(b"x", field, target=b"/rank"))).status == 200
        seen = await r.exposures(40)
        own = {one.unit: one.is_challenger for one in seen if one.route == "embed"}
        fed = {one.unit: one.is_challenger for one in seen if one.route == "embed>rank"}
        assert own == fed and len(own) == 20 and set(own.values()) == {True, False}
