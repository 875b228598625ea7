"""Closed-loop load for a while, and what came of it. wrk does it, or our own generator without.

A fixed number of kept-alive connections each send the next request when the answer is there, so
the load adapts to the proxy and the proxy's core is busy all the time.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.launch import Launched
from loadtests.work import PATH, UNIT_HEADER, USERS, Work, request_body

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("predict.lua")
_MARK = "RESULT "


class LoadFailed(Exception):
    """The generator gave no result; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What the clients saw."""

    requests: int
    """Answered; whatever the status."""
    seconds: float
    bad_statuses: int
    """From wrk: answers of 400 and above. From our own generator: all but 200."""
    broken: int
    """Connections refused, cut or timed out."""
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.seconds


def parse(output: str) -> LoadResult:
    """Find the result in a generator's output; LoadFailed if there is none."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            return LoadResult(**json.loads(line.removeprefix(_MARK)))
    raise LoadFailed(f"the load generator gave no result: {output[-1000:]!r}")


def generator_command(
    port: int, *, work: Work, seconds: int, connections: int, directory: Path
) -> list[str]:
    """Write the request's body into ``directory`` and return the command that sends it."""
    body = directory / f"body-{work.request_bytes}.json"
    body.write_bytes(request_body(work.request_bytes))
    url = f"http://127.0.0.1:{port}{PATH}"
    asked: Sequence[str] = (UNIT_HEADER, str(USERS), str(body))
    if wrk := shutil.which("wrk"):
        shape = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s"]
        return [wrk, *shape, "-s", str(_SCRIPT), url, "--", *asked]
    shape = ["--connections", str(connections), "--seconds", str(seconds), "--url", url]
    return [sys.executable, "-m", "loadtests.generator", *shape, *asked]


def run_load(
    port: int,
    *,
    work: Work,
    seconds: int,
    core: int,
    directory: Path,
    connections: int = CONNECTIONS,
) -> LoadResult:
    """Load 127.0.0.1:``port`` for ``seconds`` from ``core``. LoadFailed if that does not work."""
    command = generator_command(
        port, work=work, seconds=seconds, connections=connections, directory=directory
    )
    log = directory / "load.log"
    with Launched(command, core=core, log=log) as generator:
        try:
            generator.wait(seconds + 15.0)
        except subprocess.TimeoutExpired as exc:
            raise LoadFailed(f"the load generator did not end: {log.read_text()[-1000:]}") from exc
    return parse(log.read_text())
