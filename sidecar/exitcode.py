"""What the command line's exit codes mean: docs/cli.md is written from it. Pure."""

import enum


class ExitCode(enum.IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SILENT = 3
    REJECTED = 4
    UNDECIDED = 4  # the same number: done, and not all of it is well
    STOPPED = 130


MEANING: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed or refused: the last line of the error says why and what to do next",
    ExitCode.USAGE: "wrong usage, a refused routing file, a file that is not one of labels, "
    "or no token where one is needed",
    ExitCode.SILENT: "nothing that speaks the admin API answers at `--admin`",
    ExitCode.REJECTED: "done, but for the labels that were rejected (`label`); undecided (`gate`)",
    ExitCode.STOPPED: "stopped by Ctrl-C before the end (`label`)",
}
"""In the words of the documentation."""
