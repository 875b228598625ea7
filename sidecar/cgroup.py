"""How much memory the container gives us: the limit of our control group, version 2 or 1."""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
FILES = ("memory.max", "memory/memory.limit_in_bytes")
"""Inside a container its own group is the root of what it sees (cgroup_namespaces(7))."""
NONE_ABOVE_BYTES = 1 << 50
"""Version 1 says "no limit" with a number near 2**63."""


def memory_limit_bytes(root: Path = ROOT) -> int | None:
    """Return the limit of the control group at ``root``; None if there is none."""
    for name in FILES:
        try:
            limit = int((root / name).read_text())
        except (OSError, ValueError):  # not this version; "max"
            continue
        return limit if 0 < limit < NONE_ABOVE_BYTES else None
    return None


def router_budget_bytes(limit_bytes: int | None, workers: int) -> int | None:
    """Return what each router may take of a container's limit: half of it is shared between them.

    The other half is the controller's, the supervisor's and the kernel's socket buffers. Pure.

    >>> router_budget_bytes(1 << 30, 2)
    268435456
    """
    return None if limit_bytes is None else limit_bytes // 2 // workers
