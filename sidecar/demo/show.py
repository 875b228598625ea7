"""Shows the demo's progress: a live panel on a terminal, plain lines in a pipe or a log file."""

from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sidecar.demo.progress import Progress, cells, line

LINE_EVERY_S = 5.0
"""In a log file, besides a line at each change of stage."""


class Show(Protocol):
    """Where the demo tells what happens."""

    def say(self, words: str) -> None:
        """Tell one thing that stays."""
        ...

    def update(self, progress: Progress) -> None:
        """Show how far the demo is."""
        ...

    def end(self) -> None:
        """Leave the terminal as it was found. Idempotent."""
        ...


class LiveShow:
    """A panel that is painted over, below what was said. Owns the terminal until ``end``."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._is_on = False

    def say(self, words: str) -> None:
        """Print above the panel."""
        self._live.console.print(words, highlight=False, markup=False)

    def update(self, progress: Progress) -> None:
        """Paint the panel; the first time it appears."""
        if not self._is_on:
            self._live.start()
            self._is_on = True
        self._live.update(panel(progress))

    def end(self) -> None:
        """Take the panel away."""
        if self._is_on:
            self._live.stop()
            self._is_on = False


class PlainShow:
    """One line at each change of stage or share, and every five seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: Progress | None = None

    def say(self, words: str) -> None:
        """Print a line."""
        self._console.print(words, highlight=False, markup=False, soft_wrap=True)

    def update(self, progress: Progress) -> None:
        """Print a line if there is something new."""
        last = self._last
        if (
            last is None
            or (last.stage, last.share) != (progress.stage, progress.share)
            or progress.elapsed_s - last.elapsed_s >= LINE_EVERY_S
        ):
            self._last = progress
            self.say(line(progress))

    def end(self) -> None:
        """Nothing to leave behind."""


def show_on(console: Console) -> Show:
    """Return the show that suits ``console``."""
    return LiveShow(console) if console.is_terminal else PlainShow(console)


def panel(progress: Progress) -> Table:
    """Return the live panel."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    table.add_row("time", f"{progress.elapsed_s:.0f} s")
    for title, words in cells(progress):
        table.add_row(title, words)
    if progress.missing:
        table.add_row("waiting for", progress.missing)
    return table
