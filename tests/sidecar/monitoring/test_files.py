"""What is written from the metrics is what they say now: neither can drift."""

from pathlib import Path

import pytest

from sidecar.monitoring.files import ROOT, files, main

WRITTEN = sorted(files(ROOT))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_file_is_as_make_deploy_would_write_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == files(ROOT)[path], "run `make deploy`"


def test_files_are_written_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (tmp_path / "docs" / "operations.md").write_text(page, encoding="utf-8")
    assert main(tmp_path) == 0
    for path in WRITTEN:
        copy = tmp_path / path.relative_to(ROOT)
        assert copy.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
