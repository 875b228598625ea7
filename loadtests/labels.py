"""What pending observations cost: joins a second, memory and disk as they grow to ten million.

``python -m loadtests.labels`` (``make bench-labels``). Each size is a state of its own in a fresh
process, through the product's own store: group commits with synchronous=FULL, nothing left out but
HTTP. See loadtests/README.md.
"""

import argparse
import hashlib
import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from controller import store
from controller.intake import Intake
from controller.opening import open_database
from evaluator.join import Answer, Judgable, Label, LabelOutcome, Mode
from evaluator.journal import Journal
from router.entropy import PAGE_BYTES

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
BATCH = 10_000
"""Labels in one transaction, as one body may hold at most."""
ADD_BATCH = 2_000
"""Observations in one transaction: a second of a busy route."""
ADDED = 20_000
"""The last observations, whose rate is measured; those before fill the state in large batches."""
FILL_BATCH = 20_000
MOST_LABELS = 200_000
"""Labels joined of one kind, at most: seconds, not hours, for the largest state."""
PER_PAGE = PAGE_BYTES // 32
BEGAN_NS = 1_790_000_000 * 10**9
EVERY_NS = 500_000  # 2,000 requests a second
ROUTE = "digits"
IDS = ("router", "client")
"""Request ids made by a router, which begin with the time; random ones, as clients bring them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one state cost."""

    pending: int
    ids: str
    add_per_second: float
    bytes_per_pending: float
    """Of the file, before any label."""
    labels_in_order_per_second: float
    """Labels in the order of their requests."""
    labels_at_random_per_second: float
    labels_at_random_per_cpu_second: float
    bytes_per_label: float
    mature_per_second: float
    """Taken out to be judged, and marked as judged, in the order of requests."""
    rss_empty_mb: float
    """Resident memory before the state is opened, 10^6 bytes."""
    rss_peak_mb: float
    """At most, filling and labels together."""
    log_peak_mb: float
    """Of the write-ahead log."""
    open_seconds: float
    """To open the state again, with its checks."""


def measure(folder: Path, pending: int, kind: str) -> Figures:
    """Fill a state with ``pending`` observations and label some of them."""
    rss_empty = _rss_mb()
    path = folder / "understudy.db"
    ids = _Ids(kind)
    connection = open_database(path)
    intake, journal = Intake(connection), Journal(connection)
    last = min(ADDED, pending // 2)
    connection.execute("PRAGMA synchronous = OFF")  # filling is not what is measured
    _add(connection, journal, ids, range(pending - last), FILL_BATCH)
    connection.execute("PRAGMA synchronous = FULL")
    began = time.perf_counter()
    _add(connection, journal, ids, range(pending - last, pending), ADD_BATCH)
    add_s = time.perf_counter() - began
    file_bytes = journal.used_bytes()
    count = min(pending // 2, MOST_LABELS)
    in_order_s, _ = _label(intake, ids, range(count))
    dice = random.Random(7)
    at_random_s, cpu_s = _label(intake, ids, dice.sample(range(count, pending), count))
    labelled_bytes = journal.used_bytes()
    mature_s = _mature(connection, journal, count)
    log_bytes = path.with_name(path.name + "-wal").stat().st_size
    connection.close()
    began = time.perf_counter()
    open_database(path).close()
    open_s = time.perf_counter() - began
    return Figures(
        pending=pending,
        ids=kind,
        add_per_second=last / add_s,
        bytes_per_pending=file_bytes / pending,
        labels_in_order_per_second=count / in_order_s,
        labels_at_random_per_second=count / at_random_s,
        labels_at_random_per_cpu_second=count / cpu_s,
        bytes_per_label=(labelled_bytes - file_bytes) / (2 * count),
        mature_per_second=count / mature_s,
        rss_empty_mb=rss_empty,
        rss_peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        log_peak_mb=log_bytes / 1e6,
        open_seconds=open_s,
    )


@dataclass(frozen=True, slots=True)
class _Ids:
    """The request ids of a run, made anew when they are asked for: kept, ten million of them would
    be most of the memory that is measured."""

    kind: str

    def of(self, k: int) -> str:
        digest = hashlib.blake2b(k.to_bytes(8, "big"), digest_size=16).hexdigest()
        if self.kind == "client":
            return digest
        at_ms = (BEGAN_NS + k // PER_PAGE * PER_PAGE * EVERY_NS) // 10**6
        return f"{at_ms:012x}{digest[:20]}"  # as router/entropy.py makes them, a page at a time


def _add(
    connection: sqlite3.Connection, journal: Journal, ids: _Ids, which: range, batch: int
) -> None:
    for at in range(0, len(which), batch):
        observations = [_observation(ids.of(k), k) for k in which[at : at + batch]]
        with store.transaction(connection):
            added = journal.add(ROUTE, observations)
        assert added.added == len(observations), added


def _observation(request_id: str, k: int) -> Judgable:
    return Judgable(
        request_id,
        BEGAN_NS + k * EVERY_NS,
        Mode.PAIR,
        0.5,
        (k * 0x9E3779B97F4A7C15) % 2**64,
        7,
        Answer('"cat"'),
        Answer('"dog"'),
    )


def _label(intake: Intake, ids: _Ids, which: Sequence[int]) -> tuple[float, float]:
    """Join a label to each; return seconds of the wall clock and of the processor."""
    wall_s = cpu_s = 0.0
    for at in range(0, len(which), BATCH):
        batch = [Label(ids.of(k), '"cat"', ROUTE) for k in which[at : at + BATCH]]
        began, began_cpu = time.perf_counter(), time.process_time()
        results = intake.label(batch, now_ns=BEGAN_NS)
        wall_s += time.perf_counter() - began
        cpu_s += time.process_time() - began_cpu
        assert all(result.outcome is LabelOutcome.ACCEPTED for result in results), results[0]
    return wall_s, cpu_s


def _mature(connection: sqlite3.Connection, journal: Journal, count: int) -> float:
    began = time.perf_counter()
    done = 0
    while done < count:
        due = journal.matured(ROUTE, now_ns=2**62, maturity_ns=0, limit=ADD_BATCH)
        with store.transaction(connection):
            journal.mark_judged(due)
        done += len(due)
    return time.perf_counter() - began


def _rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


HEADS = (
    ("pending", "{0.pending:,}"),
    ("ids", "{0.ids}"),
    ("bytes each", "{0.bytes_per_pending:.0f}"),
    ("bytes a label", "{0.bytes_per_label:.0f}"),
    ("taken in /s", "{0.add_per_second:,.0f}"),
    ("labels /s, in order", "{0.labels_in_order_per_second:,.0f}"),
    ("labels /s, at random", "{0.labels_at_random_per_second:,.0f}"),
    ("per CPU s", "{0.labels_at_random_per_cpu_second:,.0f}"),
    ("matured /s", "{0.mature_per_second:,.0f}"),
    ("RSS MB, empty", "{0.rss_empty_mb:.0f}"),
    ("RSS MB, peak", "{0.rss_peak_mb:.0f}"),
    ("log MB", "{0.log_peak_mb:.0f}"),
    ("opened in s", "{0.open_seconds:.1f}"),
)


def table(rows: Sequence[Figures]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| " + " | ".join(head for head, _ in HEADS) + " |",
        "| " + " | ".join("---:" for _ in HEADS) + " |",
    ]
    lines += ["| " + " | ".join(form.format(row) for _, form in HEADS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def in_process(folder: Path, pending: int, kind: str) -> Figures:
    """Measure in a process of its own: its peak of memory is of this state alone."""
    state = Path(tempfile.mkdtemp(prefix="labels-", dir=folder))
    try:
        command = [sys.executable, "-m", "loadtests.labels", "--one", str(state)]
        command += ["--sizes", str(pending), "--ids", kind]
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        return Figures(**json.loads(ended.stdout.splitlines()[-1]))  # before it, the log
    finally:
        shutil.rmtree(state)


def main() -> None:
    """Measure every size with both kinds of ids; print a table, write it and JSON."""
    parser = argparse.ArgumentParser(prog="loadtests.labels", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="pending observations")
    parser.add_argument("--ids", default=",".join(IDS), help="router, client, or both")
    parser.add_argument("--folder", type=Path, default=Path("build"), help="for the states")
    parser.add_argument("--json", type=Path, default=Path("build/labels.json"))
    # What a size is measured with, in a process of its own.
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes, kinds = [int(size) for size in options.sizes.split(",")], options.ids.split(",")
    if options.one is not None:
        print(json.dumps(asdict(measure(options.one, sizes[0], kinds[0]))))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for pending in sizes:
        for kind in kinds:
            rows.append(in_process(options.folder, pending, kind))
            options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    options.json.with_suffix(".md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
