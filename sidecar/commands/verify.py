"""``understudy audit verify``: is the chain of records whole, and is a noted head still in it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from controller import audit, chain, store
from controller.chain import HeadError, Noted, read_head, told
from sidecar.adminport import AdminRefused, AdminUnreachable, get
from sidecar.exitcode import ExitCode

DATABASE = "understudy.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    export: Path | None = None
    """An export to check; None: the records of ``state``, or of a running sidecar."""
    state: Path | None = None
    """A state folder, or the database in it."""
    admin: str = ""
    head: str | None = None
    """HASH, SEQUENCE:HASH, or a file that holds one of these or JSON with both."""
    as_json: bool = False


def verify(asked: Asked) -> int:
    """Check the chain and say what was found; return the exit code.

    A chain without its last records is whole in itself, and so is one that was written anew: a
    head that was noted earlier, outside, finds both.
    """
    if asked.export is not None and asked.state is not None:
        return _fail("FILE and --state exclude each other", ExitCode.USAGE)
    try:
        noted = None if asked.head is None else _noted(asked.head)
        answer = _answer(asked, noted)
    except (HeadError, OSError, UnicodeDecodeError) as error:
        return _fail(str(error), ExitCode.USAGE)
    except AdminUnreachable as error:
        return _fail(str(error), ExitCode.SILENT)
    except (AdminRefused, store.StoreError) as error:
        return _fail(str(error), ExitCode.FAILED)
    is_whole = answer.get("verified") is True
    if asked.as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(_sentence(answer, noted) + "\n")
    return ExitCode.DONE if is_whole else ExitCode.FAILED


def _noted(text: str) -> Noted:
    try:
        return read_head(text)
    except HeadError:
        file = Path(text)
        if not file.is_file():
            raise
    return read_head(file.read_text(encoding="utf-8"))


def _answer(asked: Asked, noted: Noted | None) -> dict[str, Any]:
    if asked.export is not None:
        with asked.export.open(encoding="utf-8") as lines:
            return told(chain.verify(chain.rows_of(lines), noted))
    if asked.state is not None:
        database = asked.state / DATABASE if asked.state.is_dir() else asked.state
        if not database.is_file():
            raise FileNotFoundError(
                f"{asked.state} is neither a state folder nor the {DATABASE} of one"
            )
        with store.reader(database) as connection:
            return told(audit.verify(connection, noted))
    query = "" if noted is None else f"?head={quote(_written(noted))}"
    return get(asked.admin, f"/v1/audit/verify{query}")


def _written(noted: Noted) -> str:
    return noted.hash if noted.sequence is None else f"{noted.sequence}:{noted.hash}"


def _sentence(answer: dict[str, Any], noted: Noted | None) -> str:
    if answer.get("verified") is not True:
        because = answer.get("because") or "a record or a link between two records was changed"
        return f"BROKEN: {because}"
    also = "" if noted is None else ", the noted head among them"
    head = f"{answer.get('sequence')}:{answer.get('hash')}"
    return f"whole: {answer.get('records')} records{also}, head {head}"


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"{message}\n")
    return code
