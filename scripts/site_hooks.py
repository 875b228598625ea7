"""Hooks of mkdocs.yml: the pages that are there, and links that leave the documentation.

Pages link to files of the repository (the routing file, the load tests), which are no pages of the
site. There they become plain text: a site has no place to send its reader to.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
LISTED = {"Governance": "governance", "Decisions": "adr"}
"""Folders whose pages the navigation lists by itself."""


def on_config(config: Any) -> Any:
    """Complete the navigation: list what is there, leave out what is not."""
    folder = Path(config["docs_dir"])
    config["nav"] = [entry for one in config["nav"] if (entry := _entry(one, folder)) is not None]
    return config


def _entry(entry: Any, folder: Path) -> Any:
    """Return an entry of the navigation with what is there, None if nothing of it is."""
    if isinstance(entry, str):
        return entry if (folder / entry).is_file() else None
    if not isinstance(entry, Mapping):
        return None
    ((name, value),) = entry.items()
    if isinstance(value, str):
        return entry if (folder / value).is_file() else None
    kept = [one for part in value if (one := _entry(part, folder)) is not None]
    if name in LISTED:
        listed = sorted((folder / LISTED[name]).glob("*.md"))
        kept += [path.relative_to(folder).as_posix() for path in listed]
    return {name: kept} if kept else None


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links out of the documentation into text."""
    here = Path(config["docs_dir"]) / page.file.src_path
    return within(markdown, here.parent, Path(config["docs_dir"]))


def within(markdown: str, folder: Path, docs: Path) -> str:
    """Return ``markdown``, a page in ``folder``, whose links stay below ``docs``. Pure."""

    def replace(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = (folder / target).resolve()
        if not path.exists():
            return match[0]  # left as it is, so that a strict build complains
        return match[0] if path.is_file() and path.is_relative_to(docs.resolve()) else text

    return LINK.sub(replace, markdown)
