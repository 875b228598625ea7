"""What needs more than one key of ``security:`` to judge, and which of its files must be there.

Results of other programs need not be there when the file is read: the gate waits for them.
"""

from collections.abc import Iterator
from pathlib import Path

from sidecar.model.security import Security
from sidecar.problem import Path as KeyPath
from sidecar.problem import Problem
from sidecar.routecheck import part, stages_of
from sidecar.yamltree import Tree

PARTS = ("scan", "dependencies", "licences", "fairness", "results")
OTHERS = ("webhooks", "approval")
"""Who may decide alone: a scanner elsewhere, people."""
FILES = (
    ("dependencies", "file", "requirements or an SBOM"),
    ("dependencies", "database", "a folder or a zip of OSV records"),
    ("licences", "file", "requirements or an SBOM"),
    ("licences", "installed", "a site-packages folder"),
    ("fairness", "golden", "a golden set"),
)


def check_security(tree: Tree, folder: Path) -> Iterator[Problem]:
    """Yield what is wrong with the security stages; files are relative to ``folder``."""
    routes = tree.get(("routes",))
    for index in range(len(routes) if isinstance(routes, list) else 0):
        stages = stages_of(tree, ("routes", index))
        path = stages.get("security")
        section = None if path is None else part(tree, path, Security)
        if path is None or section is None:
            continue
        yield from _parts(tree, path, section)
        yield from _fairness(tree, path, section, has_golden="performance" in stages)
        yield from _files(tree, path, folder)


def _parts(tree: Tree, path: KeyPath, section: Security) -> Iterator[Problem]:
    if not any(getattr(section, name) for name in (*PARTS, *OTHERS)):
        yield tree.problem(path, f"at least one of {', '.join((*PARTS, *OTHERS))}")
    licences = section.licences
    if licences is not None and licences.file is None and section.dependencies is None:
        yield tree.problem((*path, "licences"), "`file`, or `dependencies` beside it")


def _fairness(
    tree: Tree, path: KeyPath, section: Security, *, has_golden: bool
) -> Iterator[Problem]:
    fairness = section.fairness
    if fairness is None:
        return
    if fairness.at_most is None and fairness.worse_by is None:
        yield tree.problem((*path, "fairness"), "a limit: `at_most`, `worse_by`, or both")
    if fairness.golden is None and not has_golden:
        yield tree.problem((*path, "fairness"), "`golden`, or a stage `performance` that has it")


def _files(tree: Tree, path: KeyPath, folder: Path) -> Iterator[Problem]:
    for part_name, key, wanted in FILES:
        named = tree.get((*path, part_name, key))
        if isinstance(named, str) and not (folder / named).exists():
            yield tree.problem(
                (*path, part_name, key), f"{wanted} that is there", found=str(folder / named)
            )
