from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sidecar.schema import schema, schema_text
from tests.sidecar.routing_texts import ROOT, SHIPPED, WHOLE, with_part

VALIDATOR = jsonschema.Draft202012Validator(schema())


def errors(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_schema_is_valid_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_generated_file_is_current() -> None:
    """If this fails: make schema."""
    assert (ROOT / "config" / "schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_follow_the_schema(path: Path) -> None:
    assert errors(path.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alpha: 5%", "alpha: 0.05"),
        ("alpha: 5%", "alhpa: 5%"),
        ("watch: 24h, ", ""),
        ("kind: correct", "kind: corect"),
        ("9001", "9001/v1"),
        ("- functional: {}", "- {functional: {}, security: {}}"),
        ("quantile: 0.99", "quantile: 99"),
        ("name: fraud\n", "name: a b\n"),
        ("errors:", "'err ors':"),
    ],
)
def test_editors_see_plain_mistakes(old: str, new: str) -> None:
    assert errors(WHOLE) == []
    assert errors(with_part(old, new))


def test_no_key_may_be_null() -> None:
    def walk(node: Any) -> None:
        assert node != {"type": "null"}
        for inside in node.values() if isinstance(node, dict) else node:
            if isinstance(inside, (dict, list)):
                walk(inside)

    walk(schema())


def test_defaults_have_the_type_of_their_key() -> None:
    def walk(node: dict[str, Any]) -> int:
        here = 0
        if "default" in node and "type" in node:
            jsonschema.validate(node["default"], node)
            here = 1
        return here + sum(walk(inside) for inside in node.values() if isinstance(inside, dict))

    assert walk(schema()) > 20
