"""Reads the routing file again, when asked and when it changed: all of it, or nothing and why.

Any number of requests while one reading is under way become one more reading. A file that looks
half written is refused: docs/adr, "The end of the routing file".
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from controller.adoption import IntentRefused
from controller.policy import Intent
from controller.store import StoreError
from router.tasks import spawn
from sidecar.problem import ConfigError, Problem
from sidecar.routefile import Loaded, Settings, load_routefile

POLL_S = 2.0
"""How often the file is looked at; a change is read once two looks in a row found the same. Chosen:
a mounted ConfigMap takes a minute to change anyway."""

log = structlog.get_logger()
Adopt = Callable[[Intent, str], Awaitable[None]]
"""Gives the intent to the controller; IntentRefused or StoreError when it keeps the old one."""
Stat = tuple[int, int, int]
"""Inode, size in bytes, time of the last change in ns."""


class Reloader:
    """Knows the file, what was last adopted from it, and what is wrong with it now."""

    def __init__(self, file: Path, adopt: Adopt, settings: Settings | None = None) -> None:
        self._file = file
        self._adopt = adopt
        self._settings = settings
        """Those we started with; a file that declares others is adopted with a warning."""
        self._in_force: Loaded | None = None
        """None until a file was adopted by this process."""
        self._seen = ""
        """Digest of the bytes that were read last, good or bad."""
        self._stat: Stat | None = None
        """Of the file when it was read last."""
        self._looked: Stat | None = None
        """Of the file when the watch looked last."""
        self._reading = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._is_owed = False
        """Whether the file was good and the store was not: nobody has to touch it again."""
        self.error: str | None = None
        """Why the file as it is now was not adopted; None when it was."""
        self.adopted_at_s = 0.0
        """Wall clock of the last success."""

    async def reload(self, who: str) -> str | None:
        """Read and adopt the file as it is now; return what is wrong with it, or None."""
        if self._next is None:
            self._next = spawn(self._read_in_turn(who), name="reload")
        await asyncio.shield(self._next)
        return self.error

    async def watch(self) -> None:
        """Reload whenever the file's bytes change, or a good file waits for the disk, for ever."""
        while True:
            await asyncio.sleep(POLL_S)  # a period: a mounted ConfigMap sends no event to wait for
            if self._is_at_rest() and (self._is_owed or await asyncio.to_thread(self._has_changed)):
                await self.reload("file")

    async def _read_in_turn(self, who: str) -> None:
        async with self._reading:
            self._next = None  # who asks from here on wants the file to be read once more
            self._stat = _stat(self._file)  # before the bytes: a change in between is seen later
            self._seen = await asyncio.to_thread(_digest, self._file)
            self.error = await self._read(who)
            if self.error is not None:
                log.error("routing file not adopted; the last one stays", error=self.error)

    async def _read(self, who: str) -> str | None:
        self._is_owed = False
        try:
            loaded = await asyncio.to_thread(load_routefile, self._file)
            if self._in_force is not None:
                refuse_half_written(loaded, self._in_force, self._file)
            if self._in_force is None or loaded.intent != self._in_force.intent:
                await self._adopt(loaded.intent, who)
                log.info("routing file adopted", config_digest=loaded.digest, who=who)
        except (ConfigError, IntentRefused) as error:
            return str(error)
        except StoreError as error:
            self._is_owed = True
            return str(error)
        except Exception as error:  # a fault of ours must not take the old configuration away
            log.exception("reload failed")
            return f"internal error: {type(error).__name__}: {error}"
        self._in_force = loaded
        self.adopted_at_s = time.time()
        self._compare(loaded)
        return None

    def _compare(self, loaded: Loaded) -> None:
        """Say which settings wait for a restart."""
        if self._settings is None:
            self._settings = loaded.settings
        if loaded.settings != self._settings:
            log.warning(
                "listen, tls, admin, state, workers, stop, limits, labels_from, events and log "
                "change at the next start only"
            )

    def _is_at_rest(self) -> bool:
        """Whether the file is as the watch saw it last time; if not, it may still be written."""
        last, self._looked = self._looked, _stat(self._file)
        return self._looked == last

    def _has_changed(self) -> bool:
        stat = _stat(self._file)
        if stat == self._stat:
            return False
        self._stat = stat
        return _digest(self._file) != self._seen


def refuse_half_written(new: Loaded, in_force: Loaded, file: Path) -> None:
    """Raise ConfigError if ``new`` may be cut short; a file with the end mark is whole. Pure."""
    if new.is_marked:
        return
    start, whole = new.raw.rstrip(), in_force.raw.rstrip()
    if in_force.is_marked:
        found = "the end of the file without the `...` that the file in force ends with: cut short?"
    elif start != whole and whole.startswith(start):
        found = "the end of the file where the file in force goes on: half written?"
    else:
        return
    problem = Problem(
        line=new.raw.count(b"\n") + 1,
        column=len(new.raw.rpartition(b"\n")[2].decode()) + 1,
        path="file",
        found=found,
        expected="a whole file: write a new file and rename it to this name. If this is all that "
        "shall be in it, add `...` alone on the last line, or restart Understudy",
    )
    raise ConfigError(str(file), (problem,))


def _stat(file: Path) -> Stat | None:
    try:
        found = os.stat(file)  # follows links: a ConfigMap changes by changing a link
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
