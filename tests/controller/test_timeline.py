"""One route's records, newest first."""

from pathlib import Path

from controller import audit, store, timeline
from controller.audit import Entry
from controller.opening import open_database


def test_records_of_one_route_come_newest_first_and_in_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = open_database(path)
    with store.transaction(connection):
        for number in range(10):
            route = "fraud" if number % 2 else "other"
            entry = Entry(
                at_ns=number, who="ada", route=route, action="hold", because=str(number),
                config_digest="d", evidence={"counts": {"pairs": number}},
            )  # fmt: skip
            audit.append(connection, entry)
    with store.reader(path) as found:
        first = timeline.page(found, "fraud", limit=2)
        assert [one["because"] for one in first] == ["9", "7"]
        rest = timeline.page(found, "fraud", before=first[-1]["sequence"], limit=10)
        assert [one["because"] for one in rest] == ["5", "3", "1"]
        assert first[0]["evidence"] == {"counts": {"pairs": 9}}
        assert first[0]["hash"] == audit.head(connection).hash
        assert timeline.page(found, "nobody", limit=5) == []
    connection.close()
