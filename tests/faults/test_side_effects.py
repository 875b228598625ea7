"""F51 and F52: what the challenger must not be told to do, and what it must not be shown."""

import asyncio
import http.client
from collections import Counter
from pathlib import Path

import pytest

from router.observation import Exposure
from router.table import Match
from sidecar.protocol import PROTOCOLS, inference
from tests.faults.running import PATH, Sidecar
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


CANARY = "canary-7f3a9c"
SECRETS = {
    "Authorization": f"Bearer {CANARY}",
    "Cookie": f"session={CANARY}",
    "Proxy-Authorization": CANARY,
    "X-Api-Key": CANARY,
    "X-Amz-Security-Token": CANARY,
}


@pytest.mark.parametrize("mode", ["mirror", "split"])
async def test_credentials_reach_whoever_serves_and_never_a_copy(mode: str) -> None:
    fields = [f"{name.swapcase()}: {value}".encode() for name, value in SECRETS.items()]
    strip = ("x-api-key", "x-amz-security-token")
    async with rig(mode=mode, copy_strip=strip) as r:
        await (await r.client()).ask(post(b"{}", *fields, b"X-Model: kept"))
        await until(lambda: r.controller.observations)
        await until(lambda: r.challenger.requests)
        told = " ".join(map(str, r.challenger.requests[0].fields.values()))
        assert "kept" in told
        assert (CANARY in told) is (mode == "split")  # there it serves the client
        if mode == "mirror":
            served = r.champion.requests[0].fields
            assert CANARY.encode() in served[b"authorization"] + served[b"x-api-key"]
        assert CANARY.encode() not in b"".join(r.controller.raw)
        assert CANARY not in str(r.controller.observations) + str(r.server.counter_values())


async def test_only_declared_headers_reach_a_copy() -> None:
    async with rig(mode="mirror", copy_only=("content-type", "authorization")) as r:
        fields = (b"Content-Type: a/b", b"Authorization: x", b"X-Tenant: t", b"Accept: */*")
        await (await r.client()).ask(post(b"{}", *fields))
        await r.pairs()
        carried = set(r.challenger.requests[0].fields)
        ours = {b"host", b"content-length", b"x-request-id", b"x-understudy-mirror"}
        assert carried == ours | {b"content-type"}
        assert r.challenger.requests[0].body == b"{}"
        assert b"x-tenant" in r.champion.requests[0].fields


def test_secret_of_a_request_is_found_nowhere_afterwards(tmp_path: Path) -> None:
    """F52: logs, store, metrics, status, audit, pages, and the challenger: 0 hits."""
    sidecar = Sidecar(tmp_path)
    try:
        sidecar.until(lambda: phase(sidecar) == "shadow")
        for n in range(30):
            assert asked(sidecar.port, PATH, f"u{n}") == 200
        assert asked(sidecar.port, "/no/route", "u") == 404
        assert asked(sidecar.port, PATH + "x" * 20_000, "u") == 414
        challenger, champion = sidecar.models[1], sidecar.models[0]
        sidecar.until(lambda: len(challenger.heads) >= 30)
        sidecar.until(lambda: counts(sidecar)["pairs"] >= 30)
        assert all(CANARY in head for head in champion.heads)
        pages = ("/metrics", "/v1/status", "/v1/routes/digits", "/v1/audit", "/v1/decisions", "/",
                 "/livez", "/readyz")  # fmt: skip
        places = {page: raw(sidecar.admin, page) for page in pages}
        places["challenger"] = "".join(challenger.heads).encode()
    finally:
        sidecar.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            places[path.name] = path.read_bytes()
    assert {"log", "routing.yaml", "challenger", "/metrics"} < places.keys()
    assert len(places) > len(pages) + 3
    assert [where for where, found in places.items() if CANARY.encode() in found] == []


def phase(sidecar: Sidecar) -> str:
    return str(sidecar.get("/v1/status")[1]["routes"][0]["phase"])


def counts(sidecar: Sidecar) -> dict[str, int]:
    found: dict[str, int] = sidecar.get("/v1/status")[1]["routes"][0]["counts"]
    return found


def asked(port: int, path: str, user: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", path, b"{}", SECRETS | {"x-user-id": user})
    status = connection.getresponse().status
    connection.close()
    return status


def raw(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    found = connection.getresponse().read()
    connection.close()
    return found
