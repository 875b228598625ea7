"""The admin port: health, metrics, labels, status, records, and the acts of a person.

Each function here reads one kind of request and words one kind of answer; what is asked is asked
of the Desk. Every refusal says what is wrong and what to do: {"error": ..., "remedy": ...}.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from controller.chain import HeadError, read_head, told
from controller.controller import Act, ActRefused
from controller.store import StoreError
from evaluator.join import LabelOutcome, LabelResult
from sidecar import metrics
from sidecar.desk import Busy, Desk
from sidecar.guard import Access, Answer, Refusal, guard, reply
from sidecar.keyring import Keyring
from sidecar.labelport import LabelPort
from sidecar.labels import Parsed
from sidecar.modelport import ModelPort
from sidecar.permit import ACTS as ACTS_NEED
from sidecar.permit import MAX_WHO_CHARS, actor, check_address, check_scope
from sidecar.quantity import parse_duration_s
from sidecar.query import number
from sidecar.tokenfile import ADMIN, OPERATE

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_LIMIT = 1_000
MAX_WANTED = 10_000
ACTS = tuple(act.value for act in Act)
GLASS_ACTS = frozenset({Act.PROMOTE.value, Act.ROLLBACK.value})
"""Acts that somebody may ask for around the gates."""
MAX_REASON_CHARS = 2_000
CONFLICT_REMEDY = 'send it with "correct": true if it is to take the place of the first'
RESULTS = (
    *("accepted", "corrected", "duplicate", "conflict"),
    *("unknown", "late", "invalid", "forged"),
)

DESK = web.AppKey("desk", Desk)
KEYRING = web.AppKey("keyring", Keyring)
LABELS = web.AppKey("labels", LabelPort)


def application(desk: Desk, access: Access, keyring: Keyring) -> web.Application:
    """Return the admin application; ``web.AppRunner`` serves it."""
    app = web.Application(
        middlewares=[guard(access), _permit, _store_errors], client_max_size=MAX_BODY_BYTES
    )
    app[DESK] = desk
    app[KEYRING] = keyring
    app[LABELS] = LabelPort(desk.label, keyring, desk.ways)
    app.router.add_get("/livez", _livez)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/healthz", _readyz)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/v1/status", _status)
    app.router.add_get("/v1/routes/{name}", _route)
    app.router.add_get("/v1/decisions", _decisions)
    app.router.add_get("/v1/audit", _audit)
    app.router.add_get("/v1/audit/verify", _verify)
    app.router.add_post("/v1/labels", _labels)
    app.router.add_get("/v1/labels/wanted", _wanted)
    app.router.add_post("/-/reload", _reload)
    app.router.add_post("/v1/routes/{name}/{act}", _act)
    ModelPort(desk, keyring).add_to(app)
    return app


@web.middleware
async def _permit(request: web.Request, handler: Answer) -> web.StreamResponse:
    check_address(request, request.app[KEYRING])
    return await handler(request)


@web.middleware
async def _store_errors(request: web.Request, handler: Answer) -> web.StreamResponse:
    """Word the two errors that any answer may meet; nothing was acknowledged in either."""
    again = {"Retry-After": "1"}
    try:
        return await handler(request)
    except StoreError as error:
        remedy = "nothing was acknowledged; free the disk or its lock, then send it again"
        raise Refusal(503, str(error), remedy, again) from error
    except Busy as error:
        raise Refusal(503, str(error), "try again later", again) from error


async def _livez(_: web.Request) -> web.Response:
    return reply({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    readiness = request.app[DESK].readiness()
    return reply(asdict(readiness), 200 if readiness.ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    body = await request.app[DESK].metrics()
    return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})


async def _status(request: web.Request) -> web.Response:
    return reply(await request.app[DESK].status())


async def _route(request: web.Request) -> web.Response:
    return reply(await _find_route(request))


async def _find_route(request: web.Request) -> dict[str, Any]:
    status = await request.app[DESK].status()
    routes: list[dict[str, Any]] = status.get("routes", [])
    for route in routes:
        if route["name"] == request.match_info["name"]:
            return route
    names = ", ".join(route["name"] for route in routes) or "none yet"
    raise Refusal(404, "there is no route of this name", f"the routes are: {names}")


async def _decisions(request: web.Request) -> web.Response:
    route = request.query.get("route")
    found = await request.app[DESK].decisions(route, number(request, "limit", 100, 1, MAX_LIMIT))
    return reply({"decisions": found})


async def _audit(request: web.Request) -> web.Response:
    after = number(request, "after", 0, 0, 2**63 - 1)
    limit = number(request, "limit", 100, 1, MAX_LIMIT)
    desk = request.app[DESK]
    records = await desk.audit(after, limit)
    return reply({"records": records, "head": (await desk.head()).hash})


async def _verify(request: web.Request) -> web.Response:
    text = request.query.get("head")
    try:
        noted = None if text is None else read_head(text)
    except HeadError as error:
        raise Refusal(
            400, f"head is {error}", "add ?head=SEQUENCE:HASH, or leave it out"
        ) from error
    return reply(told(await request.app[DESK].verify(noted)))


async def _labels(request: web.Request) -> web.Response:
    parsed, results = await request.app[LABELS].take(request)
    answer = label_answer(parsed, list(results))
    is_lone = len(parsed.items) == 1 and not parsed.faults
    if is_lone and results[0].outcome is LabelOutcome.CONFLICT:
        return reply({"error": results[0].because, "remedy": CONFLICT_REMEDY} | answer, 409)
    return reply(answer)


async def _wanted(request: web.Request) -> web.Response:
    request.app[LABELS].check(request)
    after = number(request, "after", 0, 0, 2**63 - 1)
    limit = number(request, "limit", 100, 1, MAX_WANTED)
    desk, route = request.app[DESK], request.query.get("route")
    if route is None:
        names = [one["name"] for one in (await desk.status()).get("routes", ())]
        if len(names) != 1:
            words = ", ".join(names) or "none yet"
            raise Refusal(400, "route is missing", f"add ?route=NAME; the routes are: {words}")
        route = names[0]
    try:
        return reply(await desk.wanted(route, after, limit))
    except ActRefused as error:
        raise Refusal(error.status_hint, str(error), "see GET /v1/status") from error


def label_answer(parsed: Parsed, results: list[LabelResult]) -> dict[str, Any]:
    """Return the counts, and each label that was not taken with its reason. Pure."""
    rows: list[dict[str, Any]] = [
        {"index": fault.index, "request_id": fault.request_id, "result": "invalid"}
        | {"because": fault.because}
        for fault in parsed.faults
    ]
    for item, result in zip(parsed.items, results, strict=True):
        rows.append(
            {"index": item.index, "request_id": item.label.request_id or None}
            | {"result": result.outcome.value, "because": result.because}
        )
    counts = Counter(row["result"] for row in rows)
    refused = [row for row in rows if row["result"] not in ("accepted", "corrected")]
    refused.sort(key=lambda row: row["index"])
    return {word: counts[word] for word in RESULTS} | {"items": refused}


async def _reload(request: web.Request) -> web.Response:
    key = check_scope(request, request.app[KEYRING], ADMIN)
    who = "POST /-/reload" if key.is_shared else key.name
    error = await request.app[DESK].reload(who)
    if error is not None:
        raise Refusal(422, error, "correct the routing file; the one before stays in force")
    return reply({"reloaded": True})


async def _act(request: web.Request) -> web.Response:
    name, act = request.match_info["name"], request.match_info["act"]
    if act not in ACTS:
        raise web.HTTPNotFound
    keyring = request.app[KEYRING]
    right = ACTS_NEED.get(act, OPERATE)
    key = check_scope(request, keyring, right, ADMIN)
    said = _person(await request.read(), is_named=not key.is_shared)
    if said.break_glass and act not in GLASS_ACTS:  # else the right to break it were one to approve
        remedy = f"leave break_glass out: it is for {' and '.join(sorted(GLASS_ACTS))}"
        raise Refusal(400, f"there is no glass to break for {act}", remedy)
    check_scope(request, keyring, ADMIN if said.break_glass else right)
    who, reason = actor(key, keyring, said.who), said.reason
    if said.who and not key.is_shared and said.who != who:
        reason = f"{reason} (says to be: {said.who})"
    await _find_route(request)
    try:
        await request.app[DESK].act(
            name,
            act,
            who=who,
            reason=reason,
            break_glass=said.break_glass,
            glass_s=said.glass_s,
        )
    except ActRefused as error:
        remedy = "see what is missing in GET /v1/status"
        raise Refusal(error.status_hint, str(error), remedy) from error
    return reply(await _find_route(request))


@dataclass(frozen=True, slots=True)
class _Said:
    """What the body of an act says."""

    who: str
    """Empty: the token says who."""
    reason: str
    break_glass: bool
    glass_s: float | None
    """How long, once the glass is broken; None: the default."""


def _person(body: bytes, *, is_named: bool) -> _Said:
    """Return who, why, and whether the glass is broken, and for how long."""
    remedy = 'send {"reason": "why"}' if is_named else 'send {"who": "your name", "reason": "why"}'
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body is not JSON", remedy) from error
    if not isinstance(content, dict):
        raise Refusal(400, "the body is not an object", remedy)
    unknown = sorted(content.keys() - {"who", "reason", "break_glass", "for"})
    if unknown:
        raise Refusal(400, f"unknown key {unknown[0][:40]!r}", remedy)
    is_said = "who" in content or not is_named
    who = _words(content.get("who"), "who", MAX_WHO_CHARS, remedy) if is_said else ""
    reason = _words(content.get("reason"), "reason", MAX_REASON_CHARS, remedy)
    break_glass = content.get("break_glass", False)
    if not isinstance(break_glass, bool):
        raise Refusal(400, "break_glass is neither true nor false", remedy)
    return _Said(who, reason, break_glass, _glass_s(content.get("for"), break_glass))


def _glass_s(value: object, break_glass: bool) -> float | None:
    """Return the time that ``for`` gives, in seconds; None if it is not said."""
    if value is None:
        return None
    remedy = 'send a duration beside "break_glass": true, such as "for": "2h" (24h at most)'
    if not break_glass:
        raise Refusal(400, "for is the time of a broken glass, and none is broken", remedy)
    try:
        return parse_duration_s(value if isinstance(value, str) else "")
    except ValueError as error:
        raise Refusal(400, "for is not a duration", remedy) from error


def _words(value: object, name: str, max_chars: int, remedy: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Refusal(400, f"{name} is missing: the record needs it", remedy)
    if len(value) > max_chars:
        raise Refusal(400, f"{name} is longer than {max_chars} characters", remedy)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Refusal(400, f"{name} is not valid Unicode", remedy)
    return value.strip()
