"""The history's file: three rings, bounded by construction, and never in the way."""

import sqlite3
from pathlib import Path

import pytest

from sidecar import history as module
from sidecar.history import RINGS, History, HistoryError, stride

NOW_S = 1_800_000_000.0


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.db")


def fill(history: History, seconds: float, step_s: float, n_routes: int = 1) -> None:
    at_s = NOW_S - seconds
    while at_s <= NOW_S:
        history.add(at_s, {"fraud": str(round(at_s)).encode()}, n_routes)
        at_s += step_s


def ages(history: History, span: str) -> list[float]:
    return [NOW_S - at_s for at_s, _ in history.rows("fraud", span, NOW_S)]


def test_a_sample_is_found_in_every_ring_until_it_is_too_old(history: History) -> None:
    for age_s in (8 * 86_400, 2 * 86_400, 7_200, 30):
        history.add(NOW_S - age_s, {"fraud": b"x"})
    assert ages(history, "1h") == [30]
    assert ages(history, "24h") == [7_200, 30]
    assert ages(history, "7d") == [2 * 86_400, 7_200, 30]
    history.close()


def test_the_last_sample_of_a_step_is_the_one_that_is_kept(history: History) -> None:
    for at_s in (NOW_S, NOW_S + 3, NOW_S + 9.9, NOW_S + 10):
        history.add(at_s, {"fraud": str(at_s).encode()})
    rows = history.rows("fraud", "1h", NOW_S + 60)
    assert [at_s - NOW_S for at_s, _ in rows] == pytest.approx([9.9, 10])
    assert rows[0][1] == str(NOW_S + 9.9).encode()
    history.close()


def test_an_hour_is_kept_at_ten_seconds_and_no_more(history: History, tmp_path: Path) -> None:
    fill(history, 2 * 3_600, 10.0)
    found = ages(history, "1h")
    assert len(found) == RINGS[0].slots and max(found) < 3_600 and found == sorted(found)[::-1]
    assert len(ages(history, "24h")) == 121
    history.close()
    with sqlite3.connect(tmp_path / "history.db") as connection:
        query = "SELECT ring, COUNT(*) FROM sample GROUP BY ring"
        assert dict(connection.execute(query)) == {0: 360, 1: 121, 2: 13}
    connection.close()


def test_many_routes_share_the_room_of_fifty(history: History) -> None:
    assert [stride(n) for n in (0, 1, 50, 51, 100, 1_000)] == [1, 1, 1, 2, 2, 20]
    fill(history, 3_600, 10.0, n_routes=1_000)
    assert len(ages(history, "1h")) == RINGS[0].slots // 20
    history.close()


def test_routes_that_are_gone_are_forgotten_when_their_week_is_over(
    history: History, tmp_path: Path
) -> None:
    history.add(NOW_S - 8 * 86_400, {"gone": b"x"})
    history.add(NOW_S, {"fraud": b"x"})
    history.add(NOW_S + 1, {"new": b"x"})  # ids are not handed out from before the tidying
    history.close()
    with sqlite3.connect(tmp_path / "history.db") as connection:
        names = connection.execute("SELECT name FROM route").fetchall()
    connection.close()
    assert sorted(names) == [("fraud",), ("new",)]


def test_what_was_kept_is_there_after_a_restart(history: History, tmp_path: Path) -> None:
    history.add(NOW_S, {"fraud": b"x"})
    history.close()
    again = History(tmp_path / "history.db")
    assert again.rows("fraud", "7d", NOW_S) == [(NOW_S, b"x")]
    again.close()


@pytest.mark.parametrize("damage", [b"this is no database", b"\x00" * 8192])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "history.db").write_bytes(damage)
    history = History(tmp_path / "history.db")
    history.add(NOW_S, {"fraud": b"x"})
    assert history.rows("fraud", "1h", NOW_S) == [(NOW_S, b"x")]
    history.close()


def test_a_file_of_another_version_is_begun_anew(history: History, tmp_path: Path) -> None:
    history.add(NOW_S, {"fraud": b"x"})
    history.close()
    with sqlite3.connect(tmp_path / "history.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert history.rows("fraud", "1h", NOW_S) == []
    history.close()


def test_a_full_file_refuses_and_goes_on_with_what_it_has(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 16 * 4096)
    with pytest.raises(HistoryError, match="full"):
        for number in range(200):
            history.add(NOW_S + number * 600, {f"r{number}": b"x" * 4_000})
    assert history.rows("r0", "7d", NOW_S) == [(NOW_S, b"x" * 4_000)]
    history.close()


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HistoryError):
        History(tmp_path / "nowhere" / "history.db").add(NOW_S, {"fraud": b"x"})


def test_an_unknown_span_is_refused(history: History) -> None:
    with pytest.raises(KeyError):
        history.rows("fraud", "1y", NOW_S)
