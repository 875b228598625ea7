"""Scorers: what they are asked, what they may answer, and what their faults cost."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.controller import ScoreTask
from controller.policy import ScorerSpec
from evaluator.join import Answer, Judgable, Label, LabelOutcome, LabelResult, Mode
from evaluator.waiting import Due
from sidecar.desk import Busy
from sidecar.engine import Engine
from sidecar.scorer import ScorerError, Scorers, checked, item_of, load

PAIR = Judgable("q1", 1, Mode.PAIR, 0.5, 1, 0, Answer('"yes"'), Answer('"no"'))
GOOD = [{"champion": 0.5, "challenger": 0.75}]


def score(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Score an answer by its length: the function that the tests name."""
    return [
        {
            name: None if item[name] is None else len(item[name])
            for name in ("champion", "challenger")
        }
        for item in items
    ]


def fail(items: list[dict[str, Any]]) -> None:
    raise RuntimeError("no model loaded")


def sleep(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    time.sleep(0.3)
    return score(items)


class Waiting:
    """Stands in for the controller: observations that wait, as the journal would give them."""

    def __init__(self, spec: ScorerSpec, n: int) -> None:
        self.spec = spec
        self.due = [
            Due(
                i + 1,
                Judgable(f"q{i}", i, Mode.PAIR, 0.5, 1, 0, Answer('"yes"'), Answer('"no"')),
                None,
            )
            for i in range(n)
        ]

    def to_score(self, after: Mapping[str, int]) -> list[ScoreTask]:
        left = [due for due in self.due if due.sequence > after.get("r", 0)][: self.spec.batch]
        return [ScoreTask("r", self.spec, tuple(left))] if left else []


class Desk:
    """Takes labels, as the real one does; may have no room."""

    def __init__(self) -> None:
        self.labels: list[Label] = []
        self.is_busy = False

    async def label(self, labels: Sequence[Label], size_bytes: int) -> Sequence[LabelResult]:
        if self.is_busy:
            raise Busy("no room")
        self.labels += labels
        return [LabelResult(LabelOutcome.ACCEPTED, "joined")] * len(labels)


async def scorers(spec: ScorerSpec, desk: Desk, n: int = 3) -> Scorers:
    engine: Engine[Any] = Engine(lambda: Waiting(spec, n))
    await engine.start()
    return Scorers(engine, desk.label)


def function(name: str, *, deadline_s: float = 2.0, batch: int = 2) -> ScorerSpec:
    return ScorerSpec(None, f"tests.sidecar.test_scorer:{name}", batch, deadline_s)


async def until_idle(asked: Scorers) -> None:
    while await asked.round():
        pass


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def by_length(request: web.Request) -> web.Response:
        items = (await request.json())["items"]
        return web.json_response({"scores": score(items)})

    async def broken(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), text="{")

    async def hanging(request: web.Request) -> web.Response:
        await asyncio.sleep(5.0)
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/score", by_length)
    app.router.add_post("/broken/{status}", broken)
    app.router.add_post("/hanging", hanging)
    async with TestServer(app) as started:
        yield started


def url(server: TestServer, path: str, deadline_s: float = 2.0) -> ScorerSpec:
    return ScorerSpec(str(server.make_url(path)), None, 2, deadline_s)


async def test_service_is_asked_in_batches_and_its_scores_become_labels(server: TestServer) -> None:
    desk = Desk()
    asked = await scorers(url(server, "/score"), desk)
    await until_idle(asked)
    assert [label.request_id for label in desk.labels] == ["q0", "q1", "q2"]
    assert json.loads(desk.labels[0].label) == {"champion": 3, "challenger": 2}
    assert asked.counts["r"] == {"scored": 3}


async def test_function_is_called_with_the_same_items() -> None:
    desk = Desk()
    asked = await scorers(function("score"), desk)
    await until_idle(asked)
    assert json.loads(desk.labels[2].label) == {"champion": 3, "challenger": 2}
    assert desk.labels[2].route == "r"


@pytest.mark.parametrize("path", ["/broken/500", "/broken/200", "/hanging", "/nowhere"])
async def test_service_that_fails_costs_labels_that_are_counted(
    server: TestServer, path: str
) -> None:
    desk = Desk()
    asked = await scorers(url(server, path, 0.2), desk)
    await until_idle(asked)
    assert desk.labels == [] and asked.counts["r"] == {"failed": 3}


async def test_service_that_is_not_there_costs_labels_that_are_counted() -> None:
    desk = Desk()
    asked = await scorers(ScorerSpec("http://127.0.0.1:1/score", None, 2, 1.0), desk)
    await until_idle(asked)
    assert desk.labels == [] and asked.counts["r"] == {"failed": 3}


@pytest.mark.parametrize("name", ["fail", "missing", "json.nothing"])
async def test_function_that_fails_costs_labels_that_are_counted(name: str) -> None:
    desk = Desk()
    asked = await scorers(function(name), desk)
    await until_idle(asked)
    assert desk.labels == [] and asked.counts["r"] == {"failed": 3}


async def test_function_that_is_too_slow_is_not_called_again_before_it_returns() -> None:
    desk = Desk()
    asked = await scorers(function("sleep", deadline_s=0.05, batch=1), desk)
    for _ in range(2):
        await asked.round()
    assert asked.counts["r"] == {"failed": 2}
    await asyncio.sleep(0.4)
    assert desk.labels == []


async def test_labels_without_room_are_offered_again() -> None:
    desk = Desk()
    asked = await scorers(function("score", batch=10), desk)
    desk.is_busy = True
    assert not await asked.round()
    desk.is_busy = False
    await until_idle(asked)
    assert len(desk.labels) == 3 and asked.counts["r"] == {"scored": 3}


async def test_engine_that_is_not_there_is_asked_later() -> None:
    engine: Engine[Any] = Engine(lambda: None)
    assert not await Scorers(engine, Desk().label).round()


def test_item_holds_predictions_and_null_where_there_is_none() -> None:
    assert item_of(PAIR) == {"request_id": "q1", "champion": "yes", "challenger": "no"}
    lot = Judgable("q2", 1, Mode.SPLIT, 0.5, 1, 0, None, Answer(None, is_failed=True))
    assert item_of(lot) == {"request_id": "q2", "champion": None, "challenger": None}
    long = Judgable("q3", 1, Mode.SPLIT, 0.5, 1, 0, Answer(f'"sha256:{"0" * 64}"'), None)
    assert item_of(long)["champion"] is None


@pytest.mark.parametrize(
    "scores",
    [
        None,
        [],
        [1.0],
        [{"champion": "0.5"}],
        [{"champion": True}],
        [{"champion": math.nan}],
        [{"challenger": math.inf}],
        [{"challenger": 10**400}],
    ],
)
def test_what_is_not_one_pair_of_scores_each_is_refused(scores: Any) -> None:
    with pytest.raises(ScorerError):
        checked(scores, 1)


def test_a_side_that_is_left_out_has_no_score() -> None:
    assert checked(GOOD, 1) == GOOD
    assert checked([{"challenger": 1}], 1) == [{"champion": None, "challenger": 1}]


@pytest.mark.parametrize("name", ["json:JSONEncoder.item", "no.such.module:f", "unknown-entry"])
def test_function_that_cannot_be_found_is_the_scorers_fault(name: str) -> None:
    with pytest.raises(ScorerError, match="cannot be loaded"):
        load(name)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ScorerError, match="not a function"):
        load("json:__name__")
    assert load("tests.sidecar.test_scorer:score") is score
