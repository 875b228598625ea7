"""The MLflow client against a server that lies; with a real one: test_writeback.py."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sidecar.mlflow import (
    Mlflow,
    MlflowError,
    MlflowRefused,
    Source,
    address_of,
    credentials,
)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


@pytest.fixture
async def liar() -> AsyncIterator[Any]:
    """A server that answers everything with what the test sets."""
    answers: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        found = answers.get(request.path, answers.get("*"))
        if isinstance(found, web.Response):
            return found
        if isinstance(found, bytes):
            return web.Response(body=found)
        return web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answers["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield answers
    await runner.cleanup()


SOURCE = Source("fraud", "7", "mlflow-artifacts:/0/run/artifacts/model")


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "..", ".", "", "a/b", None, 7])
async def test_file_that_leads_out_of_its_folder_is_refused(
    liar: Any, session: aiohttp.ClientSession, tmp_path: Path, name: Any
) -> None:
    liar["*"] = {"files": [{"path": name, "is_dir": False}] if name != 7 else [7]}
    with pytest.raises(MlflowError, match="names a file"):
        await Mlflow(liar["url"], session).manifest(SOURCE, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("answer", "kind", "because"),
    [
        (b"<html>", MlflowError, "not JSON"),
        ([1], MlflowError, "not an MLflow server"),
        (web.Response(status=503, text="{}"), MlflowError, "answered 503"),
        (web.Response(status=429, text="{}"), MlflowError, "answered 429"),
        (web.Response(status=403, text="{}"), MlflowRefused, "answered 403"),
        (web.Response(status=302, headers={"location": "/x"}), MlflowError, "answered 302"),
    ],
)
async def test_answers_that_are_none_are_said(
    liar: Any, session: aiohttp.ClientSession, answer: Any, kind: type, because: str
) -> None:
    liar["*"] = answer
    with pytest.raises(kind, match=because) as caught:
        await Mlflow(liar["url"], session).source("fraud", "7")
    assert type(caught.value) is kind


async def test_answers_without_any_field_are_an_empty_source(
    liar: Any, session: aiohttp.ClientSession
) -> None:
    liar["*"] = {"model_version": {"run_id": "r"}, "run": {"data": {"tags": [7], "params": {}}}}
    source = await Mlflow(liar["url"], session).source("fraud", "7")
    assert source == Source("fraud", "7", "", run_id="r")
    with pytest.raises(MlflowError, match="mlflow artifacts download"):
        await Mlflow(liar["url"], session).manifest(source, None)


async def test_server_that_is_gone_is_said(session: aiohttp.ClientSession) -> None:
    with pytest.raises(MlflowError, match="Cannot connect"):
        await Mlflow("http://127.0.0.1:1", session).source("fraud", "7")


async def test_version_without_files_is_none(liar: Any, session: aiohttp.ClientSession) -> None:
    liar["*"] = {}
    with pytest.raises(MlflowError, match="has no files"):
        await Mlflow(liar["url"], session).manifest(SOURCE, None)


@pytest.mark.parametrize("text", ["fraud", "mlflow://fraud", "mlflow://fraud/x", "s3://a/1", ""])
def test_anything_but_a_version_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="mlflow://NAME/VERSION"):
        address_of(text)


def test_address_may_have_slashes_and_escapes_in_its_name() -> None:
    assert address_of("mlflow://team/fraud%20net/7") == ("team/fraud net", "7")


def test_credentials_are_those_of_mlflows_own_client() -> None:
    assert credentials({}) == {}
    assert credentials({"MLFLOW_TRACKING_TOKEN": "t"}) == {"authorization": "Bearer t"}
    both = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "p"}
    word = base64.b64encode(b"ada:p").decode()
    assert credentials(both | {"MLFLOW_TRACKING_TOKEN": "t"}) == {"authorization": f"Basic {word}"}
