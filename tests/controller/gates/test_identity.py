import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from controller.gates.dial import Answer
from controller.gates.identity import ask, compare
from controller.lineage import Artifact, ModelVersion
from controller.policy import ReportsSpec
from evaluator.evidence import CheckState
from router.table import Match, Variant

A, B, C = "a" * 64, "b" * 64, "c" * 64
MODEL = ModelVersion(
    name="fraud", version="7", artifact=Artifact(A, path="/m", files=(("weights.bin", 5, B),))
)
VERSION = ReportsSpec("/v2/models/{name}", version="versions[0]")
DIGEST = ReportsSpec("/v2/models/{name}/versions/{version}", digest="parameters.digest")
HEADERS = ReportsSpec("/", version_header="X-Version", digest_header="X-Model-Digest")


def answer(body: Any = None, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, given, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("reports", "said", "state"),
    [
        (VERSION, answer({"versions": ["7"]}), CheckState.PASSED),
        (VERSION, answer({"versions": [7]}), CheckState.PASSED),
        (VERSION, answer({"versions": ["6"]}), CheckState.TRIPPED),
        (VERSION, answer({"versions": []}), CheckState.UNKNOWN),
        (VERSION, answer({"versions": [None]}), CheckState.UNKNOWN),
        (VERSION, answer([]), CheckState.UNKNOWN),
        (VERSION, Answer(200, {}, b"not json"), CheckState.UNKNOWN),
        (replace(VERSION, version="versions"), answer({"versions": ["7"]}), CheckState.PASSED),
        (
            replace(VERSION, version="versions"),
            answer({"versions": ["6", "7"]}),
            CheckState.TRIPPED,
        ),
        (DIGEST, answer({"parameters": {"digest": A}}), CheckState.PASSED),
        (DIGEST, answer({"parameters": {"digest": f"sha256:{A.upper()}"}}), CheckState.PASSED),
        (DIGEST, answer({"parameters": {"digest": B}}), CheckState.PASSED),  # of its only file
        (DIGEST, answer({"parameters": {"digest": C}}), CheckState.TRIPPED),
        (HEADERS, answer(x_version="7", x_model_digest=A), CheckState.PASSED),
        (HEADERS, answer(x_version="7"), CheckState.UNKNOWN),
        (HEADERS, answer(x_model_digest=C), CheckState.TRIPPED),  # the worst news
        (HEADERS, answer(x_version="8", x_model_digest=A), CheckState.TRIPPED),
    ],
)
def test_variants_own_words_are_compared(
    reports: ReportsSpec, said: Answer, state: CheckState
) -> None:
    found = compare("fraud-7", said, reports, MODEL)
    assert found.state is state, found
    assert "fraud-7" in found.because


def test_mismatch_names_both() -> None:
    found = compare("fraud-7", answer({"versions": ["6"]}), VERSION, MODEL)
    assert found.because == "fraud-7 runs version '6', fraud:7 is registered with '7'"
    assert found.numbers == {"version": "6"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON, st.sampled_from(["version", "versions", "@", "*", "versions[*].v", "length(@)"]))
def test_no_answer_passes_by_accident_or_raises(body: Any, expression: str) -> None:
    found = compare("v", answer(body), ReportsSpec("/", digest=expression), MODEL)
    assert found.state is not CheckState.PASSED


async def asked(handler: Any, reports: ReportsSpec, match: Match) -> Any:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        return await ask(
            Variant(name="fraud-7", host="127.0.0.1", port=port), match, reports, MODEL
        )
    finally:
        await runner.cleanup()


async def test_server_is_asked_at_the_declared_path_as_the_routes_clients_ask() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        headers = request.headers
        seen.append((request.path, headers.get("host"), headers.get("x-tenant")))
        return web.json_response({"parameters": {"digest": A}})

    match = Match(path="/x", host="models.example", header=("x-tenant", "gold"))
    found = await asked(handler, DIGEST, match)
    assert found.state is CheckState.PASSED
    assert seen == [("/v2/models/fraud/versions/7", "models.example", "gold")]


async def test_server_that_does_not_say_proves_nothing() -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/")

    found = await asked(moved, VERSION, Match(path="/x"))
    assert found.state is CheckState.UNKNOWN and "status 302" in found.because
    gone = await ask(Variant(name="v", host="127.0.0.1", port=1), Match(path="/x"), VERSION, MODEL)
    assert gone.state is CheckState.UNKNOWN and "does not say what it runs" in gone.because
