"""One process at a time: a lock that the kernel frees when its holder ends, however it ends."""

import fcntl
from pathlib import Path
from typing import TextIO


def take(path: Path) -> TextIO:
    """Take the lock at ``path`` and hold it until the returned file is closed.

    BlockingIOError if somebody else holds it; other OSErrors if the file cannot be made. Children
    do not inherit it (Python opens files close-on-exec).
    """
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise
    return lock
