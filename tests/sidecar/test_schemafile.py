from pathlib import Path

import pytest

from sidecar import schemafile
from sidecar.schemafile import SchemaFileError, read_schema


def test_a_schema_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"type": "object"}')
    assert read_schema(path) == {"type": "object"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"type": 7}', "no JSON Schema"),
        (" " * 99, "more than"),
    ],
)
def test_what_is_no_schema_is_refused_with_the_files_name(
    tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemafile, "MAX_BYTES", 50)
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(SchemaFileError, match=said) as raised:
        read_schema(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaFileError, match="No such file"):
        read_schema(tmp_path / "s.json")
