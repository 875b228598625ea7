import os
from pathlib import Path

import pytest

from controller.gates import foreignfile
from controller.gates.foreignfile import ForeignFileError, age_s, as_json, days, read

NOW_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read(tmp_path / "a") == b"abc"


def test_a_file_that_is_not_there_too_long_or_none_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreignfile, "TEXT_BYTES", 2)
    (tmp_path / "long").write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "long", "pipe", "."):
        with pytest.raises(ForeignFileError):
            read(tmp_path / name)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(ForeignFileError, match=r"a\.json"):
        as_json(raw, "a.json")


def test_a_byte_order_mark_is_no_hindrance() -> None:
    assert as_json(b"\xef\xbb\xbf{}", "a.json") == {}


@pytest.mark.parametrize(
    ("stamp", "age"),
    [
        ("2025-12-31T00:00:00Z", 86_400.0),
        ("2025-12-31T23:00:00.123456789+00:00", 3599.876544),
        ("2026-01-01T01:00:00+01:00", 0.0),
        ("2025-12-31T00:00:00", 86_400.0),
        ("2026-01-01T12:00:00Z", 0.0),
    ],
)
def test_an_age_is_counted_from_now(stamp: str, age: float) -> None:
    assert age_s(stamp, NOW_S) == pytest.approx(age, abs=1e-3)


@pytest.mark.parametrize("stamp", ["", "yesterday", "2026-02-01T00:00:00Z"])
def test_what_is_no_time_or_still_to_come_has_no_age(stamp: str) -> None:
    with pytest.raises(ValueError):
        age_s(stamp, NOW_S)


def test_ages_are_told_in_days() -> None:
    assert days(36 * 3600.0) == "1.5 days"
