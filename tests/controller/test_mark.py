"""How far a state has come, beside it."""

from pathlib import Path

import pytest

from controller.mark import Mark, mark_path, read_mark


def test_it_is_read_back_and_only_the_last_counts(tmp_path: Path) -> None:
    database = tmp_path / "understudy.db"
    mark = Mark(database)
    for commits in (7, 12, 10**15):
        mark.note(commits)
        assert read_mark(database) == commits
    mark.close()
    mark.close()
    assert read_mark(database) == 10**15
    assert mark_path(database).stat().st_size == 20


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"12.5"])
def test_one_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    database = tmp_path / "understudy.db"
    assert read_mark(database) == 0
    mark_path(database).write_bytes(content)
    assert read_mark(database) == 0


def test_a_disk_that_refuses_it_stops_nobody(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "nowhere" / "understudy.db")
    mark.note(3)
    mark.close()
