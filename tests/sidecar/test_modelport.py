"""Registrations over a real socket, into a real controller, of real files."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import audit
from controller.artifact import manifest_of
from controller.controller import Controller
from controller.lineage import Artifact, ModelVersion, TrainingData
from controller.rowset import load, row_set_of, to_bytes
from sidecar import modelport
from sidecar.engine import Engine
from sidecar.modelbody import described, write
from tests.controller.simulation import Simulation
from tests.sidecar.admin_bench import TOKEN, AdminBench

BEARER = {"Authorization": f"Bearer {TOKEN}"}
ROWS = row_set_of([{"age": n} for n in range(9)])


class Bench(AdminBench):
    """An admin port on a real controller, and the files of a model."""

    def __init__(self, folder: Path, **parts: Any) -> None:
        super().__init__(folder, **parts)
        self.simulation = Simulation(folder / "understudy.db")
        self.engine: Engine[Controller] = Engine(lambda: self.simulation.controller)
        self.desk._engine = self.pump._engine = self.engine
        self.weights = folder / "weights.bin"
        self.weights.write_bytes(b"12345")
        self.folder = folder

    def model(self, version: str = "7", **changes: Any) -> ModelVersion:
        found = manifest_of(self.weights)
        files = tuple((file.path, file.size_bytes, file.sha256) for file in found.files)
        artifact = Artifact(found.digest, path=str(self.weights), files=files)
        usual: dict[str, Any] = {"name": "fraud", "version": version, "artifact": artifact}
        return ModelVersion(**(usual | {"by": "ada"} | changes))

    async def register(
        self, model: ModelVersion, rows: dict[int, bytes] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        answer = await self.post("/v1/models", write(model, rows or {}), **(BEARER | headers))
        return answer.status, await answer.json()

    async def models(self) -> list[str]:
        found = await (await self.get("/v1/models")).json()
        return [model["ref"] for model in found["models"]]

    async def close(self) -> None:
        await super().close()
        self.simulation.stop()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    await one.start()
    yield one
    await one.close()


async def test_version_is_registered_listed_and_told(bench: Bench) -> None:
    model = bench.model(parent="fraud:6", owner="ada", params={"depth": "3"})
    status, answer = await bench.register(model)
    assert (status, answer["new"], answer["model"]["ref"]) == (201, True, "fraud:7")
    status, answer = await bench.register(model)
    assert (status, answer["new"]) == (200, False)
    assert await bench.models() == ["fraud:7"]
    told = await (await bench.get("/v1/models/fraud:7")).json()
    assert told["artifact"]["digest"] == model.artifact.digest
    assert [step["ref"] for step in told["line"]] == ["fraud:7", "fraud:6"]
    assert (told["stage"], told["registered_by"]) == ("registered", "ada")
    assert (await bench.get("/v1/models/fraud:9")).status == 404
    found = await (await bench.get("/v1/models?name=other")).json()
    assert found == {"models": []}


async def test_other_files_under_a_known_name_are_refused_with_both_digests(bench: Bench) -> None:
    first = bench.model()
    await bench.register(first)
    bench.weights.write_bytes(b"12346")
    second = bench.model()
    status, answer = await bench.register(second)
    assert status == 409
    assert first.artifact.digest in answer["error"] and second.artifact.digest in answer["error"]
    last = audit.records(bench.simulation.connection, after=0, limit=100)[-1]
    assert (last["action"], last["who"]) == ("refuse", "ada")


async def test_files_are_read_here_and_not_believed(bench: Bench) -> None:
    lie = replace(bench.model(), artifact=Artifact("a" * 64, path=str(bench.weights)))
    status, answer = await bench.register(lie)
    assert status == 409 and "a" * 64 in answer["error"]
    gone = replace(lie, artifact=Artifact("a" * 64, path=str(bench.folder / "gone")))
    status, answer = await bench.register(gone)
    assert status == 422 and "as the sidecar sees it" in answer["remedy"]
    relative = replace(lie, artifact=Artifact("a" * 64, path="weights.bin"))
    assert (await bench.register(relative))[0] == 400
    (bench.folder / "link").symlink_to(bench.weights)
    link = replace(lie, artifact=Artifact("a" * 64, path=str(bench.folder / "link")))
    status, answer = await bench.register(link)
    assert status == 422 and "is a link" in answer["error"]
    assert await bench.models() == []


async def test_uri_is_registered_with_its_declared_digest(bench: Bench) -> None:
    model = bench.model(artifact=Artifact("a" * 64, uri="s3://models/7"))
    assert (await bench.register(model))[0] == 201


async def test_row_sets_are_kept_beside_the_state(bench: Bench) -> None:
    training = (described(TrainingData("t.csv", "b" * 64, 10), ROWS),)
    status, answer = await bench.register(bench.model(training=training), {0: to_bytes(ROWS)})
    assert status == 201
    file = answer["model"]["training"][0]["rows"]["file"]
    assert load(bench.folder / "rows", file).hashes.tolist() == ROWS.hashes.tolist()


async def test_packed_body_is_read_and_a_large_one_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = write(bench.model(), {})
    packed = gzip.compress(body)
    answer = await bench.post("/v1/models", packed, Content_Encoding="gzip", **BEARER)
    assert answer.status == 201
    answer = await bench.post(
        "/v1/models", packed[: len(packed) // 2], Content_Encoding="gzip", **BEARER
    )
    assert answer.status == 400
    answer = await bench.post("/v1/models", body, Content_Encoding="compress", **BEARER)
    assert answer.status == 415
    monkeypatch.setattr(modelport, "MAX_BODY_BYTES", len(body) - 1)
    answer = await bench.post("/v1/models", body, **BEARER)
    assert answer.status == 413


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_nobody_registers_without_a_token(bench: Bench, headers: dict[str, str]) -> None:
    answer = await bench.post("/v1/models", write(bench.model(), {}), **headers)
    assert answer.status == 401 and await bench.models() == []


async def test_record_needs_a_name_and_the_body_a_meaning(bench: Bench) -> None:
    status, answer = await bench.register(bench.model(by=""))
    assert status == 400 and "who is missing" in answer["error"]
    answer = await bench.post("/v1/models", b"{}", **BEARER)
    assert answer.status == 400 and "missing required field" in (await answer.json())["error"]


async def test_two_registrations_of_one_version_make_one_record(bench: Bench) -> None:
    done = await asyncio.gather(*(bench.register(bench.model()) for _ in range(4)))
    assert sorted(status for status, _ in done) == [200, 200, 200, 201]
    records = audit.records(bench.simulation.connection, after=0, limit=100)
    assert [record["action"] for record in records].count("register") == 1
