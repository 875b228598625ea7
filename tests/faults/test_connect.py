"""F1, F11: a variant refuses connections, or swallows them; whoever asks is answered in time."""

import asyncio
import time
from typing import Any

import pytest

from tests.pace import Lateness
from tests.router.kit import Rig, get, post, rig, until
from tests.router.test_dial import black_hole

CONNECT_S = 0.2


async def lose(r: Rig, name: str, how: str) -> Any:
    """Have a variant refuse connections, or swallow them; return what must be kept until then."""
    model = r.models[name]
    await model.close()
    if how == "refuses":
        return None
    hole = black_hole("127.0.0.1", model.port)
    hole.__enter__()
    return hole


def free(hole: Any) -> None:
    if hole is not None:
        hole.__exit__(None, None, None)


both = pytest.mark.parametrize("how", ["refuses", "swallows"])


@both
async def test_champion_that_cannot_be_reached_is_502_within_the_connect_timeout(how: str) -> None:
    async with rig(variants={"connect_timeout_s": CONNECT_S}) as r:
        hole = await lose(r, "champion", how)
        clients = [await r.client() for _ in range(20)]
        async with Lateness() as lateness:
            began = time.monotonic()
            answers = await asyncio.gather(*(client.ask(post(b"x")) for client in clients))
            took_s = time.monotonic() - began
        assert {one.status for one in answers} == {502}
        assert took_s < CONNECT_S + 0.5 + lateness.total_s
        free(hole)
        await r.champion.start(r.champion.port)
        assert (await clients[0].ask(post(b"back"))).status == 200
        assert [one.body for one in r.champion.requests] == [b"back"]
        reason = "refused" if how == "refuses" else "timeout"
        labels = f"route=r|variant=champion|reason={reason}"
        assert r.events[f"understudy_connect_failures_total|{labels}"] == 20


@both
async def test_challenger_that_cannot_be_reached_fails_no_request_of_its_users(how: str) -> None:
    async with rig(mode="split", variants={"connect_timeout_s": CONNECT_S}) as r:
        hole = await lose(r, "challenger", how)
        client = await r.client()
        for n in range(30):
            assert (await client.ask(post(b"%d" % n))).body == b"/x %d" % n
        assert len(r.champion.requests) == 30
        assert r.events["understudy_ejections_total|route=r|variant=challenger"] >= 1
        free(hole)


@both
async def test_challenger_that_cannot_be_reached_holds_up_nobody_in_the_shadow(how: str) -> None:
    async with rig(mode="mirror", variants={"connect_timeout_s": CONNECT_S}) as r:
        hole = await lose(r, "challenger", how)
        client = await r.client()
        took_s = []
        for _ in range(50):
            began = time.monotonic()
            assert (await client.ask(get())).status == 200
            took_s.append(time.monotonic() - began)
        assert sorted(took_s)[25] < CONNECT_S / 2  # who waited would wait for all of it
        await until(lambda: len(r.controller.pairs) == 50)
        assert all(pair.challenger is None or pair.challenger.fault for pair in r.controller.pairs)
        free(hole)
