"""``understudy token new``: a token, shown once, and the line for the file of tokens."""

import hashlib
import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sidecar.exitcode import ExitCode
from sidecar.tokenfile import Scope, TokenFileError, read_tokens

PREFIX = "understudy_"
"""So that a token that got into a repository or a log is found and known for one."""
N_BYTES = 32
"""Of chance: nobody guesses it, so its digest needs neither salt nor a slow hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    name: str
    scopes: str
    expires: str | None = None
    labels_per_second: float | None = None
    into: Path | None = None
    """The file of tokens that gets the line; None: the line is shown."""
    out: Path | None = None
    """The new file that gets the token, for its owner alone; None: the token is shown."""
    as_json: bool = False


def new(asked: Asked) -> int:
    """Make a token, put it and its line where they are wanted; return the exit code.

    Nothing else keeps the token: who loses it makes another.
    """
    wanted = [word.strip() for word in asked.scopes.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in get_args(Scope)]
    if unknown or not wanted:
        return _fail(f"--scopes must be some of {', '.join(get_args(Scope))}, got {asked.scopes!r}")
    token = PREFIX + secrets.token_urlsafe(N_BYTES)
    line = _line(asked.name, token, wanted, asked.expires, asked.labels_per_second)
    try:
        _try(f"tokens:\n{line}\n", "the line")
        _keep(token, line, asked)
    except TokenFileError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    sys.stdout.write(_told(token, line, asked))
    return ExitCode.DONE


def _keep(token: str, line: str, asked: Asked) -> None:
    """Write what is to be written: nothing at all if either file cannot be."""
    text = None if asked.into is None else _with_line(asked.into, line)
    if asked.out is not None:
        with open(asked.out, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(f"{token}\n")
    if asked.into is not None and text is not None:
        _replace(asked.into, text)


def _with_line(file: Path, line: str) -> str:
    """Return what ``file`` holds, and ``line`` behind it; TokenFileError if that is at fault."""
    there = file.read_text() if file.exists() else ""
    text = f"{(there.rstrip() or 'tokens:')}\n{line}\n"
    try:
        _try(text, file.name)
    except TokenFileError as error:
        raise TokenFileError(f"{error}; nothing was written") from error
    return text


def _replace(file: Path, text: str) -> None:
    """Swap the file as a whole: a sidecar may read it at any moment."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with open(handle, "w") as opened:
        opened.write(text)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644  # it holds no secret
    Path(temporary).chmod(mode)
    Path(temporary).replace(file)


def _told(token: str, line: str, asked: Asked) -> str:
    if asked.as_json:
        said = {"name": asked.name, "line": line} | ({} if asked.out else {"token": token})
        return json.dumps(said) + "\n"
    shown = f"token, shown only now: {token}" if asked.out is None else f"token: in {asked.out}"
    if asked.into is None:
        return f"{shown}\n\nthe line for the file of tokens:\n{line}\n"
    return f"{shown}\nits line: in {asked.into}\n"


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


def _try(text: str, name: str) -> None:
    """Read ``text`` as the sidecar will; TokenFileError, about ``name``, if it would refuse it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text)
        try:
            read_tokens(file)
        except TokenFileError as error:
            raise TokenFileError(str(error).removeprefix(f"{folder}/")) from error


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return ExitCode.USAGE
