"""What MLflow is told: of records (pure), and by a whole rollout to a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.artifact import manifest_of
from controller.controller import Act, Controller
from controller.lineage import Artifact, ModelVersion
from controller.policy import MlflowSpec, RegistrySpec
from sidecar.commands.register import Asked, _model
from sidecar.engine import Engine
from sidecar.mlflow import MAX_TAG_CHARS, Mlflow, MlflowRefused
from sidecar.writeback import FIRST_WAIT_S, MAX_WAIT_S, Writeback, evidence_of, telling
from tests.controller.simulation import Simulation
from tests.controller.test_registrar import Play, declared
from tests.sidecar.admin_bench import AdminBench
from tests.sidecar.mlflow_server import PROGRAM, MlflowServer

READING = {"check": "accuracy", "state": "passed", "effect": 0.1, "low": 0.0, "high": 0.2, "n": 9}


def record(action: str, phase_from: str, phase_to: str, **changes: Any) -> dict[str, Any]:
    proven = {"source": "mlflow://fraud/7", "champion_source": "mlflow://fraud/6"}
    usual: dict[str, Any] = {
        "action": action,
        "phase_from": phase_from,
        "phase_to": phase_to,
        "route": "pay",
        "because": "all 3 checks passed",
        "at": "2027-01-15T08:00:00.000000Z",
        "sequence": 12,
        "hash": "a" * 64,
        "evidence": {"registry": proven, "readings": [READING]},
    }
    return usual | changes


def test_promotion_moves_the_champion_and_tags_both() -> None:
    told = telling(record("promote", "canary", "watch"))
    assert told is not None
    assert (told.name, told.version, told.gains) == ("fraud", "7", "champion")
    assert told.loses == ("challenger",) and told.archived == ("fraud", "6")
    assert told.tags["understudy.stage"] == "production"
    assert told.tags["understudy.audit"] == "12:" + "a" * 64
    assert json.loads(told.tags["understudy.evidence"])["readings"][0]["check"] == "accuracy"


def test_rollback_gives_the_champion_back_only_if_it_was_taken() -> None:
    early = telling(record("rollback", "shadow", "rolled_back"))
    late = telling(record("rollback", "watch", "rolled_back"))
    assert early is not None and late is not None
    assert early.restored is None and late.restored == ("fraud", "6")
    assert late.loses == ("challenger", "champion") and late.gains is None
    assert late.tags["understudy.stage"] == "rolled back"


@pytest.mark.parametrize(
    "given",
    [
        record("hold", "shadow", "shadow"),
        record("register", "", "", evidence={"model": {}}),
        record("advance", "shadow", "canary", evidence={}),
        record("advance", "shadow", "canary", evidence={"registry": {"source": "s3://x"}}),
        {"action": "labels"},
    ],
)
def test_other_records_are_nothing_to_tell(given: dict[str, Any]) -> None:
    assert telling(given) is None


def test_evidence_fits_a_tag_whatever_its_size() -> None:
    for n in (1, 40, 100, 400):
        text = evidence_of(record("promote", "a", "b", evidence={"readings": [READING] * n}))
        assert len(text) <= MAX_TAG_CHARS
        assert len(json.loads(text).get("readings", ())) in (0, n)


class Bench(AdminBench):
    """A rollout, and the writeback that tells of it."""

    def __init__(self, folder: Path, url: str, names: tuple[str, str]) -> None:
        super().__init__(folder)
        spec = RegistrySpec(mlflow=MlflowSpec(url))
        self.simulation = Simulation(folder / "understudy.db", intent=declared(spec))
        self.play = Play(self.simulation)
        for version, source in zip("12", names, strict=True):
            artifact = Artifact(version * 64, uri="s3://m")
            self.simulation.controller.registrar.register(
                ModelVersion(
                    name="digits", version=version, artifact=artifact, source=source, by="ada"
                )
            )
        self.engine: Engine[Controller] = Engine(lambda: self.simulation.controller)
        self.desk._engine = self.engine
        self.cursor = folder / "mlflow.json"
        self.writeback = Writeback(self.engine, self.desk, self.cursor, {})

    async def start(self) -> None:
        await self.engine.start()
        self.session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self.session.close()
        await self.client.close()
        await self.engine.close()
        self.simulation.stop()

    async def run(self, phase: str) -> None:
        await self.engine.call(lambda _: self.play.run(phase))

    async def tell(self) -> float:
        return await self.writeback.round(self.session)

    @property
    def last(self) -> int:
        return int(self.simulation.audit()[-1]["sequence"])


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Bench]:
    """Nobody answers at its MLflow."""
    bench = Bench(tmp_path, "http://127.0.0.1:1", ("mlflow://d/1", "mlflow://d/2"))
    await bench.start()
    yield bench
    await bench.close()


async def test_server_that_is_away_is_asked_again_and_stops_no_transition(away: Bench) -> None:
    await away.run("promoted")
    pauses = [await away.tell() for _ in range(9)]
    assert pauses[:3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert pauses[-1] == MAX_WAIT_S
    assert away.writeback.error is not None and away.writeback.n_told == 0
    assert away.writeback.after < away.last
    told = away.writeback.state()
    assert told is not None and told["url"] == "http://127.0.0.1:1"
    assert "Cannot connect" in told["error"]


async def test_cursor_is_kept_and_an_audit_that_begins_again_is_told_whole(
    away: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    async def tell(_: object, record: dict[str, Any]) -> None:
        told.append(record["sequence"])

    monkeypatch.setattr(away.writeback, "_tell", tell)
    await away.run("shadow")
    await away.tell()
    assert told == list(range(1, away.last + 1))
    assert Writeback(away.engine, away.desk, away.cursor, {}).after == away.last
    away.cursor.write_text(json.dumps({"after": 1_000}))
    again = Writeback(away.engine, away.desk, away.cursor, {})
    monkeypatch.setattr(again, "_tell", tell)
    told.clear()
    await again.round(away.session)
    assert told[0] == 1
    away.cursor.write_text("nonsense")
    assert Writeback(away.engine, away.desk, away.cursor, {}).after == 0


async def test_nobody_is_told_unless_the_file_says_so(away: Bench) -> None:
    await away.engine.call(lambda c: c.adopt(declared(), "file"))
    await away.tell()
    assert away.writeback.after == 0 and away.writeback.state() is None


async def test_a_record_that_cannot_be_read_ends_nothing(
    away: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop is one of the process's own: what leaves it would take the controller with it."""
    tried = asyncio.Event()

    async def damaged(*_: object) -> list[dict[str, Any]]:
        tried.set()
        raise json.JSONDecodeError("damaged", "", 0)

    monkeypatch.setattr(away.desk, "audit", damaged)
    task = asyncio.get_running_loop().create_task(away.writeback.run())
    await tried.wait()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    assert away.writeback.error == "internal error: JSONDecodeError"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_refusal_is_passed_over(away: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from sidecar import writeback

    async def refuse(*_: object) -> None:
        raise MlflowRefused("no such model")

    monkeypatch.setattr(writeback, "_send", refuse)
    await away.run("shadow")
    await away.tell()
    assert away.writeback.after == away.last
    assert away.writeback.n_refused > 0 and away.writeback.error is None


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[MlflowServer]:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    server = MlflowServer(folder)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


FILES = {"MLmodel": b"flavors: {}\n", "data/weights.bin": b"\0\1" * 5000}


async def read_a_version(mlflow: MlflowServer, version: str, run_id: str, folder: Path) -> None:
    async with aiohttp.ClientSession() as session:
        server = Mlflow(mlflow.url, session)
        source = await server.source("digits", version)
        assert (source.run_id, source.code, source.owner) == (run_id, "1f2e3d", "ada")
        assert (source.params, source.training) == ({"depth": "3"}, (("train", "2981c147"),))
        read: list[int] = []
        kept = await server.manifest(source, folder, read.append)
        assert kept == manifest_of(folder) == await server.manifest(source, None)
        assert sum(read) == kept.size_bytes == sum(map(len, FILES.values()))
        await server.set_tag("digits", version, "long", "é" * 9_000)
        assert mlflow.tags("digits", version)["long"] == "é" * MAX_TAG_CHARS
        with pytest.raises(MlflowRefused, match="RESOURCE_DOES_NOT_EXIST"):
            await server.source("nobody", "1")


def look_up_for_a_registration(mlflow: MlflowServer, version: str, folder: Path) -> None:
    """As ``understudy register --from`` does."""
    environment = {"MLFLOW_TRACKING_URI": mlflow.url, "USER": "ada"}
    for artifact in (None, folder / "fetched"):
        asked = Asked(
            ref="digits:2", admin="", source=f"mlflow://digits/{version}", artifact=artifact
        )
        model, _ = _model(asked, environment)
        assert (model.source, model.params, model.code) == (asked.source, {"depth": "3"}, "1f2e3d")
        found = manifest_of(folder / "fetched") if artifact else model.artifact
        assert model.artifact.digest == found.digest
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


async def tell_of_a_promotion_and_a_rollback(
    mlflow: MlflowServer, one: str, two: str, folder: Path
) -> None:
    mlflow.api("POST", "registered-models/alias", name="digits", alias="champion", version=one)
    bench = Bench(folder, mlflow.url, (f"mlflow://digits/{one}", f"mlflow://digits/{two}"))
    await bench.start()
    try:
        await bench.run("shadow")
        await bench.tell()
        assert mlflow.alias("digits", "challenger") == two
        assert mlflow.tags("digits", two)["understudy.stage"] == "shadow"
        await bench.run("promoted")
        await bench.tell()
        assert mlflow.alias("digits", "champion") == two
        assert mlflow.alias("digits", "challenger") is None
        tags = mlflow.tags("digits", two)
        assert tags["understudy.stage"] == "production"
        assert tags["understudy.audit"].startswith(f"{bench.last}:")
        assert mlflow.tags("digits", one)["understudy.stage"] == "archived"
        await bench.engine.call(lambda c: c.act("digits", Act.ROLLBACK, "ada", "not better"))
        await bench.tell()
        assert mlflow.alias("digits", "champion") == one
        assert mlflow.tags("digits", two)["understudy.stage"] == "rolled back"
        assert mlflow.tags("digits", one)["understudy.stage"] == "production"
        assert (bench.writeback.after, bench.writeback.n_refused) == (bench.last, 0)
    finally:
        await bench.close()


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not PROGRAM.exists(), reason="run scripts/install-mlflow.sh first")
async def test_real_server_is_read_and_told(mlflow: MlflowServer, tmp_path: Path) -> None:
    """From registration to rollback, in one: the server takes long to start."""
    one, _ = mlflow.version("digits", FILES)
    two, run_id = mlflow.version("digits", FILES, depth="3")
    await read_a_version(mlflow, two, run_id, tmp_path / "kept")
    await asyncio.to_thread(look_up_for_a_registration, mlflow, two, tmp_path)
    await tell_of_a_promotion_and_a_rollback(mlflow, one, two, tmp_path)
