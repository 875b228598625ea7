import json

import pytest

from controller.gates.bothasked import GIVE_UP_AFTER, GaveUp, Readers, ask_both
from controller.gates.golden import GoldenRow
from evaluator.extract import Extractor, Fields
from router.table import Match
from tests.controller.gates.models import Model, served

MATCH = Match(path="/p")
READERS = Readers(Extractor("prediction"), Fields(["score"]))


def rows(n: int) -> list[GoldenRow]:
    return [GoldenRow(i, json.dumps({"x": i}).encode(), f"{i}", (), {}) for i in range(1, n + 1)]


async def asked(one: Model, other: Model, n: int, concurrency: int = 4):
    told: list[tuple[int, int]] = []
    async with served(one, "digits-1") as champion, served(other) as challenger:
        found = await ask_both(
            rows(n),
            challenger,
            champion,
            MATCH,
            READERS,
            concurrency=concurrency,
            progress=lambda done, of: told.append((done, of)),
        )
    return found, told


async def test_both_are_asked_the_same_rows_and_kept_in_order():
    one = Model(lambda row: {"prediction": row["x"], "score": 0.5})
    other = Model(lambda row: {"prediction": row["x"] + 1})
    found, told = await asked(one, other, 30)
    assert [row.champion and row.champion.text for row in found] == [str(n) for n in range(1, 31)]
    assert [row.challenger.text for row in found] == [str(n) for n in range(2, 32)]
    assert found[0].champion is not None and found[0].champion.fields == {"score": 0.5}
    assert found[0].label == "1" and found[0].challenger.outcome.body == b""
    assert sorted(one.bodies) == sorted(other.bodies)
    assert told == [(n, 30) for n in range(31)]


async def test_no_more_rows_are_under_way_than_declared():
    one, other = Model(lambda row: row), Model(lambda row: row)
    await asked(one, other, 40, concurrency=3)
    assert 1 <= one.most_under_way <= 3 and other.most_under_way <= 3


async def test_an_answer_that_is_none_is_a_reply_without_a_prediction():
    other = Model(lambda row: {"prediction": 1})
    other.status = 500
    found, _ = await asked(Model(lambda row: {"nothing": 1}), other, 2)
    [first, _] = found
    assert first.champion is not None and first.champion.text is None
    assert (first.challenger.text, first.challenger.outcome.fault) == (None, "status")


async def test_who_does_not_answer_at_all_is_given_up_by_name():
    other = Model(lambda row: row)
    other.is_silent = True
    with pytest.raises(GaveUp, match="digits-2 did not answer 20 golden rows"):
        await asked(Model(lambda row: row), other, GIVE_UP_AFTER + 20)
    assert len(other.bodies) <= 4 * GIVE_UP_AFTER  # aiohttp sends a lost request once more


async def test_without_a_champion_only_the_challenger_is_asked():
    async with served(Model(lambda row: {"prediction": 1})) as challenger:
        found = await ask_both(
            rows(2), challenger, None, MATCH, READERS, concurrency=1, progress=lambda *_: None
        )
    assert [row.champion for row in found] == [None, None]
