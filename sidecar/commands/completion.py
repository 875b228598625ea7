"""What a shell may complete to, asked of the running sidecar."""

import os
from collections.abc import Mapping

from sidecar.adminport import DEFAULT_ADMIN, AdminRefused, AdminUnreachable, get

TIMEOUT_S = 1.0
"""Whoever presses the tabulator waits for it."""


def routes(incomplete: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the routes that begin with ``incomplete``; none where nothing answers.

    The shell does not hand over --admin, so another address is in UNDERSTUDY_ADMIN.
    """
    environment = os.environ if environment is None else environment
    admin = environment.get("UNDERSTUDY_ADMIN", DEFAULT_ADMIN)
    try:
        found = get(admin, "/v1/status", timeout_s=TIMEOUT_S).get("routes", [])
    except (AdminUnreachable, AdminRefused):
        return []
    names = [str(route.get("name")) for route in found if isinstance(route, dict)]
    return sorted(name for name in names if name.startswith(incomplete))
