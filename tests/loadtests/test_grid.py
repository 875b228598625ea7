import io

from rich.console import Console

from loadtests.grid import Grid

GRID = Grid(title="Costs", columns=("proxy", "us"), rows=(("relay", "19.9"), ("envoy", "84.5")))


def test_markdown_is_a_title_and_a_table() -> None:
    assert GRID.to_markdown() == (
        "**Costs**\n\n| proxy | us |\n| --- | --- |\n| relay | 19.9 |\n| envoy | 84.5 |\n"
    )


def test_terminal_shows_every_cell() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(GRID.to_rich())
    assert all(cell in out.getvalue() for cell in ("Costs", "proxy", "relay", "84.5"))
