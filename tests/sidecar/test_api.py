"""The admin port: what it answers, what it refuses, and that it always says why."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from controller.controller import Act
from controller.tokens import FORGED
from router.table import RoutingTable
from sidecar import api, labels
from sidecar.labels import Fault, Parsed
from sidecar.permit import NEEDS, OPEN
from sidecar.tokenfile import READ, digest_of
from tests.sidecar.admin_bench import TOKEN, AdminBench
from tests.sidecar.double import HOSTILE

LABEL = '{"request_id": "a", "label": 1}'
PERSON = '{"who": "ada", "reason": "looks wrong"}'
BEARER = f"Bearer {TOKEN}"
READS = (
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/status",
    "/v1/routes/digits",
    "/v1/decisions",
    "/v1/audit",
    "/v1/audit/verify",
    "/v1/labels/wanted",
    "/v1/models",
    "/v1/models/digits",
    "/v1/routes",
    "/v1/routes/digits/view",
    "/v1/routes/digits/history",
    "/v1/routes/digits/timeline",
)
WRITES = ("/v1/labels", "/-/reload", *(f"/v1/routes/digits/{act}" for act in api.ACTS))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[AdminBench]:
    one = AdminBench(tmp_path)
    await one.start()
    yield one
    await one.close()


async def refused(response: ClientResponse, status: int) -> str:
    """Return the error of a refusal, which always comes with a remedy."""
    assert response.status == status, await response.text()
    content = await response.json()
    assert set(content) == {"error", "remedy"} and content["error"] and content["remedy"]
    return str(content["error"])


async def test_alive_without_anything_else(bench: AdminBench) -> None:
    bench.double.hang.clear()
    response = await bench.get("/livez")
    assert response.status == 200 and await response.json() == {"alive": True}


async def test_not_ready_names_what_is_missing(bench: AdminBench) -> None:
    response = await bench.get("/readyz")
    assert response.status == 503
    assert await response.json() == {
        "ready": False,
        "configuration": False,
        "router": False,
        "champions": {"*": "not asked yet"},
        "retiring": False,
    }
    bench.hub.publish(RoutingTable(version=1))
    await bench.probe.round()
    content = await (await bench.get("/readyz")).json()
    assert content["configuration"] and content["champions"] == {} and not content["ready"]


async def test_status_joins_what_controller_and_process_know(bench: AdminBench) -> None:
    await bench.reloader.reload("start")
    content = await (await bench.get("/v1/status")).json()
    assert content["table_version"] == 17 and content["routes"][0]["name"] == "digits"
    assert content["config_error"] is None and content["routers"] == []
    bench.file.write_text("nonsense")
    await bench.reloader.reload("SIGHUP")
    content = await (await bench.get("/v1/status")).json()
    assert str(bench.file) in content["config_error"]


async def test_route_is_one_of_the_status_and_an_unknown_one_names_those_there_are(
    bench: AdminBench,
) -> None:
    response = await bench.get("/v1/routes/digits")
    assert (await response.json())["champion"] == "digits-1"
    response = await bench.get("/v1/routes/fraud")
    await refused(response, 404)
    assert "digits" in (await response.json())["remedy"]


async def test_hung_engine_leaves_an_older_status_and_metrics(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.desk.STATUS_S", 0.05)
    monkeypatch.setattr("sidecar.desk.ANSWER_S", 0.05)
    await bench.get("/v1/status")
    bench.double.hang.clear()
    content = await (await bench.get("/v1/status")).json()
    assert content["routes"][0]["name"] == "digits" and content["stale_s"] >= 0
    assert (await bench.get("/metrics")).status == 200
    assert "no answer" in await refused(await bench.get("/v1/decisions"), 503)


async def test_hung_engine_is_asked_for_one_status_however_many_want_it(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.desk.STATUS_S", 0.05)
    bench.double.hang.clear()
    await asyncio.gather(*(bench.get("/v1/status") for _ in range(20)))
    bench.double.hang.set()
    await bench.engine.call(lambda _: None)
    assert bench.double.calls.count("status") == 1


async def test_metrics_are_prometheus_text(bench: AdminBench) -> None:
    response = await bench.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "understudy_routing_table_version 17.0" in await response.text()


async def test_records_are_paged(bench: AdminBench) -> None:
    bench.double.records = [{"sequence": k, "route": "r", "action": "a"} for k in range(1, 6)]
    content = await (await bench.get("/v1/audit?after=2&limit=2")).json()
    assert [record["sequence"] for record in content["records"]] == [3, 4]
    assert len(content["head"]) == 64
    content = await (await bench.get("/v1/decisions?route=digits&limit=7")).json()
    assert content["decisions"][0]["route"] == "digits"
    assert content["decisions"][0]["limit"] == 7


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "after=-1", "after=%B2"])
async def test_bad_page_is_refused(bench: AdminBench, query: str) -> None:
    await refused(await bench.get(f"/v1/audit?{query}"), 400)


async def test_empty_audit_verifies(bench: AdminBench) -> None:
    content = await (await bench.get("/v1/audit/verify")).json()
    assert content["verified"] is True and content["records"] == 0 and len(content["head"]) == 64


async def test_a_noted_head_that_is_not_in_the_chain_is_missed(bench: AdminBench) -> None:
    found = await (await bench.get(f"/v1/audit/verify?head=3:{'ab' * 32}")).json()
    assert found["verified"] is False and "ends at 0" in found["because"]
    found = await (await bench.get(f"/v1/audit/verify?head={'0' * 64}")).json()
    assert found["verified"] is True
    await refused(await bench.get("/v1/audit/verify?head=h3"), 400)


async def test_labels_answer_counts_and_each_that_was_not_accepted(bench: AdminBench) -> None:
    lines = [LABEL, '{"request_id": "b", "label": NaN}', '{"request_id": "unknown-c", "label": 2}']
    response = await bench.post("/v1/labels", "\n".join(lines), "application/x-ndjson")
    assert response.status == 200
    content = await response.json()
    assert content["accepted"] == 1 and content["invalid"] == 1 and content["unknown"] == 1
    assert [(row["index"], row["result"]) for row in content["items"]] == [
        *((1, "invalid"), (2, "unknown")),
    ]
    assert all(row["because"] for row in content["items"])
    assert [label.request_id for label in bench.double.labelled] == ["a", "unknown-c"]


async def test_labels_are_answered_only_after_the_disk_has_them(bench: AdminBench) -> None:
    bench.double.hang.clear()
    asking = asyncio.ensure_future(bench.post("/v1/labels", LABEL))  # noqa: TID251 - kept here
    await asyncio.sleep(0.2)
    assert not asking.done()
    bench.double.hang.set()
    assert (await asking).status == 200 and len(bench.double.labelled) == 1


async def test_full_disk_acknowledges_no_label_and_recovers(bench: AdminBench) -> None:
    bench.double.is_full = True
    response = await bench.post("/v1/labels", LABEL)
    assert "full" in await refused(response, 503)
    assert response.headers["Retry-After"]
    bench.double.is_full = False
    assert (await bench.post("/v1/labels", LABEL)).status == 200


async def test_full_queue_refuses_labels_with_429(
    bench: AdminBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.pump.labels, "_max_count", 1)
    bench.double.hang.clear()
    first = asyncio.ensure_future(bench.post("/v1/labels", LABEL))  # noqa: TID251 - kept here
    await asyncio.sleep(0.1)
    response = await bench.post("/v1/labels", LABEL)
    await refused(response, 429)
    assert response.headers["Retry-After"]
    bench.double.hang.set()
    assert (await first).status == 200


@pytest.mark.parametrize("body", ["nonsense", "[]", "\x00"])
async def test_body_without_labels_is_refused(bench: AdminBench, body: str) -> None:
    await refused(await bench.post("/v1/labels", body), 400)


async def test_large_body_is_refused_and_a_large_good_one_is_not(bench: AdminBench) -> None:
    await refused(await bench.post("/v1/labels", b"x" * (api.MAX_BODY_BYTES + 1)), 413)
    rows = [{"request_id": f"r{k}", "label": k} for k in range(9_000)]
    content = await (await bench.post("/v1/labels", json.dumps(rows))).json()
    assert content["accepted"] == 9_000


async def test_reload_says_what_is_wrong(bench: AdminBench) -> None:
    response = await bench.post("/-/reload", Authorization=BEARER)
    assert response.status == 200 and await response.json() == {"reloaded": True}
    bench.file.write_text("routes: []\n...\n")
    error = await refused(await bench.post("/-/reload", Authorization=BEARER), 422)
    assert str(bench.file) in error


async def test_person_acts_with_a_name_and_a_reason(bench: AdminBench) -> None:
    response = await bench.post("/v1/routes/digits/rollback", PERSON, Authorization=BEARER)
    assert response.status == 200 and (await response.json())["name"] == "digits"
    assert bench.double.acts == [("digits", Act.ROLLBACK, "ada", "looks wrong", False)]


async def test_promotion_by_hand_needs_the_glass_to_be_broken(bench: AdminBench) -> None:
    path = "/v1/routes/digits/promote"
    error = await refused(await bench.post(path, PERSON, Authorization=BEARER), 409)
    assert "gates" in error
    body = '{"who": "ada", "reason": "urgent", "break_glass": true}'
    assert (await bench.post(path, body, Authorization=BEARER)).status == 200
    assert bench.double.acts == [("digits", Act.PROMOTE, "ada", "urgent", True)]


async def test_a_broken_glass_has_its_time(bench: AdminBench) -> None:
    body = '{"who": "ada", "reason": "urgent", "break_glass": true, "for": "90m"}'
    path = "/v1/routes/digits/promote"
    assert (await bench.post(path, body, Authorization=BEARER)).status == 200
    assert bench.double.glass_s == 5400.0


@pytest.mark.parametrize(
    "body",
    [
        '{"who": "ada", "reason": "x", "for": "30m"}',
        '{"who": "ada", "reason": "x", "break_glass": true, "for": "soon"}',
        "{}",
        "[]",
        "nonsense",
        '{"who": "ada"}',
        '{"who": " ", "reason": "x"}',
        '{"who": "ada", "reason": 7}',
        '{"who": "ada", "reason": "\\ud800"}',
        '{"who": "ada", "reason": "x", "break_glass": "yes"}',
        '{"who": "ada", "reason": "x", "force": true}',
        '{"who": "ada", "reason": "x", "for": "2h"}',
        '{"who": "ada", "reason": "x", "break_glass": true, "for": "soon"}',
        '{"who": "ada", "reason": "x", "break_glass": true, "for": 7200}',
        json.dumps({"who": "a" * 201, "reason": "x"}),
        "[" * 100_000,
    ],
)
async def test_act_without_name_and_reason_is_refused(bench: AdminBench, body: str) -> None:
    await refused(await bench.post("/v1/routes/digits/hold", body, Authorization=BEARER), 400)
    assert bench.double.acts == []


async def test_act_on_what_is_not_there_is_refused(bench: AdminBench) -> None:
    for path in ("/v1/routes/fraud/hold", "/v1/routes/digits/explode"):
        await refused(await bench.post(path, PERSON, Authorization=BEARER), 404)


async def test_without_a_token_nobody_may_act_and_the_answer_says_how(tmp_path: Path) -> None:
    bench = AdminBench(tmp_path, token="")
    await bench.start()
    for authorization in ("", "Bearer ", "Bearer x"):
        response = await bench.post("/v1/routes/digits/hold", PERSON, Authorization=authorization)
        await refused(response, 403)
        assert "UNDERSTUDY_TOKEN" in (await response.json())["remedy"]
    assert bench.double.acts == []
    await bench.close()


async def test_label_token_is_asked_for_once_it_is_set(tmp_path: Path) -> None:
    bench = AdminBench(tmp_path, label_token="label-secret")
    await bench.start()
    await refused(await bench.post("/v1/labels", LABEL), 401)
    response = await bench.post("/v1/labels", LABEL, Authorization="Bearer label-secret")
    assert response.status == 200 and len(bench.double.labelled) == 1
    await bench.close()


ATTACKS = {
    "no token": ({}, PERSON, "application/json", 401),
    "wrong token": ({"Authorization": "Bearer wrong"}, PERSON, "application/json", 401),
    "longer token": ({"Authorization": BEARER + "x"}, PERSON, "application/json", 401),
    "half a token": ({"Authorization": BEARER[:-1]}, PERSON, "application/json", 401),
    "another scheme": ({"Authorization": f"Basic {TOKEN}"}, PERSON, "application/json", 401),
    "token in the address": ({}, PERSON, "application/json", 401),
    "label token": ({"Authorization": "Bearer labels-only"}, PERSON, "application/json", 403),
    "foreign host": ({"Host": "rebind.evil.test"}, PERSON, "application/json", 421),
    "foreign origin": ({"Origin": "http://evil.test"}, PERSON, "application/json", 403),
    "opaque origin": ({"Origin": "null"}, PERSON, "application/json", 403),
    "another site": ({"Sec-Fetch-Site": "cross-site"}, PERSON, "application/json", 403),
    "form": ({}, "who=ada", "application/x-www-form-urlencoded", 415),
    "plain text": ({}, PERSON, "text/plain", 415),
}
"""What is sent, and what it is answered."""
BROWSERS = {"foreign host", "foreign origin", "opaque origin", "another site", "form", "plain text"}
"""Attacks in which the token is the right one: the browser has it, and is talked into using it."""


def addresses(bench: AdminBench, method: str) -> dict[str, str]:
    """Return every address that the port itself says it has, and how it is declared: one that is
    added is attacked too."""
    found: dict[str, str] = {}
    for route in bench.app.router.routes():
        assert route.resource is not None
        address = re.sub(r"{(?!act)\w+}", "digits", route.resource.canonical)
        acts = api.ACTS if "{act}" in address else ("",)
        if route.method == method:
            found |= {address.replace("{act}", act): route.resource.canonical for act in acts}
    return found


async def shut_bench(folder: Path) -> AdminBench:
    """One on which everything needs a token."""
    one = AdminBench(folder, label_token="labels-only", closed=("read", "label"))
    await one.start()
    return one


async def test_no_attack_on_any_write_changes_anything(tmp_path: Path) -> None:
    """promises.md F41, F42: every route that changes state x every attack."""
    bench = await shut_bench(tmp_path)
    assert set(WRITES) <= set(addresses(bench, "POST"))
    for path, attack in itertools.product(addresses(bench, "POST"), ATTACKS):
        headers, body, kind, expected = ATTACKS[attack]
        if attack in BROWSERS:
            secret = "labels-only" if path == "/v1/labels" else TOKEN
            headers = headers | {"Authorization": f"Bearer {secret}"}
        if (path, attack) == ("/v1/labels", "label token"):
            continue  # that is what it is for
        if attack == "token in the address":
            path += f"?token={TOKEN}&access_token={TOKEN}"
        await refused(await bench.post(path, body, kind, **headers), expected)
        assert set(bench.double.calls) <= {"step"}, (path, attack)
    await bench.close()


async def test_no_read_is_answered_without_its_token_once_reads_are_closed(
    tmp_path: Path,
) -> None:
    """promises.md F41, F42: every route that tells something x every attack."""
    bench = await shut_bench(tmp_path)
    declared = addresses(bench, "GET")
    assert set(READS) <= set(declared)
    for path, address in declared.items():
        wanted = path == "/v1/labels/wanted"
        right, other = ("Bearer labels-only", BEARER) if wanted else (BEARER, "Bearer labels-only")
        await refused(await bench.get(path, Host="rebind.evil.test", Authorization=right), 421)
        if NEEDS.get(f"GET {address}", READ) is OPEN and not wanted:
            continue
        for given in ("", "Bearer wrong", BEARER[:-1], f"Basic {TOKEN}"):
            await refused(await bench.get(path, Authorization=given), 401)
        await refused(await bench.get(f"{path}?token={TOKEN}"), 401)
        await refused(await bench.get(path, Authorization=other), 403)
        response = await bench.get(path, Authorization=right)
        assert response.status not in (401, 403), path
        response.close()
    await bench.close()


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_but_post_changes_anything(bench: AdminBench, path: str, method: str) -> None:
    headers = {"Authorization": BEARER, "Content-Type": "application/json"}
    response = await bench.client.request(method, path, data=PERSON, headers=headers)
    if method == "HEAD":
        assert response.status == 405
    else:
        await refused(response, 405)
    assert response.headers["Allow"] == "POST"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert set(bench.double.calls) <= {"step"}


TOKENS = {
    "ada": "operate",
    "bob": "approve",
    "root": "admin",
    "eve": "label",
    "tv": "read",
}


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[AdminBench]:
    """A bench with a token for each scope, each one's secret its holder's name twice."""
    rows = [
        f"  - {{name: {name}, sha256: {digest_of(name * 2).hex()}, scopes: [{scope}]}}\n"
        for name, scope in TOKENS.items()
    ]
    (tmp_path / "tokens.yaml").write_text("tokens:\n" + "".join(rows))
    one = AdminBench(tmp_path, tokens=tmp_path / "tokens.yaml", closed=("read", "label"))
    await one.start()
    yield one
    await one.close()


def of(name: str) -> str:
    return f"Bearer {name * 2}"


async def test_each_scope_opens_what_is_its_own_and_nothing_else(named: AdminBench) -> None:
    glass = '{"reason": "urgent", "break_glass": true}'
    asked: dict[str, tuple[str, str, set[str]]] = {
        "hold": ("/v1/routes/digits/hold", PERSON, {"ada"}),
        "glass": ("/v1/routes/digits/promote", glass, {"root"}),
        "approve": ("/v1/routes/digits/approve", PERSON, {"bob"}),
        "reload": ("/-/reload", "", {"root"}),
        "label": ("/v1/labels", LABEL, {"eve"}),
    }
    for what, (path, body, allowed) in asked.items():
        for name in TOKENS:
            response = await named.post(path, body, Authorization=of(name))
            assert response.status == (200 if name in allowed else 403), (what, name)
    for name in TOKENS:
        response = await named.get("/v1/status", Authorization=of(name))
        assert response.status == (403 if name == "eve" else 200)
    assert [act[:3] for act in named.double.acts] == [
        ("digits", Act.HOLD, "ada"),
        ("digits", Act.PROMOTE, "root"),
        ("digits", Act.APPROVE, "bob"),
    ]


async def test_the_token_says_who_acts_and_the_body_only_what_he_calls_himself(
    named: AdminBench,
) -> None:
    path = "/v1/routes/digits/hold"
    for body in ('{"who": "root", "reason": "mine"}', '{"reason": "mine"}', PERSON):
        assert (await named.post(path, body, Authorization=of("ada"))).status == 200
    reasons = ["mine (says to be: root)", "mine", "looks wrong"]
    assert [act[2:4] for act in named.double.acts] == [("ada", reason) for reason in reasons]
    assert (await named.post("/-/reload", Authorization=of("root"))).status == 200
    assert "adopt by root" in named.double.calls


async def test_the_environments_token_claims_a_name_and_never_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text("tokens: []\n")
    bench = AdminBench(tmp_path, tokens=tmp_path / "tokens.yaml")
    await bench.start()
    path = "/v1/routes/digits/hold"
    assert (await bench.post(path, PERSON, Authorization=BEARER)).status == 200
    assert bench.double.acts[0][2] == "ada (UNDERSTUDY_TOKEN)"
    for name in ("controller", "Policy", "recovery"):
        body = json.dumps({"who": name, "reason": "x"})
        await refused(await bench.post(path, body, Authorization=BEARER), 400)
    await bench.close()


async def test_breaking_the_glass_needs_admin_whatever_else_one_may(tmp_path: Path) -> None:
    row = f"tokens: [{{name: ada, sha256: {digest_of('x').hex()}, scopes: [operate, SCOPE]}}]\n"
    for scope, expected in (("approve", 403), ("admin", 200)):
        (tmp_path / scope).mkdir()
        (tmp_path / "tokens.yaml").write_text(row.replace("SCOPE", scope))
        bench = AdminBench(tmp_path / scope, tokens=tmp_path / "tokens.yaml")
        await bench.start()
        body = '{"reason": "urgent", "break_glass": true}'
        response = await bench.post("/v1/routes/digits/promote", body, Authorization="Bearer x")
        assert response.status == expected
        assert len(bench.double.acts) == (expected == 200)
        await bench.close()


@pytest.mark.parametrize("act", ["hold", "resume", "approve"])
async def test_a_broken_glass_gives_nobody_a_right_to_something_else(
    bench: AdminBench, named: AdminBench, act: str
) -> None:
    """Least of all to approve, in any name: four eyes need tokens that name people."""
    path, body = f"/v1/routes/digits/{act}", '{"who": "ada", "reason": "x", "break_glass": true}'
    for one, token in ((bench, BEARER), (named, of("root"))):
        response = await one.post(path, body, Authorization=token)
        assert response.status in (400, 403)
        assert one.double.acts == []


@pytest.mark.parametrize("path", [*READS, "/nothing/here", "/v1/routes/absent"])
async def test_every_answer_carries_the_headers_that_keep_browsers_out(
    bench: AdminBench, path: str
) -> None:
    bench.double.records = [
        {"sequence": 1, "because": HOSTILE, "who": HOSTILE, "route": HOSTILE, "action": HOSTILE}
        | {"challenger": HOSTILE, "evidence": {HOSTILE: [HOSTILE]}, "artifact": HOSTILE}
    ]
    response = await bench.get(path)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "<img" not in await response.text()


async def test_fault_of_ours_is_an_answer_without_its_details(bench: AdminBench) -> None:
    bench.double.records = [{}]
    error = await refused(await bench.get("/v1/audit"), 500)
    assert error == "internal error"


def test_label_answer_is_in_the_order_of_the_body() -> None:
    parsed = Parsed((), (Fault(3, None, "x"), Fault(1, "b", "y")))
    assert [row["index"] for row in api.label_answer(parsed, [])["items"]] == [1, 3]


async def test_single_label_that_differs_from_the_first_is_answered_409(bench: AdminBench) -> None:
    one = '{"request_id": "conflict-a", "label": 1}'
    response = await bench.post("/v1/labels", one)
    assert response.status == 409
    content = await response.json()
    assert content["conflict"] == 1 and content["error"] and '"correct": true' in content["remedy"]
    response = await bench.post("/v1/labels", f"[{one}, {LABEL}]")
    content = await response.json()
    assert response.status == 200 and (content["conflict"], content["accepted"]) == (1, 1)
    assert [row["request_id"] for row in content["items"]] == ["conflict-a"]


async def test_correction_is_told_from_a_first_label(bench: AdminBench) -> None:
    body = '{"request_id": "a", "label": 1, "correct": true}'
    content = await (await bench.post("/v1/labels", body)).json()
    assert content["corrected"] == 1 and content["items"] == []
    assert bench.double.labelled[0].is_correction


async def test_wanted_labels_are_asked_of_the_only_route_or_of_a_named_one(
    bench: AdminBench,
) -> None:
    for query in ("limit=3&after=9", "route=digits&limit=3&after=9"):
        content = await (await bench.get(f"/v1/labels/wanted?{query}")).json()
        assert content == {"route": "digits", "after": 9, "limit": 3}
    await refused(await bench.get("/v1/labels/wanted?route=nowhere"), 404)
    await refused(await bench.get("/v1/labels/wanted?limit=0"), 400)


async def test_wanted_labels_need_the_label_token_once_it_is_set(tmp_path: Path) -> None:
    bench = AdminBench(tmp_path, label_token="labels-only")
    await bench.start()
    await refused(await bench.get("/v1/labels/wanted"), 401)
    await bench.close()


async def test_a_label_with_a_token_needs_no_request_id(bench: AdminBench) -> None:
    response = await bench.post("/v1/labels", '{"token": "v1.k.p.m", "label": 1}')
    assert response.status == 200 and (await response.json())["accepted"] == 1
    (label,) = bench.double.labelled
    assert (label.request_id, label.token) == ("", "v1.k.p.m")


def test_a_forged_label_is_named_by_its_place_and_told_nothing() -> None:
    parsed = labels.parse(b'{"token": "v1.k.p.m", "label": 1}')
    answer = api.label_answer(parsed, [FORGED])
    assert answer["forged"] == 1
    because = "not a token of ours for this request and route"
    assert answer["items"] == [
        {"index": 0, "request_id": None, "result": "forged", "because": because}
    ]
