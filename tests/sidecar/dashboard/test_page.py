"""The page's files: ours, unchanged, under a policy that allows nothing else."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sidecar.dashboard import page

VENDOR = page.HERE / "vendor"
ROOT = Path(__file__).parents[3]


def test_vendored_files_are_those_of_the_table() -> None:
    text = (VENDOR / "README.md").read_text()
    table = dict(re.findall(r"^\| `([\w.]+)` \|.*\| `([0-9a-f]{64})` \|$", text, re.MULTILINE))
    files = {path.name for path in VENDOR.iterdir()} - {"README.md"}
    assert set(table) == files
    for name, digest in table.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_the_page_asks_for_files_that_are_there_and_for_nothing_elsewhere() -> None:
    files = page.load()
    text = (page.FOLDER / page.INDEX).read_text()
    asked = re.findall(r'(?:src|href)="([^"#][^"]*)"', text)
    assert asked and all(
        one.startswith("/dashboard/") and one.removeprefix("/dashboard/") in files for one in asked
    )
    for name in files:
        for one in re.findall(r'from "\./([\w.-]+)"', files[name].body.decode()):
            assert one in files, f"{name} imports {one}"


@pytest.mark.parametrize("path", sorted(page.FOLDER.glob("*.*")), ids=lambda path: path.name)
def test_no_file_of_ours_needs_what_the_policy_forbids(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|<script [^>]*>[^<]", text)
    if path.suffix == ".js":
        sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
        assert not re.search(sinks, text)


def test_the_policy_allows_our_own_files_only() -> None:
    rules = dict(rule.split(" ", 1) for rule in page.POLICY.split("; "))
    assert rules["default-src"] == "'none'" and rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.POLICY and "http" not in page.POLICY


@pytest.mark.slow
def test_the_wheel_holds_the_page(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "sidecar", "config"):
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignore)
        else:
            shutil.copy(source, tmp_path / name)
    for name in ("router", "evaluator", "controller"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True, timeout=100)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (*page.FOLDER.iterdir(), *VENDOR.iterdir()):
        assert path.relative_to(ROOT).as_posix() in names
