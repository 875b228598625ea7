"""``understudy replay --decision``: a recorded decision, judged again."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller import audit, decided, store
from controller.rejudge import Outcome, Rejudged, rejudge
from controller.store import StoreError
from sidecar.exitcode import ExitCode

DATABASE = "understudy.db"
PAGE = 200


def decision(sequence: int, *, state: Path, as_json: bool) -> int:
    """Judge record ``sequence`` of a state again, every decision if it is 0; return the exit code.

    1 when one comes out otherwise. The sidecar may be running.
    """
    database = state / DATABASE if state.is_dir() else state
    if not database.is_file():
        return _fail(f"{state} is neither a state folder nor the {DATABASE} of one")
    try:
        with store.reader(database) as connection:
            found = [rejudge(*one) for one in _records(connection, sequence)]
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    if not found:
        return _fail(f"there is no record {sequence}" if sequence else "there is no record yet")
    if not sequence:
        found = [one for one in found if one.recorded]
    for one in found:
        sys.stdout.write((json.dumps(_row(one)) if as_json else _sentence(one)) + "\n")
    return ExitCode.FAILED if any(_differs(one) for one in found) else ExitCode.DONE


def _records(
    connection: sqlite3.Connection, sequence: int
) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    after, limit = (sequence - 1, 1) if sequence else (0, PAGE)
    while records := audit.records(connection, after=after, limit=limit):
        for record in records:
            if sequence in (0, record["sequence"]):
                yield record, decided.load(connection, record["sequence"])
        if sequence:
            return
        after = records[-1]["sequence"]


def _differs(one: Rejudged) -> bool:
    return Outcome.DIFFERENT in (one.outcome, one.from_evidence)


def _row(one: Rejudged) -> dict[str, Any]:
    told = asdict(one)
    return told | {"outcome": one.outcome.value, "from_evidence": one.from_evidence.value}


def _sentence(one: Rejudged) -> str:
    if one.outcome is Outcome.NOT_JUDGED:
        event = f"{one.recorded}, " if one.recorded else ""
        return f"{one.sequence}: {event}not judged: {one.because}"
    if one.outcome is Outcome.DIFFERENT:
        return (
            f"{one.sequence}: DIFFERENT: {one.recorded} was recorded, its readings lead to "
            f"{one.judged or 'hold'}: {one.because}"
        )
    also = {
        Outcome.SAME: "and so from the stored evidence",
        Outcome.DIFFERENT: f"but DIFFERENT from the stored evidence: {one.evidence_because}",
        Outcome.NOT_JUDGED: one.evidence_because,
    }[one.from_evidence]
    return f"{one.sequence}: {one.recorded} again, {also}: {one.because}"


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return ExitCode.USAGE
