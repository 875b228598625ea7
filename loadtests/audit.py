"""How long the audit takes to verify: ``python -m loadtests.audit --records 1000000``.

Fills a store with records as large as those of a rollout, then verifies the store, an export of it,
and the store against a noted head. The target is a million records within a minute.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from controller import audit, chain
from controller.audit import Entry
from controller.chain import Noted, Verification
from controller.opening import open_database
from controller.store import transaction

READING = {
    "check": "accuracy", "kind": "correct", "role": "objective", "state": "passed",
    "because": "odds 21:1 that the challenger is better, needs 20:1", "log_e": 3.0445224377234,
    "log_e_harm": -1.25, "log_e_futile": -2.5, "odds": 21.0, "odds_harm": 0.28, "progress": 1.0,
    "alpha": 0.05, "effect": 0.0123, "low": 0.0012, "high": 0.0234, "n": 81234,
    "n_expected": 90000, "needs_labels": True,
}  # fmt: skip
ENTRY = Entry(
    at_ns=1_800_000_000_123_456_789,
    who="controller",
    route="digits",
    action="advance",
    because="all 6 checks passed: fresh, pairs, time, readable, errors, latency",
    config_digest="ab" * 32,
    challenger="digits-2",
)
AT_ONCE = 10_000


def with_readings(n: int) -> Entry:
    """Return a record with the evidence of ``n`` checks."""
    counts = {"pairs": 81234, "judged": 80000}
    return replace(ENTRY, evidence={"counts": counts, "readings": [READING] * n})


def main() -> None:
    """Fill, verify, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--readings", type=int, default=6, help="of checks in each record")
    given = parser.parse_args()
    n, entry = given.records, with_readings(given.readings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "understudy.db"
        connection = open_database(path)
        began = time.perf_counter()
        for start in range(0, n, AT_ONCE):
            with transaction(connection):
                for k in range(start, min(n, start + AT_ONCE)):
                    audit.append(connection, replace(entry, because=f"{entry.because} {k}"))
        size_mb = path.stat().st_size / 1e6
        print(f"{n:,} records, {size_mb:,.0f} MB, written in {time.perf_counter() - began:.1f} s")
        head = audit.head(connection)
        noted = Noted(head.hash, head.sequence)
        _say("the store", time.perf_counter(), audit.verify(connection, noted))
        export = Path(folder) / "audit.ndjson"
        with export.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in audit.export(connection))
        connection.close()
        began = time.perf_counter()
        with export.open(encoding="utf-8") as lines:
            _say("an export", began, chain.verify(chain.rows_of(lines), noted))


def _say(what: str, began: float, found: Verification) -> None:
    if not found.verified:
        raise SystemExit(f"{what}: {found.because}")
    took_s = time.perf_counter() - began
    print(f"{what}: {found.records:,} records verified in {took_s:.1f} s")


if __name__ == "__main__":
    main()
