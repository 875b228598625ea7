"""``POST /v1/labels``: packed bodies, tokens, rates, floods. Over a real socket."""

import asyncio
import gzip
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from prometheus_client.parser import text_string_to_metric_families

from router.tasks import spawn
from sidecar import labelport
from sidecar.api import MAX_BODY_BYTES
from tests.sidecar.admin_bench import AdminBench

LABEL = '{"request_id": "a", "label": 1}'
BILLING, SLOW = "billing-secret", "slow-secret"
TOKENS = f"""tokens:
  - {{name: billing, sha256: {hashlib.sha256(BILLING.encode()).hexdigest()}, scopes: [label]}}
  - name: slow
    sha256: {hashlib.sha256(SLOW.encode()).hexdigest()}
    scopes: [label]
    labels_per_second: 5
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[AdminBench]:
    one = AdminBench(tmp_path)
    await one.start()
    yield one
    await one.close()


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[AdminBench]:
    file = tmp_path / "tokens.yaml"
    file.write_text(TOKENS)
    one = AdminBench(tmp_path, tokens=file)
    await one.start()
    yield one
    await one.close()


async def post(bench: AdminBench, body: str | bytes, token: str = "", **more: str) -> int:
    return (await asked(bench, body, token, **more)).status


async def asked(
    bench: AdminBench, body: str | bytes, token: str = "", **more: str
) -> ClientResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await bench.post("/v1/labels", body, **headers, **more)


async def counted(bench: AdminBench, name: str) -> dict[tuple[str, str], float]:
    text = await (await bench.get("/metrics")).text()
    return {
        (sample.labels["way"], sample.labels.get("result") or sample.labels["reason"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.value
    }


async def test_a_packed_body_is_read_as_what_it_packs(bench: AdminBench) -> None:
    rows = "\n".join(json.dumps({"request_id": f"r{k}", "label": k}) for k in range(5_000))
    response = await asked(bench, gzip.compress(rows.encode()), Content_Encoding="gzip")
    assert response.status == 200
    assert (await response.json())["accepted"] == 5_000
    assert [label.request_id for label in bench.double.labelled[:2]] == ["r0", "r1"]


async def test_two_packed_parts_in_a_row_are_one_body(bench: AdminBench) -> None:
    parts = gzip.compress(LABEL.encode() + b"\n") + gzip.compress(LABEL.encode())
    response = await asked(bench, parts, Content_Encoding="gzip")
    assert (await response.json())["accepted"] == 2


async def test_a_bomb_is_refused_where_a_body_of_its_size_is(bench: AdminBench) -> None:
    """200 MiB of nothing are 200 KiB packed; no more than a body's bytes are ever unpacked."""
    bomb = gzip.compress(b" " * (200 * 1024 * 1024), 6)
    assert len(bomb) < MAX_BODY_BYTES
    assert await post(bench, bomb, Content_Encoding="gzip") == 413
    assert await post(bench, gzip.compress(bomb), Content_Encoding="gzip") == 400


@pytest.mark.parametrize(
    "body", [b"plain", gzip.compress(b"x" * 1000, mtime=0)[:15], b"\x1f\x8b\x08"]
)
async def test_what_is_not_packed_is_refused_and_named(bench: AdminBench, body: bytes) -> None:
    response = await asked(bench, body, Content_Encoding="gzip")
    assert response.status == 400, await response.text()
    assert (await response.json())["remedy"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "compress", "gzip, gzip"])
async def test_other_encodings_are_refused(bench: AdminBench, encoding: str) -> None:
    # 400 where aiohttp lacks the library to unpack it and refuses before we are asked.
    assert await post(bench, LABEL, Content_Encoding=encoding) in (400, 415)
    assert bench.double.labelled == []


async def test_each_token_of_the_file_opens_and_nothing_else_does(guarded: AdminBench) -> None:
    """F37: neither random ids, nor wrong tokens, nor what was sent before change anything."""
    digest = hashlib.sha256(BILLING.encode()).hexdigest()
    wrong = ["", "x", BILLING[:-1], BILLING + "x", BILLING.upper(), digest, *_guesses(20)]
    answers = set()
    for token in wrong:
        for request_id in ("a", secrets.token_hex(16)):
            body = json.dumps({"request_id": request_id, "label": 1})
            response = await asked(guarded, body, token)
            assert response.status == 401
            answers.add(await response.text())
    assert len(answers) == 1, "the answer tells tokens or ids apart"
    assert guarded.double.labelled == []
    assert await post(guarded, LABEL, BILLING) == 200
    assert await post(guarded, LABEL, SLOW) == 200
    assert await counted(guarded, "understudy_label_bodies_refused_total") == {
        ("http", "unauthorized"): 2.0 * len(wrong)
    }


def _guesses(count: int) -> list[str]:
    return [secrets.token_urlsafe(32) for _ in range(count)]


async def test_tokens_are_rotated_without_a_restart(
    guarded: AdminBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.keyring.LOOK_S", 0.0)
    new = hashlib.sha256(b"new").hexdigest()
    entry = f"  - {{name: new, sha256: {new}, scopes: [label]}}\n"
    (tmp_path / "tokens.yaml").write_text(TOKENS + entry)
    assert [await post(guarded, LABEL, token) for token in ("new", BILLING)] == [200, 200]
    (tmp_path / "tokens.yaml").write_text("tokens:\n" + entry)
    assert [await post(guarded, LABEL, token) for token in ("new", BILLING)] == [200, 401]
    (tmp_path / "tokens.yaml").write_text("nonsense")
    assert [await post(guarded, LABEL, token) for token in ("new", BILLING)] == [200, 401]


async def test_a_token_sends_as_fast_as_it_may_and_others_do_not_feel_it(
    guarded: AdminBench,
) -> None:
    body = "\n".join(['{"request_id": "unknown", "label": 1}'] * 1_000)
    assert await post(guarded, body, SLOW) == 200  # more than its share, and owed from now on
    response = await asked(guarded, LABEL, SLOW)
    assert response.status == 429
    assert 100 <= int(response.headers["Retry-After"]) <= 200
    assert await post(guarded, LABEL, BILLING) == 200
    refused = await counted(guarded, "understudy_label_bodies_refused_total")
    assert refused == {("http", "rate"): 1.0}
    received = await counted(guarded, "understudy_labels_received_total")
    assert received == {("http", "unknown"): 1_000.0, ("http", "accepted"): 1.0}


async def test_bodies_over_the_limit_are_told_to_come_again(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelport, "MAX_BODIES", 1)
    arrives, rest = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield LABEL.encode()
        arrives.set()
        await rest.wait()

    headers = {"Content-Type": "application/json"}
    first = spawn(bench.client.post("/v1/labels", data=slowly(), headers=headers), name="first")
    await arrives.wait()
    async with asyncio.timeout(20):
        while (response := await asked(bench, LABEL)).status != 429:
            await asyncio.sleep(0.01)  # until the first one's head was read
    assert response.headers["Retry-After"] == "1"
    rest.set()
    assert (await first).status == 200
    assert await post(bench, LABEL) == 200
    refused = await counted(bench, "understudy_label_bodies_refused_total")
    assert refused == {("http", "full"): 1.0}


async def test_a_body_that_does_not_come_is_not_waited_for(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelport, "READ_S", 0.05)
    forever = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await forever.wait()

    headers = {"Content-Type": "application/json"}
    sent = spawn(bench.client.post("/v1/labels", data=never(), headers=headers), name="never")
    assert (await sent).status == 408
    forever.set()


async def test_events_are_counted_as_a_way_of_their_own(bench: AdminBench) -> None:
    event = {"id": "a", "source": "/s", "specversion": "1.0", "type": "io.understudy.label"}
    body = json.dumps([event | {"data": {"label": 1}}, event | {"type": "other", "id": "b"}])
    response = await bench.post("/v1/labels", body, "application/cloudevents-batch+json")
    content = await response.json()
    assert (response.status, content["accepted"], content["invalid"]) == (200, 1, 1)
    assert content["items"][0]["request_id"] == "b"
    binary = {"ce_specversion": "1.0", "ce_id": "c", "ce_source": "/s"}
    response = await bench.post(
        "/v1/labels", '{"label": 2}', **binary, ce_type="io.understudy.label"
    )
    assert (await response.json())["accepted"] == 1
    assert [label.request_id for label in bench.double.labelled] == ["a", "c"]
    received = await counted(bench, "understudy_labels_received_total")
    assert received == {("cloudevents", "accepted"): 2.0, ("cloudevents", "invalid"): 1.0}
