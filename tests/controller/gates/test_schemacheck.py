import pytest

from controller.gates.schemacheck import SchemaFault, check_schema, fault_of

SCHEMA = {"type": "object", "required": ["x"], "properties": {"x": {"type": "array"}}}


def test_a_document_that_fits_has_no_fault():
    assert fault_of(SCHEMA, {"x": [1]}) == ""


def test_a_fault_says_where_and_what():
    assert fault_of(SCHEMA, {"x": "no"}) == "$.x: 'no' is not of type 'array'"
    assert "'x' is a required property" in fault_of(SCHEMA, {})


def test_a_fault_quotes_no_more_than_a_line():
    assert len(fault_of(SCHEMA, {"x": "a" * 10_000})) < 300


def test_an_older_draft_may_be_declared():
    old = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "minimum": 1,
        "exclusiveMinimum": True,
    }
    check_schema(old)
    assert fault_of(old, 1) and not fault_of(old, 2)


def test_what_is_no_schema_is_refused():
    with pytest.raises(SchemaFault, match="no JSON Schema"):
        check_schema({"type": "arary"})


def test_no_reference_is_fetched_from_anywhere():
    assert "refers to what it does not hold" in fault_of({"$ref": "http://127.0.0.1:1/a.json"}, 1)


def test_a_schema_without_end_is_a_fault_and_no_crash():
    assert fault_of({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, 1)
