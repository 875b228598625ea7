"""``understudy token new``: a token, shown once, and the line for the file of tokens."""

import hashlib
import json
import secrets
import sys
import tempfile
from pathlib import Path
from typing import get_args

from sidecar.exitcode import ExitCode
from sidecar.tokenfile import Scope, TokenFileError, read_tokens

PREFIX = "understudy_"
"""So that a token that got into a repository or a log is found and known for one."""
N_BYTES = 32
"""Of chance: nobody guesses it, so its digest needs neither salt nor a slow hash."""


def new(
    *, name: str, scopes: str, expires: str | None, labels_per_second: float | None, as_json: bool
) -> int:
    """Write a new token and its line to standard output; return the exit code.

    Nothing keeps the token: who loses it makes another.
    """
    wanted = [word.strip() for word in scopes.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in get_args(Scope)]
    if unknown or not wanted:
        return _fail(f"--scopes must be some of {', '.join(get_args(Scope))}, got {scopes!r}")
    token = PREFIX + secrets.token_urlsafe(N_BYTES)
    line = _line(name, token, wanted, expires, labels_per_second)
    try:
        _try(line)
    except TokenFileError as error:
        return _fail(str(error))
    if as_json:
        sys.stdout.write(json.dumps({"name": name, "token": token, "line": line}) + "\n")
    else:
        sys.stdout.write(
            f"token, shown only now: {token}\n\nthe line for the file of tokens:\n{line}\n"
        )
    return ExitCode.DONE


def _line(
    name: str, token: str, scopes: list[str], expires: str | None, labels_per_second: float | None
) -> str:
    digest = hashlib.sha256(token.encode()).hexdigest()
    parts = [f"name: {name}", f"sha256: {digest}", f"scopes: [{', '.join(scopes)}]"]
    if labels_per_second is not None:
        parts.append(f"labels_per_second: {labels_per_second:g}")
    if expires is not None:
        parts.append(f'expires: "{expires}"')
    return f"  - {{{', '.join(parts)}}}"


def _try(line: str) -> None:
    """Read the line as the sidecar will; TokenFileError if it would refuse it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "the line"
        file.write_text(f"tokens:\n{line}\n")
        try:
            read_tokens(file)
        except TokenFileError as error:
            raise TokenFileError(str(error).removeprefix(f"{folder}/")) from error


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return ExitCode.USAGE
