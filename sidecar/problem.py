"""What is wrong with a routing file, and where: one record per error, ready for people. Pure."""

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list positions (from 0) from the top of the file to a value."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error in a file. Sorts by its place."""

    line: int
    """From 1; 0 when the error is about the file as a whole (it cannot be read)."""
    column: int
    """From 1, in characters; 0 together with line 0."""
    path: str
    found: str
    expected: str

    def text(self, file: str) -> str:
        """Return ``FILE:LINE:COLUMN: path: found X; expected Y`` on one line."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place}: {self.path}: found {self.found}; expected {self.expected}"


class ConfigError(Exception):
    """The routing file is at fault; nothing was changed. Holds every error, in file order."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(problem.text(file) for problem in problems))


def path_text(path: Path) -> str:
    """Write a path as people do.

    >>> path_text(("routes", 0, "rollout", "alpha"))
    'routes[0].rollout.alpha'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "file"


def quoted(text: str, limit: int = 60) -> str:
    """Return ``text`` on one line, cut at ``limit``, control characters escaped."""
    shown = text if len(text) <= limit else text[: limit - 3] + "..."
    return shown if shown and shown.isprintable() else repr(shown)
