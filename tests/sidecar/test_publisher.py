"""A table reaches the routers first and the disk as soon as it can."""

from pathlib import Path

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
