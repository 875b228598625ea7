"""Which routes feed which: they are in the file, in no circle, and there is a lot to hand on."""

from collections.abc import Iterator

from sidecar.problem import Path, Problem
from sidecar.yamltree import Tree


def check_chains(tree: Tree) -> Iterator[Problem]:
    """Yield what is wrong with ``feeds`` of all routes."""
    routes = tree.get(("routes",))
    named = {
        route["name"]: ("routes", index)
        for index, route in enumerate(routes if isinstance(routes, list) else [])
        if isinstance(route, dict) and isinstance(route.get("name"), str)
    }
    feeds = {name: _names(tree, route) for name, route in named.items()}
    for name, route in named.items():
        yield from _check_one(tree, name, route, feeds)


def _names(tree: Tree, route: Path) -> list[str]:
    value = tree.get((*route, "feeds"))
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _check_one(
    tree: Tree, name: str, route: Path, feeds: dict[str, list[str]]
) -> Iterator[Problem]:
    for place, fed in enumerate(feeds[name]):
        path = (*route, "feeds", place)
        if fed not in feeds:
            yield tree.problem(path, "the name of a route of this file")
        elif name == fed or name in _behind(fed, feeds):
            yield tree.problem(path, f"a route whose answers do not come back to {name}")
        elif fed in feeds[name][:place]:
            yield tree.problem(path, "each route once", found=f"{fed} again")
    if feeds[name] and tree.get((*route, "challengers")) and _has_no_canary(tree, route):
        yield tree.problem(
            (*route, "feeds"),
            "a canary stage before production: copies are answered to nobody, so the routes "
            "behind see nothing of them",
            found="a promotion that no route behind this one could judge",
            at_key=True,
        )


def _has_no_canary(tree: Tree, route: Path) -> bool:
    stages = tree.get((*route, "rollout", "stages"))
    kinds = {kind for one in stages or () if isinstance(one, dict) for kind in one}
    return "production" in kinds and "canary" not in kinds


def _behind(name: str, feeds: dict[str, list[str]]) -> set[str]:
    """Return every route that the answers of ``name`` reach."""
    reached: set[str] = set()
    ahead = [name]
    while ahead:
        for fed in feeds.get(ahead.pop(), ()):
            if fed not in reached:
                reached.add(fed)
                ahead.append(fed)
    return reached
