"""What the supervisor starts and how: the command lines of routers and controller.."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from router.certificate import ServerTls
from router.overload import Limits
from sidecar import eventspec
from sidecar.child import Command
from sidecar.compiled import router_environment
from sidecar.eventspec import EventSpec
from sidecar.natsspec import NatsSpec, to_text

LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start and where."""

    file: Path
    state: Path
    host: str
    port: int
    """0 lets the system choose, once for all workers."""
    admin_host: str
    admin_port: int
    workers: int = 1
    stop_delay_s: float = 0.0
    """From SIGTERM, when readiness fails, until routers accept nobody any more."""
    drain_s: float = 10.0
    """How long a router may then finish its exchanges."""
    limits: Limits = LIMITS
    """Of each router; its memory budget too."""
    log_level: str = "info"
    tls: ServerTls | None = None
    """What clients are shown; None serves plain HTTP."""
    tokens: Path | None = None
    """The admin port's file of tokens; None: there is none."""
    read_needs_token: bool = False
    """Whether reading from the admin port needs a token on loopback too."""
    labels_from: NatsSpec | None = None
    """Where the controller fetches labels; None: nowhere."""
    events: tuple[EventSpec, ...] = ()
    """Whom the controller tells of what happens."""

    @property
    def table(self) -> Path:
        return self.state / "table.msgpack"

    @property
    def control(self) -> Path:
        return self.state / "control.sock"

    @property
    def handover(self) -> Path:
        return self.state / "handover.sock"


READER = "sidecar.prediction:reader"
"""What a router reads predictions with, where a route gives exposure tokens."""
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
"""What glibc is told, unless the operator says otherwise: keep up to 16 MiB of free heap.

By default it gives it back at once; then the pages of a large body are asked for again, and
cleared, for the next one (1 MiB bodies: 950 instead of 1,100 us a request, medians of three). Not
where memory has a budget: there it is worth more than time."""


def router_command(
    launch: Launch,
    worker: int,
    listen_fds: Sequence[int],
    alive_fd: int,
    ready_fd: int | None = None,
) -> Command:
    """Return how worker number ``worker`` is started.

    It writes a byte to ``ready_fd``, if there is one, when it accepts connections.
    """
    limits = launch.limits
    ready = () if ready_fd is None else (ready_fd,)
    argv = (
        # -P: the folder we run in is not where the router is looked for first.
        *(sys.executable, "-P", "-m", "router.worker", "--worker", str(worker)),
        *(word for fd in listen_fds for word in ("--listen-fd", str(fd))),
        *("--table", str(launch.table), "--control", str(launch.control)),
        *("--alive-fd", str(alive_fd), "--drain-s", f"{launch.drain_s:g}"),
        *(word for fd in ready for word in ("--ready-fd", str(fd))),
        *("--max-connections", str(limits.connections), "--max-requests", str(limits.requests)),
        *(("--memory-bytes", str(limits.memory_bytes)) if limits.memory_bytes else ()),
        *("--lag-s", f"{limits.lag_s:g}", "--log-level", launch.log_level),
        *("--reader", READER),
        *_tls_arguments(launch.tls),
    )
    environment = router_environment(os.environ)
    if not limits.memory_bytes:
        environment = ALLOCATOR | environment
    fds = (*listen_fds, alive_fd, *ready)
    return Command(f"router {worker}", argv, fds, environment=environment)


def _tls_arguments(tls: ServerTls | None) -> tuple[str, ...]:
    if tls is None:
        return ()
    asked = ("--tls-client-ca", tls.client_ca) if tls.client_ca else ()
    return ("--tls-cert", tls.cert, "--tls-key", tls.key, *asked)


def controller_command(launch: Launch, alive_fd: int, admin_fds: Sequence[int]) -> Command:
    """Return how the controller process is started."""
    argv = (
        *(sys.executable, "-m", "sidecar.process", str(launch.file), "--alive-fd", str(alive_fd)),
        *("--state", str(launch.state), "--log-level", launch.log_level),
        *("--admin-host", launch.admin_host, "--admin-port", str(launch.admin_port)),
        *(word for fd in admin_fds for word in ("--admin-fd", str(fd))),
        *(("--tokens", str(launch.tokens)) if launch.tokens else ()),
        *(("--read-needs-token",) if launch.read_needs_token else ()),
        *(("--labels-from", to_text(launch.labels_from)) if launch.labels_from else ()),
        *(("--events", eventspec.to_text(launch.events)) if launch.events else ()),
    )
    # SIGHUP: read the file again. SIGUSR1: say that we are not ready any more.
    blocked = frozenset({signal.SIGHUP, signal.SIGUSR1})
    return Command("controller", argv, (alive_fd, *admin_fds), blocked)
