"""``understudy events test``: a test event to each destination, and what came back."""

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from controller.audit import iso
from sidecar.events import TIMEOUT_S, send
from sidecar.eventspec import EventSpec
from sidecar.exitcode import ExitCode
from sidecar.problem import ConfigError
from sidecar.routefile import load_routefile
from sidecar.webhook import trial_message


def test(file: Path, *, to: str | None, as_json: bool) -> int:
    """Send a test event as the sidecar would; return the exit code: 1 if one was not taken."""
    try:
        specs = load_routefile(file).settings.events
    except ConfigError as error:
        return _fail(str(error))
    chosen = [spec for spec in specs if to in (None, spec.name)]
    if not chosen:
        names = ", ".join(spec.name for spec in specs) or "none"
        return _fail(f"there is nobody to tell: {file} declares under `events:` {names}")
    rows = asyncio.run(_ask(chosen))
    for row in rows:
        sys.stdout.write((json.dumps(row) if as_json else _sentence(row)) + "\n")
    return ExitCode.DONE if all(row["taken"] for row in rows) else ExitCode.FAILED


async def _ask(specs: list[EventSpec]) -> list[dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        return [await _one(session, spec) for spec in specs]


async def _one(session: aiohttp.ClientSession, spec: EventSpec) -> dict[str, Any]:
    message = trial_message(spec.format, iso(time.time_ns()), secrets.token_hex(32))
    began_s = time.monotonic()
    attempt = await send(session, spec, message)
    took_ms = round((time.monotonic() - began_s) * 1e3, 1)
    return {
        "name": spec.name,
        "taken": attempt.taken,
        "said": attempt.said,
        "took_ms": took_ms,
        "id": message.id,
    }


def _sentence(row: dict[str, Any]) -> str:
    word = "taken" if row["taken"] else "NOT TAKEN"
    return f"{row['name']}: {word} ({row['said']}) in {row['took_ms']} ms, id {row['id']}"


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return ExitCode.USAGE
