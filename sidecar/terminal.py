"""Where the command line writes: colours on a terminal only, and nothing cut off in a file."""

import os
import sys
from collections.abc import Mapping

from rich.console import Console

PIPED_COLUMNS = 240
"""Rows of a table that is not on a terminal are not folded before this; chosen: wider than any."""


def console(environment: Mapping[str, str] | None = None) -> Console:
    """Return the console on standard output.

    Colours need a terminal, and no NO_COLOR that is not empty (no-color.org). TERM=dumb has none
    either. In a pipe every row of a table is one line, for grep and awk.
    """
    environment = os.environ if environment is None else environment
    is_terminal = sys.stdout.isatty()
    is_plain = bool(environment.get("NO_COLOR")) or not is_terminal
    return Console(
        file=sys.stdout,
        force_terminal=is_terminal,
        no_color=is_plain,
        color_system=None if is_plain else "auto",
        width=None if is_terminal else PIPED_COLUMNS,
        highlight=False,
    )
