"""Turns pydantic's errors into Problems with a place, what was found and what was expected."""

import difflib
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sidecar.problem import Path, Problem, quoted
from sidecar.routemodel import RoutingFile
from sidecar.yamltree import Tree


def problems_of(error: ValidationError, tree: Tree) -> list[Problem]:
    """Return one Problem for each of pydantic's errors."""
    return [_problem(detail, tree) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, tree: Tree) -> Problem:
    path, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    if path and path[-1] == "[key]":
        return tree.problem(
            path[:-1], context["expected"], found=quoted(str(path[-2])), at_key=True
        )
    if kind == "missing":
        return _missing(path, tree)
    if kind == "extra_forbidden":
        return _unknown(path, tree)
    if kind == "not_built":
        return tree.problem(path, context["expected"], found=f"the key {path[-1]}", at_key=True)
    if kind == "literal_error":
        return _literal(path, tree)
    if kind in ("model_type", "dict_type"):
        return tree.problem(path, _mapping(path))
    if kind == "list_type":
        return tree.problem(path, "a list")
    if kind == "too_short":
        return tree.problem(path, f"at least {context['min_length']} entry", found="none")
    if kind == "too_long":
        found = f"{context['actual_length']} entries"
        return tree.problem(path, f"at most {context['max_length']}", found=found)
    return tree.problem(path, context.get("expected", detail["msg"]))


def _missing(path: Path, tree: Tree) -> Problem:
    key = str(path[-1])
    meaning = _schema_at(path).get("description", "")
    expected = f"`{key}`" + (f": {meaning[0].lower()}{meaning[1:].rstrip('.')}" if meaning else "")
    return tree.problem(path, expected, found=f"no `{key}`")


def _unknown(path: Path, tree: Tree) -> Problem:
    key = str(path[-1])
    known = list(_schema_at(path[:-1]).get("properties", {}))
    expected = f"one of {', '.join(known)}"
    near = nearest(key, known)
    if near is not None:
        expected = f"`{near}`, the nearest known key (all: {', '.join(known)})"
    return tree.problem(path, expected, found=f"unknown key {quoted(key)}", at_key=True)


def _literal(path: Path, tree: Tree) -> Problem:
    words = _schema_at(path)["enum"]
    found = tree.get(path)
    near = nearest(found, words) if isinstance(found, str) else None
    expected = f"one of {', '.join(words)}" + (f" (nearest: {near})" if near else "")
    return tree.problem(path, expected)


def _mapping(path: Path) -> str:
    known = list(_schema_at(path).get("properties", {}))
    return f"a mapping with keys of {', '.join(known)}" if known else "a mapping of names"


def nearest(word: str, known: list[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be, or None."""
    close = difflib.get_close_matches(word.lower()[:64], known, n=1, cutoff=0.6)
    return close[0] if close else None


@cache
def _schema() -> dict[str, Any]:
    return RoutingFile.model_json_schema()


def _schema_at(path: Path) -> dict[str, Any]:
    """Walk the models' JSON Schema to ``path``; the description of the key itself wins."""
    node = _resolved(_schema())
    for part in path:
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            by_pattern = list(node.get("patternProperties", {}).values()) or [{}]
            node = node.get("properties", {}).get(part, by_pattern[0])
        node = _resolved(node) if isinstance(node, dict) else {}
    return node


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            return {**_resolved(option), **own}
    if "$ref" in node:
        return {**_resolved(_schema()["$defs"][node["$ref"].rpartition("/")[2]]), **own}
    return node
