"""One GET to a variant, dialled as the routers dial it: TLS, Unix sockets, time limits."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from router.certificate import CertificateError, client_context
from router.table import Variant

ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
"""Metadata is small; a larger answer is refused. Chosen."""


class NoAnswer(Exception):
    """The variant did not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes


async def get(variant: Variant, path: str, headers: Mapping[str, str]) -> Answer:
    """Ask ``variant`` for ``path``; NoAnswer if there is none within its own time limits.

    Redirects are not followed: they would lead to somebody else.
    """
    timeout = aiohttp.ClientTimeout(
        total=variant.response_timeout_s, connect=variant.connect_timeout_s
    )
    scheme, shown = ("http", None) if variant.tls is None else ("https", _shown(variant))
    url = URL(f"{scheme}://{variant.authority}{path}", encoded=True)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=await _connector(variant)) as session,
            session.get(
                url, headers=headers, allow_redirects=False, server_hostname=shown
            ) as response,
        ):
            body = await response.content.read(ANSWER_LIMIT_BYTES + 1)
            while not response.content.at_eof() and len(body) <= ANSWER_LIMIT_BYTES:
                body += await response.content.read(ANSWER_LIMIT_BYTES + 1 - len(body))
            if len(body) > ANSWER_LIMIT_BYTES:
                raise NoAnswer(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes")
            return Answer(response.status, response.headers.copy(), body)
    except TimeoutError as error:  # before OSError, which it is a kind of
        raise NoAnswer("no answer in time") from error
    except CertificateError as error:
        raise NoAnswer(f"certificate: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error


def _shown(variant: Variant) -> str:
    """Return the name that the variant's certificate must be for."""
    assert variant.tls is not None  # its caller has looked
    return variant.tls.server_name or variant.host


async def _connector(variant: Variant) -> aiohttp.BaseConnector:
    if variant.socket:
        return aiohttp.UnixConnector(variant.socket)
    if variant.tls is None:
        return aiohttp.TCPConnector()
    context: ssl.SSLContext = await asyncio.to_thread(client_context, variant.tls)
    return aiohttp.TCPConnector(ssl=context)
