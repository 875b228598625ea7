"""Plays case after case for a time, tells how it goes, and keeps what it finds."""

import faulthandler
import gc
import logging
import math
import mmap
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import sockets
from tests.fuzz.case import Case, write_case
from tests.fuzz.draw import draw
from tests.fuzz.judging import findings, kind_of, work_s
from tests.fuzz.minimise import minimise

PROGRESS_S = 10.0
HANG_S = 30.0
"""After which the process ends itself with a traceback; the place tells which case it was."""
PLACE = struct.Struct("<qq")
MAX_KEPT = 3
"""Findings of one kind that are written; more of them teach nothing."""
MAX_WALL_S = 1.0
N_PLAYS = 4
"""As often ``findings`` plays a case, about; four thousand pipelined requests take their time."""
SOCKET_SHARE = 0.1

Say = Callable[[str], None]


@dataclass
class Tally:
    """What a campaign came to."""

    n_cases: int = 0
    n_over_sockets: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)
    slowest_s: float = 0.0

    def line(self) -> str:
        """Return one line of progress."""
        rate = self.n_cases / self.seconds if self.seconds else 0.0
        return (
            f"{self.seconds:7.1f} s  {self.n_cases:9d} cases  {rate:6.0f}/s  "
            f"{self.n_over_sockets:6d} over sockets  "
            f"slowest {self.slowest_s * 1000:.0f} ms  findings {sum(self.kinds.values())}"
        )


class Place:
    """Which case is under way, in a file that survives the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "place").open("w+b") as file:
            file.truncate(PLACE.size)
            self._map = mmap.mmap(file.fileno(), PLACE.size)

    def set(self, seed: int, index: int) -> None:
        PLACE.pack_into(self._map, 0, seed, index)


def read_place(folder: Path) -> tuple[int, int]:
    """Return (seed, index) of the case that was under way."""
    seed, index = PLACE.unpack((folder / "place").read_bytes())
    return seed, index


def run(
    seed: int, folder: Path, say: Say, *, seconds: float = 0.0, n_cases: int = 0, start: int = 0
) -> Tally:
    """Play cases of ``seed`` from number ``start``, until the time or the number is over.

    With ``seconds``, one tenth of them goes to the same kind of case over real sockets.
    """
    router_log = logging.getLogger("router")
    before = router_log.level
    router_log.setLevel(logging.ERROR)  # what is foreseen is no news
    try:
        return _run(seed, folder, say, seconds, n_cases, start)
    finally:
        router_log.setLevel(before)


def _run(seed: int, folder: Path, say: Say, seconds: float, n_cases: int, start: int) -> Tally:
    tally, place = Tally(), Place(folder)
    began_s = time.monotonic()
    next_line_s = min(PROGRESS_S, seconds) if seconds else math.inf
    slice_s = SOCKET_SHARE * min(PROGRESS_S, seconds)
    index = start
    while (tally.seconds < seconds) if seconds else (tally.n_cases < n_cases):
        if index % 256 == 0:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
        place.set(seed, index)
        _play(tally, seed, index, folder, say)
        index += 1
        tally.n_cases += 1
        tally.seconds = time.monotonic() - began_s
        if tally.seconds >= next_line_s - slice_s:
            _play_over_sockets(tally, seed, slice_s, folder, say)
            tally.seconds = time.monotonic() - began_s
            next_line_s = tally.seconds + PROGRESS_S
            say(tally.line())
    faulthandler.cancel_dump_traceback_later()
    return tally


def _play_over_sockets(tally: Tally, seed: int, seconds: float, folder: Path, say: Say) -> None:
    def on_found(index: int, case: Case, found: list[str]) -> None:
        # Not made smaller: over sockets the same case may go otherwise the next time.
        kind = kind_of(found)
        tally.kinds[kind] += 1
        if tally.kinds[kind] <= MAX_KEPT:
            file = folder / f"{seed}-{index}-sockets.json"
            write_case(case, file, found)
            tally.files.append(file)
            say(f"FOUND {found[0][:300]}\n      {file}")

    faulthandler.dump_traceback_later(seconds + HANG_S, exit=True)
    tally.n_over_sockets += sockets.run(seed, tally.n_over_sockets, seconds, on_found)
    faulthandler.dump_traceback_later(HANG_S, exit=True)


def _play(tally: Tally, seed: int, index: int, folder: Path, say: Say) -> None:
    case = draw(seed, index)
    allowed_s = MAX_WALL_S + N_PLAYS * work_s(case)
    began_s = time.monotonic()
    found = findings(case)
    took_s = time.monotonic() - began_s
    if not found and took_s > allowed_s:
        gc.collect()
        began_s = time.monotonic()
        found = findings(case)  # once more: the machine may have been away
        took_s = time.monotonic() - began_s
        if not found and took_s > allowed_s:
            found = [f"one case took {took_s:.1f} s"]
    tally.slowest_s = max(tally.slowest_s, took_s)
    if found:
        keep(tally, case, found, folder / f"{seed}-{index}.json", say)


def keep(tally: Tally, case: Case, found: list[str], file: Path, say: Say) -> None:
    """Make a finding small and write it."""
    kind = kind_of(found)
    tally.kinds[kind] += 1
    if tally.kinds[kind] > MAX_KEPT:
        return
    write_case(case, file, found)  # as it is, first: what follows may take minutes
    say(f"FOUND {found[0][:300]}")
    faulthandler.dump_traceback_later(10 * HANG_S, exit=True)
    small = minimise(case, lambda one: kind_of(findings(one)) == kind)
    found = findings(small) or found
    write_case(small, file, found)
    tally.files.append(file)
    say(f"      made small: {file}")
