"""Ports that documents and the demo name: one test at a time on a machine may have them."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def usual_ports() -> Iterator[None]:
    """Wait until nobody else has them, whichever worker or checkout that is."""
    with (Path(tempfile.gettempdir()) / "understudy-usual-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
