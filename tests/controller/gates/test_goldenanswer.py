import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from controller.gates.goldenanswer import RowsMissing, answered
from controller.gates.goldenspec import GoldenSpec
from router.table import Match, Variant

MATCH = Match(path="/predict")


class Model:
    """Answers 1 to a row whose x is above its limit; some rows it does not answer."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.silent: set[int] = set()
        self.variant = Variant(name=f"over-{limit}", host="127.0.0.1", port=1)

    async def predict(self, request: web.Request) -> web.Response:
        x = (await request.json())["x"]
        await asyncio.sleep(0)
        if x in self.silent:
            return web.json_response({}, status=500)
        return web.json_response({"prediction": int(x > self.limit)})


@pytest.fixture
async def models() -> AsyncIterator[list[Model]]:
    made, runners = [Model(5), Model(7)], []
    for model in made:
        application = web.Application()
        application.router.add_post("/predict", model.predict)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model.variant = Variant(
            name=model.variant.name, host="127.0.0.1", port=runner.addresses[0][1]
        )
        runners.append(runner)
    yield made
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def golden(tmp_path: Path) -> GoldenSpec:
    rows = [{"request": {"x": x}, "label": int(x > 6), "sex": "fm"[x % 2]} for x in range(10)]
    del rows[3]["label"]
    del rows[4]["sex"]
    file = tmp_path / "golden.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return GoldenSpec(str(file), by=("sex",))


async def test_labels_answers_and_groups_stand_side_by_side(
    models: list[Model], golden: GoldenSpec
) -> None:
    variants = [model.variant for model in models]
    rows = await answered(golden, variants, MATCH, "prediction")
    kept = [0, 1, 2, 5, 6, 7, 8, 9]
    assert rows.labels == tuple(str(int(x > 6)) for x in kept)
    assert rows.challenger == tuple(str(int(x > 5)) for x in kept)
    assert rows.champion == tuple(str(int(x > 7)) for x in kept)
    assert rows.groups == {"sex": tuple("fm"[x % 2] for x in kept)}
    assert (rows.unanswered, rows.left_out) == (0, 2)


async def test_rows_without_an_answer_are_counted(models: list[Model], golden: GoldenSpec) -> None:
    models[0].silent = {8, 3}  # 3 has no label: nobody misses its answer
    rows = await answered(golden, [models[0].variant], MATCH, "prediction")
    assert rows.unanswered == 1 and len(rows.labels) == 7 and rows.champion is None


async def test_a_variant_that_is_not_there_answers_nothing(golden: GoldenSpec) -> None:
    gone = Variant(name="gone", host="127.0.0.1", port=1)
    assert (await answered(golden, [gone], MATCH, "prediction")).unanswered == 8


async def test_a_golden_set_that_is_not_there_is_said(models: list[Model], tmp_path: Path) -> None:
    with pytest.raises(RowsMissing, match="missing"):
        await answered(GoldenSpec(str(tmp_path / "missing.csv")), [], MATCH, None)
