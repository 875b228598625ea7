"""``understudy label FILE...``: labels from files to the admin port, and what became of each."""

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sidecar.adminport import AdminRefused, AdminUnreachable
from sidecar.exitcode import ExitCode
from sidecar.labelclient import BATCH_BYTES, BATCH_LABELS, GOOD, LabelClient, Told
from sidecar.labelfile import Columns, LabelFileError, Row, Source, open_labels
from sidecar.quantity import parse_duration_s

SHOWN = 5
"""Rejected rows that are shown when no file was asked for."""
TOKEN = "UNDERSTUDY_LABEL_TOKEN"
MEANING = {
    "accepted": "on the disk; counts when its request is judged",
    "corrected": "on the disk, in place of an earlier one",
    "duplicate": "known already; nothing changed",
    "conflict": "another label came first, and stays",
    "unknown": "no request has this id (yet)",
    "late": "its request was judged without it",
    "forged": "its exposure token is not ours",
    "invalid": "not a label",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    files: list[Path]
    admin: str
    form: str | None = None
    request_id: str | None = None
    label: str | None = None
    token: str | None = None
    at: str | None = None
    route: str | None = None
    """One route for all labels; None leaves it to the file, or to the ids."""
    is_correction: bool = False
    as_text: bool = False
    rejected: Path | None = None
    retry_for: str = "5m"
    as_json: bool = False

    def columns(self) -> Columns:
        """Return the names to look for: those that were said, and the usual ones."""
        said = {"request_id": self.request_id, "label": self.label, "token": self.token}
        said |= {"at": self.at}
        given = {key: name for key, name in said.items() if name is not None}
        return Columns(**given, asked=frozenset(given.values()))


@dataclass(slots=True)
class Tally:
    """What became of all rows so far."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)
    """The first rejected rows."""
    at: str = ""
    """The last row that was answered, in words; empty before the first."""

    @property
    def read(self) -> int:
        return sum(self.counts.values())

    @property
    def rejected(self) -> int:
        return self.read - sum(self.counts[word] for word in GOOD)


def label(asked: Asked, environment: dict[str, str] | None = None) -> int:
    """Send the labels of every file; return the exit code."""
    environment = dict(os.environ) if environment is None else environment
    tally, began_s = Tally(), time.monotonic()
    code: int = ExitCode.DONE
    try:
        patience_s = parse_duration_s(asked.retry_for)
    except ValueError as error:
        sys.stderr.write(f"--retry-for: {error}\n")
        return ExitCode.USAGE
    try:
        with contextlib.ExitStack() as stack:
            report = None
            if asked.rejected is not None:
                report = stack.enter_context(asked.rejected.open("w", encoding="utf-8"))
            screen = stack.enter_context(Screen())
            client = LabelClient(
                asked.admin, environment.get(TOKEN, ""), patience_s=patience_s, on_wait=screen.wait
            )
            stack.callback(client.close)
            for path in asked.files:
                _file(path, asked, client, tally, report, screen)
    except LabelFileError as error:
        code = _stopped(str(error), ExitCode.USAGE, tally)
    except AdminUnreachable as error:
        code = _stopped(str(error), ExitCode.SILENT, tally)
    except AdminRefused as error:
        code = _stopped(str(error), ExitCode.FAILED, tally)
    except OSError as error:
        code = _stopped(f"{asked.rejected}: {error.strerror or error}", ExitCode.FAILED, tally)
    except KeyboardInterrupt:
        code = _stopped("stopped", ExitCode.STOPPED, tally)
    if code == ExitCode.DONE and tally.rejected:
        code = ExitCode.REJECTED
    _say(asked, tally, time.monotonic() - began_s)
    return code


def _file(
    path: Path,
    asked: Asked,
    client: LabelClient,
    tally: Tally,
    report: IO[str] | None,
    screen: "Screen",
) -> None:
    with open_labels(path, asked.form, asked.columns(), as_text=asked.as_text) as source:
        screen.open(source)
        for rows in batches(source.rows):
            for row in rows:
                if row.fields is not None:
                    row.fields.update(_same_for_all(asked))
            readable = [row for row in rows if row.fields is not None]
            told = iter(client.send(readable) if readable else [])
            for row in rows:
                # Those that are no labels are reported where they stand among the others.
                one = Told(row, "invalid", row.because) if row.fields is None else next(told)
                _note(str(path), one, tally, report)
            screen.advance(source, tally)


def _same_for_all(asked: Asked) -> dict[str, Any]:
    same: dict[str, Any] = {} if asked.route is None else {"route": asked.route}
    return same | ({"correct": True} if asked.is_correction else {})


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Yield rows in groups that one request may carry.

    >>> [len(b) for b in batches(iter([Row(1, {"label": "x" * 800_000}, "")] * 3))]
    [1, 1, 1]
    """
    batch: list[Row] = []
    size = 0
    for row in rows:
        more = len(json.dumps(row.fields)) + 1
        if batch and (len(batch) == BATCH_LABELS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += more
    if batch:
        yield batch


def _note(file: str, one: Told, tally: Tally, report: IO[str] | None) -> None:
    tally.counts[one.result] += 1
    tally.at = f"{file} line {one.row.line}"
    if one.result in GOOD:
        return
    fields = one.row.fields or {}
    entry = {
        "file": file,
        "line": one.row.line,
        "request_id": fields.get("request_id"),
        "result": one.result,
        "because": one.because,
    }
    if report is not None:
        report.write(json.dumps(entry) + "\n")
    if len(tally.shown) < SHOWN:
        tally.shown.append(entry)


def _stopped(why: str, code: int, tally: Tally) -> int:
    sys.stderr.write(f"{why}\n")
    if tally.at:
        sys.stderr.write(
            f"everything up to {tally.at} was answered; run the same command again to go on: "
            "what is known already counts once\n"
        )
    return code


def _say(asked: Asked, tally: Tally, seconds: float) -> None:
    if asked.as_json:
        summary = {
            "files": [str(path) for path in asked.files],
            "read": tally.read,
            "rejected": tally.rejected,
            "results": dict(sorted(tally.counts.items())),
            "seconds": round(seconds, 3),
        }
        sys.stdout.write(json.dumps(summary) + "\n")
        return
    if not tally.read:
        return
    console = Console(file=sys.stdout)
    table = Table("result", "labels", "what it means", box=None)
    for word in [*MEANING, *sorted(tally.counts.keys() - MEANING.keys())]:
        if tally.counts[word]:
            table.add_row(Text(word), Text(f"{tally.counts[word]:,}"), Text(MEANING.get(word, "")))
    console.print(table)
    if asked.rejected is not None:
        console.print(
            Text(f"{tally.rejected:,} rejected, line by line in {asked.rejected}"), soft_wrap=True
        )
        return
    for entry in tally.shown:
        place = f"{entry['file']} line {entry['line']}"
        console.print(Text(f"  {place}: {entry['result']}: {entry['because']}"), soft_wrap=True)
    if tally.rejected > len(tally.shown):
        more = tally.rejected - len(tally.shown)
        console.print(Text(f"  and {more:,} more; --rejected FILE has them all"), soft_wrap=True)


class Screen:
    """A progress bar on standard error, only where somebody looks at it."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]} labels", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            disable=not sys.stderr.isatty(),
        )
        self._task: Any = None

    def __enter__(self) -> "Screen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def open(self, source: Source) -> None:
        """Show one more file."""
        self._task = self._progress.add_task("", total=source.total, name=source.name, rows="0")

    def advance(self, source: Source, tally: Tally) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=source.done(), rows=f"{tally.read:,}")

    def wait(self, wait_s: float, why: str) -> None:
        """Say why nothing moves; each time, so that a log shows it too."""
        self._console.print(Text(f"waits {wait_s:g} s: {why}"), soft_wrap=True)
