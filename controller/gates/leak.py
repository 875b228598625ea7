"""Does the golden set share rows with what a model was trained on? Pure.

A model that has seen the golden rows is judged on its memory. Files are told by their digest, rows
by the hash of their normal form (controller/rowhash.py), on the columns of the training data.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from controller.gates.report import GateCheck
from controller.rowhash import columns_of, row_hash

EXAMPLES = 5
"""Row numbers that are named. Chosen."""


class Rows(Protocol):
    """The rows of a training file, hashed; controller/rowset.py has one."""

    @property
    def columns(self) -> Collection[str]:
        """The columns that were hashed, by their dotted names."""

    def has(self, row_hash: int) -> bool | None:
        """Tell whether a row is there; None if that is not known."""


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """One file that a model was trained on."""

    name: str
    digest: str | None = None
    """SHA-256 of its bytes, hex; None if it is not known."""
    rows: Rows | None = None
    """None: only the digest is known."""


@dataclass(frozen=True, slots=True)
class Training:
    """What is known of one variant's training data."""

    variant: str
    files: tuple[TrainingFile, ...]
    """Empty: nobody declared any."""


def check_leak(
    digest: str,
    rows: Sequence[tuple[int, Mapping[str, Any]]],
    training: Training,
    *,
    is_required: bool,
) -> GateCheck:
    """Return what a golden set shares with the training data of one variant.

    ``digest``: of the golden file; ``rows``: number and cells of each row. Where ``is_required``,
    data that nobody declared, or whose rows cannot be compared, fails.
    """
    name = f"training data of {training.variant}"
    if not training.files:
        because = "nobody declared what it was trained on: a leak cannot be excluded"
        return GateCheck(name, not is_required, because, {"declared": False})
    for file in training.files:
        if file.digest == digest:
            because = f"the golden set is {file.name}, which it was trained on"
            return GateCheck(name, False, because, {"declared": True, "same_file": file.name})
    known = [file for file in training.files if file.rows is not None]
    shared, n_compared = _shared(rows, [file.rows for file in known if file.rows is not None])
    numbers: dict[str, Any] = {
        "declared": True,
        "files": len(training.files),
        "files_with_rows": len(known),
        "rows_compared": n_compared,
        "shared_rows": len(shared),
        "examples": shared[:EXAMPLES],
    }
    if shared:
        shown = ", ".join(map(str, shared[:EXAMPLES])) + (", ..." if len(shared) > EXAMPLES else "")
        because = f"{len(shared)} of {len(rows)} golden rows are in its training data: rows {shown}"
        return GateCheck(name, False, because, numbers)
    if len(known) < len(training.files) or n_compared < len(rows):
        because = (
            f"another file than its training data; {n_compared} of {len(rows)} rows could be "
            f"compared with {len(known)} of its {len(training.files)} files, and none is in them"
        )
        return GateCheck(name, not is_required, because, numbers)
    return GateCheck(name, True, f"none of {len(rows)} rows is in its training data", numbers)


def _shared(
    rows: Sequence[tuple[int, Mapping[str, Any]]], known: Sequence[Rows]
) -> tuple[list[int], int]:
    """Return the numbers of shared rows, and how many rows could be compared with every file."""
    shared: list[int] = []
    n_compared = 0
    wanted = [frozenset(one.columns) for one in known]
    for number, cells in rows:
        present = columns_of(cells)
        answers = [
            _has(one, columns, cells, present) for one, columns in zip(known, wanted, strict=True)
        ]
        if True in answers:
            shared.append(number)
        n_compared += bool(answers) and None not in answers
    return shared, n_compared


def _has(
    rows: Rows, columns: frozenset[str], cells: Mapping[str, Any], present: frozenset[str]
) -> bool | None:
    """Return whether a row is there; None if the golden row lacks a column that was hashed.

    Rows are compared whole or not at all: on the few columns that happen to be shared, strangers
    would look alike. A missing value is an absent column on both sides, so a golden row that lacks
    less than half of the columns may still be found, but not be cleared.
    """
    found = row_hash(cells, columns) if len(present & columns) * 2 > len(columns) else None
    if found is None:
        return None
    is_there = rows.has(found)
    return is_there if is_there or columns <= present else None
