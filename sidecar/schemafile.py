"""Reads the JSON Schemas that the routing file names."""

import json
from pathlib import Path
from typing import Any

from controller.gates.schemacheck import SchemaFault, check_schema

MAX_BYTES = 1024 * 1024


class SchemaFileError(Exception):
    """The file is no JSON Schema; the message names it and what is wrong."""


def read_schema(path: Path) -> dict[str, Any]:
    """Return the schema of ``path``; SchemaFileError if there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise SchemaFileError(f"{path} ({exc.strerror or exc})") from exc
    if len(raw) > MAX_BYTES:
        raise SchemaFileError(f"{path} with more than {MAX_BYTES} bytes")
    try:
        schema = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise SchemaFileError(f"{path}: not JSON ({exc})") from exc
    if not isinstance(schema, dict):
        raise SchemaFileError(f"{path}: not an object")
    try:
        check_schema(schema)
    except SchemaFault as exc:
        raise SchemaFileError(f"{path}: {exc}") from exc
    return schema
