"""Asks a part of the security gate in a process of its own, and outlives whatever that one does."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.gates.finding import Finding, clipped, from_json
from evaluator.evidence import CheckState

ANSWER_BYTES = 4 << 20
"""Chosen: findings name what they count, twenty at most."""
COMMAND = (sys.executable, "-P", "-m", "controller.gates.cell")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one question."""

    time_s: float = 120.0
    """On the clock and of the processor."""
    memory_bytes: int = 2 << 30
    """Address space."""


async def ask(part: str, asked: Mapping[str, Any], limits: Limits) -> list[Finding]:
    """Return what ``part`` finds; one UNKNOWN when its process dies, stalls or talks nonsense.

    ``asked`` holds what ``msgspec`` can write as JSON. Cancelled, it ends the process first.
    """
    question = msgspec.json.encode(
        {
            "part": part,
            "asked": dict(asked),
            "memory_bytes": limits.memory_bytes,
            "time_s": limits.time_s,
        }
    )
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
        limit=ANSWER_BYTES,
    )
    try:
        async with asyncio.timeout(limits.time_s):
            raw = await _exchange(process, question)
            status = await process.wait()
    except TimeoutError:
        return [_unknown(part, f"not finished within {limits.time_s:g} s")]
    finally:
        await _end(process)
    if status != 0:
        return [_unknown(part, _death(status))]
    try:
        return [from_json(one) for one in json.loads(raw)]
    except (ValueError, TypeError) as exc:
        return [_unknown(part, f"its process answered nonsense: {clipped(str(exc))}")]


async def _exchange(process: asyncio.subprocess.Process, question: bytes) -> bytes:
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    with contextlib.suppress(ConnectionError):  # it died before it read all: its status says so
        process.stdin.write(question)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()
    raw = bytearray()
    while piece := await process.stdout.read(1 << 16):
        raw += piece
        if len(raw) > ANSWER_BYTES:
            return b"more than an answer"
    return bytes(raw)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process if it still runs, and whatever it has started; reap it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())


def _death(status: int) -> str:
    if status == -signal.SIGXCPU or status == -signal.SIGKILL:
        return "its process was ended: more processor time or memory than it may have"
    return f"its process died ({signal.Signals(-status).name if status < 0 else status})"


def _environment() -> dict[str, str]:
    """Return what the process is told: where Python is, and to compute in one thread only."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TZ", "LD_LIBRARY_PATH")
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {name: os.environ[name] for name in kept if name in os.environ} | one_thread


def _unknown(part: str, because: str) -> Finding:
    return Finding(part, CheckState.UNKNOWN, because)
