"""``understudy lineage NAME:VERSION``: what a version was made from, back to the first."""

import json
import sys
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from sidecar.adminport import AdminRefused, AdminUnreachable, get

DONE, FAILED, SILENT = 0, 1, 3


def lineage(admin: str, ref: str, *, as_json: bool) -> int:
    """Show the line of ``ref`` (NAME:VERSION or NAME@champion); return the exit code."""
    try:
        found = get(admin, f"/v1/models/{quote(ref, safe='')}")
    except AdminUnreachable as exc:
        sys.stderr.write(f"{exc}\n")
        return SILENT
    except AdminRefused as exc:
        sys.stderr.write(f"{exc}\n")
        return FAILED
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        Console(file=sys.stdout, soft_wrap=True).print(page(found))
    return DONE


def page(model: dict[str, Any]) -> Tree:
    """Return the line as a tree: each version, what it was made from, then its parent."""
    root = branch = Tree(Text(f"{model['ref']} ({model['stage']})"))
    for fact in _facts(model):
        branch.add(Text(fact))
    for step in model["line"][1:]:
        unknown = "" if step["registered"] else ", not registered here"
        branch = branch.add(Text(f"parent {step['ref']}{unknown}"))
        for fact in _origin(step):
            branch.add(Text(fact))
    return root


def _facts(model: dict[str, Any]) -> list[str]:
    artifact = model["artifact"]
    facts = [f"artifact sha256:{artifact['digest']} at {artifact['path'] or artifact['uri']}"]
    facts += _training(model["training"])
    for key in ("code", "owner", "source", "signed_by"):
        if model[key] is not None:
            facts.append(f"{key.replace('_', ' ')} {model[key]}")
    facts += [f"param {key}={value}" for key, value in model["params"].items()]
    facts += [f"meta {key}={value}" for key, value in model["metadata"].items()]
    when = f"{model['registered_at'][:19]}Z"
    return [*facts, f"registered by {model['registered_by']} at {when}"]


def _origin(step: dict[str, Any]) -> list[str]:
    if not step["registered"]:
        return []
    facts = [f"artifact sha256:{step['digest']}", *_training(step["training"])]
    return facts if step["code"] is None else [*facts, f"code {step['code']}"]


def _training(found: list[dict[str, Any]]) -> list[str]:
    facts = []
    for data in found:
        rows = data["rows"]
        known = f" ({rows['n_rows']} rows)" if rows is not None else ""
        facts.append(f"training data {data['name']}{known} {data['digest']}")
    return facts
