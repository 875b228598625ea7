"""``understudy audit export``: the records themselves."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from controller.chain import canonical
from sidecar.adminport import AdminRefused, AdminUnreachable, get
from sidecar.exitcode import ExitCode

PAGE = 500


def export(admin: str, *, out: Path | None) -> int:
    """Write every record as a line of JSON to ``out`` or standard output; return the exit code."""
    try:
        with nullcontext(sys.stdout) if out is None else out.open("w", encoding="utf-8") as file:
            for record in records(admin):
                file.write(canonical(record) + "\n")
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


def _fail(error: AdminUnreachable | AdminRefused) -> int:
    sys.stderr.write(f"{error}\n")
    return ExitCode.SILENT if isinstance(error, AdminUnreachable) else ExitCode.FAILED
