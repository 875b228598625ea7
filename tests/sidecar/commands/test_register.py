"""``understudy register`` against a real admin port on a real controller."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.rowhash import row_hash
from controller.rowset import load
from sidecar.commands.register import Asked, register
from tests.controller.test_signature import key_pair
from tests.sidecar.admin_bench import TOKEN
from tests.sidecar.test_modelport import Bench

ENVIRONMENT = {"UNDERSTUDY_TOKEN": TOKEN, "USER": "ada"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    await one.start()
    yield one
    await one.close()


async def run(bench: Bench, ref: str = "fraud:7", **asked: Any) -> int:
    admin = str(bench.client.make_url("")).rstrip("/")
    given = Asked(ref=ref, admin=admin, **asked)
    return await asyncio.to_thread(register, given, ENVIRONMENT)


def told(bench: Bench, ref: str = "fraud:7") -> dict[str, Any]:
    found: dict[str, Any] = bench.simulation.controller.registrar.describe(ref)
    return found


async def test_everything_that_is_said_is_registered(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bench.folder
    (folder / "train.csv").write_text("age,id\n41,1\n7,2\n")
    (folder / "notes.txt").write_text("no rows in here\n")
    (folder / "request.json").write_text('{"type": "object"}')
    (folder / "meta.json").write_text('{"inputs": [], "outputs": []}')
    (folder / "samples.jsonl").write_text('{"x": 1}\n{"x": 2}\n')
    code = await run(
        bench,
        artifact=bench.weights,
        training=(folder / "train.csv", folder / "notes.txt"),
        columns="age",
        code="1f2e3d",
        params=("depth=3", "rate=0.1=x"),
        metadata=("ticket=42",),
        parent="fraud:6",
        owner="ada",
        request_schema=folder / "request.json",
        inference=folder / "meta.json",
        samples=folder / "samples.jsonl",
    )
    assert code == 0, capsys.readouterr().err
    model = told(bench)
    assert f"fraud:7 registered: sha256:{model['artifact']['digest']}" in capsys.readouterr().out
    assert model["params"] == {"depth": "3", "rate": "0.1=x"}
    assert (model["code"], model["parent"], model["owner"]) == ("1f2e3d", "fraud:6", "ada")
    assert model["schemas"]["request"] == {"type": "object"}
    assert model["schemas"]["inference"] == {"inputs": [], "outputs": []}
    assert model["samples"] == ['{"x": 1}', '{"x": 2}']
    rows, notes = model["training"]
    assert (rows["rows"]["n_rows"], rows["rows"]["columns"]) == (2, ["age"])
    assert notes["rows"] is None and len(notes["digest"]) == 64
    kept = load(folder / "rows", rows["rows"]["file"])
    assert kept.has(row_hash({"age": 41}) or 0) and not kept.has(row_hash({"age": 42}) or 0)


async def test_same_again_is_harmless_and_other_files_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(bench, artifact=bench.weights) == 0
    assert await run(bench, artifact=bench.weights) == 0
    assert "was registered already, the very same" in capsys.readouterr().out
    bench.weights.write_bytes(b"other")
    assert await run(bench, artifact=bench.weights) == 1
    assert "a version never changes, register a new one" in capsys.readouterr().err


async def test_place_is_recorded_and_not_the_link_to_it(bench: Bench) -> None:
    (bench.folder / "current").symlink_to(bench.weights)
    assert await run(bench, artifact=bench.folder / "current", as_json=True) == 0
    assert told(bench)["artifact"]["path"] == str(bench.weights)


async def test_signed_version_names_its_key(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    private, _ = key_pair(bench.folder)
    assert await run(bench, artifact=bench.weights, sign=private, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["new"] and len(answer["model"]["signed_by"]) == 16


async def test_uri_is_registered_with_its_digest(bench: Bench) -> None:
    assert await run(bench, uri="s3://models/7", digest="sha256:" + "A" * 64) == 0
    artifact = told(bench)["artifact"]
    assert (artifact["uri"], artifact["digest"]) == ("s3://models/7", "a" * 64)


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        ({}, "what is registered?"),
        ({"uri": "s3://m"}, "--uri needs --digest"),
        ({"digest": "a" * 64}, "--digest is for --uri"),
        ({"artifact": "gone"}, "No such file"),
        ({"artifact": "weights.bin", "params": ("depth",)}, "--param is KEY=VALUE"),
        ({"artifact": "weights.bin", "columns": ","}, "names no column"),
        ({"artifact": "weights.bin", "parent": "x"}, "NAME:VERSION"),
        ({"artifact": "weights.bin", "training": ("broken.csv",)}, "line 2: 2 cells, 1 columns"),
        ({"artifact": "weights.bin", "request_schema": "broken.csv"}, "broken.csv"),
        ({"artifact": "weights.bin", "samples": "broken.csv"}, "broken.csv"),
        ({"artifact": "weights.bin", "sign": "broken.csv"}, "not a private key"),
        ({"source": "mlflow://fraud"}, "mlflow://NAME/VERSION"),
        ({"source": "mlflow://fraud/7"}, "set MLFLOW_TRACKING_URI"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    bench: Bench, asked: dict[str, Any], because: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "broken.csv").write_text("a\n1,2\n")
    for key in ("artifact", "request_schema", "samples", "sign"):
        if key in asked:
            asked = asked | {key: bench.folder / asked[key]}
    if "training" in asked:
        asked = asked | {"training": (bench.folder / "broken.csv",)}
    assert await run(bench, **asked) == 2
    assert because in capsys.readouterr().err
    assert await bench.models() == []


async def test_the_token_may_be_in_a_file(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "team.token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o644)
    admin = str(bench.client.make_url("")).rstrip("/")
    artifact = bench.folder / "weights.bin"
    asked = Asked(ref="fraud:7", admin=admin, artifact=artifact, token_file=file)
    environment = {"USER": "ada"}
    assert await asyncio.to_thread(register, asked, environment) == 2
    assert "others may read it" in capsys.readouterr().err
    file.chmod(0o600)
    assert await asyncio.to_thread(register, asked, environment) == 0


def test_token_and_admin_port_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Asked(ref="fraud:7", admin="http://127.0.0.1:1", artifact=tmp_path / "m")
    (tmp_path / "m").write_text("m")
    assert register(asked, {}) == 2
    assert "set UNDERSTUDY_TOKEN" in capsys.readouterr().err
    assert register(asked, ENVIRONMENT) == 3
    assert "nothing answers" in capsys.readouterr().err
