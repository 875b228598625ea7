"""The table on disk: seeded once, replaced whole."""

import os
import resource
from pathlib import Path

import pytest

from controller.policy import Intent, RouteIntent
from router import table
from router.table import Match, Route, RoutingTable, Split, Variant
from sidecar import tablefile

OLD = Variant(name="digits-1", host="127.0.0.1", port=9001)
NEW = Variant(name="digits-2", host="127.0.0.1", port=9002)
INTENT = Intent(
    routes=(
        RouteIntent(
            name="digits",
            match=Match(path="/predict"),
            champion=OLD,
            challengers=(NEW,),
            metrics=(),
            stages=(),
            unit_header="x-user-id",
            capture_bytes=10,
            eject_after=3,
            response_header=True,
        ),
    ),
    digest="d",
)


def newer(version: int) -> RoutingTable:
    route = Route(name="r", match=Match(path="/"), variants=(OLD,), split=Split(champion=OLD.name))
    return RoutingTable(version=version, routes=(route,))


def test_first_table_has_champions_alone() -> None:
    routing = tablefile.champion_only(INTENT)
    (route,) = routing.routes
    assert routing.version == 0
    assert route.variants == (OLD,) and route.split == Split(champion="digits-1")
    assert route.mirror is None and route.experiment == ""
    assert route.unit_header == "x-user-id" and route.show_variant
    assert (route.capture_bytes, route.eject_after) == (10, 3)


def test_seed_writes_once_and_never_over_a_newer_table(tmp_path: Path) -> None:
    path = tmp_path / "table.msgpack"
    assert tablefile.seed(path, INTENT)
    assert table.from_bytes(path.read_bytes()) == tablefile.champion_only(INTENT)
    tablefile.write(path, newer(17))
    assert not tablefile.seed(path, INTENT)
    assert table.from_bytes(path.read_bytes()).version == 17


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x82garbage"])
def test_unreadable_table_is_replaced_by_champions(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "table.msgpack"
    path.write_bytes(raw)
    assert tablefile.seed(path, INTENT)
    assert table.from_bytes(path.read_bytes()).version == 0


def test_write_that_fails_half_way_leaves_the_old_table_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "table.msgpack"
    tablefile.write(path, newer(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))  # EFBIG; Python ignores SIGXFSZ
    try:
        with pytest.raises(OSError):
            tablefile.write(path, newer(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert table.from_bytes(path.read_bytes()).version == 1
    assert os.listdir(tmp_path) == ["table.msgpack"]
