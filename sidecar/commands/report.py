"""``understudy report ROUTE``: the case of a promotion in one file, for a change ticket."""

import sys
from pathlib import Path

from sidecar.adminport import AdminRefused, AdminUnreachable, get
from sidecar.commands.audit import records
from sidecar.exitcode import ExitCode
from sidecar.report import markdown, page
from sidecar.report.case import NoCase, build

FORMATS = ("html", "markdown")


def report(
    route: str, admin: str, *, challenger: str | None, form: str | None, out: Path | None
) -> int:
    """Write the case of ``route``'s rollout to ``out`` or standard output; return the exit code.

    ``form`` is told by the name of ``out`` when it is None: .md is Markdown, else HTML.
    """
    form = form or ("markdown" if out is not None and out.suffix == ".md" else "html")
    if form not in FORMATS:
        return _fail(f"--format must be html or markdown, got {form!r}", ExitCode.USAGE)
    try:
        verification = get(admin, "/v1/audit/verify")
        status = get(admin, "/v1/status")
        found = [record for record in records(admin) if record.get("route") == route]
        case = build(route, status, found, verification, challenger)
    except AdminUnreachable as error:
        return _fail(str(error), ExitCode.SILENT)
    except (AdminRefused, NoCase) as error:
        return _fail(str(error), ExitCode.FAILED)
    text = page.render(case) if form == "html" else markdown.render(case)
    if out is None:
        sys.stdout.write(text)
        return ExitCode.DONE
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        return _fail(f"cannot write {out}: {error.strerror or error}", ExitCode.FAILED)
    sys.stderr.write(f"{out}: {case.challenger} on {case.route}, {case.outcome}\n")
    return ExitCode.DONE


def _fail(why: str, code: ExitCode) -> int:
    sys.stderr.write(f"{why}\n")
    return code
