"""A table that is shown on the terminal and written as Markdown. Its cells are text."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A title, columns and rows; the first column is the name of the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    red: frozenset[str] = frozenset()
    """Names of the rows that are shown in red."""

    def to_rich(self) -> Table:
        """Return it for the terminal."""
        table = Table(title=self.title)
        for number, column in enumerate(self.columns):
            if number:
                table.add_column(column, justify="right")
            else:
                table.add_column(column, min_width=17, no_wrap=True)
        for row in self.rows:
            table.add_row(*row, style="red" if row[0] in self.red else None)
        return table

    def to_markdown(self) -> str:
        """Return it as Markdown, the title as a line above."""
        lines = [f"**{self.title}**", "", _line(self.columns), _line(["---"] * len(self.columns))]
        return "\n".join([*lines, *(_line(row) for row in self.rows)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
