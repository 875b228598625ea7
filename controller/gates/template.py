"""From a row of values to a request body, by a JSON template. Pure.

In a template the text ``$values`` stands for the list of the row's feature values, ``$record`` for
an object of them, ``$columns`` for their names, ``$tensors`` for one Open Inference tensor a
feature, and ``$NAME`` for the value of one column. A protocol has a template of its own.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

TEMPLATES: Mapping[str, str] = {
    "json": '"$record"',
    "kserve-v1": '{"instances": ["$values"]}',
    "tf-serving": '{"instances": ["$values"]}',
    "mlflow": '{"dataframe_split": {"columns": "$columns", "data": ["$values"]}}',
    "open-inference-v2": '{"inputs": "$tensors"}',
    "openai": '{"messages": [{"role": "user", "content": "$prompt"}], "temperature": 0}',
}
_DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


class TemplateError(ValueError):
    """The template, or a row under it, is at fault; the message says what it lacks."""


def check_template(text: str) -> None:
    """Raise TemplateError unless ``text`` is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TemplateError(f"the template is not JSON: {error}") from error


def filled(template: Any, row: Mapping[str, Any], features: Sequence[str]) -> Any:
    """Return ``template`` (decoded JSON) with a row's values in it; TemplateError if one lacks."""
    match template:
        case "$values":
            return [_of(row, name) for name in features]
        case "$record":
            return {name: _of(row, name) for name in features}
        case "$columns":
            return list(features)
        case "$tensors":
            return [_tensor(name, _of(row, name)) for name in features]
        case str() if template.startswith("$"):
            return _of(row, template[1:])
        case list():
            return [filled(one, row, features) for one in template]
        case dict():
            return {key: filled(one, row, features) for key, one in template.items()}
    return template


def _of(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise TemplateError(f"no column {name!r}; there are {', '.join(row)}"[:300])
    return row[name]


def _tensor(name: str, value: Any) -> dict[str, Any]:
    values = value if isinstance(value, list) else [value]
    datatype = _DATATYPES.get(type(values[0])) if values else None
    if datatype is None:
        raise TemplateError(f"column {name!r} holds {type(value).__name__}, which is no tensor")
    shape = [1, len(values)] if isinstance(value, list) else [1]
    return {"name": name, "shape": shape, "datatype": datatype, "data": values}
