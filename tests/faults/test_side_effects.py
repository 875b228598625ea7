"""F51 and F52: what the challenger must not be told to do, and what it must not be shown."""

import asyncio
from collections import Counter

import pytest

from router.observation import Exposure
from router.table import Match
from sidecar.protocol import PROTOCOLS, inference
from tests.router.kit import Rig, get, post, rig, until

DROPPED = "understudy_mirror_dropped_total|route=r|reason="
NOT_INFERENCE: dict[str, list[tuple[bytes, bytes]]] = {
    "open-inference-v2": [
        (b"GET", b"/v2"), (b"GET", b"/v2/health/live"), (b"GET", b"/v2/health/ready"),
        (b"GET", b"/v2/models/m"), (b"GET", b"/v2/models/m/versions/1/ready"),
        (b"GET", b"/v2/models/m/stats"), (b"POST", b"/v2/repository/index"),
        (b"POST", b"/v2/repository/models/m/load"), (b"POST", b"/v2/repository/models/m/unload"),
        (b"POST", b"/v2/models/m/trace/setting"), (b"POST", b"/v2/logging"),
        (b"GET", b"/v2/models/m/infer"), (b"PUT", b"/v2/models/m/infer"),
    ],
    "kserve-v1": [
        (b"GET", b"/v1/models"), (b"GET", b"/v1/models/m"), (b"POST", b"/v1/models/m"),
        (b"POST", b"/v1/models/m:load"), (b"DELETE", b"/v1/models/m:predict"),
        (b"POST", b"/v1/models/m/versions/2:predict"),
    ],
    "tf-serving": [
        (b"GET", b"/v1/models/m"), (b"GET", b"/v1/models/m/metadata"),
        (b"POST", b"/v1/models/m/versions/2/metadata"), (b"POST", b"/v1/config/reload"),
    ],
    "mlflow": [(b"GET", b"/ping"), (b"GET", b"/health"), (b"GET", b"/version"),
               (b"GET", b"/invocations"), (b"POST", b"/api/2.0/mlflow/model-versions/delete")],
    "openai": [
        (b"GET", b"/v1/models"), (b"GET", b"/health"), (b"POST", b"/v1/load_lora_adapter"),
        (b"POST", b"/v1/files"), (b"DELETE", b"/v1/responses/r1"), (b"GET", b"/v1/responses/r1"),
    ],
    "json": [(b"GET", b"/predict"), (b"PUT", b"/predict"), (b"DELETE", b"/predict"),
             (b"HEAD", b"/predict"), (b"OPTIONS", b"/predict")],
}  # fmt: skip
INFERENCE: dict[str, list[bytes]] = {
    "open-inference-v2": [
        b"/v2/models/m/infer", b"/v2/models/m/versions/3/infer", b"/v2/models/m/generate",
        b"/v2/models/m/generate_stream", b"/v2/models/m/versions/3/generate_stream",
    ],
    "kserve-v1": [b"/v1/models/m:predict", b"/v1/models/m:explain"],
    "tf-serving": [
        b"/v1/models/m:predict", b"/v1/models/m/versions/3:predict",
        b"/v1/models/m/labels/canary:predict", b"/v1/models/m:classify", b"/v1/models/m:regress",
    ],
    "mlflow": [b"/invocations", b"/invocations?x=1"],
    "openai": [
        b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses",
    ],
    "json": [b"/predict", b"/a/b/c"],
}  # fmt: skip


def asks(method: bytes, target: bytes) -> bytes:
    return get(target).replace(b"GET", method) if method != b"POST" else post(b"{}", target=target)


@pytest.mark.parametrize("mode", ["mirror", "split"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_only_inference_reaches_the_challenger_and_the_rest_is_counted(
    protocol: str, mode: str
) -> None:
    """F51: not mirrored, counted."""
    patterns = inference(protocol, None)
    async with rig(mode=mode, match=Match(path="*"), inference=patterns) as r:
        client = await r.client()
        others = NOT_INFERENCE[protocol]
        for method, target in others:
            assert (await client.ask(asks(method, target))).status == 200
        await asyncio.sleep(0.1)
        assert r.challenger.heads == []
        assert r.controller.observations == []
        assert len(r.champion.requests) == len(others)
        expected = {f"{DROPPED}not_mirrorable": len(others)} if mode == "mirror" else {}
        assert r.events == expected
        for target in INFERENCE[protocol]:
            assert (await client.ask(post(b"{}", target=target))).status == 200
        n = len(INFERENCE[protocol])
        await until(lambda: len(r.controller.observations) == n)
        assert [one.line for one in r.challenger.heads] == [
            b"POST %b HTTP/1.1" % target for target in INFERENCE[protocol]
        ]
        assert r.events == expected


async def test_every_request_is_served_observed_or_counted() -> None:
    """Sent minus observed is what is counted, request by request."""
    async with rig(mode="mirror", inference=("POST /v2/models/*/infer",), replay_bytes=10) as r:
        client = await r.client()
        for n in range(30):
            target = b"/v2/models/m/infer" if n % 3 else b"/v2/models/m/config"
            await client.ask(post(bytes(20 if n % 5 == 0 else 5), target=target))
        await until(lambda: len(r.controller.pairs) == 20)
        losses = Counter(one.loss for one in r.controller.pairs)
        assert losses == {"": 16, "body_too_large": 4}
        assert r.events == {f"{DROPPED}not_mirrorable": 10, f"{DROPPED}body_too_large": 4}
        assert len(r.challenger.requests) == 16


async def test_bytes_of_the_binary_extension_reach_both_untouched() -> None:
    """JSON of a declared length, then raw tensor bytes: nobody may reformat any of it."""
    head = b'{"inputs":[{"name":"i","shape":[256],"parameters":{"binary_data_size":256}}]}'
    body = head + bytes(range(256))
    field = b"Inference-Header-Content-Length: %d" % len(head)
    asked = post(body, field, target=b"/v2/models/m/infer")
    patterns = inference("open-inference-v2", None)
    async with rig(mode="mirror", inference=patterns) as r:
        answer = await (await r.client()).ask(asked)
        assert answer.body == b"/v2/models/m/infer " + body
        await r.pairs()
        for model in (r.champion, r.challenger):
            (got,) = model.requests
            assert got.body == body
            assert got.fields[b"inference-header-content-length"] == b"%d" % len(head)


async def test_unit_that_the_challenger_serves_still_gets_health_from_the_champion() -> None:
    async with rig(mode="split", inference=("POST /x",)) as r:
        client = await r.client()
        await client.ask(post(b""))
        await client.ask(get(b"/health"))
        (seen,) = await r.exposures()
        assert isinstance(seen, Exposure) and seen.is_challenger
        assert lines(r) == ([b"GET /health HTTP/1.1"], [b"POST /x HTTP/1.1"])


def lines(r: Rig) -> tuple[list[bytes], list[bytes]]:
    return [one.line for one in r.champion.heads], [one.line for one in r.challenger.heads]
