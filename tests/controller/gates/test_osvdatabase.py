import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from controller.gates import osvdatabase
from controller.gates.osvdatabase import DatabaseError, read


def record(number: int, name: str = "a", ecosystem: str = "PyPI") -> dict[str, Any]:
    return {
        "id": f"PYSEC-{number}",
        "modified": f"2026-01-{number:02}T00:00:00Z",
        "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "versions": ["1"]}],
        "schema_version": "1.6.0",
    }


RECORDS = [record(3, "b"), record(1), record(2, "A"), record(9, ecosystem="npm")]


@pytest.fixture(params=["folder", "zip"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "osv"
    (folder / "deep").mkdir(parents=True)
    for one in RECORDS:
        (folder / "deep" / f"{one['id']}.json").write_text(json.dumps(one))
    (folder / "README.md").write_text("not a record")
    if request.param == "folder":
        return folder
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.rglob("*.*"):
            file.write(path, path.relative_to(folder))
    return tmp_path / "all.zip"


def test_records_about_the_wanted_packages_come_in_order(database: Path) -> None:
    found = read(database, {"a"})
    assert [one.id for one in found.records] == ["PYSEC-1", "PYSEC-2"]
    assert (found.count, found.newest, found.unreadable) == (3, "2026-01-03T00:00:00Z", 0)


def test_a_record_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(record(1)))
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_text('{"id": 3}')
    assert read(tmp_path, {"a"}).unreadable == 2


@pytest.mark.parametrize("raw", [b"", b"no zip", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_database_is_an_error(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "all.zip").write_bytes(raw)
    with pytest.raises(DatabaseError):
        read(tmp_path / "all.zip", set())


def test_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        read(tmp_path / "missing.zip", set())


@pytest.mark.parametrize(("limit", "value"), [("MAX_RECORDS", 2), ("RECORD_BYTES", 50)])
def test_a_database_without_an_end_is_an_error(
    database: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(osvdatabase, limit, value)
    with pytest.raises(DatabaseError, match="more than"):
        read(database, {"a"})
