"""Where the compiled router is, if there is one that was made from the sources we have.

The data plane's source is Python; ``make compile`` makes extension modules of its hot files
(docs/adr/0007). A build is used only while it fits the sources, so editing a file is enough to be
back on the interpreter.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "router"
HOME = ROOT / "build" / "compiled"
DIGEST = "SOURCES"


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
    """Return ``environment`` for a router process: with the compiled router first, if usable."""
    found = dict(environment)
    if is_usable(home, source):
        before = found.get("PYTHONPATH")
        found["PYTHONPATH"] = str(home) + (os.pathsep + before if before else "")
    return found
