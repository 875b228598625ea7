"""Does the challenger answer at all? Asked with sample requests, before it meets any traffic.

Talks to the challenger only, directly; its answers are looked at and thrown away.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from controller.gates.report import GateCheck, GateReport
from controller.gates.task import GateTask
from evaluator.extract import Extractor, parsed
from router.certificate import CertificateError, client_context
from router.observation import Outcome
from router.table import Match, Variant

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
"""A larger answer to a sample fails the gate; chosen, far above any prediction."""

Asked = Callable[[], Awaitable[str]]
"""Asks one thing; returns why it failed, or nothing."""


@dataclass(frozen=True, slots=True)
class FunctionalTask:
    """What the gate must ask of whom."""

    route: str
    challenger: Variant
    match: Match
    samples: tuple[bytes, ...] = ()
    """Request bodies (JSON)."""
    ready_path: str | None = None
    """GET must answer 200; None asks only that the port accepts connections."""
    prediction: str | None = None
    """JMESPath that must find something in each answer; None asks for JSON only."""


def task_of(task: GateTask) -> FunctionalTask:
    """Return what the functional gate asks of a challenger."""
    return FunctionalTask(
        route=task.route.name,
        challenger=task.challenger,
        match=task.route.match,
        samples=task.stage.samples,
        ready_path=task.stage.ready_path,
        prediction=task.route.prediction,
    )


async def run(task: FunctionalTask) -> GateReport:
    """Ask everything in order and stop at the first failure; never raises for the challenger's
    faults. Each answer has the variant's own connect and response timeout."""
    timeout = aiohttp.ClientTimeout(
        total=task.challenger.response_timeout_s, connect=task.challenger.connect_timeout_s
    )
    checks: list[GateCheck] = []
    try:
        context = await _context(task.challenger)
    except CertificateError as exc:
        because = f"certificate: {exc}"
        return GateReport(task.challenger.name, False, because)
    connector = _connector(task.challenger, context)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        for name, ask in _questions(task, session, context):
            fault = await _guarded(ask)
            checks.append(GateCheck(name, not fault, fault or "answered as declared"))
            if fault:
                because = f"{name}: {fault}"
                return GateReport(task.challenger.name, False, because, tuple(checks))
    because = f"ready, and {len(task.samples)} sample requests answered as declared"
    return GateReport(task.challenger.name, True, because, tuple(checks))


def _questions(
    task: FunctionalTask, session: aiohttp.ClientSession, context: ssl.SSLContext | None
) -> list[tuple[str, Asked]]:
    def sample(body: bytes) -> Asked:
        return lambda: _ask_sample(task, session, body)

    return [
        ("ready", lambda: _ask_ready(task, session, context)),
        *((f"sample {n}", sample(body)) for n, body in enumerate(task.samples, start=1)),
    ]


async def _context(challenger: Variant) -> ssl.SSLContext | None:
    """Return how to speak TLS with the challenger, as the routers would; None without TLS."""
    if challenger.tls is None:
        return None
    return await asyncio.to_thread(client_context, challenger.tls)


def _connector(challenger: Variant, context: ssl.SSLContext | None) -> aiohttp.BaseConnector:
    if challenger.socket:
        return aiohttp.UnixConnector(challenger.socket)
    return aiohttp.TCPConnector() if context is None else aiohttp.TCPConnector(ssl=context)


async def _guarded(ask: Asked) -> str:
    try:
        return await ask()
    except TimeoutError:  # before OSError, which it is a kind of
        return "no answer in time"
    except (aiohttp.ClientError, OSError) as exc:
        return f"no answer: {type(exc).__name__}: {exc}"


async def _ask_ready(
    task: FunctionalTask, session: aiohttp.ClientSession, context: ssl.SSLContext | None
) -> str:
    if task.ready_path is None:
        await _connect(task.challenger, context)
        return ""
    url = _url(task.challenger, task.ready_path)
    async with session.get(
        url, headers=_headers(task), allow_redirects=False, server_hostname=_shown(task.challenger)
    ) as response:
        return "" if response.status == 200 else f"status {response.status}, expected 200"


async def _connect(challenger: Variant, context: ssl.SSLContext | None) -> None:
    async with asyncio.timeout(challenger.connect_timeout_s):
        if challenger.socket:
            _, writer = await asyncio.open_unix_connection(challenger.socket)
        else:
            _, writer = await asyncio.open_connection(
                challenger.host, challenger.port, ssl=context, server_hostname=_shown(challenger)
            )
    writer.close()
    await writer.wait_closed()


def _shown(challenger: Variant) -> str | None:
    """Return the name that the challenger's certificate must be for; None without TLS."""
    tls = challenger.tls
    return None if tls is None else tls.server_name or challenger.host


async def _ask_sample(task: FunctionalTask, session: aiohttp.ClientSession, body: bytes) -> str:
    # A prefix route has no path of its own: its samples go to the prefix itself.
    url = _url(task.challenger, task.match.path.removesuffix("*"))
    headers = _headers(task) | {"content-type": "application/json"}
    async with session.post(
        url,
        data=body,
        headers=headers,
        allow_redirects=False,
        server_hostname=_shown(task.challenger),
    ) as response:
        if response.status != 200:
            return f"status {response.status}, expected 200"
        raw = bytearray()
        async for chunk in response.content.iter_any():
            raw += chunk
            if len(raw) > ANSWER_LIMIT_BYTES:
                return f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes"
        form = "sse" if response.content_type == "text/event-stream" else ""
    return _fault_of(bytes(raw), task.prediction, form)


def _fault_of(raw: bytes, prediction: str | None, form: str) -> str:
    """Return what is wrong with an answer's body, or nothing. Pure; reads as the evaluator does."""
    if prediction is None and not form:
        try:
            parsed(raw)
        except (ValueError, RecursionError):
            return "the answer is not JSON"
        return ""
    answer = Outcome("", 200, 0.0, "", raw, len(raw), form=form)
    found = Extractor(prediction).read(answer)
    where = f"no prediction at {prediction!r}" if prediction is not None else "no whole stream"
    return "" if found.text is not None else f"{where}: {found.reason}"


def _headers(task: FunctionalTask) -> dict[str, str]:
    """Ask as the route's clients do; the marker tells the challenger that nobody acts on it."""
    headers = {"x-understudy-mirror": "1"}
    if task.match.host is not None:
        headers["host"] = task.match.host
    if task.match.header is not None:
        headers[task.match.header[0]] = task.match.header[1]
    return headers


def _url(variant: Variant, path: str) -> URL:
    scheme = "https" if variant.tls is not None else "http"
    return URL(f"{scheme}://{variant.authority}{path}", encoded=True)
