"""``understudy run FILE``: check the file, then become the supervisor."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import structlog

from router.overload import Limits
from sidecar import cgroup, logs
from sidecar.handover import HandOverError
from sidecar.launch import Launch
from sidecar.listener import ListenError
from sidecar.permit import binding_fault
from sidecar.problem import ConfigError
from sidecar.routefile import Settings, load_routefile
from sidecar.supervisor import StartError, supervise

REFUSED = 2
"""Exit code for a routing file that is at fault, as of a command line that is."""

log = structlog.get_logger()


def run(file: Path, *, take_over: bool = False) -> None:
    """Serve what ``file`` declares until SIGTERM or SIGINT.

    With ``take_over`` a sidecar that runs on the same state directory is replaced.

    Exits with 2 when the file is at fault, or opens the admin port to others without a token, and
    with 1 when the machine does not let us start.
    """
    try:
        loaded = load_routefile(file)
    except ConfigError as error:
        _leave(str(error), REFUSED)
    settings = loaded.settings
    fault = binding_fault(settings.admin_host, settings.tokens, os.environ)
    if fault:
        _leave(fault, REFUSED)
    logs.configure("supervisor", settings.log_level)
    log.info(
        "starting",
        file=str(file),
        config_digest=loaded.digest,
        listen=f"{settings.listen_host}:{settings.listen_port}",
        admin=f"{settings.admin_host}:{settings.admin_port}",
        state=str(settings.state),
        workers=settings.workers,
        routes=[route.name for route in loaded.intent.routes],
    )
    try:
        supervise(launch_of(file, settings), loaded.intent, take_over=take_over)
    except (StartError, ListenError, HandOverError) as error:
        _leave(str(error), 1)
    log.info("stopped")


def launch_of(file: Path, settings: Settings) -> Launch:
    """Return what the supervisor starts for these settings."""
    derived = cgroup.router_budget_bytes(cgroup.memory_limit_bytes(), settings.workers)
    return Launch(
        file=file,
        state=settings.state,
        host=settings.listen_host,
        port=settings.listen_port,
        admin_host=settings.admin_host,
        admin_port=settings.admin_port,
        workers=settings.workers,
        stop_delay_s=settings.stop_delay_s,
        drain_s=settings.drain_s,
        limits=Limits(
            connections=settings.max_connections,
            requests=settings.max_requests,
            memory_bytes=settings.memory_bytes or derived,
            lag_s=settings.max_lag_s,
        ),
        log_level=settings.log_level,
        tls=settings.tls,
        tokens=settings.tokens,
        read_needs_token=settings.read_needs_token,
        labels_from=settings.labels_from,
        events=settings.events,
    )


def _leave(message: str, code: int) -> NoReturn:
    sys.stderr.write(message + "\n")
    raise SystemExit(code)
