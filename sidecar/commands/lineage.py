"""``understudy lineage NAME:VERSION``: what a version was made from, back to the first."""

import json
import sys
from typing import Any
from urllib.parse import quote

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
        sys.stdout.write("\n".join(page(found)) + "\n")
    return DONE


def page(model: dict[str, Any]) -> list[str]:
    """Return the line as a tree, one text a line: a version, what it was made from, its parent.

    Never wrapped: digests are there to be copied.
    """
    lines = [f"{model['ref']} ({model['stage']})", *(f"  {fact}" for fact in _facts(model))]
    for step in model["line"][1:]:
        unknown = "" if step["registered"] else ", not registered here"
        indent = "  " * step["generation"]
        lines.append(f"{indent}parent {step['ref']}{unknown}")
        lines += [f"{indent}  {fact}" for fact in _origin(step)]
    return [_plain(line) for line in lines]


def _plain(line: str) -> str:
    """Return ``line`` without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in line)


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
