"""``understudy export``: what a store holds as evidence, as a recording that ``replay`` reads."""

import sys
from contextlib import nullcontext
from pathlib import Path

from controller import export as exporting
from controller import record, store

FAILED = 1
DATABASE = "understudy.db"


def export(state: Path, *, out: Path | None) -> int:
    """Write the evidence of ``state`` (its folder, or the file in it) to ``out`` or standard
    output; return the exit code. The sidecar may be running."""
    database = state / DATABASE if state.is_dir() else state
    if not database.is_file():
        sys.stderr.write(f"{state} is neither a state folder nor the {DATABASE} of one\n")
        return FAILED
    n = 0
    try:
        with (
            store.reader(database) as connection,
            nullcontext(sys.stdout.buffer) if out is None else out.open("wb") as file,
        ):
            for line in exporting.lines(connection):
                file.write(record.encode(line))
                n += 1
    except store.StoreError as exc:
        sys.stderr.write(f"{exc}\n")
        return FAILED
    except OSError as exc:
        sys.stderr.write(f"cannot write {out or 'standard output'}: {exc.strerror or exc}\n")
        return FAILED
    if not n:
        sys.stderr.write("no experiment is under way in it\n")
        return FAILED
    return 0
