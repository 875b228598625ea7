"""F5 with a declared standby: who answers when the champion cannot, and who never does."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import router.ejection
from router.table import Split
from tests.faults.running import Model as HttpModel
from tests.faults.running import Sidecar, load
from tests.router.kit import (
    Model,
    Rig,
    Script,
    answers,
    closes,
    echoes,
    get,
    hangs,
    post,
    post_chunked,
    post_head,
    resets,
    rig,
    sends,
    until,
    variant,
)

REFUSED = "understudy_connect_failures_total|route=r|variant=champion|reason=refused"
GIVEN = "understudy_standby_requests_total|route=r|reason="
STANDS_BY = answers(b"standby")
GET, POST, CHUNKED = get(), post(b"body"), post_chunked(b"bo", b"dy")


@contextlib.asynccontextmanager
async def with_standby(
    champion: Script = echoes, *, standby: Script = STANDS_BY, **settings: Any
) -> AsyncIterator[tuple[Rig, Model]]:
    """Run a router whose route has a standby."""
    spare = Model("standby", standby)
    await spare.start()
    async with rig(champion, **settings) as r:
        try:
            r.use(standby=variant("standby", spare.port))
            yield r, spare
        finally:
            await spare.close()


@pytest.mark.parametrize("asks", [GET, POST, CHUNKED], ids=["get", "post", "chunked"])
async def test_standby_answers_when_the_champion_cannot_be_connected(asks: bytes) -> None:
    """Nothing was sent, so a POST may go to another as well."""
    async with with_standby(standby=echoes) as (r, spare):
        r.champion.close_listener()
        client = await r.client()
        for _ in range(3):
            answer = await client.ask(asks)
            assert (answer.status, answer.body) == (200, b"/x " + (b"" if asks == GET else b"body"))
        assert len(spare.requests) == 3
        assert r.events == {f"{GIVEN}connect": 3, REFUSED: 3}
        values = r.server.counter_values()
        labels = "understudy_requests_total|route=r|variant="
        assert values[f"{labels}standby|role=standby|code=2xx"] == 3
        assert values[f"{labels}champion|role=champion|code=none"] == 3


async def test_body_that_still_arrives_follows_to_the_standby() -> None:
    async with with_standby(standby=echoes) as (r, spare):
        r.champion.close_listener()
        client = await r.client()
        await client.send(post_head(6) + b"abc")
        await until(lambda: spare.n_connections)
        await client.send(b"def")
        assert (await client.answer()).body == b"/x abcdef"


@pytest.mark.parametrize(
    ("script", "status"),
    [(resets, 502), (closes, 502), (hangs, 504), (sends(b"garbage\r\n\r\n"), 502)],
)
async def test_post_is_never_sent_twice_once_a_byte_may_have_been_read(
    script: Script, status: int
) -> None:
    within_s = 0.3 if script is hangs else 10.0
    async with with_standby(script, variants={"response_timeout_s": within_s}) as (r, spare):
        assert (await (await r.client()).ask(POST)).status == status
        assert len(r.champion.requests) == 1
        assert spare.requests == []
        answer = await (await r.client()).ask(GET)
        assert (answer.status, answer.body) == (200, b"standby")  # a GET is, once
        assert len(spare.requests) == 1


async def test_standby_that_fails_too_is_the_end_of_it() -> None:
    async with with_standby(resets, standby=resets) as (r, spare):
        assert (await (await r.client()).ask(GET)).status == 502
        assert (len(r.champion.requests), len(spare.requests)) == (1, 1)
        await spare.close()
        r.champion.close_listener()
        assert (await (await r.client()).ask(POST)).status == 502


async def test_champion_that_failed_in_a_row_rests_and_a_probe_brings_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(router.ejection, "REST_S", 0.3)
    failing = True

    async def sick(turn: Any) -> None:
        await (resets if failing else answers(b"champion"))(turn)

    async with with_standby(sick, eject_after=3) as (r, spare):
        statuses = []
        for _ in range(20):
            statuses.append((await (await r.client()).ask(POST)).status)
        assert Counter(statuses) == {502: 3, 200: 17}
        assert len(r.champion.requests) == 3
        values = r.server.counter_values()
        assert values["understudy_champion_resting|route=r"] == 1
        assert values[f"{GIVEN}resting"] == 17
        assert values["understudy_ejections_total|route=r|variant=champion"] == 1
        failing = False
        await asyncio.sleep(0.35)
        assert (await (await r.client()).ask(POST)).body == b"champion"
        assert (await (await r.client()).ask(POST)).body == b"champion"
        assert r.server.counter_values()["understudy_champion_resting|route=r"] == 0
        assert len(spare.requests) == 17


async def test_champion_rests_through_a_change_of_the_table() -> None:
    async with with_standby(resets, eject_after=2) as (r, _):
        for _ in range(2):
            await (await r.client()).ask(POST)
        r.use(capture_bytes=5)
        assert (await (await r.client()).ask(POST)).body == b"standby"
        assert len(r.champion.requests) == 2


@pytest.mark.parametrize("mode", ["mirror", "split"])
async def test_failure_stays_the_champions_in_the_comparison(mode: str) -> None:
    """Intention to treat, for both sides alike: the standby's answer is nobody's evidence."""

    settings: dict[str, Any] = {"mode": mode}
    if mode == "split":  # every unit draws the champion
        settings["split"] = Split(champion="champion", challenger="challenger")
    async with with_standby(eject_after=2, **settings) as (r, _):
        r.champion.close_listener()
        for _ in range(4):  # two that fail, two of a champion that rests
            assert (await (await r.client()).ask(POST)).body == b"standby"
        await until(lambda: len(r.controller.observations) == 4)
        if mode == "mirror":
            seen = [one.champion for one in r.controller.pairs]
            assert all(one.challenger is not None for one in r.controller.pairs)
        else:
            seen = [one.outcome for one in r.controller.exposures]
            fallbacks = [one.fallback for one in r.controller.exposures]
            assert {one.variant for one in fallbacks if one} == {"standby"}
        assert [(one.variant, one.fault) for one in seen] == [("champion", "connect")] * 4


async def test_challenger_and_champion_that_both_fail_leave_the_standby() -> None:
    async with with_standby(mode="split") as (r, spare):
        r.champion.close_listener()
        r.challenger.close_listener()
        assert (await (await r.client()).ask(POST)).body == b"standby"
        (seen,) = await r.exposures()
        assert seen.is_challenger
        assert (seen.outcome.variant, seen.outcome.fault) == ("challenger", "connect")
        assert seen.fallback is not None and seen.fallback.variant == "standby"
        assert len(spare.requests) == 1


async def test_route_without_a_standby_says_502_at_once() -> None:
    async with rig() as r:
        r.champion.close_listener()
        for _ in range(10):
            assert (await (await r.client()).ask(POST)).status == 502
        assert r.events == {REFUSED: 10}
        assert "understudy_champion_resting|route=r" not in r.server.counter_values()


async def test_champion_that_answers_500_is_there() -> None:
    """A client could otherwise choose who answers the others."""
    async with with_standby(answers(b"no", status=b"500 No"), eject_after=2) as (r, spare):
        for _ in range(6):
            assert (await (await r.client()).ask(GET)).status == 500
        assert spare.requests == []


async def test_overloaded_champion_is_not_relieved_by_its_standby() -> None:
    async with with_standby(hangs, variants={"max_connections": 1, "max_pending": 0}) as (r, spare):
        first = await r.client()
        await first.send(POST)
        await until(lambda: r.champion.requests)
        assert (await (await r.client()).ask(POST)).status == 503
        assert spare.requests == []


def test_status_metrics_and_readiness_of_a_whole_sidecar_show_the_standby(tmp_path: Path) -> None:
    sidecar, spare = Sidecar(tmp_path), HttpModel("digits-1")
    try:
        declared = f'    standby: {{name: spare, url: "http://127.0.0.1:{spare.port}"}}\n'
        text = sidecar.file.read_text().replace("    challengers:", declared + "    challengers:")
        sidecar.file.write_text(text)
        sidecar.until(lambda: (told(sidecar) or {}).get("name") == "spare")
        sidecar.models[0].shutdown()
        sidecar.models[0].socket.close()
        with load(sidecar) as clients:  # POSTs whose answers must be the champion's own
            pass
        assert clients.failures == []
        sidecar.until(lambda: (told(sidecar) or {}).get("requests", 0) >= 50)
        seen = told(sidecar)
        assert seen is not None and seen["routers_resting_the_champion"] == 1
        assert sidecar.get("/readyz")[0] == 200
        assert len(spare.heads) >= 50
    finally:
        sidecar.close()
        spare.close()


def told(sidecar: Sidecar) -> dict[str, Any] | None:
    routes: list[dict[str, Any]] = sidecar.get("/v1/status")[1].get("routes", [])
    found: dict[str, Any] | None = routes[0].get("standby") if routes else None
    return found
