"""A table reaches the routers first and the disk as soon as it can."""

from pathlib import Path

from structlog.testing import capture_logs

from router import table
from router.table import RoutingTable
from sidecar.publisher import Publisher


def version_on_disk(path: Path) -> int | None:
    return table.from_bytes(path.read_bytes()).version if path.exists() else None


def test_table_is_sent_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "table.msgpack"
    seen: list[tuple[int, int | None]] = []
    publisher = Publisher(lambda t: seen.append((t.version, version_on_disk(path))), path)
    publisher.publish(RoutingTable(version=1))
    publisher.publish(RoutingTable(version=2))
    assert seen == [(1, None), (2, 1)]
    assert version_on_disk(path) == 2


def test_disk_that_fails_stops_no_rollback_and_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    sent: list[int] = []
    publisher = Publisher(lambda t: sent.append(t.version), folder / "table.msgpack")
    publisher.publish(RoutingTable(version=1))
    publisher.publish(RoutingTable(version=2))
    assert sent == [1, 2]
    folder.mkdir()
    publisher.write()
    assert version_on_disk(folder / "table.msgpack") == 2
    (folder / "table.msgpack").unlink()
    publisher.write()
    assert version_on_disk(folder / "table.msgpack") is None


def test_disk_that_stays_full_is_told_once_and_once_more_when_it_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    publisher = Publisher(lambda _: None, folder / "table.msgpack")
    with capture_logs() as logs:
        publisher.publish(RoutingTable(version=1))
        for _ in range(50):
            publisher.write()
        folder.mkdir()
        publisher.write()
        publisher.write()
    told = [line["event"] for line in logs if line["event"] != "table published"]
    assert told == ["table not written; will try again", "table written at last"]


def test_table_is_for_our_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.msgpack"
    Publisher(lambda _: None, path).publish(RoutingTable(version=1))
    assert path.stat().st_mode & 0o777 == 0o600
