"""``understudy hold|resume|rollback|approve|promote ROUTE``: a person's act, and its reason."""

import getpass
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sidecar.adminport import AdminRefused, AdminUnreachable, post
from sidecar.admintoken import REMEDY, TokenMissing, read_token
from sidecar.commands.status import headline
from sidecar.exitcode import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    route: str
    act: str
    """hold, resume, rollback, approve or promote."""
    reason: str
    who: str | None
    """None: the name under which this runs."""
    admin: str
    token_file: Path | None
    break_glass: bool = False
    lasting: str | None = None
    """How long a broken glass lasts, as written; None: what the sidecar takes for usual."""
    as_json: bool = False


def act(asked: Asked, environment: Mapping[str, str] | None = None) -> int:
    """Ask the sidecar to do it; return the exit code."""
    environment = os.environ if environment is None else environment
    try:
        token = read_token(environment, asked.token_file)
    except TokenMissing as error:
        return _fail(str(error), ExitCode.USAGE)
    who = (asked.who or _user(environment)).strip()
    if fault := _fault(asked, who, token):
        return _fail(fault, ExitCode.USAGE)
    content: dict[str, object] = {"who": who, "reason": asked.reason}
    if asked.break_glass:
        content["break_glass"] = True
    if asked.lasting is not None:
        content["for"] = asked.lasting
    path = f"/v1/routes/{quote(asked.route, safe='')}/{asked.act}"
    try:
        route = post(asked.admin, path, content, token)
    except AdminUnreachable as error:
        return _fail(f"{error}\nit may have been done: see `understudy status`", ExitCode.SILENT)
    except AdminRefused as error:
        return _fail(f"{error}{_next(asked, error.status)}", ExitCode.FAILED)
    line = json.dumps(route) if asked.as_json else f"{asked.act} done: {headline(route)}"
    sys.stdout.write(line + "\n")
    return ExitCode.DONE


def _user(environment: Mapping[str, str]) -> str:
    try:
        return environment.get("USER", "") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def _fault(asked: Asked, who: str, token: str) -> str:
    """Return what is missing before anybody is asked; empty if nothing is."""
    if not token:
        return f"a token is needed to {asked.act}: {REMEDY}"
    if not who:
        return "who acts? The record needs a name: --who NAME"
    return "" if asked.reason.strip() else 'why? The record needs a reason: --reason "..."'


def _next(asked: Asked, status: int) -> str:
    """Return what to try next, as a line of its own."""
    if status == 409 and asked.act == "promote" and not asked.break_glass:
        return f"\n`understudy explain {asked.route}` says what is missing"
    return f"\nis it the token that the sidecar was given? {REMEDY}" if status == 401 else ""


def _fail(why: str, code: ExitCode) -> int:
    sys.stderr.write(f"{why}\n")
    return code
