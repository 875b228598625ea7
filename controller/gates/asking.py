"""Asks one variant directly, as a router would, but for gates: no mirror, no split, no retries.

Every request carries the marker that tells the variant that nobody acts on its answer.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from yarl import URL

from router.certificate import client_context
from router.observation import Outcome
from router.table import Match, Variant

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
"""A larger answer fails the gate; chosen, far above any prediction."""


class TooLargeAnswer(Exception):
    """The answer is larger than a gate reads; the message says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    """Whole, its content-encoding undone."""
    form: str
    """As ``Outcome.form``."""
    latency_s: float
    """From the request to the last byte."""

    def outcome(self, variant: str) -> Outcome:
        """Return the answer as the evaluator's readers take it."""
        fault = "status" if self.status >= 500 else ""
        return Outcome(
            variant, self.status, self.latency_s, fault, self.body, len(self.body), form=self.form
        )


class Asker:
    """One variant's address and a session with it. Made by ``asking``, which closes it."""

    def __init__(
        self,
        variant: Variant,
        match: Match,
        session: aiohttp.ClientSession,
        context: ssl.SSLContext | None,
        limit_bytes: int,
    ) -> None:
        self._variant = variant
        self._match = match
        self._session = session
        self._context = context
        self._limit_bytes = limit_bytes

    @property
    def path(self) -> str:
        """Where predictions are asked for. A prefix route has no path of its own: the prefix."""
        return self._match.path.removesuffix("*")

    async def post(self, body: bytes) -> Answer:
        """Ask for a prediction; aiohttp.ClientError, OSError, TimeoutError or TooLargeAnswer."""
        headers = self._headers() | {"content-type": "application/json"}
        return await self._ask("POST", self.path, body, headers)

    async def get(self, path: str) -> Answer:
        """Ask for ``path``; raises as ``post`` does."""
        return await self._ask("GET", path, None, self._headers())

    async def connect(self) -> None:
        """Only connect; OSError or TimeoutError."""
        async with asyncio.timeout(self._variant.connect_timeout_s):
            if self._variant.socket:
                _, writer = await asyncio.open_unix_connection(self._variant.socket)
            else:
                _, writer = await asyncio.open_connection(
                    self._variant.host,
                    self._variant.port,
                    ssl=self._context,
                    server_hostname=self._shown,
                )
        writer.close()
        await writer.wait_closed()

    async def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> Answer:
        began_s = asyncio.get_running_loop().time()
        async with self._session.request(
            method,
            _url(self._variant, path),
            data=body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._shown,
        ) as response:
            raw = bytearray()
            async for chunk in response.content.iter_any():
                raw += chunk
                if len(raw) > self._limit_bytes:
                    raise TooLargeAnswer(f"the answer is larger than {self._limit_bytes} bytes")
            took_s = asyncio.get_running_loop().time() - began_s
            return Answer(response.status, bytes(raw), _form(response), took_s)

    def _headers(self) -> dict[str, str]:
        headers = {"x-understudy-mirror": "1"}
        if self._match.host is not None:
            headers["host"] = self._match.host
        if self._match.header is not None:
            headers[self._match.header[0]] = self._match.header[1]
        return headers

    @property
    def _shown(self) -> str | None:
        """The name that the variant's certificate must be for; None without TLS."""
        tls = self._variant.tls
        return None if tls is None else tls.server_name or self._variant.host


@contextlib.asynccontextmanager
async def asking(
    variant: Variant, match: Match, *, limit_bytes: int = ANSWER_LIMIT_BYTES, connections: int = 100
) -> AsyncIterator[Asker]:
    """Open a session with ``variant``; CertificateError if its TLS cannot be set up.

    Each answer has the variant's own connect and response timeout.
    """
    context = None if variant.tls is None else await asyncio.to_thread(client_context, variant.tls)
    timeout = aiohttp.ClientTimeout(
        total=variant.response_timeout_s, connect=variant.connect_timeout_s
    )
    connector = _connector(variant, context, connections)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Asker(variant, match, session, context, limit_bytes)


def fault_of(error: Exception) -> str:
    """Return why no answer came, for people."""
    if isinstance(error, TimeoutError):  # before OSError, which it is a kind of
        return "no answer in time"
    if isinstance(error, TooLargeAnswer):
        return str(error)
    is_of_tls = isinstance(error, aiohttp.ClientSSLError)  # these say what is wrong
    if isinstance(error, aiohttp.ClientConnectorError) and not is_of_tls and error.os_error.errno:
        number = abs(error.os_error.errno)  # the library's words speak of ssl:default without TLS
        return f"no answer: {os.strerror(number)}"
    return f"no answer: {type(error).__name__}: {error}"


def _connector(
    variant: Variant, context: ssl.SSLContext | None, connections: int
) -> aiohttp.BaseConnector:
    if variant.socket:
        return aiohttp.UnixConnector(variant.socket, limit=connections)
    if context is None:
        return aiohttp.TCPConnector(limit=connections)
    return aiohttp.TCPConnector(ssl=context, limit=connections)


def _form(response: aiohttp.ClientResponse) -> str:
    if response.content_type == "text/event-stream":
        return "sse"
    size = response.headers.get("inference-header-content-length", "")
    return f"json:{int(size)}" if size.isascii() and size.isdigit() and len(size) < 10 else ""


def _url(variant: Variant, path: str) -> URL:
    scheme = "https" if variant.tls is not None else "http"
    return URL(f"{scheme}://{variant.authority}{path}", encoded=True)
