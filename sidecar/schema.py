"""The routing file's JSON Schema, for editors: ``python -m sidecar.schema > config/schema.json``.

It is generated from the models and says less than ``understudy check``, which also compares keys
with each other and reads the files that are named.
"""

import json
import sys
from typing import Any

from sidecar.routemodel import RoutingFile

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a routing file as a YAML reader sees it."""
    plain = _plain(RoutingFile.model_json_schema())
    assert isinstance(plain, dict)
    return {"$schema": _DRAFT, **plain, "title": "Understudy routing file"}


def schema_text() -> str:
    """Return the schema as config/schema.json holds it."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """Return ``node`` without pydantic's titles and nulls, defaults in the type of their key."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain: dict[str, Any] = {
        key: {name: _plain(inside) for name, inside in value.items()}
        if key in ("properties", "$defs")
        else _plain(value)
        for key, value in node.items()
        if key != "title" and not (key == "default" and _is_structure(value))
    }
    options = [option for option in plain.pop("anyOf", []) if option != {"type": "null"}]
    if len(options) > 1:
        plain["anyOf"] = options
    elif options:  # "this or null" is this, as the file knows no null
        plain = {**options[0], **plain}
    if "default" in plain and plain.get("type") in ("integer", "boolean"):
        plain["default"] = json.loads(plain["default"])
    return plain


def _is_structure(default: Any) -> bool:
    """Whether a default is no text of the file: its own keys show their defaults."""
    return default is None or isinstance(default, (dict, list))


if __name__ == "__main__":
    sys.stdout.write(schema_text())
