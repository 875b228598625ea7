"""Does a JSON document fit a declared JSON Schema? Pure.

A schema is the route owner's, the document a model's: no reference is fetched from anywhere.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from referencing.exceptions import Unresolvable

MAX_SAID = 200
"""Characters of what a validator says: it quotes the document."""


class SchemaFault(Exception):
    """The schema itself is at fault; the message says what."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise SchemaFault unless ``schema`` is a JSON Schema (2020-12 if it does not say which)."""
    try:
        _kind(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise SchemaFault(f"no JSON Schema: {_cut(error.message)}") from error


def fault_of(schema: Mapping[str, Any], document: Any) -> str:
    """Return where and how ``document`` does not fit, or nothing."""
    try:
        error = best_match(_kind(schema)(schema).iter_errors(document))
    except Unresolvable as unresolvable:
        return f"the schema refers to what it does not hold: {_cut(str(unresolvable))}"
    except RecursionError:
        return "nested too deep for its schema"
    return "" if error is None else f"{error.json_path}: {_cut(error.message)}"


def _kind(schema: Mapping[str, Any]) -> Any:
    return validator_for(schema, default=jsonschema.Draft202012Validator)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SAID else text[: MAX_SAID - 3] + "..."
