"""The documentation's site: built strictly, complete, and asking for nothing from outside."""

import importlib.util
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts" / "site_hooks.py")
assert SPEC is not None and SPEC.loader is not None
hooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hooks)
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Fetches(HTMLParser):
    """Collects what a browser would fetch when it opens the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "link" and said.get("rel") in ("canonical", "prev", "next", "alternate"):
            return
        self.found += [said[name] or "" for name in [FETCHED.get(tag, "")] if name in said]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        made = site / page.relative_to(ROOT / "docs").with_suffix(".html")
        assert made.is_file(), page


def test_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert pages
    for page in pages:
        fetches = Fetches()
        fetches.feed(page.read_text(encoding="utf-8"))
        away = [where for where in fetches.found if where.startswith(("http:", "https:", "//"))]
        assert away == [], page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "url(http" not in text and "@import" not in text, sheet


def test_links_out_of_the_documentation_become_text(tmp_path: Path) -> None:
    (tmp_path / "docs" / "adr").mkdir(parents=True)
    (tmp_path / "docs" / "a.md").touch()
    (tmp_path / "README.md").touch()
    docs = tmp_path / "docs"
    text = "[a](a.md#x) [r](../README.md) [f](adr) [n](none.md) [w](https://x.example) ![p](p.svg)"
    assert hooks.within(text, docs, docs) == (
        "[a](a.md#x) r f [n](none.md) [w](https://x.example) ![p](p.svg)"
    )


def test_navigation_lists_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "adr").mkdir()
    (tmp_path / "adr" / "0001-x.md").touch()
    (tmp_path / "a.md").touch()
    nav = ["a.md", "b.md", {"B": "b.md"}, {"Decisions": []}, {"Governance": ["g.md"]}]
    config = hooks.on_config({"docs_dir": str(tmp_path), "nav": nav})
    assert config["nav"] == ["a.md", {"Decisions": ["adr/0001-x.md"]}]
