"""``understudy audit``: is the chain of records whole, and the records themselves."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sidecar.adminport import AdminRefused, AdminUnreachable, get
from sidecar.exitcode import ExitCode

PAGE = 500


def verify(admin: str, *, head: str | None, as_json: bool) -> int:
    """Ask the sidecar to check its chain; return the exit code.

    A chain without its last records is whole in itself. ``head``, the hash of a record that was
    seen earlier, must still be there: that finds a cut tail and a chain written anew.
    """
    try:
        answer = get(admin, "/v1/audit/verify")
        if head is not None:
            answer["head_found"] = any(record["hash"] == head for record in records(admin))
    except (AdminUnreachable, AdminRefused) as exc:
        return _fail(exc)
    is_whole = answer.get("verified") is True and answer.get("head_found", True)
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(_sentence(answer, head) + "\n")
    return ExitCode.DONE if is_whole else ExitCode.FAILED


def export(admin: str, *, out: Path | None) -> int:
    """Write every record as a line of JSON to ``out`` or standard output; return the exit code."""
    try:
        with nullcontext(sys.stdout) if out is None else out.open("w", encoding="utf-8") as file:
            for record in records(admin):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
    except (AdminUnreachable, AdminRefused) as exc:
        return _fail(exc)
    except OSError as exc:
        sys.stderr.write(f"cannot write {out}: {exc.strerror or exc}\n")
        return ExitCode.FAILED
    return ExitCode.DONE


def records(admin: str) -> Iterator[dict[str, Any]]:
    """Yield every audit record, oldest first."""
    after = 0
    while True:
        page = get(admin, f"/v1/audit?after={after}&limit={PAGE}").get("records", [])
        if not page:
            return
        yield from page
        after = int(page[-1]["sequence"])


def _sentence(answer: dict[str, Any], head: str | None) -> str:
    if answer.get("verified") is not True:
        because = answer.get("because") or "a record or a link between two records was changed"
        return f"BROKEN: {because}"
    if not answer.get("head_found", True):
        return f"BROKEN: no record has the hash {head}: records were cut off or written anew"
    return f"whole: {answer.get('records')} records, head {answer.get('head')}"


def _fail(error: AdminUnreachable | AdminRefused) -> int:
    sys.stderr.write(f"{error}\n")
    return ExitCode.SILENT if isinstance(error, AdminUnreachable) else ExitCode.FAILED
