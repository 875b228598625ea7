import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.compiled import DIGEST, HOME, SOURCE, digest, is_usable, router_environment


@pytest.fixture
def build(tmp_path: Path) -> tuple[Path, Path]:
    """A package, and a build that fits it."""
    source, home = tmp_path / "router", tmp_path / "compiled"
    source.mkdir()
    home.mkdir()
    (source / "worker.py").write_text("speed = 1\n")
    (home / DIGEST).write_text(digest(source))
    return home, source


def test_build_of_these_sources_is_used(build: tuple[Path, Path]) -> None:
    home, source = build
    assert is_usable(home, source)
    assert router_environment({}, home, source) == {"PYTHONPATH": str(home)}


def test_build_comes_before_what_the_environment_names(build: tuple[Path, Path]) -> None:
    home, source = build
    found = router_environment({"PYTHONPATH": "/elsewhere", "LANG": "C"}, home, source)
    assert found == {"PYTHONPATH": f"{home}{os.pathsep}/elsewhere", "LANG": "C"}


@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_build_of_other_sources_is_not_used(build: tuple[Path, Path], change: str) -> None:
    home, source = build
    file = source / "worker.py"
    if change == "edited":
        file.write_text("speed = 2\n")
    elif change == "added":
        (source / "more.py").write_text("")
    else:
        file.rename(source / "other.py")
    assert not is_usable(home, source)
    assert router_environment({"LANG": "C"}, home, source) == {"LANG": "C"}


def test_no_build_is_no_error(tmp_path: Path) -> None:
    assert not is_usable(tmp_path / "nothing", SOURCE)


@pytest.mark.skipif(not is_usable(), reason="run make compile first")
def test_router_process_runs_the_build() -> None:
    code = "import router.exchange; print(router.exchange.__file__)"
    environment = router_environment(os.environ)
    asked = [sys.executable, "-P", "-c", code]
    shown = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    assert Path(shown.stdout.strip()).parent == HOME / "router"
    assert ".so" in shown.stdout
