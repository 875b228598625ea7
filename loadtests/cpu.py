"""What a set of processes has cost: processor time and resident memory, read from /proc.

Linux only. It reads and never waits; a process that has gone raises ProcessLookupError, because
silence about its time would make the peer look cheap.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STAT_UTIME = 11
"""Index of utime after the closing bracket of the name; stime follows (proc(5), fields 14, 15)."""


def parse_stat(text: str) -> float:
    """Read user plus system time, in seconds, out of a /proc/PID/stat line, whatever the name."""
    fields = text.rpartition(")")[2].split()
    user, system = fields[_STAT_UTIME : _STAT_UTIME + 2]
    return (int(user) + int(system)) / _TICKS_PER_S


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except FileNotFoundError as exc:
        raise ProcessLookupError(f"process {pid} has gone") from exc


def busy_s(pids: Iterable[int]) -> float:
    """Return the processor time of these processes together, by the scheduler's own clock.

    Nanoseconds instead of ticks; a stream's turn has so few ticks that one is 2 % of it. Threads
    that have ended are not in it: of the data planes, none ends. Ticks where the kernel keeps no
    such statistics.
    """
    return sum(_busy_s(pid) for pid in pids)


def _busy_s(pid: int) -> float:
    if not (_PROC / "self/schedstat").exists():
        return parse_stat(_read(pid, "stat"))
    total_ns = 0
    for thread in (_PROC / str(pid) / "task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            total_ns += int(thread.read_text().split()[0])
    if not total_ns:
        raise ProcessLookupError(f"process {pid} has gone")
    return total_ns / 1e9


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory (Rss) of these processes; pages that two share count twice."""
    return sum(_resident_bytes(pid) for pid in pids)


def _resident_bytes(pid: int) -> int:
    """Rss from smaps_rollup, which is exact; from status where we may not read that."""
    try:
        text, key = _read(pid, "smaps_rollup"), "Rss:"
    except PermissionError:
        text, key = _read(pid, "status"), "VmRSS:"
    for line in text.splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory: it has ended")


def command_line(pid: int) -> str:
    """Return the command with its arguments, separated by blanks."""
    return _read(pid, "cmdline").replace("\0", " ").strip()


def process_tree(pid: int) -> list[int]:
    """Return ``pid`` and all its descendants, parents first; it may be out of date already."""
    tree = [pid]
    for parent in tree:
        for children in (_PROC / str(parent) / "task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                tree += [int(child) for child in children.read_text().split()]
    return tree
