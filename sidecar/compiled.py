"""Where the compiled router is, if there is one that was made from the sources we have.

The data plane's source is Python; ``make compile`` makes extension modules of its hot files
(docs/adr/0007). A build is used only while it fits the sources, so editing a file is enough to be
back on the interpreter. What else a router process finds in its environment is said here too.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "router"
HOME = ROOT / "build" / "compiled"
DIGEST = "SOURCES"
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
"""For glibc; others ignore it. router/pressure.py trims when memory runs short."""


def digest(package: Path) -> str:
    """Return the SHA-256 over the names and bytes of a package's Python files, hex."""
    found = hashlib.sha256()
    for file in sorted(package.glob("*.py")):
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def is_usable(home: Path = HOME, source: Path = SOURCE) -> bool:
    """Whether ``home`` holds a build of exactly ``source``."""
    try:
        return (home / DIGEST).read_text() == digest(source)
    except OSError:
        return False


def router_environment(
    environment: Mapping[str, str], home: Path = HOME, source: Path = SOURCE
) -> dict[str, str]:
    """Return ``environment`` for a router process: with the compiled router first, if usable.

    And with an allocator that keeps up to 16 MiB of free heap, unless somebody has said otherwise:
    given back at once, as is the default, the pages of a large body are asked for again, and
    cleared, for the next one (1 MiB bodies: 950 instead of 1,100 us a request, medians of three).
    """
    found = ALLOCATOR | dict(environment)
    if is_usable(home, source):
        before = found.get("PYTHONPATH")
        found["PYTHONPATH"] = str(home) + (os.pathsep + before if before else "")
    return found
