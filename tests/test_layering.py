"""Who may import whom. A new edge is a design decision: change it here first."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "router": {"router"},
    # A token is an exposure on its way back: its form is read where it is written (adr/0017).
    "evaluator": {"evaluator", "router.observation", "router.token"},
    # The gates dial a challenger over TLS with what a router would show and ask (adr/0008).
    "controller": {
        "controller",
        "evaluator",
        "router.table",
        "router.observation",
        "router.certificate",
        "router.token",
        "router.keyfile",
    },
    "sidecar": {"sidecar", "controller", "evaluator", "router"},
}
IMPURE = {"asyncio", "uvloop", "httptools", "socket", "time", "random", "yaml"}
# The type of the dice that a caller passes in. Who only names it draws nothing by itself.
NOT_IMPURE = {"random.Random"}
# Megabytes and start-up time that a data plane does not need, and libraries that may block it.
NOT_IN_THE_ROUTER = {"numpy", "scipy", "pydantic", "sqlite3", "structlog", "aiohttp"}
FILES = sorted(p for top in MAY_IMPORT for p in (ROOT / top).rglob("*.py"))
# The layout's list. A file that calls itself pure in its docstring is held to it as well.
PURE_BY_LAYOUT = {
    "router/table.py", "router/choose.py", "router/observation.py", "router/message.py",
    "router/errors.py", "router/states.py",
    "evaluator/metric.py", "evaluator/join.py", "evaluator/running.py", "evaluator/confseq.py",
    "evaluator/srm.py", "evaluator/evidence.py",
    "controller/policy.py", "controller/rollout.py", "controller/judge.py", "controller/plan.py",
}  # fmt: skip


def here(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls_itself_pure(path: Path) -> bool:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return re.search(r"\bPure\b", docstring) is not None


PURE = (
    PURE_BY_LAYOUT
    | {here(path) for path in FILES if calls_itself_pure(path)}
    | {here(path) for path in (ROOT / "evaluator" / "eprocess").glob("*.py")}
)


def imported_modules(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: use absolute imports"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def impure_modules(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported_modules(path) - NOT_IMPURE} & IMPURE


def source_of(module: str) -> str | None:
    """Return the file that ``module`` (or the name in it) comes from, if it is one of ours."""
    for name in (module, module.rpartition(".")[0]):
        path = ROOT / (name.replace(".", "/") + ".py")
        if name and path.is_file():
            return here(path)
    return None


every_file = pytest.mark.parametrize("path", FILES, ids=here)
every_pure_file = pytest.mark.parametrize("name", sorted(PURE))


@every_file
def test_imports_stay_inside_the_layer(path: Path) -> None:
    top = here(path).split("/")[0]
    for module in imported_modules(path):
        if module.split(".")[0] in MAY_IMPORT:
            assert any(module == ok or module.startswith(ok + ".") for ok in MAY_IMPORT[top]), (
                f"{here(path)} may not import {module}"
            )


@every_file
def test_product_imports_nothing_from_the_tests_or_the_load_tests(path: Path) -> None:
    assert not {module.split(".")[0] for module in imported_modules(path)} & {"tests", "loadtests"}


@every_pure_file
def test_pure_file_imports_neither_clock_nor_dice_nor_io(name: str) -> None:
    assert not impure_modules(ROOT / name), f"{name} must stay pure"


@every_pure_file
def test_pure_file_rests_on_pure_files_only(name: str) -> None:
    """Purity that an import takes away again is none."""
    ours = {source_of(module) for module in imported_modules(ROOT / name)}
    for source in ours - {None}:
        assert source is not None
        assert not impure_modules(ROOT / source), f"{name} imports {source}, which is not pure"


def test_every_file_of_the_layout_that_is_pure_says_so() -> None:
    assert [name for name in sorted(PURE_BY_LAYOUT) if not calls_itself_pure(ROOT / name)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "router").rglob("*.py")), ids=here)
def test_router_names_no_heavy_library(path: Path) -> None:
    assert not {module.split(".")[0] for module in imported_modules(path)} & NOT_IN_THE_ROUTER


def test_only_the_parser_knows_httptools() -> None:
    users = [here(path) for path in FILES if "httptools" in imported_modules(path)]
    assert users == ["router/parser.py"]


def test_only_the_routing_files_reader_knows_yaml() -> None:
    users = {
        here(path)
        for path in FILES
        if "yaml" in {module.split(".")[0] for module in imported_modules(path)}
    }
    assert users
    assert all(user.startswith("sidecar/") for user in users)


@pytest.fixture(scope="module")
def loaded_by_a_worker() -> set[str]:
    """What is in memory when a router process has imported all that it runs."""
    code = "import sys, json, router.worker; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_router_process_loads_no_heavy_library_in_a_roundabout_way_either(
    loaded_by_a_worker: set[str],
) -> None:
    assert {name.split(".")[0] for name in loaded_by_a_worker} & NOT_IN_THE_ROUTER == set()


def test_router_process_loads_nothing_of_the_floors_above(loaded_by_a_worker: set[str]) -> None:
    ours = {name.split(".")[0] for name in loaded_by_a_worker} & set(MAY_IMPORT)
    assert ours == {"router"}


def test_router_process_loads_every_file_of_the_router(loaded_by_a_worker: set[str]) -> None:
    """A file that the worker does not load is dead, or belongs to another floor."""
    files = {
        here(path).removesuffix(".py").replace("/", ".")
        for path in (ROOT / "router").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert files <= loaded_by_a_worker
