"""The tally counts each audit record once, however often it is shown."""

from sidecar import tally
from sidecar.tally import Tally


def record(sequence: int, route: str = "r", action: str = "promote") -> dict[str, object]:
    return {"sequence": sequence, "route": route, "action": action}


def test_records_are_counted_by_route_and_action() -> None:
    one = Tally()
    one.add([record(1), record(2, action="rollback"), record(3, route="s"), record(4)])
    assert one.of("r") == {"promote": 2, "rollback": 1}
    assert one.of("s") == {"promote": 1} and one.of("absent") == {}


def test_record_shown_twice_counts_once() -> None:
    one = Tally()
    one.add([record(1), record(2)])
    one.add([record(2), record(3)])
    assert one.of("r") == {"promote": 3} and one.after == 3


def test_full_page_means_that_there_may_be_more() -> None:
    assert Tally().add([record(k) for k in range(1, tally.PAGE + 1)])
    assert not Tally().add([record(1)])
