"""Pages that follow from the code are what the code says now."""

import importlib.util
from pathlib import Path

import pytest
import typer

from sidecar.cli import app
from sidecar.exitcode import ExitCode

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("pages", ROOT / "scripts" / "pages.py")
assert SPEC is not None and SPEC.loader is not None
pages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pages)


@pytest.mark.parametrize("name", ["cli.md", "routing-file.md"])
def test_page_is_as_make_pages_would_write_it(name: str) -> None:
    path = ROOT / "docs" / name
    assert path.read_text(encoding="utf-8") == pages.pages()[path], "run `make pages`"


def test_every_command_and_every_exit_code_is_on_the_page() -> None:
    page = pages.cli_page()
    for name in typer.main.get_command(app).commands:
        assert f"## `understudy {name}" in page
    for code in ExitCode:
        assert f"\n| {int(code)} | " in page


def test_every_section_and_key_of_the_schema_is_on_the_page() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/$defs/OneThing"}},
        "required": ["a"],
        "$defs": {
            "OneThing": {
                "description": "What it is.",
                "properties": {
                    "b": {"anyOf": [{"type": "null"}, {"type": "boolean"}], "description": "x|y"},
                    "c": {"type": "array", "items": {"enum": ["p", "q"]}, "default": []},
                },
            }
        },
    }
    page = pages.routing_page(schema)
    assert "| `a` | [One thing](#one-thing) | required | What it is. |" in page
    assert "| `b` | `true` or `false` | none | x\\|y |" in page
    assert "| `c` | list of `p` or `q` | `[]` |  |" in page
    assert "## One thing\n\nWhat it is.\n" in page
