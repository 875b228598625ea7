"""What runs on this machine, from /proc."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie that waits for its parent."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def descendants(pid: int) -> set[int]:
    """Return the ids of all processes that come from ``pid``, itself left out."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name (state, parent, ...); empty if gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
