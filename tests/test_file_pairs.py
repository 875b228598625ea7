"""Every source file has its test file, at the mirrored path; every test file has its source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "evaluator", "controller", "sidecar")


def is_stub(path: Path) -> bool:
    """Whether a file is an ``__init__.py``, or a ``__main__.py`` that only imports and calls."""
    if path.name == "__init__.py":
        return True
    if path.name != "__main__.py":
        return False
    kinds = (ast.Import, ast.ImportFrom, ast.Expr, ast.If)
    return all(isinstance(node, kinds) for node in ast.parse(path.read_text()).body)


SOURCES = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if not is_stub(path)
)
TESTS = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / "tests" / package).rglob("test_*.py")
)


def pair_of(source: Path) -> Path:
    """Return where the tests of ``source`` are: router/choose.py, tests/router/test_choose.py."""
    return Path("tests") / source.parent / f"test_{source.name}"


def has_tests(path: Path) -> bool:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(node, functions) and node.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text()))
    )


@pytest.mark.parametrize("source", SOURCES, ids=Path.as_posix)
def test_source_file_has_its_test_file(source: Path) -> None:
    pair = ROOT / pair_of(source)
    assert pair.is_file(), f"{source} has no {pair_of(source)}"
    assert has_tests(pair), f"{pair_of(source)} holds no test"


@pytest.mark.parametrize("test", TESTS, ids=Path.as_posix)
def test_test_file_has_its_source_file(test: Path) -> None:
    source = test.relative_to("tests").with_name(test.name.removeprefix("test_"))
    assert (ROOT / source).is_file(), f"{test} tests {source}, which is not there"


@pytest.mark.parametrize(
    "folder",
    sorted({(Path("tests") / source.parent) for source in SOURCES}),
    ids=Path.as_posix,
)
def test_test_folder_is_a_package(folder: Path) -> None:
    """Two test files of one name in folders that are no packages hide each other."""
    assert (ROOT / folder / "__init__.py").is_file()


def test_no_init_file_holds_logic() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    holding = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        if any(isinstance(node, kinds) for node in ast.parse(path.read_text()).body)
    ]
    assert holding == []
