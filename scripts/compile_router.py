"""Compile the router's hot files to C: ``make compile``. Python stays the only source.

Writes ``build/compiled/router``: the package with extension modules beside its files, and the
digest of the sources it was made from. The supervisor starts routers from there only while that
digest is the digest of the sources, so a stale build is never run (sidecar/compiled.py).
"""

import shutil
import subprocess
import sys
from pathlib import Path

from sidecar.compiled import DIGEST, HOME, SOURCE, digest

HOT = (
    "body", "call", "chained", "channel", "choose", "counters", "deadline", "downstream",
    "ejection", "entropy", "exchange", "gathering", "inference", "matcher", "message", "mirror",
    "parser", "pool", "routes", "server", "signed", "states", "stream", "trace", "tunnel",
    "upgrade", "upstream", "wire",
)  # fmt: skip
"""What a request passes through. Files of records (msgspec) and start-up code gain nothing."""


def main() -> int:
    """Compile; return the exit code. The old build stays until the new one is whole."""
    if HOME.exists() and (HOME / DIGEST).exists() and (HOME / DIGEST).read_text() == digest(SOURCE):
        return 0
    making = HOME.with_name("compiling")
    shutil.rmtree(making, ignore_errors=True)
    shutil.copytree(SOURCE, making / "router", ignore=shutil.ignore_patterns("__pycache__"))
    files = [f"router/{name}.py" for name in HOT]
    mypyc = Path(sys.executable).with_name("mypyc")
    done = subprocess.run(
        [str(mypyc), *files], cwd=making, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.stderr.write(f"{done.stdout[-2000:]}{done.stderr[-2000:]}\n")
        sys.stderr.write(
            "the router was not compiled and will run interpreted, "
            "at half as much processor time again\n"
        )
        return 1
    shutil.rmtree(making / "build", ignore_errors=True)
    (making / DIGEST).write_text(digest(SOURCE))
    shutil.rmtree(HOME, ignore_errors=True)
    making.rename(HOME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
