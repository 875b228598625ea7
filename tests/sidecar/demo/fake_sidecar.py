"""A stand-in for `understudy run`: passes requests on, counts labels, and follows a script.

Its route goes through shadow and a canary at 25 %, by the time since the first request alone, and
ends as the script says: ``better`` promotes, ``worse`` rolls back, ``crash`` rolls back when the
challenger fails, ``stuck`` never decides, ``dies`` ends with code 3 after a moment.

    python -m tests.sidecar.demo.fake_sidecar better demo.yaml
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

SHADOW_S = 0.8
CANARY_S = 0.6
WATCH_S = 0.5
EJECT_AFTER = 5


class FakeSidecar:
    """One route, one script."""

    def __init__(self, script: str, document: dict[str, Any]) -> None:
        self._script = script
        self._document = document
        self._route = document["routes"][0]
        self._begun_s: float | None = None
        self._is_out = False
        self._requests = 0
        self._failures = 0
        self._labels: Counter[str] = Counter()
        self._session = aiohttp.ClientSession()

    @property
    def phase(self) -> str:
        age_s = 0.0 if self._begun_s is None else time.monotonic() - self._begun_s
        if self._is_out:
            return "rolled_back"
        if age_s < SHADOW_S:
            return "shadow"
        if age_s < SHADOW_S + CANARY_S or self._script in ("stuck", "crash"):
            return "canary"
        if self._script == "worse":
            return "rolled_back"
        return "watch" if age_s < SHADOW_S + CANARY_S + WATCH_S else "promoted"

    async def predict(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._begun_s = self._begun_s or time.monotonic()
        self._requests += 1
        if self.phase == "canary" and self._requests % 4 == 0:
            answer = await self._ask(self._route["challengers"][0]["url"], request.path, body)
            if answer is not None:
                return answer
            self._failures += 1
            self._is_out = self._failures >= EJECT_AFTER
        answer = await self._ask(self._route["champion"]["url"], request.path, body)
        return answer or web.Response(status=502)

    async def _ask(self, url: str, path: str, body: bytes) -> web.Response | None:
        headers = {"content-type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=0.4)
        try:
            async with self._session.post(
                url + path, data=body, headers=headers, timeout=timeout
            ) as response:
                read = await response.read()
                failed = response.status >= 500
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        return None if failed else web.Response(status=response.status, body=read)

    async def label(self, request: web.Request) -> web.Response:
        rows = [json.loads(line) for line in (await request.text()).splitlines()]
        results = Counter(
            "unknown" if row["request_id"].startswith("nobody-") else "accepted" for row in rows
        )
        self._labels.update(results)
        return web.json_response({**results, "items": []})

    async def state(self, _: web.Request) -> web.Response:
        phase = self.phase
        names = [self._route["champion"]["name"], self._route["challengers"][0]["name"]]
        return web.json_response(
            {
                "name": self._route["name"],
                "champion": names[phase == "promoted"],
                "challenger": names[1],
                "phase": phase,
                "step": 1,
                "steps": 3,
                "share": 0.25 if phase == "canary" else 0.0,
                "missing": ["accuracy: odds 4:1, needs 20:1"],
                "expected_seconds": 1.5,
                "checks": [{"check": "accuracy", "role": "objective", "odds": 4.0}],
                "labels": self._labels,
                "history": [],
            }
        )

    async def decisions(self, _: web.Request) -> web.Response:
        action = {"promoted": "promote", "rolled_back": "rollback"}.get(self.phase, "advance")
        record = {
            "action": action,
            "challenger": self._route["challengers"][0]["name"],
            "because": "the script says so",
            "evidence": {"readings": [{"check": "accuracy", "state": "passed", "n": 7}]},
        }
        return web.json_response({"decisions": [record]})

    async def serve(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        data, admin = web.Application(), web.Application()
        data.router.add_post(self._route["match"]["path"], self.predict)
        admin.router.add_post("/v1/labels", self.label)
        admin.router.add_get("/v1/routes/" + self._route["name"], self.state)
        admin.router.add_get("/v1/decisions", self.decisions)
        admin.router.add_get("/v1/audit/verify", _verified)
        admin.router.add_get("/readyz", _verified)
        for application, listen in (
            (data, self._document["listen"]),
            (admin, self._document["admin"]["listen"]),
        ):
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            host, _, port = listen.rpartition(":")
            await web.TCPSite(runner, host, int(port)).start()
        if self._script == "dies":
            await asyncio.sleep(1.0)
            sys.stderr.write("out of luck\n")
            sys.stderr.flush()
            os._exit(3)
        await stop.wait()
        await self._session.close()


async def _verified(_: web.Request) -> web.Response:
    return web.json_response({"verified": True, "records": 1, "head": ""})


async def _main() -> None:
    script, path = sys.argv[1:]
    await FakeSidecar(script, yaml.safe_load(Path(path).read_text())).serve()


if __name__ == "__main__":
    asyncio.run(_main())
