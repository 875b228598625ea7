"""Remembers which artifacts passed the scan: a gate that holds for another reason is asked again
every half minute, and reading gigabytes each time finds nothing new.

What passed is known by the artifact's files: names, sizes, inodes, and the times of their last
change as the kernel keeps them (ctime: nobody sets it back with ``touch``). A restart forgets all.
"""

import os
from pathlib import Path

from controller.gates.finding import Finding
from controller.gates.securityspec import ScanSpec
from evaluator.evidence import CheckState

KEPT = 16
MAX_ENTRIES = 20_000
Stamp = tuple[tuple[str, int, int, int, int], ...]
_Key = tuple[str, ScanSpec, Stamp]


class ScanMemory:
    """One owner: whoever runs the gate. Used from one thread at a time."""

    def __init__(self) -> None:
        self._passed: dict[_Key, Finding] = {}

    def recall(self, artifact: str, spec: ScanSpec, stamp: Stamp | None) -> Finding | None:
        """Return what was found of exactly these files under exactly this spec, if they passed."""
        return None if stamp is None else self._passed.get((artifact, spec, stamp))

    def keep(self, artifact: str, spec: ScanSpec, stamp: Stamp | None, finding: Finding) -> None:
        """Remember a scan that passed; ``stamp`` is that of before the scan."""
        if stamp is None or finding.state is not CheckState.PASSED:
            return
        while len(self._passed) >= KEPT:
            self._passed.pop(next(iter(self._passed)))
        self._passed[(artifact, spec, stamp)] = finding


def stamp_of(artifact: Path) -> Stamp | None:
    """Return what the artifact's files are known by; None when they cannot all be listed."""
    found: list[tuple[str, int, int, int, int]] = []
    try:
        root = artifact.resolve(strict=True)
        waiting = [root]
        while waiting:
            path = waiting.pop()
            status = path.lstat()
            found.append(
                (str(path), status.st_mode, status.st_size, status.st_ino, status.st_ctime_ns)
            )
            if len(found) > MAX_ENTRIES:
                return None
            if path.is_dir() and not path.is_symlink():
                waiting += [path / name for name in os.listdir(path)]
    except (OSError, RuntimeError):
        return None
    return tuple(sorted(found))
