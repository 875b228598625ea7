"""``understudy models``: the registered versions, where they stand, and who put them there."""

import json
import sys
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.adminport import AdminRefused, AdminUnreachable, get

DONE, FAILED, SILENT = 0, 1, 3
DIGEST_CHARS = 12
"""Of a digest in a table; JSON has all of it."""

WIDTH = 200
"""Of a table that no terminal bounds: what reads it wants no cell cut."""


def models(admin: str, name: str | None, *, as_json: bool) -> int:
    """Show every version (of one name); return the exit code."""
    query = "" if name is None else f"?name={quote(name, safe='')}"
    try:
        found = get(admin, f"/v1/models{query}")["models"]
    except AdminUnreachable as exc:
        sys.stderr.write(f"{exc}\n")
        return SILENT
    except AdminRefused as exc:
        sys.stderr.write(f"{exc}\n")
        return FAILED
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    elif not found:
        sys.stdout.write("no model version is registered\n")
    else:
        width = None if sys.stdout.isatty() else WIDTH
        Console(file=sys.stdout, width=width).print(page(found))
    return DONE


def page(found: list[dict[str, Any]]) -> Table:
    """Return the versions as a table. Text from the sidecar is never read as markup."""
    table = Table(box=None, pad_edge=False)
    for title in ("model", "stage", "alias", "digest", "parent", "owner", "registered"):
        table.add_column(title)
    for model in found:
        aliases = ", ".join(
            f"{alias} of {', '.join(routes)}" for alias, routes in model["aliases"].items()
        )
        cells = (
            model["ref"],
            model["stage"],
            aliases or "-",
            model["artifact"]["digest"][:DIGEST_CHARS],
            model["parent"] or "-",
            model["owner"] or "-",
            f"{model['registered_at'][:19]}Z by {model['registered_by']}",
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table
