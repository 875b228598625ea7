"""One process of the benchmark: started on its cores, waited for, stopped. Owns nothing else.

Everything is bounded in time, and only processes started here are ended, by process group.
"""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

READY_S = 30.0
"""Chosen: a sidecar that imports SciPy takes 2 s on a busy machine."""
STOP_S = 5.0
_POLL_S = 0.02
_LOG_TAIL_BYTES = 2000


class StartFailed(Exception):
    """A process did not come up; the message holds the end of what it said."""


_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free just now and was not returned before.

    The kernel does give the same one twice when the first is not in use yet.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def fetch(
    port: int,
    method: str = "GET",
    path: str = "/",
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, bytes]:
    """Send one request to 127.0.0.1; return status and body. OSError if there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as exc:
        raise ConnectionError(f"127.0.0.1:{port} broke off: {exc!r}") from exc
    finally:
        connection.close()


class Launched:
    """A process group, from start to end. Use as a context; leaving it ends the group."""

    def __init__(self, command: Sequence[str], *, cores: Collection[int], log: Path) -> None:
        self.command = list(command)
        self.log = log
        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Safe after fork: this program has one thread. Children inherit the cores.
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_ready(self, is_ready: Callable[[], bool], *, seconds: float = READY_S) -> None:
        """Ask until ``is_ready``; an OSError from it means no. StartFailed when it is too late."""
        give_up_at = time.monotonic() + seconds
        while True:
            # First, since somebody else on its port may answer in its place.
            if self._popen.poll() is not None:
                raise StartFailed(self._why(f"ended with {self._popen.returncode}"))
            try:
                if is_ready():
                    return
            except OSError:
                pass  # not listening yet
            if time.monotonic() > give_up_at:
                raise StartFailed(self._why(f"not ready after {seconds:.0f} s"))
            time.sleep(_POLL_S)

    def _why(self, what: str) -> str:
        said = self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return f"{' '.join(self.command)}: {what}\n{said}"

    def wait(self, seconds: float) -> None:
        """Wait for its own end; subprocess.TimeoutExpired when that takes longer."""
        self._popen.wait(seconds)

    def stop(self) -> None:
        """End the group: asked first, then killed. May be called again."""
        try:
            self._signal(signal.SIGTERM)
            self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._signal(signal.SIGKILL)  # also what the leader left behind
            self._popen.wait(STOP_S)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass  # the group is empty

    def __enter__(self) -> "Launched":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
