"""Events: only what changed, on one line each, without markup that anybody could read."""

import json

from sidecar.dashboard.stream import Told, event
from tests.sidecar.double import HOSTILE, ROUTE, STATUS


def data(raw: bytes) -> object:
    name, line, end, rest = raw.decode().split("\n", 3)
    assert name.startswith("event: ") and end == "" and rest == ""
    return json.loads(line.removeprefix("data: "))


def test_an_event_is_one_line_of_json_whatever_is_in_it() -> None:
    content = {"because": f"{HOSTILE}\n\nevent: forged\ndata: 1\r\n\u2028"}
    assert data(event("route", content)) == content


def test_lines_are_told_once_and_again_when_they_change() -> None:
    told = Told()
    first = data(told.routes(STATUS))
    assert isinstance(first, dict) and [row["name"] for row in first["rows"]] == ["digits"]
    assert told.routes(STATUS) == b""
    changed = STATUS | {"routes": [ROUTE, ROUTE | {"name": "new"}]}
    second = data(told.routes(changed))
    assert isinstance(second, dict) and [row["name"] for row in second["rows"]] == ["new"]
    assert data(told.routes(STATUS)) == {"rows": [], "gone": ["new"]}


def test_no_routes_at_all_are_told_too() -> None:
    assert data(Told().routes(STATUS | {"routes": []})) == {"rows": [], "gone": []}


def test_the_route_is_told_when_it_changed_or_went() -> None:
    told = Told()
    assert data(told.route({"route": 1})) == {"route": 1}
    assert told.route({"route": 1}) == b""
    assert data(told.route(None)) is None
