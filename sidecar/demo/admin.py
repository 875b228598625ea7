"""Asks the sidecar's admin port, as anybody could with curl."""

import asyncio
from typing import Any

import aiohttp

TIMEOUT_S = 5.0
RETRY_EVERY_S = 0.1


class AdminError(Exception):
    """The admin port did not answer, or not as its contract says."""


class Admin:
    """The admin port of one sidecar. Whoever makes it closes it."""

    def __init__(self, url: str) -> None:
        self._url = url
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def is_ready(self) -> bool:
        """Whether the sidecar serves: configuration loaded, champion reachable."""
        try:
            async with self._session.get(f"{self._url}/readyz") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def wait_ready(self, within_s: float) -> None:
        """Wait until the sidecar serves; TimeoutError after ``within_s`` seconds."""
        async with asyncio.timeout(within_s):
            while not await self.is_ready():
                await asyncio.sleep(RETRY_EVERY_S)  # another process: there is no event to await

    async def route(self, name: str) -> dict[str, Any] | None:
        """Return the state of the route; None when the admin port does not answer now."""
        try:
            return await self._get(f"/v1/routes/{name}")
        except AdminError:
            return None

    async def decisions(self) -> list[dict[str, Any]]:
        """Return the audit records of promotions, rollbacks and advances, newest first.

        Raises AdminError.
        """
        return list(_field(await self._get("/v1/decisions"), "decisions"))

    async def is_audit_verified(self) -> bool:
        """Whether every record's hash and every link between two is right; raises AdminError."""
        return _field(await self._get("/v1/audit/verify"), "verified") is True

    async def approve(self, route: str, token: str, reason: str) -> bool:
        """Approve leaving the present stage; whether that was taken. Raises AdminError."""
        url = f"{self._url}/v1/routes/{route}/approve"
        headers = {"authorization": f"Bearer {token}"}
        try:
            async with self._session.post(url, json={"reason": reason}, headers=headers) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AdminError(f"POST {url}: {type(error).__name__}: {error}") from error

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            async with self._session.get(self._url + path) as response:
                response.raise_for_status()
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise AdminError(f"GET {path}: {type(error).__name__}: {error}") from error
        if not isinstance(answer, dict):
            raise AdminError(f"GET {path}: expected a JSON object, got {answer!r:.200}")
        return answer


def _field(answer: dict[str, Any], name: str) -> Any:
    if name not in answer:
        raise AdminError(f"the answer has no {name!r}: {answer!r:.200}")
    return answer[name]


async def order_faults(url: str, plan: dict[str, object]) -> None:
    """Tell the model server at ``url`` to fail as ``plan`` says, see fault.py.

    Raises aiohttp.ClientError if it does not obey.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        async with session.post(f"{url}/-/fail", json=plan) as response:
            response.raise_for_status()
