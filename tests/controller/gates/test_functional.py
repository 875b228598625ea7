import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from controller.gates import functional
from controller.gates.functional import FunctionalTask
from controller.gates.functionalspec import FunctionalSpec, LatencyLimit
from router.certificate import server_context
from router.table import Match, Tls, Variant
from tests.controller.gates import models
from tests.router.pki import Authority

SAMPLE = b'{"x": [1, 2]}'


class Model:
    """A model server whose answers a test chooses."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b'{"prediction": [0]}'
        self.delay_s = 0.0
        self.ready_status = 200
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.port = 0

    async def predict(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        await asyncio.sleep(self.delay_s)
        return web.Response(status=self.status, body=self.body, headers={"location": "/elsewhere"})

    async def ready(self, request: web.Request) -> web.Response:
        return web.Response(status=self.ready_status)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    server = Model()
    application = web.Application()
    application.router.add_get("/ready", server.ready)
    application.router.add_post("/{path:.*}", server.predict)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


def task(port: int, **parts: object) -> FunctionalTask:
    whole = {
        "route": "digits",
        "challenger": Variant(name="digits-2", host="127.0.0.1", port=port, response_timeout_s=0.3),
        "match": Match(path="/v1/models/digits:predict"),
        "samples": (SAMPLE, SAMPLE),
        "ready_path": "/ready",
        "prediction": "prediction[0]",
    }
    return FunctionalTask(**(whole | parts))


async def test_a_challenger_that_answers_everything_passes(model):
    report = await functional.run(task(model.port))
    assert report.passed
    assert report.challenger == "digits-2"
    assert [check.name for check in report.checks] == ["ready", "sample 1", "sample 2"]
    assert "2 sample requests" in report.because


async def test_samples_are_posted_as_json_to_the_routes_own_path(model):
    await functional.run(task(model.port))
    assert model.bodies == [SAMPLE, SAMPLE]
    request = model.requests[0]
    assert request.path == "/v1/models/digits:predict"
    assert request.content_type == "application/json"
    assert request.headers["x-understudy-mirror"] == "1"


async def test_host_and_header_of_the_match_are_sent(model):
    match = Match(path="/p/*", host="models.example", header=("x-tenant", "a"))
    await functional.run(task(model.port, match=match))
    request = model.requests[0]
    assert request.headers["host"] == "models.example"
    assert request.headers["x-tenant"] == "a"
    assert request.path == "/p/"


@pytest.mark.parametrize("prediction", [0, False, "", []])
async def test_a_prediction_that_is_false_is_still_a_prediction(model, prediction):
    model.body = json.dumps({"prediction": [prediction]}).encode()
    assert (await functional.run(task(model.port))).passed


@pytest.mark.parametrize(
    ("status", "body", "because"),
    [
        (500, b"{}", "status 500"),
        (404, b"{}", "status 404"),
        (204, b"", "status 204"),
        (302, b"{}", "status 302"),
        (200, b"<html>", "not JSON"),
        (200, b"", "not JSON"),
        (200, b'{"prediction": []}', "no prediction at 'prediction[0]'"),
        (200, b'{"other": 1}', "no prediction"),
    ],
)
async def test_a_wrong_answer_fails_and_says_which(model, status, body, because):
    model.status, model.body = status, body
    report = await functional.run(task(model.port))
    assert not report.passed
    assert report.because.startswith("sample 1: ") and because in report.because


async def test_a_path_into_the_answer_that_does_not_fit_fails(model):
    report = await functional.run(task(model.port, prediction="abs(prediction)"))
    assert not report.passed and "no prediction" in report.because


async def test_without_a_declared_prediction_any_json_will_do(model):
    model.body = b"[]"
    assert (await functional.run(task(model.port, prediction=None))).passed


async def test_an_answer_after_the_response_timeout_fails(model):
    model.delay_s = 0.5
    report = await functional.run(task(model.port))
    assert report.because == "sample 1: no answer in time"


async def test_an_endless_answer_fails(model, monkeypatch):
    monkeypatch.setattr(functional, "ANSWER_LIMIT_BYTES", 10)
    report = await functional.run(task(model.port))
    assert "larger than 10 bytes" in report.because


async def test_a_challenger_that_is_not_ready_is_asked_nothing_more(model):
    model.ready_status = 503
    report = await functional.run(task(model.port))
    assert report.because == "ready: status 503, expected 200"
    assert model.bodies == []


async def test_without_a_ready_path_an_open_port_is_ready(model):
    assert (await functional.run(task(model.port, ready_path=None, samples=()))).passed


@pytest.mark.parametrize("ready_path", [None, "/ready"])
async def test_a_closed_port_fails(ready_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    report = await functional.run(task(port, ready_path=ready_path))
    assert not report.passed and report.because.startswith("ready: no answer")


async def test_a_port_that_never_answers_fails_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        report = await functional.run(task(silent.getsockname()[1]))
    assert report.because == "ready: no answer in time"


@contextlib.asynccontextmanager
async def served(**where: Any) -> AsyncIterator[web.AppRunner]:
    """Serve a ready model on a Unix socket (``path``) or over TLS (``ssl_context``)."""
    application = web.Application()
    server = Model()
    application.router.add_get("/ready", server.ready)
    application.router.add_post("/{path:.*}", server.predict)
    runner = web.AppRunner(application)
    await runner.setup()
    if "path" in where:
        await web.UnixSite(runner, where["path"]).start()
    else:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=where["ssl_context"]).start()
    yield runner
    await runner.cleanup()


@pytest.mark.parametrize("ready", ["/ready", None])
async def test_challenger_on_a_unix_socket_is_asked_there(
    tmp_path: Path, ready: str | None
) -> None:
    path = str(tmp_path / "m.sock")
    challenger = Variant(name="digits-2", host="localhost", port=80, socket=path)
    async with served(path=path):
        report = await functional.run(task(0, challenger=challenger, ready_path=ready))
    assert report.passed, report.because
    gone = await functional.run(task(0, challenger=challenger, ready_path=ready))
    assert not gone.passed and gone.because.startswith("ready: no answer")


@pytest.mark.parametrize("ready", ["/ready", None])
async def test_challenger_behind_tls_must_show_a_certificate_that_is_trusted(
    tmp_path: Path, ready: str | None
) -> None:
    authority = Authority(tmp_path)
    context = server_context(authority.server())
    async with served(ssl_context=context) as runner:
        port = runner.addresses[0][1]

        async def ask(tls: Tls) -> functional.GateReport:
            challenger = Variant(name="digits-2", host="127.0.0.1", port=port, tls=tls)
            return await functional.run(task(port, challenger=challenger, ready_path=ready))

        for tls in (authority.trust(), authority.trust(server_name="model.test")):
            report = await ask(tls)
            assert report.passed, report.because
        for tls in (Tls(), authority.trust(server_name="wrong.test")):
            report = await ask(tls)
            assert not report.passed and "certificate" in report.because.lower()
        report = await ask(Tls(ca=str(tmp_path / "no.pem")))
        assert report.because == f"certificate: {tmp_path}/no.pem: No such file or directory"


KSERVE = {
    "request_schema": {"type": "object", "required": ["instances"]},
    "response_schema": {"properties": {"predictions": {"items": {"type": "integer"}}}},
}
INSTANCES = b'{"instances": [[1, 2]]}'


def kserve() -> models.Model:
    """A model that adds up; it takes lists of numbers only."""

    def predict(request: Any) -> Any:
        return {"predictions": [sum(row) for row in request["instances"]]}

    return models.Model(predict)


async def asked(
    model: models.Model, prediction: str = "predictions[0]", **spec: object
) -> functional.GateReport:
    async with models.served(model) as variant:
        whole = {
            "challenger": variant,
            "samples": (INSTANCES,),
            "ready_path": None,
            "prediction": prediction,
            "spec": FunctionalSpec(**({"protocol": "kserve-v1"} | spec)),
        }
        return await functional.run(task(0, **whole))


async def test_a_model_that_keeps_everything_that_is_declared_passes():
    report = await asked(
        kserve(),
        **KSERVE,
        batch=(1, 5),
        bad_input=True,
        deterministic=True,
        latency=LatencyLimit(((0.5, 20.0), (0.99, 30.0)), 7),
    )
    assert report.passed, report.because
    names = [check.name for check in report.checks]
    assert names[:6] == [
        "ready",
        "sample 1",
        "batch of 1",
        "batch of 5",
        "deterministic",
        "latency",
    ]
    assert names[-1] == "alive after bad input" and "bad input: no JSON" in names
    [latency] = [check for check in report.checks if check.name == "latency"]
    assert latency.numbers["requests"] == 7 and 0.0 < latency.numbers["p99_s"] < 30.0


async def test_a_sample_that_does_not_fit_its_schema_is_not_asked():
    model = kserve()
    report = await asked(model, request_schema={"required": ["inputs"]})
    assert report.because.startswith("sample 1: the sample itself: request schema: $: 'inputs'")
    assert model.bodies == []


async def test_an_answer_that_does_not_fit_its_schema_fails():
    report = await asked(kserve(), response_schema={"required": ["model_name"]})
    assert report.because == "sample 1: response schema: $: 'model_name' is a required property"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"predictions": [1]}, "1 predictions, not 3"),
        ({"predictions": 1}, "no list of predictions"),
    ],
)
async def test_a_batch_must_be_answered_one_by_one(answer, said):
    report = await asked(models.Model(lambda _: answer), prediction="predictions", batch=(3,))
    assert not report.passed and said in report.because


async def test_a_sample_that_is_no_batch_is_said():
    report = await asked(kserve(), protocol="open-inference-v2", batch=(3,))
    assert report.because == "batch of 3: the first sample has no inputs"


async def test_a_model_that_cannot_take_a_batch_fails():
    def one_only(request: Any) -> Any:
        [row] = request["instances"]
        return {"predictions": [sum(row)]}

    report = await asked(models.Model(one_only), batch=(1, 2))
    assert report.because == "batch of 2: status 400, expected 200"


async def test_bad_input_that_is_answered_as_a_request_fails():
    def whatever(request: Any) -> Any:
        return {"predictions": [0]}

    report = await asked(models.Model(whatever), bad_input=True)
    assert "answered with status 200" in report.because and "bad input: wrong: {}" in report.because


async def test_a_server_that_dies_of_bad_input_fails():
    model = kserve()
    answer = model.post

    async def post(request: web.Request) -> web.StreamResponse:
        model.is_silent = model.is_silent or await request.read() == b""
        return await answer(request)

    model.post = post
    report = await asked(model, bad_input=True)
    assert report.because.startswith("bad input: no body: no answer: ")


async def test_a_model_that_changes_its_mind_is_not_deterministic():
    count = iter(range(100))
    report = await asked(models.Model(lambda _: {"predictions": [next(count)]}), deterministic=True)
    assert report.because == "deterministic: sample 1 was answered 1, and then 2"


async def test_a_model_that_is_slower_than_declared_fails_with_its_numbers():
    report = await asked(kserve(), latency=LatencyLimit(((0.5, 1e-9),), 3))
    assert report.because.startswith("latency: p50 is ")
    assert report.checks[-1].numbers["p50_s"] > 0.0


TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
METADATA = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
}


@pytest.mark.parametrize(
    ("metadata", "output", "said"),
    [
        (METADATA, {"name": "y", "datatype": "INT64", "shape": [1], "data": [7]}, ""),
        (METADATA, {"name": "z", "datatype": "INT64", "shape": [1], "data": [7]}, "'z' is not in"),
        ({"inputs": []}, {}, "metadata: the metadata has no inputs"),
        (
            METADATA | {"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]},
            {},
            "the sample itself: not as the metadata says: inputs: x: datatype 'FP32'",
        ),
    ],
)
async def test_samples_and_answers_must_fit_the_models_own_metadata(metadata, output, said):
    model = models.Model(lambda _: {"outputs": [output]})
    model.metadata = metadata
    async with models.served(model) as variant:
        report = await functional.run(
            task(
                0,
                challenger=variant,
                samples=(json.dumps({"inputs": [TENSOR]}).encode(),),
                ready_path=None,
                prediction="outputs[].data",
                spec=FunctionalSpec(
                    protocol="open-inference-v2", metadata_path="/v2/models/m", batch=()
                ),
            )
        )
    assert report.passed is not bool(said), report.because
    assert said in report.because
