"""Load for a while, and what came of it: the generator that a work's shape asks for.

The closed loop is wrk's, or our own generator's without it: a fixed number of kept-alive
connections each send the next request when the answer is there, so the load adapts to the proxy
and the proxy's core is busy all the time. Streams and paced requests have generators of their own.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.launch import Launched
from loadtests.work import PATH, UNIT_HEADER, Shape, Work, request_body

_SCRIPT = Path(__file__).with_name("predict.lua")
_MARK = "RESULT "
_OWN = {Shape.STREAM: "loadtests.stream", Shape.PACED: "loadtests.paced"}


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
    figures: Mapping[str, float] = field(default_factory=dict)
    """What only this shape of load shows, by the JSON's name for it."""

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
    port: int,
    *,
    work: Work,
    seconds: int,
    directory: Path,
    rate_per_s: float = 0.0,
    path: str = PATH,
) -> list[str]:
    """Write the request's body into ``directory`` and return the command that sends it.

    ``rate_per_s`` is for paced work alone.
    """
    body = directory / f"body-{work.request_bytes}.json"
    body.write_bytes(request_body(work.request_bytes))
    url = f"http://127.0.0.1:{port}{path}"
    asked: Sequence[str] = (UNIT_HEADER, str(work.users), str(body))
    is_closed = work.shape in (Shape.CLOSED, Shape.SHARED)
    if is_closed and (wrk := shutil.which("wrk")):
        shape = ["-t1", f"-c{work.connections}", f"-d{seconds}s", "--timeout", "5s"]
        return [wrk, *shape, "-s", str(_SCRIPT), url, "--", *asked]
    shape = ["--connections", str(work.connections), "--seconds", str(seconds), "--url", url]
    if work.shape is Shape.PACED:
        shape += ["--rate", f"{rate_per_s:.1f}"]
    return [sys.executable, "-m", _OWN.get(work.shape, "loadtests.generator"), *shape, *asked]


def run_load(
    port: int,
    *,
    work: Work,
    seconds: int,
    cores: Collection[int],
    directory: Path,
    rate_per_s: float = 0.0,
    path: str = PATH,
) -> LoadResult:
    """Load 127.0.0.1:``port`` for ``seconds`` from ``cores``. LoadFailed if that does not work."""
    command = generator_command(
        port, work=work, seconds=seconds, directory=directory, rate_per_s=rate_per_s, path=path
    )
    log = directory / "load.log"
    with Launched(command, cores=cores, log=log) as generator:
        try:
            generator.wait(seconds + 15.0)
        except subprocess.TimeoutExpired as exc:
            raise LoadFailed(f"the load generator did not end: {log.read_text()[-1000:]}") from exc
    return parse(log.read_text())
