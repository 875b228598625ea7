"""Where the command line finds its token: the environment or a file, never its arguments.

Arguments are seen by everyone who may list processes, and kept in the shell's history.
"""

import stat
from collections.abc import Mapping
from pathlib import Path

TOKEN = "UNDERSTUDY_TOKEN"
MAX_CHARS = 4096
REMEDY = f"set {TOKEN}, or give --token-file FILE"


class TokenMissing(Exception):
    """There is no token to show; the message says where to put one."""


def read_token(environment: Mapping[str, str], file: Path | None) -> str:
    """Return the token of ``file``, or of UNDERSTUDY_TOKEN without one; empty if there is none.

    TokenMissing when ``file`` cannot be read, is open to others than its owner and its group, or
    holds anything but one line.
    """
    if file is None:
        return _checked(environment.get(TOKEN, "").strip(), TOKEN)
    try:
        with file.open(encoding="utf-8") as opened:
            mode = stat.S_IMODE(file.stat().st_mode)
            text = opened.read(MAX_CHARS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TokenMissing(f"--token-file {file}: {said}; {REMEDY}") from error
    if mode & stat.S_IRWXO:
        raise TokenMissing(f"--token-file {file}: others may read it; chmod 600 {file}")
    if not text:
        raise TokenMissing(f"--token-file {file}: it is empty; it must hold the token")
    return _checked(text, f"--token-file {file}")


def _checked(text: str, place: str) -> str:
    """Return ``text`` if it can stand in a header; the token itself is never in a message."""
    if len(text) > MAX_CHARS or not text.isascii() or not text.isprintable() or " " in text:
        raise TokenMissing(f"{place}: it must be one line of printable ASCII without spaces")
    return text
